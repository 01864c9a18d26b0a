import { KafkaConsumeError } from '../../core/errors.ts'
import { LruMap } from '../../core/lru-map.ts'

/** Names at addresses that are counted at a time. Overflow policy: the least recently failed one is forgotten. */
const MAX_KEYS = 100_000
/** Failures that cost no time, as of a user who mistypes a password. */
const FREE_FAILURES = 5
const MAX_WAIT_MS = 300_000
/** Milliseconds after the last failure in which it counts. */
const MEMORY_MS = 900_000

interface Attempts {
  readonly failures: number
  /** When the last one failed, by `performance.now()`. */
  readonly failedAt: number
}

/**
 * Slows the guessing of passwords: after five failures each attempt has to wait, for 1 s at first and twice
 * as long after each further failure, up to 5 minutes. The right password has to wait, too, since its
 * answer would otherwise tell it apart. A login that succeeds ends that.
 */
export class LoginThrottle {
  readonly #attempts = new LruMap<string, Attempts>(MAX_KEYS)

  /** @throws KafkaConsumeError RATE_LIMITED where an attempt has to wait. */
  assertMayTry(key: string): void {
    const wait = this.#waitOf(key)
    if (wait <= 0) return
    const retryAfter = Math.ceil(wait / 1_000)
    throw new KafkaConsumeError(
      'RATE_LIMITED',
      `Cannot authenticate: too many attempts have failed; try again in ${retryAfter} s`,
      { retryAfter },
    )
  }

  fail(key: string): void {
    const failures = (this.#find(key)?.failures ?? 0) + 1
    this.#attempts.set(key, { failures, failedAt: performance.now() })
  }

  succeed(key: string): void {
    this.#attempts.delete(key)
  }

  /** Milliseconds until an attempt is allowed. */
  #waitOf(key: string): number {
    const attempts = this.#find(key)
    if (!attempts || attempts.failures < FREE_FAILURES) return 0
    const wait = Math.min(2 ** (attempts.failures - FREE_FAILURES) * 1_000, MAX_WAIT_MS)
    return attempts.failedAt + wait - performance.now()
  }

  #find(key: string): Attempts | undefined {
    const attempts = this.#attempts.get(key)
    return attempts && performance.now() - attempts.failedAt < MEMORY_MS ? attempts : undefined
  }
}
