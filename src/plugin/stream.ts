/** Streams: Server-Sent Events, and the same records as lines. */
import type { Context } from 'hono'
import { asKafkaConsumeError, KafkaConsumeError } from '../errors.ts'
import { type Exchange, exchangeOf } from '../ops/exchange.ts'
import { linesOf } from '../record/body.ts'
import { isPicky } from '../record/filter.ts'
import type { Format } from '../record/format.ts'
import { shownIn } from '../stream/shown.ts'
import type { Gap } from '../stream/source.ts'
import type { Part, Subscription } from '../stream/subscription.ts'
import { negotiate } from './accept.ts'
import { describeError } from './answers.ts'
import { clientOf, filterOf, isBound, timeLeft, urlOf } from './client.ts'
import { type GzipStream, streamCompressor } from './compress.ts'
import { BodyOutlet, type Outlet } from './outlet.ts'
import { parseStream, type StreamPlan } from './parameters.ts'
import type { OpenStream, Route, StreamForm } from './route.ts'
import { shapeOf } from './shown.ts'
import { ReadTrace } from './trace.ts'

/** Bytes per write: large enough to be cheap, small enough that a client's abort is noticed soon. */
const WRITE_BYTES = 256 * 1024
const LIMITS = { records: Infinity, bytes: WRITE_BYTES }
/** What waits to be sent is a part of a chunk and holds all of it in memory: larger ones are copied. */
const MAX_HELD_BYTES = 2 * WRITE_BYTES
/** How long a write may take until its stream lets go of the ring. */
const STALL_MS = 1_000
/** How long Kafka may be away before open streams are told; shorter outages they do not notice. */
const OUTAGE_GRACE_MS = 10_000
/** By how much of `maxStreamAge` a stream may end sooner. */
const AGE_JITTER = 0.2
/** How long a stalled stream may hold up a shutdown. */
const END_PATIENCE_MS = 2_000

/** What Kafka refuses a server for, and what may be mended on the server while clients wait. */
const REFUSALS: ReadonlySet<string> = new Set(['KAFKA_AUTHENTICATION', 'KAFKA_TLS', 'KAFKA_TOKEN'])

const encoder = new TextEncoder()

/** How records and the rest look on the wire. */
export interface Wire<Frames> {
  /** @param cursor Where the stream begins; absent where a gap is announced first. */
  preamble(cursor: string | undefined): Frames | undefined
  records(part: Extract<Part, { chunk: unknown }>, cursor: () => string): Frames
  /** @param cursor Where reading goes on: a client that resumes is not told of the gap again. */
  gap(gap: Gap, cursor: string): Frames
  error(error: KafkaConsumeError, show: boolean): Frames
  /** @param cursor Given on a filtered stream, where a client has no other way to learn it. */
  heartbeat(cursor: string | undefined): Frames
  /** How large they are. */
  bytes(frames: Frames): number
}

/** @throws KafkaConsumeError whatever fails before the first byte. */
export async function answerStream(c: Context, route: Route): Promise<Response> {
  const type = negotiate(c, ['text/event-stream', 'application/x-ndjson'])
  const plan = parseStream(
    urlOf(c).searchParams,
    c.req.header('Last-Event-ID'),
    route.options.topics,
  )
  const form = type === 'text/event-stream' ? 'event-stream' : 'ndjson'
  let live: LiveStream
  try {
    live = await openStream(c, route, plan, form)
  } catch (thrown) {
    const error = asKafkaConsumeError(thrown)
    if (form === 'ndjson' || !isToComeBack(c, error)) throw error
    return answerComeBack(c, error, route.options.errorHandling.returnErrorMessage)
  }
  c.header('Kafka-Cursor', live.cursor)
  // Some proxies collect small writes; this asks them not to.
  c.header('X-Accel-Buffering', 'no')
  const gzip = streamCompressor(c, route.options.compression)
  c.header('Content-Type', type)
  c.header('Cache-Control', 'no-cache')
  const outlet = new BodyOutlet()
  const run = async () => {
    const wire = form === 'event-stream' ? events : lines
    await live.run(gzip ? compressed(outlet, gzip) : outlet, wire)
    if (gzip) await outlet.write(gzip.end())
  }
  // Not waited for: a client that reads nothing must not hold up the end.
  void run().finally(() => outlet.close())
  return c.body(outlet.body)
}

function compressed(stream: Outlet<Uint8Array>, gzip: GzipStream): Outlet<Uint8Array> {
  return {
    write: (frames) => stream.write(gzip.write(frames)),
    onAbort: (listener) => stream.onAbort(listener),
    abort: () => stream.abort(),
  }
}

/**
 * Whether an error is told as an event. A status ends an `EventSource` for good, and with it what
 * its client would have resumed; this one is to ask again while Kafka is away, and whenever it
 * resumes, as long as waiting helps. Who does not name the media type reads statuses.
 */
function isToComeBack(c: Context, { code, retryable }: KafkaConsumeError): boolean {
  if (!/text\/event-stream/i.test(c.req.header('Accept') ?? '')) return false
  if (c.req.raw.signal.aborted) return false
  if (code === 'KAFKA_UNAVAILABLE' || code === 'KAFKA_TIMEOUT') return true
  // Credentials are mended on the server, under the same clients.
  const isResumed = Boolean(c.req.header('Last-Event-ID'))
  return isResumed && (retryable || REFUSALS.has(code))
}

/** A stream that consists of the error, and of when to ask again. */
function answerComeBack(c: Context, error: KafkaConsumeError, show: boolean): Response {
  c.header('Content-Type', 'text/event-stream')
  c.header('Cache-Control', 'no-cache')
  const { code, message, detail } = error
  const told = new KafkaConsumeError(code, message, {
    retryable: true,
    ...(detail !== undefined && { detail }),
  })
  return c.body(`${retryField((error.retryAfter ?? 2) * 1_000)}\n${errorEvent(told, show)}`)
}

/**
 * A stream at its beginning: it is to be run, whatever comes.
 *
 * @throws KafkaConsumeError while a refusal can still be an HTTP status.
 */
export async function openStream(
  c: Context,
  route: Route,
  { position, wanted, format }: StreamPlan,
  form: StreamForm,
): Promise<LiveStream> {
  const client = clientOf(c)
  const shape = shapeOf(format, route.options)
  const { feed } = await route.lease()
  let live: LiveStream | undefined
  let isOver = false
  const leave = route.enter(client, () => {
    isOver = true
    void live?.end()
  })
  let subscription: Subscription
  try {
    subscription = await feed.subscribe(position, (table) => filterOf(wanted, client, table))
    const refusal = route.isClosed
      ? new KafkaConsumeError('SHUTTING_DOWN', 'Cannot open a stream: the server is shutting down')
      : c.req.raw.signal.reason
    if (refusal) {
      await subscription.close()
      throw refusal
    }
  } catch (error) {
    leave()
    throw error
  }
  // What is prepared may be dropped, too.
  const filtered = feed.preparation !== undefined || isBound(client) || isPicky(wanted)
  live = new LiveStream(c, route, subscription, form, shape.format, filtered, leave)
  if (isOver) void live.end()
  return live
}

/** One client's stream, from its first byte to its end. */
export class LiveStream implements OpenStream {
  readonly form: StreamForm
  readonly #c: Context
  readonly #route: Route
  readonly #exchange: Exchange | undefined
  readonly #trace: ReadTrace | undefined
  readonly #subscription: Subscription
  readonly #format: Format | undefined
  readonly #filtered: boolean
  readonly #leave: () => void
  readonly #finished = Promise.withResolvers<void>()
  #ending = false
  #failure: KafkaConsumeError | undefined
  /** When the write that is going on began, in `performance.now()`'s time. */
  #writing: number | undefined
  #written = performance.now()
  readonly #opened = Date.now()
  #giveUp: (() => void) | undefined
  #outlet: Outlet<never> | undefined
  /** When waiting for records ends at the latest, in `performance.now()`'s time. */
  #due = Infinity
  /** When it has gone on long enough, in `performance.now()`'s time. */
  readonly #last: number

  constructor(
    c: Context,
    route: Route,
    subscription: Subscription,
    form: StreamForm,
    format: Format | undefined,
    filtered: boolean,
    leave: () => void,
  ) {
    this.#c = c
    this.#route = route
    this.#subscription = subscription
    this.form = form
    this.#format = format
    this.#filtered = filtered
    this.#leave = leave
    this.#exchange = exchangeOf(c)
    this.#trace = ReadTrace.begin(route, 'stream')
    if (this.#exchange) this.#exchange.ended = this.#finished.promise
    const { maxStreamAge = Infinity } = route.options
    // By chance somewhat sooner: clients that came at once are not to come back at once.
    const age = maxStreamAge * (1 - AGE_JITTER * Math.random())
    this.#last = performance.now() + Math.min(age, timeLeft(clientOf(c)))
    route.opened(this)
    // Bun closes a connection that is quiet for its `idleTimeout`; here quiet is normal, and who
    // reads nothing has our own deadline.
    this.#timeout(0)
  }

  /** Where it goes on. */
  get cursor(): string {
    return this.#subscription.cursor.toString()
  }

  async end(): Promise<void> {
    this.#stop()
    const patience = setTimeout(() => this.#giveUp?.(), END_PATIENCE_MS)
    await this.#finished.promise
    clearTimeout(patience)
  }

  async run<Frames>(stream: Outlet<Frames>, wire: Wire<Frames>): Promise<void> {
    const { beatInterval, options } = this.#route
    // A beat sooner: it is sent by the time that it is due.
    const heartbeat = options.heartbeat - beatInterval
    this.#outlet = stream
    stream.onAbort(() => {
      this.#stop()
      this.#giveUp?.()
    })
    try {
      const preamble = wire.preamble(this.#subscription.hasGaps ? undefined : this.cursor)
      if (preamble) await this.#write(stream, wire, preamble)
      while (!this.#ending && performance.now() < this.#last) {
        let part = this.#subscription.take(LIMITS)
        if (!part && !this.#subscription.isAtEnd) part = await this.#subscription.next(LIMITS)
        if (this.#ending) break
        if (part) {
          if ('gap' in part) {
            this.#route.figures.gaps++
            await this.#write(stream, wire, wire.gap(part.gap, part.cursor))
          } else {
            const frames = wire.records(shownIn(part, this.#format), () => this.cursor)
            const writing = this.#write(stream, wire, frames)
            // What is taken at once is not waited for: with many streams, that is all they do.
            if (writing) await writing
            this.#count(part)
          }
          continue
        }
        this.#failInOutage()
        this.#due = Math.min(this.#written + heartbeat, this.#last)
        if (performance.now() < this.#due) await this.#subscription.wait()
        else {
          await this.#write(stream, wire, wire.heartbeat(this.#filtered ? this.cursor : undefined))
        }
      }
    } catch (thrown) {
      if (!this.#ending) {
        this.#failure = asKafkaConsumeError(thrown)
        await this.#write(
          stream,
          wire,
          wire.error(this.#failure, options.errorHandling.returnErrorMessage),
        )
      }
    } finally {
      await this.#finish()
    }
  }

  /** It cannot be run after all. */
  async abandon(): Promise<void> {
    this.#stop()
    await this.#finish()
  }

  async #finish(): Promise<void> {
    await this.#subscription.close()
    this.#leave()
    this.#route.ended(this)
    this.#trace?.end(this.#failure)
    this.#finished.resolve()
  }

  #stop(): void {
    this.#ending = true
    this.#subscription.stop()
  }

  /** Once for all records of a write: a client more must not cost more than that. */
  #count({ chunk, begin, end }: Extract<Part, { chunk: unknown }>): void {
    const { figures } = this.#route
    figures.sent.stream.records += end - begin
    figures.written(chunk.timestamp, this.#opened)
    if (this.#exchange) this.#exchange.records += end - begin
    this.#trace?.add([{ chunk, begin, end }])
  }

  /** Resolves when the runtime has taken the frames, or when the stream is given up. */
  #write<Frames>(
    stream: Outlet<Frames>,
    wire: Wire<Frames>,
    frames: Frames,
  ): Promise<void> | undefined {
    const bytes = wire.bytes(frames)
    this.#route.figures.sent.stream.bytes += bytes
    if (this.#exchange) this.#exchange.bytes += bytes
    this.#written = performance.now()
    const writing = stream.write(frames)
    if (!writing) return undefined
    this.#writing = this.#written
    return new Promise<void>((resolve) => {
      const done = () => {
        this.#giveUp = undefined
        this.#writing = undefined
        this.#written = performance.now()
        resolve()
      }
      this.#giveUp = done
      void writing.then(done, done)
    })
  }

  beat(now: number): void {
    if (now >= this.#due) this.#subscription.wake()
    // A stalled write is the only sign of a client that is there and does not read.
    if (this.#writing === undefined) return
    if (now - this.#writing > STALL_MS) this.#subscription.pause()
    if (now - this.#writing < this.#route.options.writeDeadline) return
    this.#route.figures.silent++
    this.#ending = true
    // Bun closes the connection when its timeout has passed, whatever is still queued for it.
    this.#timeout(1)
    this.#outlet?.abort()
    this.#giveUp?.()
  }

  #failInOutage(): void {
    const { outage } = this.#route
    if (!outage || performance.now() - outage.since < OUTAGE_GRACE_MS) return
    // It may have ended since the last beat.
    if (!this.#route.problem()) return
    const { code, message, detail } = outage.problem
    throw new KafkaConsumeError(code, message, { detail, retryable: true })
  }

  /** Sets Bun's timeout of this request in seconds, where Bun serves it (`app.fetch(request, server)`). */
  #timeout(seconds: number): void {
    const server: unknown = this.#c.env?.server ?? this.#c.env
    if (typeof server === 'object' && server !== null && 'timeout' in server) {
      const { timeout } = server
      if (typeof timeout === 'function') timeout.call(server, this.#c.req.raw, seconds)
    }
  }
}

/** https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream */
const events: Wire<Uint8Array> = {
  // Who leaves before the first record comes back to the same place, by its id.
  preamble: (cursor) => {
    const id = cursor === undefined ? '' : `id: ${cursor}\n`
    return encoder.encode(`${retryField(1_000)}${id}\n`)
  },
  records: ({ chunk, begin, end }) => {
    const { bytes, starts } = chunk
    const [from, to] = [starts[begin] as number, starts[end] as number]
    const isLarge = bytes.buffer.byteLength > MAX_HELD_BYTES
    if (isLarge) return bytes.slice(from, to)
    // A crowd is sent the same object.
    return from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to)
  },
  gap: (gap, cursor) =>
    encoder.encode(`event: gap\nid: ${cursor}\ndata: ${JSON.stringify(gap)}\n\n`),
  error: (error, show) => encoder.encode(errorEvent(error, show)),
  bytes: (frames) => frames.length,
  // A block with only an id moves the client's last event id and dispatches nothing.
  heartbeat: (cursor) => encoder.encode(cursor === undefined ? ': \n\n' : `id: ${cursor}\n\n`),
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
const lines: Wire<Uint8Array> = {
  preamble: () => undefined,
  records: (part) => linesOf([part]),
  gap: (gap) => line({ gap }),
  error: (error, show) =>
    line({ failure: { ...describeError(error, show), retryable: error.retryable } }),
  heartbeat: () => encoder.encode('\n'),
  bytes: (frames) => frames.length,
}

function line(value: unknown): Uint8Array {
  return encoder.encode(`${JSON.stringify(value)}\n`)
}
