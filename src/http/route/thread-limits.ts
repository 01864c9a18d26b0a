import type { MakeGauge } from '../../core/gauge.ts'
import { shortHash } from '../../core/hash.ts'
import type { ShareNames } from '../../core/shared-names.ts'

/** The limits of one route, counted over all threads. */
export interface CountedLimits {
  readonly gauge: MakeGauge
  readonly groups: ShareNames
}

let counts: { readonly makeGauge: MakeGauge; readonly shareNames: ShareNames } | undefined
/** How many routes of this thread have equal options. */
const numbers = new Map<string, number>()

/** Makes the routes that an app of this thread creates count their limits over all threads. */
export function countForAllThreads(shared: NonNullable<typeof counts>): void {
  counts = shared
}

/**
 * The limits of a route that an app makes. Each thread evaluates the app, so that routes of two threads are
 * one where their options are equal and as many equal ones were made before.
 *
 * @returns undefined where this thread counts alone.
 */
export function limitsOfApp(options: object): CountedLimits | undefined {
  if (!counts) return undefined
  const { makeGauge, shareNames } = counts
  // The options hold secrets, and other threads are told the name.
  const key = shortHash(JSON.stringify(options))
  const number = (numbers.get(key) ?? 0) + 1
  numbers.set(key, number)
  const route = `route ${number} of ${key}`
  return {
    gauge: (name) => makeGauge(`${name} of ${route}`),
    groups: (name, limit, users) => shareNames(`${name} of ${route}`, limit, users),
  }
}
