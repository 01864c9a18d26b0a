/** Streams over HTTP: Server-Sent Events, and NDJSON. */
import type { Context } from 'hono'
import { streamSSE } from 'hono/streaming'
import {
  asKafkaConsumeError,
  describeError,
  type KafkaConsumeError,
  outageError,
} from '../../core/errors.ts'
import { negotiate } from '../request/accept.ts'
import { urlOf } from '../request/client.ts'
import { parseStream } from '../request/parameters.ts'
import { joinParts, jsonOfSlices, linesOf, untransformed } from '../response/body.ts'
import type { Route } from '../route/route.ts'
import { BodyWriter } from './body-writer.ts'
import { type GzipStream, streamCompressor } from './gzip-stream.ts'
import { type LiveStream, WRITE_BYTES } from './live-stream.ts'
import { openStream } from './open-stream.ts'
import type { StreamEncoder, StreamWriter } from './stream-encoder.ts'

/** Bytes that wait to be sent are a part of an encoded batch and keep all of it in memory: larger parts are copied. */
const MAX_HELD_BYTES = 2 * WRITE_BYTES

/** Errors of this server's credentials or rights for Kafka, which an operator may fix while clients wait. */
const SERVER_REFUSALS: ReadonlySet<string> = new Set([
  'KAFKA_AUTHENTICATION',
  'KAFKA_AUTHORIZATION',
  'KAFKA_TLS',
  'KAFKA_TOKEN',
])

const encoder = new TextEncoder()

/** @throws KafkaConsumeError before the first byte, so that it can be an HTTP status. */
export async function answerStream(c: Context, route: Route): Promise<Response> {
  const type = negotiate(c, ['text/event-stream', 'application/x-ndjson'])
  const plan = parseStream(
    urlOf(c).searchParams,
    c.req.header('Last-Event-ID'),
    route.options.topics,
    route.options.filters,
  )
  const isEvents = type === 'text/event-stream'
  const [form, encoder] = isEvents
    ? (['event-stream', events] as const)
    : (['ndjson', lines] as const)
  let live: LiveStream<Uint8Array>
  try {
    live = await openStream(c, route, plan, form, encoder)
  } catch (thrown) {
    const error = asKafkaConsumeError(thrown)
    if (!isEvents || !shouldAnswerAsEvent(c, error)) throw error
    return answerErrorEvent(c, error, route.options.errorHandling.returnErrorMessage)
  }
  if (isEvents && c.req.header('Last-Event-ID') && live.hasReachedEnd) {
    // By the standard, this status ends an EventSource, which would reconnect after any stream's end.
    await live.abandon()
    return c.body(null, 204)
  }
  c.header('Kafka-Cursor', live.cursor)
  // nginx and others buffer small writes unless this header is set.
  c.header('X-Accel-Buffering', 'no')
  const gzip = streamCompressor(c, route.options.compression)
  return isEvents ? answerEvents(c, live, gzip) : answerLines(c, live, gzip)
}

function answerEvents(
  c: Context,
  live: LiveStream<Uint8Array>,
  gzip: GzipStream | undefined,
): Response {
  return streamSSE(c, (stream) => {
    correctHeaders(c)
    stream.onAbort(() => live.onAbort())
    return gzip ? runCompressed(live, stream, gzip) : live.run(stream)
  })
}

/** Corrects headers that Hono's `streamSSE` has set before it calls back. */
function correctHeaders(c: Context): void {
  // The runtime sets what its connection needs. HTTP/2 forbids both of these headers, and HTTP/1.0
  // has no chunked transfer coding.
  c.header('Transfer-Encoding', undefined)
  c.header('Connection', undefined)
  setUntransformed(c)
}

function setUntransformed(c: Context): void {
  for (const [name, value] of Object.entries(untransformed('no-cache'))) c.header(name, value)
}

function answerLines(
  c: Context,
  live: LiveStream<Uint8Array>,
  gzip: GzipStream | undefined,
): Response {
  c.header('Content-Type', 'application/x-ndjson')
  setUntransformed(c)
  const writer = new BodyWriter()
  writer.onAbort(() => live.onAbort())
  // Not awaited: a client that does not read must not delay the end.
  const running = gzip ? runCompressed(live, writer, gzip) : live.run(writer)
  void running.finally(() => writer.close())
  return c.body(writer.body)
}

async function runCompressed(
  live: LiveStream<Uint8Array>,
  writer: StreamWriter<Uint8Array>,
  gzip: GzipStream,
): Promise<void> {
  await live.run({
    write: (frames) => writer.write(gzip.write(frames)),
    abort: () => writer.abort(),
  })
  await writer.write(gzip.end())
}

/**
 * Whether an error is sent as an event, after which an `EventSource` reconnects. An HTTP status would
 * end it for good. This holds during an outage, and for each retryable error of a client that
 * resumes. A client whose `Accept` does not name `text/event-stream` gets the status.
 */
function shouldAnswerAsEvent(c: Context, { code, retryable }: KafkaConsumeError): boolean {
  if (!/text\/event-stream/i.test(c.req.header('Accept') ?? '')) return false
  if (c.req.raw.signal.aborted) return false
  if (code === 'KAFKA_UNAVAILABLE' || code === 'KAFKA_TIMEOUT') return true
  const isResumed = Boolean(c.req.header('Last-Event-ID'))
  return isResumed && (retryable || SERVER_REFUSALS.has(code))
}

/** Answers with a stream of one error event, and the time after which the client reconnects. */
function answerErrorEvent(c: Context, error: KafkaConsumeError, showDetail: boolean): Response {
  const event = errorEvent(outageError(error, true), showDetail)
  const text = retryField((error.retryAfter ?? 2) * 1_000) + event
  return streamSSE(c, async (stream) => {
    correctHeaders(c)
    await stream.write(text)
  })
}

/** Bytes that do not keep a large batch in memory while they wait to be sent. */
function unheld(bytes: Uint8Array): Uint8Array {
  return bytes.buffer.byteLength > MAX_HELD_BYTES ? bytes.slice() : bytes
}

/** https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream */
const events: StreamEncoder<Uint8Array> = {
  // The first frame carries an id, so that a client that disconnects before the first event can
  // still resume. Without one the `retry` is a line of the frame that follows.
  preamble: (cursor) =>
    encoder.encode(retryField(1_000) + (cursor === undefined ? '' : cursorEvent(cursor))),
  records: ({ batch, begin, end }) => {
    return unheld(batch.events(begin, end))
  },
  gap: (gap, cursor) =>
    encoder.encode(`event: gap\ndata: ${JSON.stringify(gap)}\nid: ${cursor}\n\n`),
  end: (cursor) =>
    encoder.encode(`event: end\ndata: ${JSON.stringify({ cursor })}\nid: ${cursor}\n\n`),
  error: (error, showDetail) => encoder.encode(errorEvent(error, showDetail)),
  bytes: (frames) => frames.length,
  // A comment line without an empty line after it: many clients dispatch an event at each empty line.
  heartbeat: (cursor) => encoder.encode(cursor === undefined ? ':\n' : cursorEvent(cursor)),
}

/**
 * Moves the client's last event id. By the standard a frame with only an `id` does so, but several
 * clients keep ids of dispatched events only, and others dispatch that frame as an empty message.
 */
function cursorEvent(cursor: string): string {
  return `event: cursor\ndata: ${JSON.stringify({ cursor })}\nid: ${cursor}\n\n`
}

/** A random time, so that clients that are disconnected together do not reconnect together. */
function retryField(milliseconds: number): string {
  return `retry: ${Math.floor(milliseconds * (1 + 2 * Math.random()))}\n`
}

function errorEvent(error: KafkaConsumeError, showDetail: boolean): string {
  const { code, message, ...rest } = describeError(error, showDetail)
  const data = { code, message, ...rest, retryable: error.retryable }
  return `event: error\ndata: ${JSON.stringify(data)}\n\n`
}

/** NDJSON. Gaps and errors are lines with a field that records do not have; a heartbeat is an empty line. */
const lines: StreamEncoder<Uint8Array> = {
  preamble: () => undefined,
  records: (part) => {
    const { batch, begin, end } = part
    if (batch.form !== 'lines') return joinParts(linesOf(jsonOfSlices([part], 'lines')))
    return unheld(batch.events(begin, end))
  },
  gap: (gap) => line({ gap }),
  end: (cursor) => line({ ended: true, cursor }),
  error: (error, showDetail) =>
    line({ failure: { ...describeError(error, showDetail), retryable: error.retryable } }),
  heartbeat: () => encoder.encode('\n'),
  bytes: (frames) => frames.length,
}

function line(value: unknown): Uint8Array {
  return encoder.encode(`${JSON.stringify(value)}\n`)
}
