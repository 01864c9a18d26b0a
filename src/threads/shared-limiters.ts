/** Counters of requests that the threads of a process share: one thread counts for all. */
import {
  type CountedRequest,
  FixedWindowLimiter,
  type MakeLimiter,
  type RateLimits,
} from '../core/fixed-window-limiter.ts'
import { LruMap } from '../core/lru-map.ts'
import type { Messenger } from './messenger.ts'

/** Limiters that are kept. Overflow policy: the one that counted least recently begins again. */
const MAX_LIMITERS = 10_000

interface SentCount {
  readonly name: string
  readonly limits: RateLimits
  readonly client: string
}

/** Counts for all threads. */
export class SharedLimiters {
  readonly #limiters = new LruMap<string, FixedWindowLimiter>(MAX_LIMITERS)

  /** Answers for a thread. */
  serve(messenger: Messenger): void {
    messenger.handle({ countRequest: (sent: SentCount) => this.#count(sent) })
  }

  #count({ name, limits, client }: SentCount): CountedRequest {
    let limiter = this.#limiters.get(name)
    if (!limiter) {
      limiter = new FixedWindowLimiter(limits)
      this.#limiters.set(name, limiter)
    }
    return limiter.count(client)
  }
}

/** Makes limiters for which another thread counts. */
export function remoteLimiters(messenger: Messenger): MakeLimiter {
  return (name, limits) => ({
    count: (client) =>
      messenger.request<CountedRequest>('countRequest', {
        name,
        limits,
        client,
      } satisfies SentCount),
  })
}
