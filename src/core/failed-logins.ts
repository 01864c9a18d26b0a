/** Kong's `brute_force_protection` with the strategy `memory`: failed logins make a user name wait. */
import type { LoginCounter } from './login-counter.ts'
import { LruMap } from './lru-map.ts'

/** User names that are counted at a time. Overflow policy: the least recently failed one is forgotten. */
const MAX_NAMES = 100_000
/** Failures from which on a user name has to wait. */
const MIN_FAILURES = 3
const MAX_WAIT_SECONDS = 3_600

interface Failures {
  readonly count: number
  /** When the failures are forgotten, in milliseconds since 1970. */
  readonly until: number
}

/**
 * Counts failed logins by user name. Each doubles the time for which they are remembered: 2 seconds
 * to the power of their number, and an hour at most. A login that succeeds resets nothing, as in Kong.
 */
export class FailedLogins implements LoginCounter {
  readonly #names = new LruMap<string, Failures>(MAX_NAMES)

  count(key: string, hasFailed: boolean): number | undefined {
    if (hasFailed) this.#add(key)
    const failures = this.#failuresOf(key)
    if (!failures || failures.count < MIN_FAILURES) return undefined
    return Math.ceil((failures.until - Date.now()) / 1_000)
  }

  #add(key: string): void {
    const count = (this.#failuresOf(key)?.count ?? 0) + 1
    const seconds = Math.min(2 ** count, MAX_WAIT_SECONDS)
    this.#names.set(key, { count, until: Date.now() + seconds * 1_000 })
  }

  #failuresOf(key: string): Failures | undefined {
    const failures = this.#names.get(key)
    return failures && failures.until > Date.now() ? failures : undefined
  }
}
