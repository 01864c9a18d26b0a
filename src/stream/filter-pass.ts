import type { Cursor } from './cursor.ts'
import type { EncodedBatch } from './encoded-batch.ts'
import type { Filter } from './subscription.ts'
import { filterTurns } from './turns.ts'

/** Records between two looks at the clock: one where each takes long, some where they are quick. */
const MAX_STRIDE = 16
const QUICK_MS = 0.05

/**
 * One filter's way through one batch, in slices: a filter may take a millisecond for each record, and
 * a batch has up to a thousand.
 */
export class FilterPass {
  readonly batch: EncodedBatch
  readonly endsBeyond: boolean
  readonly #filter: Filter
  /** Records that were looked at and pass, since the last selection. */
  readonly #passing = new Set<number>()
  /** The first record that is not selected from yet, and the first that is not looked at yet. */
  #begin = 0
  #next = 0
  #stride = 1
  #time = 0

  /** @param endsBeyond Whether the end of the batch lies behind offsets without a record, too. */
  constructor(batch: EncodedBatch, filter: Filter, endsBeyond = false) {
    this.batch = batch
    this.endsBeyond = endsBeyond
    this.#filter = filter
  }

  /** Whether all records were looked at. */
  get isOver(): boolean {
    return this.#next >= this.batch.length
  }

  /** Milliseconds that the filter has taken. */
  get time(): number {
    return this.#time
  }

  /**
   * Looks at further records, as many as the turn has time for.
   *
   * @param vector Offsets below it are passed over without a look.
   * @returns Whether any of the records since the last selection passes.
   */
  advance(vector: Float64Array): boolean {
    let last = performance.now()
    while (!this.isOver && !filterTurns.isOver) {
      const end = Math.min(this.#next + this.#stride, this.batch.length)
      for (; this.#next < end; this.#next++) {
        if (this.#wants(this.#next, vector)) this.#passing.add(this.#next)
      }
      const now = performance.now()
      const taken = now - last
      last = now
      this.#time += taken
      filterTurns.count(taken)
      this.#stride = taken < QUICK_MS ? Math.min(2 * this.#stride, MAX_STRIDE) : 1
    }
    return this.#passing.size > 0
  }

  /**
   * The records that pass, of those that were looked at since the last selection.
   *
   * @param cursor It moves over all of these, and gives the ids.
   */
  select(cursor: Cursor): EncodedBatch {
    const isPassing = (index: number) => this.#passing.has(index)
    const selected = this.batch.select(this.#begin, cursor, isPassing, this.#next)
    this.#passing.clear()
    this.#begin = this.#next
    return selected
  }

  /**
   * Looks at all records, in as many turns as it takes.
   *
   * @throws The signal's reason.
   */
  async finish(vector: Float64Array, signal: AbortSignal): Promise<void> {
    while (!this.isOver) {
      await filterTurns.whenDone(() => this.advance(vector))
      signal.throwIfAborted()
    }
  }

  #wants(index: number, vector: Float64Array): boolean {
    const due = vector[this.batch.partitions[index] as number] as number
    return (this.batch.offsets[index] as number) >= due && this.#filter(this.batch, index)
  }
}
