import { partitionKey } from '../core/topic-partition.ts'
import type { Gap } from '../port/kafka.ts'
import { Cursor, type PartitionTable } from '../records/cursor.ts'
import type { EncodedBatch } from '../records/encoded-batch.ts'
import type { Filter } from '../records/filter.ts'
import { partBefore } from './bounded-batch.ts'
import { FilterPass } from './filter-pass.ts'

/** Records of one encoded batch, from `begin` to before `end`. */
export interface RecordsPart {
  readonly batch: EncodedBatch
  readonly begin: number
  readonly end: number
}

/** Records of one encoded batch, or a gap to announce before the records that follow. */
export type SubscriptionPart = RecordsPart | { readonly gap: Gap; readonly cursor: string }

/** How much to take at once. */
export interface PartLimits {
  readonly records: number
  /** Bytes of events. A first record is taken whatever its size. */
  readonly bytes: number
}

/** Records that pass and are yet to be taken. */
interface Remainder {
  readonly batch: EncodedBatch
  /** The index of the first of them. */
  readonly begin: number
  /** Whether the end of the batch lies behind offsets without a record. */
  readonly endsBeyond: boolean
}

/**
 * The gaps and records that one subscription has read and not taken yet, and its cursor. The cursor
 * moves when a gap is read, and when records are taken or do not pass the filter.
 */
export class PendingRecords {
  readonly cursor: Cursor
  /**
   * Partitions, as `topic:partition`, in whose re-created topic the cursor is: a handover must not
   * announce the gap before it again. Undefined while there are none.
   */
  recreated: Set<string> | undefined
  /** Partitions, as `topic:partition`, whose re-creation was announced since the ring buffer was entered. */
  readonly announced = new Set<string>()
  readonly filter: Filter | undefined
  /** The offsets before which reading ends; undefined where it has no end. */
  readonly end: Float64Array | undefined
  readonly #pass: FilterPass | undefined
  readonly #gaps: Gap[] = []
  #remainder: Remainder | undefined
  #hasUnsentCursor = false

  constructor(
    table: PartitionTable,
    vector: Float64Array,
    filter: Filter | undefined,
    end?: Float64Array,
  ) {
    this.cursor = new Cursor(table, vector)
    this.filter = filter
    this.end = end
    this.#pass = filter && new FilterPass(filter)
  }

  /** The object that replaces this one when the partitions change, at a position in the new partitions. */
  movedTo(table: PartitionTable, vector: Float64Array, filter: Filter | undefined): PendingRecords {
    const end = this.end && table.vector(this.cursor.table.offsets(this.end))
    const moved = new PendingRecords(table, vector, filter, end)
    moved.#gaps.push(...this.#gaps)
    moved.#hasUnsentCursor = this.#hasUnsentCursor
    return moved
  }

  /** Whether nothing is to be taken, now or later: the cursor is at the end of all partitions. */
  get hasEnded(): boolean {
    const { end } = this
    return end !== undefined && !this.isReady && end.every((_, index) => this.hasEndedIn(index))
  }

  /** Whether the cursor is at the end of a partition. */
  hasEndedIn(index: number): boolean {
    return (
      this.end !== undefined && (this.cursor.vector[index] as number) >= (this.end[index] as number)
    )
  }

  /** The next offset to read of each partition; infinite for a partition whose end is reached. */
  get due(): Float64Array {
    const { vector } = this.cursor
    if (!this.end) return vector
    return vector.map((offset, index) => (this.hasEndedIn(index) ? Infinity : offset))
  }

  /** Whether there is something to take. */
  get isReady(): boolean {
    return this.#remainder !== undefined || this.#gaps.length > 0
  }

  /** Whether gaps are to be announced before anything else. The cursor lies behind them already. */
  get hasGaps(): boolean {
    return this.#gaps.length > 0
  }

  /** Whether the filter is in the middle of a batch. */
  get isFiltering(): boolean {
    return this.#pass?.batch !== undefined
  }

  get isFiltered(): boolean {
    return this.#pass !== undefined
  }

  /** Milliseconds that the filter has taken, for all batches. */
  get filterTime(): number {
    return this.#pass?.time ?? 0
  }

  /** Bytes of the next event, if it is at hand; otherwise 0. */
  get nextBytes(): number {
    if (!this.#remainder) return 0
    const { batch, begin } = this.#remainder
    return batch.eventBytes(begin, begin + 1)
  }

  /**
   * Whether the cursor has moved over offsets without a record, as a transaction's control records,
   * since the client was last sent an id.
   */
  get hasUnsentCursor(): boolean {
    return this.#hasUnsentCursor
  }

  /** Notes that the client was sent the cursor. */
  cursorSent(): void {
    this.#hasUnsentCursor = false
  }

  /** A cursor at this one's position, to move ahead of it. */
  cursorAhead(): Cursor {
    return new Cursor(this.cursor.table, this.cursor.vector)
  }

  /** Moves the cursor over offsets without a record, never back. */
  moveOver(index: number, offset: number): void {
    const to = this.end ? Math.min(offset, this.end[index] as number) : offset
    if (to <= (this.cursor.vector[index] as number)) return
    this.cursor.set(index, to)
    this.#hasUnsentCursor = true
  }

  /** Adds gaps to announce. */
  announce(gaps: readonly Gap[]): void {
    this.#gaps.push(...gaps)
  }

  /** Adds gaps to announce, and moves the cursor behind them. */
  skip(gaps: readonly Gap[]): void {
    this.announce(gaps)
    for (const { topic, partition, to, reason } of gaps) {
      if (reason === 'out-of-range') {
        const key = partitionKey({ topic, partition })
        this.recreated ??= new Set()
        this.recreated.add(key)
        this.announced.add(key)
      }
      const index = this.cursor.table.indexOf(topic, partition)
      if (index >= 0) this.cursor.set(index, to)
    }
  }

  /**
   * Adds a batch when none is pending, as far as it lies before the end.
   *
   * @param isInStep Whether the cursor is exactly where the batch begins. Otherwise the cursor is ahead
   * of the batch in some partitions: records below it are left out, and the others get new ids.
   * @param endsBeyond Whether the end of the batch lies behind offsets without a record.
   */
  add(added: EncodedBatch, isInStep: boolean, endsBeyond = false): void {
    const batch = this.end ? partBefore(this.end, added, this.cursorAhead()) : added
    if (isInStep && batch.length === 0) this.#moveTo(batch, endsBeyond)
    else if (this.#pass) this.#pass.start(batch, endsBeyond)
    else if (isInStep) this.#remainder = { batch, begin: 0, endsBeyond }
    else this.#addUnread(batch)
  }

  /**
   * Adds records that pass the filter when none are pending. The cursor is where their batch begins, or
   * before, and no record passes in between.
   *
   * @param selected The records of the batch that pass, with the batch's ids.
   */
  addPassing(batch: EncodedBatch, selected: EncodedBatch): void {
    this.cursor.moveTo(batch.from)
    this.#remainder = { batch: selected, begin: 0, endsBeyond: false }
  }

  #addUnread(batch: EncodedBatch): void {
    const unread = batch.select(0, this.cursorAhead())
    if (unread.length > 0) this.#remainder = { batch: unread, begin: 0, endsBeyond: false }
    else this.cursor.moveTo(unread.to)
  }

  /**
   * Lets the filter go on with its batch, as far as its turn goes.
   *
   * @param isInStep Whether the cursor was exactly where the batch begins.
   */
  advanceFilter(isInStep: boolean): void {
    const pass = this.#pass
    const batch = pass?.batch
    if (!pass || !batch) return
    const hasFound = pass.advance(this.cursor.vector)
    const isOver = pass.isDone && isInStep
    if (hasFound) {
      const passing = pass.select(this.cursorAhead())
      if (isOver) passing.to.set(batch.to)
      const endsBeyond = isOver && pass.endsBeyond
      this.#remainder = { batch: passing, begin: 0, endsBeyond }
    } else if (isOver) {
      // Most records are for other subscribers: a cursor in step moves over the whole batch at once.
      this.#moveTo(batch, pass.endsBeyond)
    } else {
      pass.select(this.cursor)
    }
    if (pass.isDone) pass.stop()
  }

  /** Takes a gap or records that are at hand, and moves the cursor behind them. */
  take(limits: PartLimits): SubscriptionPart | undefined {
    if (this.#gaps.length > 0) {
      return { gap: this.#gaps.shift() as Gap, cursor: this.cursor.toString() }
    }
    return this.#remainder && this.#takeRecords(this.#remainder, limits)
  }

  #takeRecords({ batch, begin, endsBeyond }: Remainder, limits: PartLimits): RecordsPart {
    const last = batch.length
    let end = Math.min(last, begin + limits.records)
    while (end > begin + 1 && batch.eventBytes(begin, end) > limits.bytes) {
      end = Math.max(begin + 1, end - Math.ceil((end - begin) / 8))
    }
    if (end === last) {
      this.cursor.moveTo(batch.to)
      this.#remainder = undefined
      this.#hasUnsentCursor = endsBeyond
    } else {
      for (let i = begin; i < end; i++) {
        this.cursor.set(batch.partitions[i] as number, (batch.offsets[i] as number) + 1)
      }
      this.#remainder = { batch, begin: end, endsBeyond }
      this.#hasUnsentCursor = false
    }
    return { batch, begin, end }
  }

  /** Drops the records that were not taken, to be read again from the cursor. Gaps stay. */
  discard(): void {
    this.#remainder = undefined
    this.#pass?.stop()
  }

  #moveTo(batch: EncodedBatch, endsBeyond: boolean): void {
    this.cursor.moveTo(batch.to)
    this.#hasUnsentCursor ||= endsBeyond
  }
}
