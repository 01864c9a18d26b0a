import { filterTurns } from '../core/turn-queue.ts'
import type { Cursor } from '../records/cursor.ts'
import type { EncodedBatch } from '../records/encoded-batch.ts'
import type { Filter } from '../records/filter.ts'
import { FilterSlices } from './filter-slices.ts'

/** The most records of a batch that a quick filter tests without a look at the clock. */
const SMALL_LENGTH = 16
/** The most bytes of such a batch. */
const SMALL_BYTES = 64 * 1024

/** Runs one subscription's filter over batches in slices. */
export class FilterPass {
  readonly #filter: Filter
  #batch: EncodedBatch | undefined
  #endsBeyond = false
  /** Indexes of records that were tested and pass, since the last selection. */
  #passing: number[] = []
  /** The index after the records of the last selection. */
  #begin = 0
  /** The index of the next record to test. */
  #next = 0
  readonly #work = new FilterSlices()

  constructor(filter: Filter) {
    this.#filter = filter
  }

  /**
   * Begins with a batch.
   *
   * @param endsBeyond Whether the end of the batch lies behind offsets without a record.
   */
  start(batch: EncodedBatch, endsBeyond = false): void {
    this.#batch = batch
    this.#endsBeyond = endsBeyond
    this.#begin = 0
    this.#next = 0
  }

  /** Leaves the batch. */
  stop(): void {
    this.#batch = undefined
    this.#passing = []
  }

  /** The present batch; undefined when there is none. */
  get batch(): EncodedBatch | undefined {
    return this.#batch
  }

  /** Whether the end of the batch lies behind offsets without a record. */
  get endsBeyond(): boolean {
    return this.#endsBeyond
  }

  /** Whether all records of the batch were tested. */
  get isDone(): boolean {
    return this.#next >= this.#presentBatch().length
  }

  /**
   * The batch whose records are tested.
   *
   * @throws Error where `start` has not been given one.
   */
  #presentBatch(): EncodedBatch {
    if (!this.#batch) throw new Error('Cannot filter records: there is no batch')
    return this.#batch
  }

  /** Milliseconds that the filter has taken, for all batches. */
  get time(): number {
    return this.#work.time
  }

  /**
   * Tests further records, as many as the turn has time for.
   *
   * @param vector Records below these offsets are passed over without a test.
   * @returns Whether a record passes that is not selected yet.
   */
  advance(vector: Float64Array): boolean {
    const batch = this.#presentBatch()
    if (this.#filter.isQuick && isSmall(batch)) {
      this.#test(batch, batch.length, vector)
      return this.#passing.length > 0
    }
    this.#work.run(this.#next, batch.length, (_, end) => this.#test(batch, end, vector))
    return this.#passing.length > 0
  }

  #test(batch: EncodedBatch, end: number, vector: Float64Array): void {
    for (let i = this.#next; i < end; i++) {
      const due = vector[batch.partitions[i] as number] as number
      if ((batch.offsets[i] as number) >= due && this.#filter.matches(batch, i))
        this.#passing.push(i)
    }
    this.#next = end
  }

  /**
   * The records that pass, among those that were tested since the last selection.
   *
   * @param cursor The cursor, which moves over all tested records and gives the ids.
   */
  select(cursor: Cursor): EncodedBatch {
    const passing = new Set(this.#passing)
    const selected = this.#presentBatch().select(
      this.#begin,
      cursor,
      (i) => passing.has(i),
      this.#next,
    )
    this.#passing = []
    this.#begin = this.#next
    return selected
  }
}

function isSmall(batch: EncodedBatch): boolean {
  return batch.length <= SMALL_LENGTH && batch.bytes.length <= SMALL_BYTES
}

/**
 * The records of a batch that pass a filter, tested in as many turns as needed.
 *
 * @param cursor The cursor, which moves over all records and gives the ids.
 * @throws The signal's reason.
 */
export async function filterInTurns(
  batch: EncodedBatch,
  filter: Filter,
  cursor: Cursor,
  signal: AbortSignal,
): Promise<EncodedBatch> {
  const pass = new FilterPass(filter)
  pass.start(batch)
  while (!pass.isDone) {
    await filterTurns.whenDone(() => void pass.advance(cursor.vector))
    signal.throwIfAborted()
  }
  return pass.select(cursor)
}
