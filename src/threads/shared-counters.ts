/** Counters of requests and of failed logins that the threads of a process share: one thread counts for all. */

import {
  type CountedRequest,
  FixedWindowLimiter,
  type MakeLimiter,
  type RateLimits,
} from '../core/fixed-window-limiter.ts'
import { makeLocalLoginCounter } from '../core/local-login-counter.ts'
import type { LoginCounter, LoginRules, MakeLoginCounter } from '../core/login-counter.ts'
import { LruMap } from '../core/lru-map.ts'
import type { Messenger } from './messenger.ts'

/** Counters of each kind that are kept. Overflow policy: the one that counted least recently begins again. */
const MAX_COUNTERS = 10_000

interface SentRequest {
  readonly name: string
  readonly limits: RateLimits
  readonly client: string
}

interface SentLogin {
  readonly name: string
  readonly rules: LoginRules
  readonly key: string
  readonly hasFailed: boolean
}

/** Counts for all threads. */
export class SharedCounters {
  readonly #limiters = new LruMap<string, FixedWindowLimiter>(MAX_COUNTERS)
  readonly #logins = new LruMap<string, LoginCounter>(MAX_COUNTERS)

  /** Answers for a thread. */
  serve(messenger: Messenger): void {
    messenger.handle({
      countRequest: ({ name, limits, client }: SentRequest) =>
        counterOf(this.#limiters, name, () => new FixedWindowLimiter(limits)).count(client),
      countLogin: ({ name, rules, key, hasFailed }: SentLogin) => {
        const counter = counterOf(this.#logins, name, () => makeLocalLoginCounter(name, rules))
        return counter.count(key, hasFailed)
      },
    })
  }
}

function counterOf<T extends object>(counters: LruMap<string, T>, name: string, make: () => T): T {
  const counter = counters.get(name) ?? make()
  counters.set(name, counter)
  return counter
}

/** Makes limiters for which another thread counts. */
export function remoteLimiters(messenger: Messenger): MakeLimiter {
  return (name, limits) => ({
    count: (client) => {
      const sent: SentRequest = { name, limits, client }
      return messenger.request<CountedRequest>('countRequest', sent)
    },
  })
}

/** Makes counters of failed logins for which another thread counts. */
export function remoteLoginCounters(messenger: Messenger): MakeLoginCounter {
  return (name, rules) => ({
    count: (key, hasFailed) => {
      const sent: SentLogin = { name, rules, key, hasFailed }
      return messenger.request<number | undefined>('countLogin', sent)
    },
  })
}
