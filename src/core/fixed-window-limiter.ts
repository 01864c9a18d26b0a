import { toHex } from './bytes.ts'

/** Counts requests by client and by the second, minute, hour and day that they come in. */

/** Milliseconds. Windows begin at whole multiples of them, by the clock, as Kong's do. */
export const PERIODS = { second: 1_000, minute: 60_000, hour: 3_600_000, day: 86_400_000 } as const

export type Period = keyof typeof PERIODS

/** Requests at most in a period. */
export type RateLimits = { readonly [P in Period]?: number | null }

/** How a client stands in one period, this request included. */
export interface RateLimitUsage {
  readonly period: Period
  readonly limit: number
  readonly remaining: number
  /** Seconds until the period ends, at least 1. */
  readonly reset: number
}

/** Clients that are counted at a time. Overflow policy: who was seen longest ago is forgotten. */
const MAX_CLIENTS = 100_000

/** Longer names are counted by their hash: clients choose some of them, as by a header. */
const MAX_NAME = 128

/** What a client is counted as: its name, or the hash of a name that is too long to keep. */
export function countedAs(name: string): string | Promise<string> {
  return name.length > MAX_NAME ? hashOf(name) : name
}

async function hashOf(name: string): Promise<string> {
  const hash = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(name))
  return `sha-256 ${toHex(new Uint8Array(hash))}`
}

interface Counter {
  /** When its window began; a window that is over counts as empty. */
  begin: number
  count: number
}

/** The counters of one limit. */
export class FixedWindowLimiter {
  readonly #limits: ReadonlyArray<readonly [Period, number]>
  readonly #maxClients: number
  /** The one that was seen last is the last. */
  readonly #clients = new Map<string, Counter[]>()

  /** @param maxClients Default: 100,000. */
  constructor(limits: RateLimits, maxClients = MAX_CLIENTS) {
    this.#limits = (Object.keys(PERIODS) as Period[]).flatMap((period) => {
      const limit = limits[period]
      return typeof limit === 'number' ? [[period, limit] as const] : []
    })
    this.#maxClients = maxClients
  }

  /**
   * Counts a request, unless a limit is reached.
   *
   * @param client Who sent it, as {@link countedAs} names it: it is kept.
   * @param now Milliseconds since 1970.
   * @returns Usages in all periods, and the one whose limit is reached.
   */
  count(
    client: string,
    now = Date.now(),
  ): { usages: RateLimitUsage[]; exceeded: RateLimitUsage | undefined } {
    const counters = this.#countersOf(client)
    const counts = this.#limits.map(([period], index) => {
      const counter = counters[index] as Counter
      const begin = now - (now % PERIODS[period])
      if (counter.begin !== begin) {
        counter.begin = begin
        counter.count = 0
      }
      return counter.count
    })
    const isExceeded = this.#limits.some(([, limit], index) => (counts[index] as number) >= limit)
    if (!isExceeded) for (const counter of counters) counter.count++
    const usages = this.#limits.map(([period, limit], index) => {
      const { begin, count } = counters[index] as Counter
      const left = begin + PERIODS[period] - now
      return {
        period,
        limit,
        remaining: Math.max(0, limit - count),
        reset: Math.max(1, Math.ceil(left / 1_000)),
      }
    })
    const reached = usages.filter(
      ({ limit }, index) => isExceeded && (counts[index] as number) >= limit,
    )
    // The longest wait: what helps before that does not help.
    return { usages, exceeded: reached.at(-1) }
  }

  #countersOf(client: string): Counter[] {
    const found = this.#clients.get(client)
    if (found) this.#clients.delete(client)
    else if (this.#clients.size >= this.#maxClients) {
      const [oldest] = this.#clients.keys()
      if (oldest !== undefined) this.#clients.delete(oldest)
    }
    const counters = found ?? this.#limits.map(() => ({ begin: 0, count: 0 }))
    this.#clients.set(client, counters)
    return counters
  }
}

/** `RateLimit-*`: those of the period with the least left. `X-RateLimit-*`: of each period. */
export function rateLimitHeaders(
  usages: readonly RateLimitUsage[],
): Array<[name: string, value: string]> {
  const [tightest] = [...usages].sort((a, b) => a.remaining - b.remaining || b.reset - a.reset)
  if (!tightest) return []
  return [
    ['RateLimit-Limit', String(tightest.limit)],
    ['RateLimit-Remaining', String(tightest.remaining)],
    ['RateLimit-Reset', String(tightest.reset)],
    ...usages.flatMap(({ period, limit, remaining }): Array<[string, string]> => {
      const name = period[0]?.toUpperCase() + period.slice(1)
      return [
        [`X-RateLimit-Limit-${name}`, String(limit)],
        [`X-RateLimit-Remaining-${name}`, String(remaining)],
      ]
    }),
  ]
}
