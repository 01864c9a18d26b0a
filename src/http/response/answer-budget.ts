/** Limits the memory of answers that clients have not read yet. */
import { KafkaConsumeError } from '../../core/errors.ts'
import type { Gauge } from '../../core/gauge.ts'

/** Bytes of an answer that is sent at once: kernels buffer as much for a client that does not read. */
export const SMALL_ANSWER_BYTES = 64 * 1024
/** The share of a budget that is reserved for small answers. */
const SMALL_SHARE = 1 / 4
/** The share of the remaining budget that one answer may take, so that clients cannot exhaust it. */
const ANSWER_SHARE = 1 / 4
/** The share of a budget up to which answers are cached. */
const CACHE_SHARE = 1 / 4

/**
 * The bytes that all answers of a route or of a process may have in memory, from their first record
 * until they are delivered.
 *
 * Overflow policy: the less of the budget remains, the less one answer may take, down to 64 KiB; an
 * answer that does not fit then is refused. If there is no other answer except cached ones, an answer
 * may have any size, because a large record could not be delivered otherwise.
 */
export class AnswerBudget {
  readonly limit: number
  readonly #shared: Gauge | undefined
  #used = 0

  /** @param shared Counts the bytes of all threads. Default: this one counts alone. */
  constructor(limit: number, shared?: Gauge) {
    this.limit = limit
    this.#shared = shared
  }

  /** The bytes of this thread's answers. */
  get used(): number {
    return this.#used
  }

  get #total(): number {
    return this.#shared?.value ?? this.#used
  }

  /** Bytes that a further answer may have. */
  get share(): number {
    const left = this.limit * (1 - SMALL_SHARE) - this.#total
    return Math.max(SMALL_ANSWER_BYTES, Math.floor(left * ANSWER_SHARE))
  }

  /** Whether an answer may change its size from `before` to `after` bytes. */
  hasRoom(before: number, after: number): boolean {
    const others = this.#total - before
    const limit = after <= SMALL_ANSWER_BYTES ? this.limit : this.limit * (1 - SMALL_SHARE)
    const isAlone = others <= this.limit * CACHE_SHARE
    return after <= before || others + after <= limit || isAlone
  }

  /** Whether these further bytes may be cached: answers in delivery have precedence. */
  hasCacheRoom(bytes: number): boolean {
    return this.#total + bytes <= this.limit * CACHE_SHARE
  }

  /** Counts an answer whose size has changed. */
  move(before: number, after: number): void {
    this.#used += after - before
    this.#shared?.add(after - before)
  }
}

/** Counts the bytes of one answer in all its budgets. */
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

  /** Bytes that the answer may have in all, fixed at the first call. */
  get maxBytes(): number {
    this.#maxBytes ??= this.#share()
    return this.#maxBytes
  }

  #share(): number {
    let least = Infinity
    for (const { share } of this.#budgets) least = Math.min(least, share)
    return least
  }

  /**
   * Reserves further bytes.
   *
   * @param wanted The bytes to reserve, if the answer may have them.
   * @param least The size of a record, which cannot be divided: fewer bytes are not reserved. A first
   * record may be larger than the limit of the answer.
   * @returns The number of bytes that were reserved; 0 where there is no room.
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

  /** @returns Whether there is room; if not, the reserved bytes do not change. */
  resize(bytes: number): boolean {
    for (const budget of this.#budgets) if (!budget.hasRoom(this.#bytes, bytes)) return false
    this.#move(bytes)
    return true
  }

  /** Reserves bytes of a cached answer. */
  cache(bytes: number): boolean {
    if (!this.#budgets.every((budget) => budget.hasCacheRoom(bytes))) return false
    this.#move(this.#bytes + bytes)
    return true
  }

  /** Releases all bytes, when the answer is delivered or abandoned. */
  release(): void {
    this.#move(0)
  }

  #move(bytes: number): void {
    for (const budget of this.#budgets) budget.move(this.#bytes, bytes)
    this.#bytes = bytes
  }
}

/** The error of an answer that does not fit into the remaining memory. */
export function tooManyAnswers(): KafkaConsumeError {
  return new KafkaConsumeError(
    'TOO_MANY_ANSWERS',
    'Cannot answer: answers that clients have not read yet take the memory there is for answers',
  )
}
