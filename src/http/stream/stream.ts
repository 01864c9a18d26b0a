/** Streams: Server-Sent Events, and the same records as lines. */
import type { Context } from 'hono'
import { streamSSE } from 'hono/streaming'
import { asKafkaConsumeError, KafkaConsumeError } from '../../core/errors.ts'
import { negotiate } from '../request/accept.ts'
import { urlOf } from '../request/client.ts'
import { parseStream } from '../request/parameters.ts'
import { jsonOfSlices, linesOf } from '../response/body.ts'
import { untransformed } from '../response/deliver.ts'
import { describeError } from '../response/error-response.ts'
import type { Route } from '../route/route.ts'
import { BodyWriter } from './body-writer.ts'
import { type GzipStream, streamCompressor } from './gzip-stream.ts'
import {
  type LiveStream,
  openStream,
  type StreamEncoder,
  type StreamWriter,
  WRITE_BYTES,
} from './live-stream.ts'

/** Bytes that wait to be sent are a part of an encoded batch and keep all of it in memory: larger parts are copied. */
const MAX_HELD_BYTES = 2 * WRITE_BYTES

/** What Kafka refuses a server for, and what may be mended on the server while clients wait. */
const SERVER_REFUSALS: ReadonlySet<string> = new Set([
  'KAFKA_AUTHENTICATION',
  'KAFKA_TLS',
  'KAFKA_TOKEN',
])

const encoder = new TextEncoder()

/** @throws KafkaConsumeError whatever fails before the first byte. */
export async function answerStream(c: Context, route: Route): Promise<Response> {
  const type = negotiate(c, ['text/event-stream', 'application/x-ndjson'])
  const plan = parseStream(
    urlOf(c).searchParams,
    c.req.header('Last-Event-ID'),
    route.options.topics,
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
  c.header('Kafka-Cursor', live.cursor)
  // Some proxies collect small writes; this asks them not to.
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

/** Corrects the headers that Hono's helper has set by the time that it calls back. */
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
  // Not waited for: a client that reads nothing must not hold up the end.
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
 * Whether an error is told as an event. A status ends an `EventSource` for good, and with it what
 * its client would have resumed; this one is to ask again while Kafka is away, and whenever it
 * resumes, as long as waiting helps. Who does not name the media type reads statuses.
 */
function shouldAnswerAsEvent(c: Context, { code, retryable }: KafkaConsumeError): boolean {
  if (!/text\/event-stream/i.test(c.req.header('Accept') ?? '')) return false
  if (c.req.raw.signal.aborted) return false
  if (code === 'KAFKA_UNAVAILABLE' || code === 'KAFKA_TIMEOUT') return true
  // Credentials are mended on the server, under the same clients.
  const isResumed = Boolean(c.req.header('Last-Event-ID'))
  return isResumed && (retryable || SERVER_REFUSALS.has(code))
}

/** A stream that consists of the error, and of when to ask again. */
function answerErrorEvent(c: Context, error: KafkaConsumeError, show: boolean): Response {
  const { code, message, detail } = error
  const told = new KafkaConsumeError(code, message, {
    retryable: true,
    ...(detail !== undefined && { detail }),
  })
  const text = retryField((error.retryAfter ?? 2) * 1_000) + errorEvent(told, show)
  return streamSSE(c, async (stream) => {
    correctHeaders(c)
    await stream.write(text)
  })
}

/** https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream */
const events: StreamEncoder<Uint8Array> = {
  // The first frame carries an id, so that a client that disconnects before the first event can
  // still resume. Without one the `retry` is a line of the frame that follows.
  preamble: (cursor) =>
    encoder.encode(retryField(1_000) + (cursor === undefined ? '' : cursorEvent(cursor))),
  records: ({ batch, begin, end }) => {
    const frames = batch.events(begin, end)
    return frames.buffer.byteLength > MAX_HELD_BYTES ? frames.slice() : frames
  },
  gap: (gap, cursor) =>
    encoder.encode(`event: gap\ndata: ${JSON.stringify(gap)}\nid: ${cursor}\n\n`),
  error: (error, show) => encoder.encode(errorEvent(error, show)),
  bytes: (frames) => frames.length,
  // A comment is a line without a frame: many clients dispatch an event at any empty line.
  heartbeat: (cursor) => encoder.encode(cursor === undefined ? ':\n' : cursorEvent(cursor)),
}

/**
 * Moves the client's last event id. A frame with an `id` alone would do by the standard, but several
 * clients take ids of dispatched events only, and others dispatch that frame as an empty message.
 */
function cursorEvent(cursor: string): string {
  return `event: cursor\ndata: ${JSON.stringify({ cursor })}\nid: ${cursor}\n\n`
}

/** By chance, so that clients that lose their streams at once do not come back at once. */
function retryField(milliseconds: number): string {
  return `retry: ${Math.floor(milliseconds * (1 + 2 * Math.random()))}\n`
}

function errorEvent(error: KafkaConsumeError, show: boolean): string {
  const { code, message, ...rest } = describeError(error, show)
  const data = { code, message, ...rest, retryable: error.retryable }
  return `event: error\ndata: ${JSON.stringify(data)}\n\n`
}

/** Lines of JSON; what is no record has a field that no record has. A heartbeat is an empty line. */
const lines: StreamEncoder<Uint8Array> = {
  preamble: () => undefined,
  records: (part) => linesOf(jsonOfSlices([part])),
  gap: (gap) => line({ gap }),
  error: (error, show) =>
    line({ failure: { ...describeError(error, show), retryable: error.retryable } }),
  heartbeat: () => encoder.encode('\n'),
  bytes: (frames) => frames.length,
}

function line(value: unknown): Uint8Array {
  return encoder.encode(`${JSON.stringify(value)}\n`)
}
