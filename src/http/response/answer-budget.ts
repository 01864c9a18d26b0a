/** Memory of the answers that clients have not read yet. */
import { KafkaConsumeError } from '../../core/errors.ts'

/** Answers of this size go out at once: a kernel takes as much for a client that reads nothing. */
export const SMALL_ANSWER_BYTES = 64 * 1024
/** The part of a budget that small answers have for themselves. */
const SMALL_SHARE = 1 / 4
/** How much of what is left one answer may take, so that no number of clients takes all of it. */
const ANSWER_SHARE = 1 / 4
/** The part of a budget below which answers are cached. */
const CACHE_SHARE = 1 / 4

/**
 * Bytes that answers may have in memory together, in a route or in a whole process, from their
 * first record until they are delivered.
 *
 * Overflow policy: the less is left, the less one answer may take, down to 64 KiB; what does not
 * fit even so is refused. An answer that is alone but for cached ones may be of any size, or its
 * record would never go out.
 */
export class AnswerBudget {
  readonly limit: number
  #used = 0

  constructor(limit: number) {
    this.limit = limit
  }

  get used(): number {
    return this.#used
  }

  /** Bytes that one more answer may have. */
  get share(): number {
    const left = this.limit * (1 - SMALL_SHARE) - this.#used
    return Math.max(SMALL_ANSWER_BYTES, Math.floor(left * ANSWER_SHARE))
  }

  /** Whether an answer may grow from its bytes to others. */
  hasRoom(before: number, after: number): boolean {
    const others = this.#used - before
    const limit = after <= SMALL_ANSWER_BYTES ? this.limit : this.limit * (1 - SMALL_SHARE)
    const isAlone = others <= this.limit * CACHE_SHARE
    return after <= before || others + after <= limit || isAlone
  }

  /** Whether so many bytes more may be cached: answers on their way go first. */
  hasCacheRoom(bytes: number): boolean {
    return this.#used + bytes <= this.limit * CACHE_SHARE
  }

  /** Counts an answer that has changed its size. */
  move(before: number, after: number): void {
    this.#used += after - before
  }
}

/** The bytes of one answer, counted in every budget that it belongs to. */
export class AnswerMemory {
  readonly #budgets: readonly AnswerBudget[]
  #bytes = 0
  #maxBytes: number | undefined

  constructor(budgets: readonly AnswerBudget[]) {
    this.#budgets = budgets
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Bytes that it may have in all, as of the first time that this is asked for. */
  get maxBytes(): number {
    this.#maxBytes ??= Math.min(...this.#budgets.map(({ share }) => share))
    return this.#maxBytes
  }

  /**
   * Takes room for more bytes.
   *
   * @param wanted It gets as many as it may have.
   * @param least It gets as many or none, for a record that cannot be divided; a first record may be
   * larger than all that the answer may have.
   * @returns How many further bytes it has now; 0 where there is no room.
   */
  claim(wanted: number, least: number): number {
    const before = this.#bytes
    const allowed = Math.min(wanted, this.maxBytes - before)
    const small = Math.min(allowed, SMALL_ANSWER_BYTES - before)
    for (const more of before === 0 ? [allowed, small, least] : [allowed, small]) {
      if (more > 0 && more >= least && this.resize(before + more)) return more
    }
    return 0
  }

  /** @returns Whether there is room; if not, it keeps the bytes that it has. */
  resize(bytes: number): boolean {
    if (!this.#budgets.every((budget) => budget.hasRoom(this.#bytes, bytes))) return false
    this.#move(bytes)
    return true
  }

  /** Takes room for bytes that are cached. */
  cache(bytes: number): boolean {
    if (!this.#budgets.every((budget) => budget.hasCacheRoom(bytes))) return false
    this.#move(this.#bytes + bytes)
    return true
  }

  /** The answer is delivered, or given up. */
  release(): void {
    this.#move(0)
  }

  #move(bytes: number): void {
    for (const budget of this.#budgets) budget.move(this.#bytes, bytes)
    this.#bytes = bytes
  }
}

/** That an answer does not fit into what other answers have left. */
export function tooManyAnswers(): KafkaConsumeError {
  return new KafkaConsumeError(
    'TOO_MANY_ANSWERS',
    'Cannot answer: answers that clients have not read yet take the memory there is for answers',
  )
}
