/** Rate limiting: counts the requests of each client in fixed windows, of a second to a year. */
import { toHex } from './bytes.ts'
import { LruMap } from './lru-map.ts'

/** The length of each window in milliseconds. A window begins at a whole multiple of its length, as in Kong. */
export const PERIODS = { second: 1_000, minute: 60_000, hour: 3_600_000, day: 86_400_000 } as const

/** Periods of the calendar, in UTC. */
const CALENDAR = ['month', 'year'] as const

export type Period = keyof typeof PERIODS | (typeof CALENDAR)[number]

/** All periods, the shortest first. */
export const ALL_PERIODS: readonly Period[] = [
  ...(Object.keys(PERIODS) as Array<keyof typeof PERIODS>),
  ...CALENDAR,
]

interface TimeWindow {
  readonly begin: number
  readonly end: number
}

/** The window of a period that a time lies in; all in milliseconds since 1970. */
function windowAt(period: Period, now: number): TimeWindow {
  if (period !== 'month' && period !== 'year') {
    const begin = now - (now % PERIODS[period])
    return { begin, end: begin + PERIODS[period] }
  }
  const date = new Date(now)
  const year = date.getUTCFullYear()
  if (period === 'year') return { begin: Date.UTC(year), end: Date.UTC(year + 1) }
  const month = date.getUTCMonth()
  return { begin: Date.UTC(year, month), end: Date.UTC(year, month + 1) }
}

/** The requests that a client may send in each period. */
export type RateLimits = { readonly [P in Period]?: number | null }

/** A client's usage in one period, the current request included. */
export interface RateLimitUsage {
  readonly period: Period
  readonly limit: number
  readonly remaining: number
  /** Seconds until the period ends, at least 1. */
  readonly reset: number
}

/** The outcome of counting one request. */
export interface CountedRequest {
  /** The usage in each period. */
  readonly usages: RateLimitUsage[]
  /** The usage in the period whose limit is exceeded. */
  readonly exceeded: RateLimitUsage | undefined
}

/** Counts the requests of clients, perhaps in another thread. */
export interface RequestLimiter {
  /** @param client The client's {@link limiterKey}. */
  count(client: string): CountedRequest | Promise<CountedRequest>
}

/** Makes the limiter of a name, which all threads of a process that ask for the name share. */
export type MakeLimiter = (name: string, limits: RateLimits) => RequestLimiter

/** Makes a limiter of this thread. */
export const makeLocalLimiter: MakeLimiter = (_name, limits) => new FixedWindowLimiter(limits)

/** Clients that are counted at a time. Overflow policy: the least recently seen client is forgotten. */
const MAX_CLIENTS = 100_000

/** Characters of a client's key. A longer name becomes a hash, since clients choose some names, as by a header. */
const MAX_KEY_LENGTH = 128

/** The key that a client is counted under: its name, or the hash of a long name. */
export function limiterKey(name: string): string | Promise<string> {
  return name.length > MAX_KEY_LENGTH ? hashOf(name) : name
}

async function hashOf(name: string): Promise<string> {
  const hash = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(name))
  return `sha-256 ${toHex(new Uint8Array(hash))}`
}

interface Counter {
  /** When the window began, in milliseconds since 1970. A window that is over counts as empty. */
  begin: number
  count: number
}

/** Counts the requests of clients against one set of limits. */
export class FixedWindowLimiter implements RequestLimiter {
  readonly #limits: ReadonlyArray<readonly [Period, number]>
  readonly #clients: LruMap<string, Counter[]>

  /** @param maxClients Default: 100,000. */
  constructor(limits: RateLimits, maxClients = MAX_CLIENTS) {
    this.#limits = ALL_PERIODS.flatMap((period) => {
      const limit = limits[period]
      return typeof limit === 'number' ? [[period, limit] as const] : []
    })
    this.#clients = new LruMap(maxClients)
  }

  /**
   * Counts a request, unless a limit is reached.
   *
   * @param client The client's {@link limiterKey}.
   * @param now Milliseconds since 1970.
   * @returns The usage in each period, and the one whose limit is exceeded.
   */
  count(client: string, now = Date.now()): CountedRequest {
    const counters = this.#countersOf(client)
    const windows = this.#limits.map(([period]) => windowAt(period, now))
    const counts = this.#limits.map((_, index) => {
      const counter = counters[index] as Counter
      const { begin } = windows[index] as TimeWindow
      if (counter.begin !== begin) {
        counter.begin = begin
        counter.count = 0
      }
      return counter.count
    })
    const isExceeded = this.#limits.some(([, limit], index) => (counts[index] as number) >= limit)
    if (!isExceeded) for (const counter of counters) counter.count++
    const usages = this.#limits.map(([period, limit], index) => {
      const { count } = counters[index] as Counter
      const left = (windows[index] as TimeWindow).end - now
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
    // The longest period: a retry succeeds only after all exceeded limits are reset.
    return { usages, exceeded: reached.at(-1) }
  }

  #countersOf(client: string): Counter[] {
    const found = this.#clients.get(client)
    if (found) return found
    const counters = this.#limits.map(() => ({ begin: 0, count: 0 }))
    this.#clients.set(client, counters)
    return counters
  }
}

/** Headers of an answer: `RateLimit-*` for the period with the fewest remaining requests, `X-RateLimit-*` for each period. */
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
