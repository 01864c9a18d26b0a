import { filterTurns, type TurnTask } from '../core/turn-queue.ts'
import type { EncodedBatch } from '../records/encoded-batch.ts'
import type { Filter, FilterPlan } from '../records/filter.ts'
import { FilterSlices } from './filter-slices.ts'
import type { IndexedRead } from './indexed-read.ts'

/** The most batches that wait for the filter of a group. */
const MAX_WAITING = 256

/** A batch of the ring buffer, and where it is in there. */
export interface RingBatch {
  readonly sequence: number
  readonly batch: EncodedBatch
}

/** Records of a batch that may pass, by their indexes. Undefined: all records of the batch. */
interface Candidates extends RingBatch {
  readonly indexes: readonly number[] | undefined
}

/** The records of a batch that pass a filter. Its subscribers share them. */
export class FilterHits implements RingBatch {
  readonly sequence: number
  readonly batch: EncodedBatch
  readonly #indexes: readonly number[]
  #selected: EncodedBatch | undefined

  constructor({ sequence, batch }: RingBatch, indexes: readonly number[]) {
    this.sequence = sequence
    this.batch = batch
    this.#indexes = indexes
  }

  /** The records with the batch's own ids. */
  get selected(): EncodedBatch {
    this.#selected ??= this.batch.pick(this.#indexes)
    return this.#selected
  }
}

/**
 * The subscribers with one filter. It is evaluated once for all of them, in the turns of all filters.
 *
 * Overflow policy: when {@link MAX_WAITING} batches wait for the filter, its subscribers leave the
 * index. Each goes on in the ring buffer by itself.
 */
export class FilterGroup implements TurnTask {
  isQueued = false
  readonly plan: FilterPlan
  readonly #filter: Filter
  readonly #members = new Set<IndexedRead>()
  readonly #waiting: Candidates[] = []
  readonly #work = new FilterSlices()
  /** Progress in the first waiting batch: the next candidate, and the records that pass. */
  #next = 0
  #passing: number[] = []

  constructor(filter: Filter, plan: FilterPlan) {
    this.#filter = filter
    this.plan = plan
  }

  get size(): number {
    return this.#members.size
  }

  join(member: IndexedRead): void {
    this.#members.add(member)
  }

  /** @returns false for a subscriber that has left before. */
  leave(member: IndexedRead): boolean {
    const isMember = this.#members.delete(member)
    if (this.#members.size === 0) this.#waiting.length = 0
    return isMember
  }

  /** Removes all subscribers from the index. */
  release(): void {
    // A copy: a subscriber may enter the index again at once.
    for (const member of [...this.#members]) member.release()
  }

  /** The first batch from a place on that waits for the filter. */
  waitingFrom(sequence: number): RingBatch | undefined {
    return this.#waiting.find((candidates) => candidates.sequence >= sequence)
  }

  /** Examines candidates, and gives those that pass to the subscribers. */
  examine(place: RingBatch, indexes: readonly number[] | undefined): void {
    if (this.plan.isExact && indexes) {
      this.#deliver(new FilterHits(place, indexes))
    } else if (this.#waiting.length >= MAX_WAITING) {
      this.release()
    } else {
      this.#waiting.push({ ...place, indexes })
      filterTurns.runOrQueue(this)
    }
  }

  advance(): void {
    let first = this.#waiting[0]
    while (first && !filterTurns.isOver) {
      this.#examine(first)
      first = this.#waiting[0]
    }
    if (first) filterTurns.queue(this)
  }

  #examine(candidates: Candidates): void {
    const { batch, indexes } = candidates
    const count = indexes?.length ?? batch.length
    this.#next = this.#work.run(this.#next, count, (begin, end) => {
      for (let i = begin; i < end; i++) {
        const index = indexes ? (indexes[i] as number) : i
        if (this.#filter.matches(batch, index)) this.#passing.push(index)
      }
    })
    if (this.#next < count) return
    const passing = this.#passing
    this.#waiting.shift()
    this.#next = 0
    this.#passing = []
    if (passing.length > 0) this.#deliver(new FilterHits(candidates, passing))
  }

  #deliver(hits: FilterHits): void {
    for (const member of this.#members) member.add(hits)
  }
}
