/** Slows the guessing of passwords of the gateway's own clients. */
import type { LoginCounter } from './login-counter.ts'
import { LruMap } from './lru-map.ts'

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
 * After five failures each attempt has to wait, for 1 s at first and twice as long after each further
 * failure, up to 5 minutes. The right password has to wait, too, since its answer would otherwise tell it
 * apart. An attempt that comes too early is not counted, and a login that succeeds ends the count.
 */
export class LoginThrottle implements LoginCounter {
  readonly #attempts = new LruMap<string, Attempts>(MAX_KEYS)

  count(key: string, hasFailed: boolean): number | undefined {
    const attempts = this.#find(key)
    const wait = waitOf(attempts)
    if (wait > 0) return secondsOf(wait)
    if (!hasFailed) this.#attempts.delete(key)
    else {
      const failures = (attempts?.failures ?? 0) + 1
      this.#attempts.set(key, { failures, failedAt: performance.now() })
    }
    return undefined
  }

  #find(key: string): Attempts | undefined {
    const attempts = this.#attempts.get(key)
    return attempts && performance.now() - attempts.failedAt < MEMORY_MS ? attempts : undefined
  }
}

/** Whole seconds, 1 at least. Sums of times are off by less than a millisecond, which adds no second. */
function secondsOf(milliseconds: number): number {
  return Math.max(1, Math.ceil(Math.round(milliseconds) / 1_000))
}

/** Milliseconds until an attempt is allowed. */
function waitOf(attempts: Attempts | undefined): number {
  if (!attempts || attempts.failures < FREE_FAILURES) return 0
  const wait = Math.min(2 ** (attempts.failures - FREE_FAILURES) * 1_000, MAX_WAIT_MS)
  return attempts.failedAt + wait - performance.now()
}
