/** Reads a route's event stream by `fetch`, over as many connections as it takes. */
import { createParser, type EventSourceMessage } from 'eventsource-parser'
import type { Gap } from '../port/kafka.ts'
import { acceptRecord } from './accept-record.ts'
import {
  answeredError,
  jsonOf,
  KafkaStreamError,
  type KafkaStreamErrorCode,
  reportedError,
} from './errors.ts'
import type { RecordBySchema, ValueSchemas } from './record.ts'
import {
  addressOf,
  type ReadPosition,
  type ReceivedRecord,
  type ReceiveOptions,
  reportGap,
  wrongArgument,
} from './record.ts'
import { MAX_TIMER_MS, Retries } from './retry.ts'
import {
  addressOfRoute,
  type RecordByRoute,
  type RouteParameters,
  type StreamRoute,
} from './route.ts'

/** Headers as `fetch` takes them. A runtime's types may lack the DOM's `HeadersInit`. */
type RequestHeaders = NonNullable<RequestInit['headers']>

/** The options of `stream`. */
export interface StreamOptions<Schemas extends ValueSchemas | undefined = undefined>
  extends ReceiveOptions<Schemas> {
  /**
   * Headers of each request; a function is called for each connection, for example for a fresh token.
   * An error of the function is `DISCONNECTED`, after which the client calls it again later. It ends the
   * stream by a `KafkaStreamError` that is not retryable.
   */
  readonly headers?: RequestHeaders | (() => RequestHeaders | Promise<RequestHeaders>)
  /** Whether cookies go along to another origin. Default: `same-origin`. */
  readonly credentials?: NonNullable<RequestInit['credentials']>
  /** Makes the requests. Default: the runtime's `fetch`. */
  readonly fetch?: (url: URL, init: RequestInit) => Promise<Response>
  /**
   * Milliseconds without a byte after which the connection counts as lost. The server's heartbeats
   * come every 8 s by default. `Infinity` waits for ever. Default: 30000.
   */
  readonly silenceTimeout?: number
}

/** Longest event in characters; a record of Kafka's default has a twentieth of that at most. */
const MAX_EVENT_SIZE = 64 * 1024 * 1024
/** In place of an event that is longer. */
const TOO_LARGE: EventSourceMessage = {
  event: 'error',
  data: '{"code":"EVENT_TOO_LARGE","message":"Cannot read an event of more than 64 Mi"}',
  id: undefined,
}

/**
 * Reads the records of a route of mode `server-sent-events`, on and on: when a connection ends, the
 * next one continues after the last record that the loop got, without a loss or a repetition.
 *
 * The loop sets the pace: nothing is read from the connection while the loop's body works.
 *
 * @param url Of the route; in browsers it may be relative. A route of `hc` types the records: `stream(client.orders)`, and `param` has its path parameters.
 * @throws KafkaStreamError when a retry cannot succeed; the reason of `signal` when it aborts.
 *
 * @example
 * ```ts
 * import { Hono } from 'hono'
 * import { kafkaConsume } from 'hono-kafka-consume'
 * import { stream } from 'hono-kafka-consume/client'
 * import { kafkaSide } from 'hono-kafka-consume/kafka'
 * import * as v from 'valibot'
 *
 * // A server with a few records; yours is elsewhere.
 * const broker = await kafkaSide.startEmbeddedBroker({ topic: 'orders', records: 3, recordsPerSecond: 0 })
 * const orders = kafkaConsume({
 *   bootstrapServers: broker.bootstrapServers,
 *   topics: ['orders'],
 *   mode: 'server-sent-events',
 *   messageDeserializer: 'json',
 * })
 * const server = Bun.serve({ port: 0, fetch: new Hono().get('/orders', orders).fetch })
 *
 * const schema = v.object({ type: v.string() })
 * let count = 0
 * for await (const { value } of stream(new URL('/orders', server.url), { start: 'earliest', schema })) {
 *   if (value.type.length > 0 && ++count === 3) break
 * }
 *
 * await server.stop(true)
 * await orders.close()
 * await broker.close()
 * ```
 */
export function stream<const Schemas extends ValueSchemas | undefined = undefined>(
  url: string | URL,
  options?: StreamOptions<Schemas>,
): AsyncGenerator<RecordBySchema<Schemas>, void, undefined>
export function stream<Route extends StreamRoute>(
  route: [RecordByRoute<Route>] extends [never] ? never : Route,
  options?: StreamOptions & RouteParameters,
): AsyncGenerator<RecordByRoute<Route>, void, undefined>
export async function* stream(
  given: string | URL | StreamRoute,
  options: StreamOptions<ValueSchemas | undefined> & RouteParameters = {},
): AsyncGenerator<ReceivedRecord, void, undefined> {
  for await (const { data, cursor } of streamData(addressOfRoute(given, options), options)) {
    const record = await acceptRecord({ ...(data as ReceivedRecord), cursor }, options)
    options.signal?.throwIfAborted()
    if (record) yield record
  }
}

/**
 * Like `stream`, for a route with `format=value`, `format=cloudevents` or a format of its own: `data`
 * is what the format made of a record.
 *
 * @throws KafkaStreamError when a retry cannot succeed; the reason of `signal` when it aborts.
 */
export async function* streamData<Data = unknown>(
  url: string | URL,
  options: Omit<StreamOptions, 'schema' | 'onInvalid'> = {},
): AsyncGenerator<{ readonly data: Data; readonly cursor: string }, void, undefined> {
  const position: ReadPosition = { cursor: options.cursor }
  const retries = new Retries()
  for (;;) {
    try {
      for await (const event of readEvents(addressOf(url, options, position), options, retries)) {
        options.signal?.throwIfAborted()
        if (event.event === 'end') return
        const received = receivedOf(event, position, options)
        retries.failed = 0
        if (received) yield received as { data: Data; cursor: string }
      }
      throw retryable('DISCONNECTED', 'the connection ended')
    } catch (error) {
      await retries.wait(error, options)
    }
  }
}

/**
 * Moves the position to that of an event.
 *
 * @returns The data of an event that has a record.
 * @throws KafkaStreamError that the server reports.
 */
function receivedOf(
  { event, data, id }: EventSourceMessage,
  position: ReadPosition,
  { onCursor, onGap }: StreamOptions<ValueSchemas | undefined>,
): { data: unknown; cursor: string } | undefined {
  if (event === 'error') throw reportedError(data)
  const cursor = id ?? position.cursor ?? ''
  position.cursor = cursor
  if (event === undefined) return { data: jsonOf(data), cursor }
  if (event === 'gap') reportGap(jsonOf(data) as Gap, onGap)
  onCursor?.(cursor)
}

/** @throws TypeError without the value, which may be a secret. */
function headersOf(headers: RequestHeaders | undefined): Headers {
  try {
    return new Headers(headers)
  } catch {
    throw wrongArgument('the headers are not valid')
  }
}

/** The events of one connection. */
async function* readEvents(
  address: URL,
  options: StreamOptions<ValueSchemas | undefined>,
  retries: Retries,
): AsyncGenerator<EventSourceMessage, void, undefined> {
  const { headers, credentials, onOpen } = options
  const { ending, within } = boundsOf(options)
  const request = headersOf(await within(typeof headers === 'function' ? headers : () => headers))
  request.set('Accept', 'text/event-stream')
  const response = await within(() =>
    (options.fetch ?? fetch)(address, {
      headers: request,
      cache: 'no-store',
      ...(credentials && { credentials }),
      signal: ending,
    }),
  )
  const { status, body } = response
  if (status === 204) {
    // The connection before has brought all records, and was lost before it could say so.
    yield { event: 'end', data: '', id: undefined }
    return
  }
  const isStream = response.headers.get('Content-Type')?.startsWith('text/event-stream')
  if (status !== 200 || !isStream || !body) {
    throw answeredError(response, await within(() => response.text()).catch(() => ''))
  }
  onOpen?.()

  let events: EventSourceMessage[] = []
  const parser = createParser({
    onEvent: (event) => events.push(event),
    onRetry: (interval) => {
      retries.interval = interval
    },
    onError: ({ type }) => {
      if (type === 'max-buffer-size-exceeded') events.push(TOO_LARGE)
    },
    maxBufferSize: MAX_EVENT_SIZE,
  })
  const reader = body.pipeThrough(new TextDecoderStream()).getReader()
  try {
    for (;;) {
      const { done, value } = await within(() => reader.read())
      if (done) return
      parser.feed(value)
      yield* events
      events = []
    }
  } finally {
    // The connection may have failed already.
    reader.cancel().catch(() => undefined)
  }
}

/** The bounds of the waits for one connection. */
interface ConnectionBounds {
  /** Aborts when the server is silent for too long, and with the signal of the loop. */
  readonly ending: AbortSignal
  /** Waits, and makes an error, which a retry follows, of a failure and of a silence. */
  readonly within: <Result>(work: () => Result | Promise<Result>) => Promise<Result>
}

function boundsOf({
  signal,
  silenceTimeout = 30_000,
}: StreamOptions<ValueSchemas | undefined>): ConnectionBounds {
  if (!(silenceTimeout > 0)) throw wrongArgument('silenceTimeout must be milliseconds from 1')
  const silence = new AbortController()
  const ending = AbortSignal.any(signal ? [signal, silence.signal] : [silence.signal])
  return {
    ending,
    async within(work) {
      const timer = setTimeout(
        () => silence.abort(retryable('SILENT', `nothing came for ${silenceTimeout} ms`)),
        Math.min(silenceTimeout, MAX_TIMER_MS),
      )
      try {
        signal?.throwIfAborted()
        return await new Promise((resolve, reject) => {
          // A function of the app may ignore the signal, or get none.
          ending.onabort = () => reject(ending.reason)
          Promise.resolve(work()).then(resolve, reject)
        })
      } catch (cause) {
        signal?.throwIfAborted()
        throw cause instanceof KafkaStreamError
          ? cause
          : retryable('DISCONNECTED', `${cause}`, cause)
      } finally {
        clearTimeout(timer)
        ending.onabort = null
      }
    },
  }
}

function retryable(code: KafkaStreamErrorCode, state: string, cause?: unknown): KafkaStreamError {
  return new KafkaStreamError(code, `Cannot read the stream: ${state}`, { retryable: true, cause })
}
