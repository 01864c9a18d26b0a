import { filterTurns } from '../core/turn-queue.ts'

/** The most records between two looks at the clock, when each record is quick. */
const MAX_STRIDE = 16
/** The time in milliseconds for the records between two looks at the clock below which they are quick. */
const QUICK_MS = 0.05

/**
 * Works through the records of batches in slices, in the turns of all filters: one record may take a
 * millisecond, and a batch has up to a thousand records.
 */
export class FilterSlices {
  #stride = 1
  #time = 0

  /** Milliseconds that the work has taken, for all batches. */
  get time(): number {
    return this.#time
  }

  /**
   * Goes on as far as the turn goes.
   *
   * @param begin The first index to work on.
   * @param end The index after the last one.
   * @param work Called with the first index of some records, and the index after them.
   * @returns the index to go on at.
   */
  run(begin: number, end: number, work: (begin: number, end: number) => void): number {
    let next = begin
    let last = performance.now()
    while (next < end && !filterTurns.isOver) {
      const until = Math.min(next + this.#stride, end)
      work(next, until)
      next = until
      const now = performance.now()
      const taken = now - last
      last = now
      this.#time += taken
      filterTurns.count(taken)
      this.#stride = taken < QUICK_MS ? Math.min(2 * this.#stride, MAX_STRIDE) : 1
    }
    return next
  }
}
