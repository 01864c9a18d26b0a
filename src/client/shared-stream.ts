/** One connection for all tabs of an origin, since browsers allow six of HTTP/1.1 to a server. */

import { acceptRecord } from './accept-record.ts'
import { KafkaStreamError, type ReportedError, reportedError } from './errors.ts'
import type { RecordBySchema, ValueSchemas } from './record.ts'
import {
  addressOf,
  type ReceivedRecord,
  type ReceiveOptions,
  reportGap,
  wrongArgument,
} from './record.ts'
import { MAX_TIMER_MS } from './retry.ts'
import {
  addressOfRoute,
  type RecordByRoute,
  type RouteParameters,
  type StreamRoute,
} from './route.ts'
import { type StreamOptions, stream } from './stream.ts'
import { type TabMessage, TabPositions } from './tab-group.ts'

/** The options of `sharedStream`. A tab begins with the records that come after it has joined. */
export interface SharedStreamOptions<Schemas extends ValueSchemas | undefined = undefined>
  extends Omit<StreamOptions<Schemas>, 'start' | 'cursor'> {
  /**
   * Tabs with different groups do not share: a name for whom the server takes the reader. Required with
   * `headers` or `fetch`, by which tabs may read as different users.
   */
  readonly group?: string
  /**
   * Records that wait for this tab's loop. When there are more, the tab leaves the others, and goes on
   * by a connection of its own, at its pace. Default: 1000.
   */
  readonly maxWaiting?: number
}

/** How long a new leader waits for the positions of the other tabs. */
const ANSWERS_MS = 200
/** How long a leader has to answer a ping, at least; a busy page answers late. */
const PATIENCE_MS = 2_000
/** Messages that are not the leader's. */
const OF_FOLLOWERS: ReadonlyArray<TabMessage['type']> = ['join', 'at', 'ping']

/**
 * Like `stream`, for pages that are open in several tabs: the tabs that read one address, with the
 * same filters, share one connection. When the tab that has it is closed, or suspended by the browser,
 * another one goes on where each of the tabs was, without a loss or a repetition.
 *
 * All of them get what the server sends to the tab that leads: with `headers` or `fetch` name the user
 * by `group`. Tabs share by `BroadcastChannel` and Web Locks. Where a runtime lacks them, this is `stream`.
 *
 * @param url Of the route; in browsers it may be relative. A route of `hc` types the records, as for `stream`.
 * @throws TypeError for `headers` or `fetch` without a `group`.
 * @throws KafkaStreamError when a retry cannot succeed; the reason of `signal` when it aborts.
 */
export function sharedStream<const Schemas extends ValueSchemas | undefined = undefined>(
  url: string | URL,
  options?: SharedStreamOptions<Schemas>,
): AsyncGenerator<RecordBySchema<Schemas>, void, undefined>
export function sharedStream<Route extends StreamRoute>(
  route: [RecordByRoute<Route>] extends [never] ? never : Route,
  options?: SharedStreamOptions & RouteParameters,
): AsyncGenerator<RecordByRoute<Route>, void, undefined>
export async function* sharedStream(
  given: string | URL | StreamRoute,
  options: SharedStreamOptions<ValueSchemas | undefined> & RouteParameters = {},
): AsyncGenerator<ReceivedRecord, void, undefined> {
  const { silenceTimeout = 1 } = options
  if (!(silenceTimeout > 0)) throw wrongArgument('silenceTimeout must be milliseconds from 1')
  const address = addressOf(addressOfRoute(given, options), options, { cursor: undefined })
  address.searchParams.delete('start')
  if (options.group === undefined && (options.headers || options.fetch)) {
    throw wrongArgument('tabs that share one with headers or fetch need a group')
  }
  if (!globalThis.navigator?.locks || !globalThis.BroadcastChannel) {
    yield* stream(address, options)
    return
  }
  const tab = new Tab(address, options)
  let cursor: string | undefined
  try {
    for await (const record of tab.records()) {
      cursor = record.cursor
      const accepted = await acceptRecord(record, options)
      options.signal?.throwIfAborted()
      if (accepted) yield accepted
    }
  } finally {
    tab.leave()
  }
  if (tab.hasEnded) return
  // The tab was too slow for the others.
  yield* stream(address, { ...options, ...(cursor !== undefined && { cursor }) })
}

class Tab {
  readonly #address: URL
  readonly #options: SharedStreamOptions<ValueSchemas | undefined>
  readonly #name: string
  readonly #channel: BroadcastChannel
  readonly #left = new AbortController()
  readonly #positions = new TabPositions()
  readonly #waiting: ReceivedRecord[] = []
  /** The positions that tabs answer a new leader with. */
  #wanted: TabPositions | undefined
  /** Ends the reading for all tabs; undefined in a tab that does not lead. */
  #leading: AbortController | undefined
  #isInQueue = false
  /** Until when the leader must be heard of. */
  #watching: ReturnType<typeof setTimeout> | undefined
  #isTooSlow = false
  #hasEnded = false
  #error: unknown
  #wake: (() => void) | undefined

  constructor(address: URL, options: SharedStreamOptions<ValueSchemas | undefined>) {
    this.#address = address
    this.#options = options
    const { credentials = '', group = '' } = options
    this.#name = `hono-kafka-consume ${address} ${credentials} ${group}`
    this.#channel = new BroadcastChannel(this.#name)
    this.#channel.onmessage = ({ data }) => this.#onMessage(data)
    options.signal?.addEventListener('abort', () => this.#fail(options.signal?.reason), {
      signal: this.#left.signal,
    })
    this.#send({ type: 'join' })
    this.#joinQueue()
    this.#watch()
  }

  /** Whether there are no more records before the end that the tabs have given. */
  get hasEnded(): boolean {
    return this.#hasEnded
  }

  /** Ends when the stream has ended, or the loop is too slow. */
  async *records(): AsyncGenerator<ReceivedRecord, void, undefined> {
    for (;;) {
      this.#options.signal?.throwIfAborted()
      const record = this.#waiting.shift()
      if (record) yield record
      else if (this.#error !== undefined) throw this.#error
      else if (this.#isTooSlow || this.#hasEnded) return
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
      }
    }
  }

  leave(): void {
    this.#left.abort()
    clearTimeout(this.#watching)
    this.#channel.close()
  }

  /** Leads when the tabs before this one have left. */
  #joinQueue(): void {
    this.#isInQueue = true
    const lead = () => {
      this.#isInQueue = false
      return this.#lead()
    }
    navigator.locks
      .request(this.#name, { signal: this.#left.signal }, lead)
      .catch((error: unknown) => this.#onLockError(error))
  }

  /**
   * Leads in place of a leader that does not answer: a tab that its browser suspends keeps its lock, and
   * the others would wait for it in vain. The suspended tab finds the messages in its queue when it goes on.
   */
  #takeOver(): void {
    navigator.locks
      .request(this.#name, { steal: true }, () => this.#lead())
      .catch((error: unknown) => this.#onLockError(error))
  }

  #onLockError(error: unknown): void {
    if (!this.#leading) {
      this.#fail(error)
      return
    }
    // Another tab has taken over.
    this.#leading.abort()
    this.#leading = undefined
    if (!this.#isInQueue) this.#joinQueue()
    this.#watch()
  }

  /** Waits for the next sign of the leader. Shares at random keep tabs from acting all at once. */
  #watch(): void {
    clearTimeout(this.#watching)
    if (this.#leading || this.#left.signal.aborted) return
    const { silenceTimeout = 30_000 } = this.#options
    const silence = Math.min(silenceTimeout * (1 + Math.random() / 4), MAX_TIMER_MS)
    this.#watching = setTimeout(() => {
      this.#send({ type: 'ping' })
      const patience = PATIENCE_MS * (1 + Math.random())
      this.#watching = setTimeout(() => this.#takeOver(), patience)
    }, silence)
  }

  /** Reads for all tabs, from the earliest position of any, until this tab leaves. */
  async #lead(): Promise<void> {
    // The leader has told how the stream ended, and let go of the lock.
    if (this.#hasEnded || this.#error !== undefined) return
    const leading = new AbortController()
    this.#leading = leading
    clearTimeout(this.#watching)
    const signal = AbortSignal.any([this.#left.signal, leading.signal])
    const wanted = new TabPositions()
    this.#wanted = wanted
    if (this.#positions.cursor) wanted.moveBack(this.#positions.cursor)
    this.#send({ type: 'ask' })
    await new Promise((resolve) => setTimeout(resolve, ANSWERS_MS))
    const { cursor } = wanted
    this.#wanted = undefined
    const { schema: _, ...options } = this.#options
    const own: ReceiveOptions<undefined> = {
      ...options,
      ...(cursor === undefined ? { start: 'latest' } : { cursor }),
      signal,
      onCursor: (at) => this.#tell({ type: 'cursor', cursor: at }),
      onGap: (gap) => this.#tell({ type: 'gap', gap }),
      onOpen: () => this.#tell({ type: 'open' }),
      onRetry: (error, delay) => this.#tell({ type: 'retry', error: reportOf(error), delay }),
    }
    try {
      for await (const record of stream(this.#address, own)) this.#tell({ type: 'record', record })
      this.#tell({ type: 'end' })
    } catch (error) {
      if (!signal.aborted) this.#tell({ type: 'failed', error: reportOf(error) })
    } finally {
      if (this.#leading === leading) this.#leading = undefined
    }
  }

  /** Tells all tabs, this one included. */
  #tell(message: TabMessage): void {
    if (this.#left.signal.aborted) return
    this.#send(message)
    this.#onMessage(message)
  }

  #send(message: TabMessage): void {
    this.#channel.postMessage(message)
  }

  #onMessage(message: TabMessage): void {
    const { cursor } = this.#positions
    if (!OF_FOLLOWERS.includes(message.type)) this.#watch()
    switch (message.type) {
      case 'join':
        if (!this.#leading || !cursor) break
        this.#send({ type: 'open' })
        this.#send({ type: 'cursor', cursor })
        break
      case 'ask':
        if (cursor) this.#send({ type: 'at', cursor })
        break
      case 'at':
        this.#wanted?.moveBack(message.cursor)
        break
      case 'ping':
        if (this.#leading) this.#send({ type: 'alive' })
        break
      case 'record':
        this.#onRecord(message.record)
        break
      case 'gap':
        if (this.#positions.moveOver(message.gap)) reportGap(message.gap, this.#options.onGap)
        break
      case 'cursor':
        this.#positions.moveTo(message.cursor)
        this.#options.onCursor?.(message.cursor)
        break
      default:
        this.#onStateChange(message)
    }
  }

  #onStateChange(message: TabMessage): void {
    if (message.type === 'open') this.#options.onOpen?.()
    if (message.type === 'end') {
      this.#hasEnded = true
      this.#wake?.()
    }
    if (message.type !== 'retry' && message.type !== 'failed') return
    const error = reportedError(JSON.stringify(message.error))
    if (message.type === 'retry') this.#options.onRetry?.(error, message.delay)
    else this.#fail(error)
  }

  #onRecord(record: ReceivedRecord): void {
    if (this.#isTooSlow || !this.#positions.moveBehind(record)) return
    if (this.#waiting.length >= (this.#options.maxWaiting ?? 1_000)) this.#isTooSlow = true
    else this.#waiting.push({ ...record, cursor: this.#positions.cursor as string })
    this.#wake?.()
  }

  #fail(error: unknown): void {
    if (this.#left.signal.aborted) return
    this.#error ??= error
    this.#wake?.()
  }
}

/** An error that another tab can read: clones of errors do not have their own fields. */
function reportOf(error: unknown): ReportedError {
  const { message } = error as Error
  if (!(error instanceof KafkaStreamError)) return { message }
  const { code, retryable } = error
  return { code, message, retryable }
}
