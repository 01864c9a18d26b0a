import type { Cursor } from '../records/cursor.ts'
import type { FilterGroup, FilterHits } from './filter-group.ts'
import type { FilterIndex, RingPlace } from './filter-index.ts'
import type { RingBufferReader } from './pacing.ts'
import type { PendingRecords } from './pending-records.ts'
import { isAtOrBelow } from './ring-buffer.ts'

/** The most batches with records for one subscriber that it has not taken. */
const MAX_UNTAKEN = 64

/**
 * One filtered subscription at the end of the ring buffer, which the filter index wakes when there are
 * records for it. Until then nothing moves its cursor: its position is that of the index.
 *
 * Overflow policy: a subscription that does not take the records that pass leaves the index, and goes
 * on in the ring buffer by itself.
 */
export class IndexedRead {
  readonly kind = 'indexed'
  readonly #index: FilterIndex
  readonly #group: FilterGroup
  readonly #subscriber: RingBufferReader
  /** The sequence number of the first batch that the subscription has not read itself. */
  readonly #begin: number
  readonly #untaken: FilterHits[] = []
  #left: RingPlace | undefined
  /** The live consumer's version when the cursor last moved to its head. */
  #followedVersion: object | undefined

  constructor(index: FilterIndex, group: FilterGroup, subscriber: RingBufferReader, begin: number) {
    this.#index = index
    this.#group = group
    this.#subscriber = subscriber
    this.#begin = begin
  }

  /** Where the subscription goes on by itself, once it has left the index. */
  get left(): RingPlace | undefined {
    return this.#left
  }

  /** Whether there is something to do: records to take, or to go on without the index. */
  get isReady(): boolean {
    return this.#untaken.length > 0 || this.#left !== undefined
  }

  /** Adds records that pass, and wakes the subscriber. */
  add(hits: FilterHits): void {
    if (hits.sequence < this.#begin) return
    if (this.#untaken.length >= MAX_UNTAKEN) {
      this.release()
    } else {
      this.#untaken.push(hits)
      this.#subscriber.wake()
    }
  }

  /**
   * Reads the next records that pass.
   *
   * @returns false when there are none.
   */
  read(pending: PendingRecords): boolean {
    const hits = this.#untaken.shift()
    if (!hits) return false
    pending.addPassing(hits.batch, hits.selected)
    return true
  }

  /** Moves a cursor over all records that do not pass. There must be no records that were read and not taken. */
  follow(cursor: Cursor): void {
    const { vector } = this.#place
    if (vector) cursor.moveTo(vector)
  }

  /** Moves the cursor with the head of the live consumer, over offsets without a record. */
  followHead(pending: PendingRecords): void {
    const { liveConsumer, lastEnd } = this.#index
    const { cursor } = pending
    const { version, isBeyondBatches, head } = liveConsumer
    if (!isBeyondBatches || version === this.#followedVersion) return
    if (this.#place.vector !== head) return
    this.#followedVersion = version
    if (lastEnd && isAtOrBelow(cursor.vector, lastEnd)) cursor.moveTo(lastEnd)
    head.forEach((offset, index) => {
      pending.moveOver(index, offset)
    })
  }

  get #place(): RingPlace {
    const first = this.#untaken[0] ?? this.#group.waitingFrom(this.#begin)
    if (this.#left) return this.#left
    if (first) return { sequence: first.sequence, vector: first.batch.from }
    return this.#index.placeFrom(this.#begin)
  }

  /** Leaves the index, so that the subscription goes on by itself. */
  release(): void {
    if (this.#left) return
    const { sequence, vector } = this.#place
    this.leave()
    this.#left = { sequence, vector: vector?.slice() }
    this.#subscriber.wake()
  }

  /** Leaves the index for good. */
  leave(): void {
    this.#untaken.length = 0
    this.#index.leave(this.#group, this)
  }
}
