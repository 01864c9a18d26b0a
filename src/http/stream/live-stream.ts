import type { Context } from 'hono'
import { asKafkaConsumeError, type KafkaConsumeError, outageError } from '../../core/errors.ts'
import { inTurn } from '../../core/in-turn.ts'
import { logOf } from '../../core/log.ts'
import { type RequestStatistics, requestStatisticsOf } from '../../core/request-statistics.ts'
import { filterTurns, type TurnTask, writeTurns } from '../../core/turn-queue.ts'
import type { SubscriptionPart } from '../../feed/pending-records.ts'
import type { Subscription } from '../../feed/subscription.ts'
import type { SubscriptionListener } from '../../feed/subscription-setup.ts'
import type { Format } from '../../records/format.ts'
import { formatSlice } from '../../records/format-batch.ts'
import { clientOf, timeLeft } from '../request/client.ts'
import { MAX_IDLE_SECONDS, NO_IDLE_TIMEOUT, setIdleTimeout } from '../request/runtime.ts'
import type { ClientRelease, OpenStream, Route } from '../route/route.ts'
import type { StreamForm } from '../route/route-stats.ts'
import { ReadTrace } from '../route/trace.ts'
import type { StreamEncoder, StreamWriter } from './stream-encoder.ts'

const log = logOf('stream')

/** Bytes per write: large enough to be cheap, small enough that a client's abort is noticed soon. */
export const WRITE_BYTES = 256 * 1024
const LIMITS = { records: Infinity, bytes: WRITE_BYTES }
/** Milliseconds after which a write counts as stalled: the stream then keeps only its cursor. */
export const STALL_MS = 1_000
/** Milliseconds without a write after which a client gets a cursor that has moved without a record. */
const CURSOR_DELAY_MS = 1_000
/** Milliseconds of an outage after which open streams end. Shorter outages end none. */
const OUTAGE_GRACE_MS = 10_000
/** The share of `maxStreamAge` by which a stream may end sooner. */
const AGE_JITTER = 0.2
/** Milliseconds for which a stalled stream may delay a shutdown. */
export const END_TIMEOUT_MS = 2_000

/**
 * One client's stream, from its first byte to its end. It has neither a loop nor a timer of its own:
 * the live consumer calls it when there are records, the route's timer calls it at each tick, and
 * the writer when the client has taken a write. There is one write at a time.
 */
export class LiveStream<Frames> implements OpenStream, SubscriptionListener, TurnTask {
  readonly form: StreamForm
  isQueued = false
  readonly #c: Context
  readonly #route: Route
  readonly #subscription: Subscription
  readonly #encoder: StreamEncoder<Frames>
  readonly #format: Format | undefined
  readonly #isFiltered: boolean
  readonly #releaseClient: ClientRelease
  readonly #requestStatistics: RequestStatistics | undefined
  readonly #trace: ReadTrace | undefined
  /** A promise of its own: a shared promise would keep all streams that have ended. */
  readonly #finished: Promise<void>
  #resolveFinished: (() => void) | undefined
  readonly #opened = Date.now()
  /** When the stream has reached its maximal age, in `performance.now()`'s time. */
  readonly #endsAt: number
  /** When the next heartbeat is due at the latest, in `performance.now()`'s time. */
  #heartbeatDue = Infinity
  /** When the last write was taken, in `performance.now()`'s time. */
  #wroteAt = 0
  #writer: StreamWriter<Frames> | undefined
  /** When the present write began, in `performance.now()`'s time; undefined between writes. */
  #writingSince: number | undefined
  /** Whether records are being read from Kafka for this stream. */
  #isReading = false
  #isEnding = false
  #hasEnded = false
  #error: KafkaConsumeError | undefined
  /** Whether the error is still to be sent to the client. */
  #mustSendError = false
  /** Seconds for which the connection may be idle after the stream. */
  #finalTimeout = MAX_IDLE_SECONDS

  constructor(
    c: Context,
    route: Route,
    subscription: Subscription,
    form: StreamForm,
    encoder: StreamEncoder<Frames>,
    format: Format | undefined,
    filtered: boolean,
    releaseClient: ClientRelease,
  ) {
    this.#c = c
    this.#route = route
    this.#subscription = subscription
    this.form = form
    this.#encoder = encoder
    this.#format = format
    this.#isFiltered = filtered
    this.#releaseClient = releaseClient
    this.#requestStatistics = requestStatisticsOf(c)
    this.#trace = ReadTrace.begin(route, 'stream')
    this.#finished = new Promise((resolve) => {
      this.#resolveFinished = resolve
    })
    if (this.#requestStatistics) this.#requestStatistics.ended = this.#finished
    const { maxStreamAge = Infinity } = route.options
    // Somewhat sooner at random, so that clients that connected together do not reconnect together.
    const age = maxStreamAge * (1 - AGE_JITTER * Math.random())
    this.#endsAt = performance.now() + Math.min(age, timeLeft(clientOf(c)))
    route.addStream(this)
    // Bun closes a connection without traffic after its `idleTimeout`, but a quiet stream is normal,
    // and `writeDeadline` ends the stream of a client that does not read.
    setIdleTimeout(c, NO_IDLE_TIMEOUT)
  }

  /** Where the stream continues. */
  get cursor(): string {
    return this.#subscription.cursor.toString()
  }

  /** Whether the client has got all records before the end that it gave. */
  get hasReachedEnd(): boolean {
    return this.#subscription.hasEnded
  }

  /** The error that ended the stream, if one did. */
  get error(): KafkaConsumeError | undefined {
    return this.#error
  }

  /**
   * Writes the stream.
   *
   * @returns Resolves when the stream has ended; never rejects.
   */
  run(writer: StreamWriter<Frames>): Promise<void> {
    this.#writer = writer
    this.#subscription.listen(this)
    const { hasGaps } = this.#subscription
    const preamble = this.#encoder.preamble(hasGaps ? undefined : this.cursor)
    this.#postponeHeartbeat()
    if (preamble !== undefined) this.#write(preamble)
    this.advance()
    return this.#finished
  }

  /** Ends a stream that was not run. */
  async abandon(): Promise<void> {
    this.#stop()
    this.#finish()
    await this.#finished
  }

  async end(): Promise<void> {
    this.#stop()
    const patience = setTimeout(() => this.#abandonWrite(), END_TIMEOUT_MS)
    await this.#finished
    clearTimeout(patience)
  }

  onRecords(): void {
    if (this.#writer && this.#writingSince === undefined) writeTurns.runOrQueue(this)
  }

  onTick(now: number): void {
    if (this.#writingSince !== undefined) this.#checkWrite(this.#writingSince, now)
    else if (this.#isHeartbeatDue(now) || this.#route.ongoingOutage) this.advance()
  }

  /** The client has disconnected. */
  onAbort(): void {
    this.#stop()
    this.#abandonWrite()
  }

  /** Sends until the client must be waited for, no more is available or the turn is over. */
  advance(): void {
    try {
      while (this.#writer && this.#writingSince === undefined && !this.#hasEnded) {
        if (!this.#step()) break
      }
    } catch (thrown) {
      this.#fail(thrown)
    }
  }

  /** @returns Whether a further step may follow now. */
  #step(): boolean {
    const subscription = this.#subscription
    const now = performance.now()
    if (now >= this.#endsAt && !this.#isEnding) this.#stop()
    if (this.#isEnding) return this.#conclude()
    if (subscription.hasEnded) {
      this.#write(this.#encoder.end(this.cursor))
      this.#stop()
      return true
    }
    const isDue = this.#isHeartbeatDue(now)
    // Taken before a heartbeat, too: the cursor then follows the live consumer over offsets without a
    // record.
    if (!this.#isReading && (isDue || !subscription.isAtEnd)) {
      if (writeTurns.isOver) {
        writeTurns.queue(this)
        return false
      }
      const part = subscription.take(LIMITS)
      if (part) {
        this.#send(part)
        return true
      }
      // The filter may have passed over all that was left before the end.
      if (subscription.hasEnded) return true
    }
    this.#failInOutage(now)
    if (isDue) {
      this.#sendHeartbeat()
      return true
    }
    this.#readOlder()
    return false
  }

  #sendHeartbeat(): void {
    const subscription = this.#subscription
    // The cursor lies behind a gap that is not reported yet, so such a heartbeat names none. While
    // records are read the cursor is named: a filter may pass none for long, and a client that
    // resumes then continues there.
    const namesCursor = !subscription.hasGaps && (this.#isFiltered || subscription.hasUnsentCursor)
    if (namesCursor) subscription.cursorSent()
    this.#write(this.#encoder.heartbeat(namesCursor ? this.cursor : undefined))
  }

  /** Reads records that the ring buffer does not hold, or that a filter has yet to look at. */
  #readOlder(): void {
    if (this.#isReading || this.#subscription.isAtEnd) return
    if (this.#subscription.isFiltering) filterTurns.queue(this)
    else this.#read()
  }

  /** Whether a heartbeat is due: sooner when it names a cursor that no frame has named. */
  #isHeartbeatDue(now: number): boolean {
    if (now >= this.#heartbeatDue) return true
    const namesCursor = this.form !== 'ndjson' && !this.#isReading && !this.#isEnding
    if (!namesCursor || now < this.#wroteAt + CURSOR_DELAY_MS) return false
    return this.#subscription.hasUnsentCursor
  }

  #send(part: SubscriptionPart): void {
    if ('gap' in part) {
      this.#route.statistics.gaps++
      this.#write(this.#encoder.gap(part.gap, part.cursor))
      return
    }
    this.#write(this.#encoder.records(formatSlice(part, this.#format)))
    this.#count(part)
  }

  #read(): void {
    this.#isReading = true
    void this.#subscription.fill(Infinity).then(
      () => {
        this.#isReading = false
        writeTurns.runOrQueue(this)
      },
      (thrown: unknown) => {
        this.#isReading = false
        this.#fail(thrown)
      },
    )
  }

  /** Counts all records of a write at once, because this runs for each write to each client. */
  #count({ batch, begin, end }: Extract<SubscriptionPart, { batch: unknown }>): void {
    const { statistics } = this.#route
    statistics.sent.stream.records += end - begin
    statistics.observeLatency(batch.timestamp, this.#opened)
    if (this.#requestStatistics) this.#requestStatistics.records += end - begin
    this.#trace?.add([{ batch, begin, end }])
  }

  #write(frames: Frames): void {
    const bytes = this.#encoder.bytes(frames)
    this.#route.statistics.sent.stream.bytes += bytes
    if (this.#requestStatistics) this.#requestStatistics.bytes += bytes
    writeTurns.count(bytes)
    const writing = this.#writer?.write(frames)
    if (!writing) {
      this.#postponeHeartbeat()
      return
    }
    this.#writingSince = performance.now()
    const onWritten = () => this.#onWritten()
    void writing.then(onWritten, onWritten)
  }

  #onWritten(): void {
    this.#writingSince = undefined
    this.#postponeHeartbeat()
    this.advance()
  }

  #postponeHeartbeat(): void {
    const { tickInterval, options } = this.#route
    this.#wroteAt = performance.now()
    // One tick sooner, because the heartbeat waits for a tick.
    this.#heartbeatDue = Math.min(this.#wroteAt + options.heartbeat - tickInterval, this.#endsAt)
  }

  /** A stalled write is the only sign of a connected client that does not read. */
  #checkWrite(since: number, now: number): void {
    if (now - since > STALL_MS && !this.#isReading) this.#subscription.pause()
    if (now - since < this.#route.options.writeDeadline) return
    this.#route.statistics.silent++
    this.#stop()
    // After this timeout Bun closes the connection although bytes are queued for it.
    this.#finalTimeout = 1
    setIdleTimeout(this.#c, this.#finalTimeout)
    this.#writer?.abort()
    this.#abandonWrite()
  }

  #abandonWrite(): void {
    this.#mustSendError = false
    this.#writingSince = undefined
    this.advance()
  }

  #stop(): void {
    this.#isEnding = true
    this.#subscription.stop()
  }

  #failInOutage(now: number): void {
    const { ongoingOutage } = this.#route
    if (!ongoingOutage || now - ongoingOutage.since < OUTAGE_GRACE_MS) return
    // The outage may have ended since the last tick.
    if (!this.#route.outage()) return
    throw outageError(ongoingOutage.outage, true)
  }

  #fail(thrown: unknown): void {
    if (!this.#isEnding) {
      this.#error = asKafkaConsumeError(thrown)
      this.#mustSendError = true
      this.#stop()
    }
    this.advance()
  }

  /** @returns Whether a further step may follow now. */
  #conclude(): boolean {
    if (this.#mustSendError && this.#error) {
      this.#mustSendError = false
      const showDetail = this.#route.options.errorHandling.returnErrorMessage
      this.#write(this.#encoder.error(this.#error, showDetail))
      return true
    }
    this.#finish()
    return false
  }

  #finish(): void {
    // A read in progress ends soon, because the subscription is stopped, and then calls this again.
    if (this.#isReading || this.#hasEnded) return
    this.#hasEnded = true
    this.#close().catch((error: unknown) => {
      log.error('A stream did not end in order: {error}', { error })
    })
  }

  /** @throws the error of the app's own function that releases the client's stream. */
  #close(): Promise<void> {
    return inTurn(
      () => this.#subscription.close(),
      () => this.#route.releaseStream(this.#releaseClient),
      () => this.#route.removeStream(this),
      () => this.#trace?.end(this.#error),
      () => setIdleTimeout(this.#c, this.#finalTimeout),
      () => this.#resolveFinished?.(),
    )
  }
}
