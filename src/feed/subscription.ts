/** A subscription and its phases, which share one state: hence more than 400 lines. */
import { LateSignal } from '../core/late-signal.ts'
import { filterTurns } from '../core/turn-queue.ts'
import type { BatchForm } from '../records/batch-form.ts'
import type { Cursor } from '../records/cursor.ts'
import type { PausedRead } from './catch-up-pool.ts'
import { CatchUpRead } from './catch-up-read.ts'
import { continueAfter, type Handover } from './handover.ts'
import type { IndexedRead } from './indexed-read.ts'
import type { LiveConsumer } from './live-consumer.ts'
import { LiveRead } from './live-read.ts'
import type { RingBufferReader } from './pacing.ts'
import { type PartLimits, PendingRecords, type SubscriptionPart } from './pending-records.ts'
import {
  PARKED,
  type Parked,
  type SearchLimits,
  type SubscriptionListener,
  type SubscriptionSetup,
  UNLIMITED,
} from './subscription-setup.ts'

/**
 * One subscriber's way through a feed, from its cursor on: in the ring buffer when that goes back far
 * enough, otherwise in a catch-up read until it has caught up with the ring buffer.
 *
 * Pulling: {@link take} returns buffered records. If there are none, call {@link fill}. If that returns
 * false, {@link wait} or a listener says when to try again.
 *
 * Entering the ring buffer: the subscription goes on at the newest batch that begins at or below its
 * cursor in all partitions, and skips records below the cursor. Until the batches have caught up with
 * the cursor in every partition, events get ids of the subscription's own, since the shared ids name
 * positions that it has already left behind. From then on it takes the shared bytes as they are.
 *
 * Handover: when another live consumer takes over, for other partitions, the subscription takes the
 * rest of the former ring buffer and changes over at its end. It reads added partitions from their
 * beginning.
 */
export class Subscription implements RingBufferReader, PausedRead {
  /** The form of records that a catch-up read encodes. */
  readonly form: BatchForm
  readonly #setup: SubscriptionSetup
  #liveConsumer: LiveConsumer
  #phase: LiveRead | IndexedRead | CatchUpRead | Parked
  #pending: PendingRecords
  #listener: SubscriptionListener | undefined
  /** Ends the wait in progress. */
  #endWait: (() => void) | undefined
  /** Aborted when nobody wants more. */
  readonly #stopping = new LateSignal()
  #isOpen = false
  #isClosed = false

  constructor(setup: SubscriptionSetup) {
    const { liveConsumer, vector, filter, end, isCertain } = setup
    this.#setup = setup
    this.form = setup.form ?? 'events'
    this.#liveConsumer = liveConsumer
    const { table } = liveConsumer
    this.#pending = new PendingRecords(table, vector, filter(table), end)
    this.#pending.recreated = liveConsumer.recreatedBefore(Infinity)
    const live = isCertain ? LiveRead.enter(liveConsumer, this, this.#pending) : undefined
    this.#phase = live ?? this.#newCatchUp()
  }

  /** The position. It is another object when the partitions have changed. */
  get cursor(): Cursor {
    this.#followIndex()
    return this.#pending.cursor
  }

  /** Moves the cursor to where the filter index is, unless records are yet to be taken. */
  #followIndex(): void {
    const { cursor, isReady } = this.#pending
    if (this.#phase.kind === 'indexed' && !isReady) this.#phase.follow(cursor)
  }

  /** Whether there is nothing to take now: the subscription is at the end of the ring buffer. */
  get isAtEnd(): boolean {
    const phase = this.#phase
    return (
      ((phase.kind === 'live' && phase.isAtEnd) || (phase.kind === 'indexed' && !phase.isReady)) &&
      !this.#pending.isReady &&
      !this.#pending.isFiltering &&
      !this.#liveConsumer.handover &&
      !this.#liveConsumer.failure
    )
  }

  /** Whether all records before the end that the subscription was given have been taken. */
  get hasEnded(): boolean {
    return this.#pending.hasEnded
  }

  /** The offsets before which reading ends; undefined where it has no end. */
  get end(): Float64Array | undefined {
    return this.#pending.end
  }

  /** Whether reading ends before these offsets, or has no end where none are given. */
  endsAt(offsets: Float64Array | undefined): boolean {
    const { end } = this.#pending
    if (!offsets || !end) return offsets === end
    return end.length === offsets.length && end.every((offset, i) => offset === offsets[i])
  }

  /**
   * Whether the cursor lies behind offsets without a record, as a transaction's control records, that
   * no id since has named. A client that resumed by its last id would get a gap once Kafka deletes
   * them.
   */
  get hasUnsentCursor(): boolean {
    // This is asked for each stream at each tick, and mostly the head is where the newest batch ends.
    if (this.#liveConsumer.isBeyondBatches) this.#followHead()
    return this.#pending.hasUnsentCursor
  }

  #followHead(): void {
    const phase = this.#phase
    if (phase.kind === 'catchUp' || phase.kind === 'parked' || !this.isAtEnd) return
    phase.followHead(this.#pending)
  }

  /** Notes that the client was sent the cursor. */
  cursorSent(): void {
    this.#pending.cursorSent()
  }

  /** See {@link LiveConsumer.version}. Undefined while the subscription is not in the ring buffer. */
  get version(): object | undefined {
    const isFollowing = this.#phase.kind === 'live' && this.#liveConsumer.isFollowing
    return isFollowing ? this.#liveConsumer.version : undefined
  }

  /** Whether the filter must have its turn before {@link take} can give more. */
  get isFiltering(): boolean {
    return this.#pending.isFiltering
  }

  /** Whether the search for records that pass the filter has reached a limit. */
  hasSpent({ filterTime, until }: SearchLimits): boolean {
    if (!this.#pending.isFiltered) return false
    return this.#pending.filterTime >= filterTime || performance.now() >= until
  }

  /** Whether another request can go on from here: in the middle of an unfiltered catch-up read. */
  get isResumable(): boolean {
    const isReading = this.#phase.kind === 'catchUp' && this.#phase.isOpen
    if (!isReading || this.hasEnded || this.hasGaps) return false
    return !this.#pending.isFiltered && !this.#stopping.isAborted
  }

  /** Whether the subscription is exactly at a position of this live consumer's partitions. */
  isAt(liveConsumer: LiveConsumer, vector: Float64Array): boolean {
    const isSame = this.#liveConsumer === liveConsumer
    return isSame && this.cursor.vector.every((offset, i) => offset === vector[i])
  }

  /** Whether gaps are to be announced before anything else. The cursor lies behind them already. */
  get hasGaps(): boolean {
    return this.#pending.hasGaps
  }

  /** The ends of all partitions, as far as the live consumer has seen them. */
  get ends(): Float64Array {
    const { vector } = this.cursor
    return this.#liveConsumer.head.map((offset, i) => Math.max(offset, vector[i] as number))
  }

  /** Bytes of the next event, if it is at hand; otherwise 0. */
  get nextBytes(): number {
    return this.#pending.nextBytes
  }

  /**
   * Opens a consumer now if one will be needed, so that a refusal can still be an HTTP status.
   *
   * @throws KafkaConsumeError TOO_MANY_CATCH_UP_READS, or why Kafka cannot be read.
   */
  async open(): Promise<void> {
    const phase = this.#phase
    const isReading = phase.kind === 'catchUp' && !this.hasEnded
    if (isReading) await phase.open(this.#pending, false, this.#stopping.signal)
    this.#isOpen = true
  }

  /** Takes what is at hand, without asking Kafka; undefined when nothing is. Moves the cursor. */
  take(limits: PartLimits): SubscriptionPart | undefined {
    this.#resume()
    return this.#prepare() ? this.#pending.take(limits) : undefined
  }

  /**
   * Reads on until there is something to take.
   *
   * @param records How many are wanted at most.
   * @param search How long to search for them. The cursor has moved over all that was filtered.
   * @returns false when nothing is at hand.
   * @throws KafkaConsumeError when Kafka cannot be read.
   */
  async fill(records: number, search = UNLIMITED): Promise<boolean> {
    this.#resume()
    while (!this.#stopping.isAborted && !this.hasEnded) {
      if (this.#prepare()) return true
      if (this.hasSpent(search)) return false
      if (!(await this.#readOn(records))) return false
    }
    return false
  }

  /** @returns false when nothing is at hand. */
  async #readOn(records: number): Promise<boolean> {
    const phase = this.#phase
    if (this.isFiltering) {
      await filterTurns.whenDone(() => this.#prepare())
      return true
    }
    if (phase.kind === 'indexed') return false
    return phase.kind === 'live' ? this.#leaveRingWhenOver(phase) : this.#catchUp(records)
  }

  /** Calls a listener from now on when there may be more, in place of {@link wait}. */
  listen(listener: SubscriptionListener): void {
    this.#listener = listener
  }

  /**
   * Resolves when {@link fill} may have something. At the end this starts the live consumer, if it does
   * not follow yet.
   *
   * @param milliseconds The longest wait.
   */
  wait(milliseconds: number): Promise<void> {
    if (this.#stopping.isAborted || !this.isAtEnd) return Promise.resolve()
    this.#liveConsumer.startWhenPossible()
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.wake(), milliseconds)
      this.#endWait = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  /**
   * Keeps the cursor only, when the client takes nothing for a while: the subscription must not hold
   * on to records that the ring buffer drops, nor hold up the live consumer, nor keep others from a
   * catch-up read. The next {@link take} or {@link fill} goes on. It must not be called during a fill.
   */
  pause(): void {
    if (this.#isClosed) return
    if (this.#phase.kind === 'live' || this.#phase.kind === 'indexed') {
      this.#followIndex()
      this.#pending.discard()
      this.#phase.leave()
      this.#phase = PARKED
    } else if (this.#phase.kind === 'catchUp') {
      this.#phase.pause(this)
    }
  }

  /** Lets Kafka be read before the next {@link fill} asks for it, in a catch-up read. */
  readAhead(): void {
    if (this.#phase.kind === 'catchUp') this.#phase.readAhead(this.#pending)
  }

  giveWay(): void {
    if (this.#phase.kind !== 'catchUp') return
    this.#pending.discard()
    this.#phase.giveWay()
  }

  /** Ends a wait for records or for a place in the pool: nobody wants more. */
  stop(): void {
    this.#stopping.abort()
    this.wake()
  }

  /** Calls the listener, and ends a {@link wait}. */
  wake(): void {
    this.#listener?.onRecords()
    const endWait = this.#endWait
    if (!endWait) return
    this.#endWait = undefined
    endWait()
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    try {
      this.#resume()
      this.stop()
      await this.#leave()
    } finally {
      if (this.#isOpen) this.#setup.onClose()
    }
  }

  async #leave(): Promise<void> {
    if (this.#phase.kind === 'live' || this.#phase.kind === 'indexed') {
      this.#phase.leave()
      this.#phase = PARKED
    } else if (this.#phase.kind === 'catchUp') {
      await this.#phase.close()
    }
  }

  #resume(): void {
    if (this.#phase.kind === 'catchUp') this.#phase.resume()
  }

  /**
   * Gets something ready to take: from the ring buffer, and as far as the filter has its turn.
   *
   * @returns Whether there is something to take.
   */
  #prepare(): boolean {
    while (!this.#stopping.isAborted) {
      if (this.#pending.isReady) return true
      if (this.#pending.isFiltering) {
        if (filterTurns.isOver) return false
        this.#pending.advanceFilter(this.#phase.kind !== 'live' || this.#phase.isInStep)
      } else if (!this.#readRing()) {
        return false
      }
    }
    return false
  }

  /**
   * Reads on in the ring buffer, or has the filter index do so.
   *
   * @returns Whether there may be something to take, or to filter.
   */
  #readRing(): boolean {
    const phase = this.#phase
    if (phase.kind === 'indexed') {
      if (phase.read(this.#pending)) return true
      if (!phase.left) return false
      this.#phase = LiveRead.at(this.#liveConsumer, this, this.#pending, phase.left)
      return true
    }
    if (phase.kind !== 'live') return false
    if (phase.read(this.#pending)) return true
    // A single read, and a stream that has an end, ends soon: only another stream stays for long.
    const staysLong = this.#listener && !this.#pending.end
    const indexed = staysLong && phase.enterIndex(this.#pending)
    if (indexed) this.#phase = indexed
    return false
  }

  /**
   * Leaves the ring buffer when it has dropped the next batch, or when another live consumer goes on.
   *
   * @returns false when the ring buffer may still have more later.
   * @throws KafkaConsumeError why the live consumer ended.
   */
  #leaveRingWhenOver(live: LiveRead): boolean {
    const { handover, failure } = this.#liveConsumer
    if (live.isBehind) {
      live.leave()
      this.#fallBehind()
      return true
    }
    if (failure) throw failure
    if (!handover) return false
    live.readGaps(this.#pending)
    live.leave()
    this.#phase = this.#newCatchUp()
    this.#followHandover(handover, handover.entered)
    return true
  }

  /** @returns false when Kafka had nothing at hand. */
  async #catchUp(records: number): Promise<boolean> {
    const { handover, failure } = this.#liveConsumer
    if (failure) throw failure
    if (handover) {
      if (this.#phase.kind === 'catchUp') this.#phase.closeConsumer()
      this.#followHandover(handover, this.#pending.recreated)
      return true
    }
    const live = LiveRead.enter(this.#liveConsumer, this, this.#pending)
    if (live) {
      // The subscription needs nothing more that the consumer has fetched.
      if (this.#phase.kind === 'catchUp') this.#phase.closeConsumer()
      this.#phase = live
      return true
    }
    if (this.#phase.kind === 'parked') this.#fallBehind()
    return this.#phase.kind === 'catchUp' && this.#readCatchUp(this.#phase, records)
  }

  async #readCatchUp(read: CatchUpRead, limit: number): Promise<boolean> {
    if (read.isOpen) return read.read(this.#pending, limit, this.#stopping.signal)
    try {
      await read.open(this.#pending, true, this.#stopping.signal)
    } catch (error) {
      if (!this.#stopping.isAborted) throw error
    }
    return true
  }

  #fallBehind(): void {
    // Where a topic was not re-created after all, the live consumer has been told so meanwhile.
    const { recreatedPartitions } = this.#liveConsumer
    this.#pending.recreated = this.#pending.recreated?.intersection(recreatedPartitions)
    this.#setup.catchUpPool.countFallenBehind()
    this.#phase = this.#newCatchUp()
  }

  #newCatchUp(): CatchUpRead {
    const { catchUpPool, deserializer, processor } = this.#setup
    return new CatchUpRead(catchUpPool, deserializer, processor, this.form)
  }

  /**
   * Changes over to the live consumer that goes on, at the present position.
   *
   * @param entered Re-created partitions, as `topic:partition`, that the cursor is in already.
   */
  #followHandover(handover: Handover, entered: ReadonlySet<string> | undefined): void {
    const { vector, gaps } = continueAfter(handover, this.cursor, entered)
    this.#liveConsumer = handover.liveConsumer
    const { table } = handover.liveConsumer
    this.#pending = this.#pending.movedTo(table, vector, this.#setup.filter(table))
    this.#pending.announce(gaps)
  }
}
