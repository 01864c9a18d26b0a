import { describe, expect, test } from 'bun:test'
import {
  FixedWindowLimiter,
  limiterKey,
  rateLimitHeaders,
} from '../../src/core/fixed-window-limiter.ts'

/** The beginning of an hour. */
const HOUR = 1_700_006_400_000

describe('a fixed window limiter', () => {
  test('limits requests in each of its periods, and starts again with the next', () => {
    const windows = new FixedWindowLimiter({ second: 2, minute: 3 })
    const at = (seconds: number) => windows.count('a', HOUR + seconds * 1_000).exceeded?.period
    expect([at(0), at(0.5), at(0.9)]).toEqual([undefined, undefined, 'second'])
    expect([at(1), at(1.1)]).toEqual([undefined, 'minute'])
    expect([at(60), at(60.1), at(60.2)]).toEqual([undefined, undefined, 'second'])
  })

  test('does not count a refused request, and names the longest wait', () => {
    const windows = new FixedWindowLimiter({ second: 1, hour: 1 })
    windows.count('a', HOUR + 10_500)
    const { usages, exceeded } = windows.count('a', HOUR + 10_600)
    expect(exceeded).toEqual({ period: 'hour', limit: 1, remaining: 0, reset: 3_590 })
    expect(usages[0]).toEqual({ period: 'second', limit: 1, remaining: 0, reset: 1 })
  })

  test('months and years are those of the calendar, in UTC', () => {
    const limiter = new FixedWindowLimiter({ month: 2, year: 3 })
    const at = (time: string) => {
      const { usages, exceeded } = limiter.count('a', Date.parse(time))
      return [exceeded?.period, ...usages.map(({ remaining }) => remaining)]
    }
    expect(at('2028-02-01T00:00:00Z')).toEqual([undefined, 1, 2])
    expect(at('2028-02-29T23:59:59Z')).toEqual([undefined, 0, 1])
    expect(limiter.count('a', Date.parse('2028-02-29T23:59:58Z')).exceeded).toMatchObject({
      ...{ period: 'month', reset: 2 },
    })
    expect(at('2028-03-01T00:00:00Z')).toEqual([undefined, 1, 0])
    expect(at('2028-12-31T23:59:59Z')).toEqual(['year', 2, 0])
    expect(at('2029-01-01T00:00:00Z')).toEqual([undefined, 1, 2])
  })

  test('counts by client, and forgets the client first that was seen longest ago', () => {
    const windows = new FixedWindowLimiter({ day: 1 }, 2)
    const isPassed = (client: string) => windows.count(client, HOUR).exceeded === undefined
    expect(['a', 'b', 'a', 'c', 'a', 'b', 'a'].map(isPassed)).toEqual([
      true,
      true,
      false,
      true,
      false,
      true,
      false,
    ])
  })

  test('counts a client name of any length under a short key of its own', async () => {
    const long = 'x'.repeat(12_000)
    const names = await Promise.all([`${long}1`, `${long}2`, `${long}1`].map(limiterKey))
    for (const name of names) expect(name.length).toBeLessThanOrEqual(128)
    expect(names[0]).toBe(names[2] as string)
    expect(names[0]).not.toBe(names[1] as string)
    expect(await limiterKey('ip 10.0.0.1')).toBe('ip 10.0.0.1')
  })

  test('reports the period with the fewest requests left', () => {
    const windows = new FixedWindowLimiter({ minute: 5, hour: 6 })
    const { usages } = windows.count('a', HOUR)
    expect(rateLimitHeaders(usages)).toEqual([
      ['RateLimit-Limit', '5'],
      ['RateLimit-Remaining', '4'],
      ['RateLimit-Reset', '60'],
      ['X-RateLimit-Limit-Minute', '5'],
      ['X-RateLimit-Remaining-Minute', '4'],
      ['X-RateLimit-Limit-Hour', '6'],
      ['X-RateLimit-Remaining-Hour', '5'],
    ])
    expect(rateLimitHeaders([])).toEqual([])
  })
})
