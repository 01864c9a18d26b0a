import { partitionKey } from '../core/topic-partition.ts'
import type { RingPlace } from './filter-index.ts'
import type { IndexedRead } from './indexed-read.ts'
import type { LiveConsumer } from './live-consumer.ts'
import type { RingBufferReader } from './pacing.ts'
import type { PendingRecords } from './pending-records.ts'
import { isAtOrBelow } from './ring-buffer.ts'

const NONE: ReadonlySet<string> = new Set()

/** One subscription's way through the ring buffer of a live consumer. */
export class LiveRead {
  readonly kind = 'live'
  readonly #liveConsumer: LiveConsumer
  readonly #subscriber: RingBufferReader
  /** The sequence number of the next batch to take. */
  #sequence: number
  #isInStep = false
  /** Partitions, as `topic:partition`, whose gap before the next batch a catch-up read has announced. */
  #passed: ReadonlySet<string>
  /** The live consumer's version when the cursor last moved to its head. */
  #followedVersion: object | undefined

  private constructor(
    liveConsumer: LiveConsumer,
    subscriber: RingBufferReader,
    sequence: number,
    passed: ReadonlySet<string> = NONE,
  ) {
    this.#liveConsumer = liveConsumer
    this.#subscriber = subscriber
    this.#sequence = sequence
    this.#passed = passed
    liveConsumer.pacing.attach(subscriber)
  }

  /**
   * Enters the ring buffer at a cursor; undefined when the ring buffer does not go back so far, or when
   * one of the two is in a re-created topic there that the other is not in: offsets are not comparable.
   */
  static enter(
    liveConsumer: LiveConsumer,
    subscriber: RingBufferReader,
    pending: PendingRecords,
  ): LiveRead | undefined {
    const sequence = liveConsumer.locate(pending.due)
    if (sequence === undefined) return undefined
    const recreated = liveConsumer.recreatedBefore(sequence)
    if (recreated && !recreated.isSubsetOf(pending.recreated ?? NONE)) return undefined
    const passed = pending.announced.intersection(liveConsumer.recreatedPartitions)
    // The gap before the next batch may lie behind the cursor already, but none before a later batch.
    const recreatedNext = liveConsumer.recreatedBefore(sequence + 1) ?? NONE
    if (!passed.isSubsetOf(recreatedNext)) return undefined
    pending.recreated = recreated?.union(passed)
    pending.announced.clear()
    return new LiveRead(liveConsumer, subscriber, sequence, passed)
  }

  /** Goes on at a place of the ring buffer, perhaps one that it has dropped meanwhile. */
  static at(
    liveConsumer: LiveConsumer,
    subscriber: RingBufferReader,
    pending: PendingRecords,
    { sequence, vector }: RingPlace,
  ): LiveRead {
    if (vector) pending.cursor.moveTo(vector)
    return new LiveRead(liveConsumer, subscriber, sequence)
  }

  /**
   * Lets the filter index follow the live consumer for a subscription that has read all batches, and
   * has nothing to announce.
   *
   * @returns undefined when the filter is not indexed, or the cursor is ahead of the live consumer.
   */
  enterIndex({ cursor, filter, isReady }: PendingRecords): IndexedRead | undefined {
    const { filterIndex, ring, head, handover, failure } = this.#liveConsumer
    const plan = filter?.plan
    if (!filter || !plan || isReady || !this.isAtEnd || handover || failure) return undefined
    if (ring.gapsBefore(ring.end).length > 0 || !isAtOrBelow(cursor.vector, head)) return undefined
    const indexed = filterIndex.enter(filter, plan, this.#subscriber)
    if (indexed) this.leave()
    return indexed
  }

  /** Whether the cursor was exactly where the batch begins that was read last. */
  get isInStep(): boolean {
    return this.#isInStep
  }

  /** Whether all batches of the ring buffer have been read. */
  get isAtEnd(): boolean {
    return this.#sequence === this.#liveConsumer.ring.end
  }

  /** Whether the ring buffer has dropped the next batch. */
  get isBehind(): boolean {
    return this.#liveConsumer.ring.isDropped(this.#sequence)
  }

  /**
   * Reads the next batch, and the gaps before it.
   *
   * @returns false when the ring buffer has no next batch, or has dropped it.
   */
  read(pending: PendingRecords): boolean {
    const { ring, pacing } = this.#liveConsumer
    const sequence = this.#sequence
    if (ring.isDropped(sequence)) return false
    const batch = ring.batch(sequence)
    if (!batch) {
      pacing.markTaken(sequence)
      this.followHead(pending)
      return false
    }
    this.readGaps(pending)
    this.#passed = NONE
    this.#sequence = sequence + 1
    pacing.markTaken(sequence + 1)
    this.#isInStep ||= isAtOrBelow(pending.cursor.vector, batch.from)
    pending.add(batch, this.#isInStep)
    return true
  }

  /** Reads the gaps before the next batch that the cursor is not behind yet. */
  readGaps(pending: PendingRecords): void {
    const gaps = this.#liveConsumer.ring.gapsBefore(this.#sequence)
    if (gaps.length === 0) return
    const { table, vector } = pending.cursor
    const unread = gaps.filter(({ topic, partition, to, reason }) => {
      if (reason === 'out-of-range') return !this.#passed.has(partitionKey({ topic, partition }))
      return to > (vector[table.indexOf(topic, partition)] as number)
    })
    pending.skip(unread)
  }

  /** Moves the cursor with the head at the end of the ring buffer, over offsets without a record. */
  followHead(pending: PendingRecords): void {
    const { version, isBeyondBatches, head, ring } = this.#liveConsumer
    if (version === this.#followedVersion) return
    // A gap at the end is announced before the records that follow it.
    if (!isBeyondBatches || ring.gapsBefore(this.#sequence).length > 0) return
    this.#followedVersion = version
    head.forEach((offset, index) => {
      pending.moveOver(index, offset)
    })
  }

  leave(): void {
    this.#liveConsumer.pacing.detach(this.#subscriber)
  }
}
