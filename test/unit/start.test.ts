import { afterEach, describe, expect, setSystemTime, test } from 'bun:test'
import fc from 'fast-check'
import { parseStart } from '../../src/http/request/start-position.ts'

const NOW = Date.UTC(2026, 0, 31, 12)
afterEach(() => setSystemTime())

/** Milliseconds back from {@link NOW}. */
function back(text: string): number {
  return NOW - Number(parseStart(text))
}

describe('the parameter start', () => {
  test('with a time is that time', () => {
    const noon = Date.UTC(2026, 0, 31, 12)
    for (const text of [
      '2026-01-31T12:00:00Z',
      '2026-01-31t12:00:00z',
      '2026-01-31 12:00:00Z',
      '2026-01-31T12:00Z',
      '2026-01-31T12:00',
      '2026-01-31 12:00',
      '2026-01-31T12:00:00.000000000',
      '2026-01-31T13:30:00+01:30',
      '2026-01-31T13:30:00 01:30', // a "+" that was not encoded
      '2026-01-31T13:30:00+0130',
      '2026-01-31T00:00:00-12:00',
      '2026-01-31T12:00:00-00:00',
    ]) {
      expect([text, parseStart(text)]).toEqual([text, noon])
    }
    expect(parseStart('2026-01-31')).toBe(Date.UTC(2026, 0, 31))
    expect(parseStart('2024-02-29')).toBe(Date.UTC(2024, 1, 29))
    expect(parseStart('1969-12-31T23:59:59Z')).toBe(0)
    expect(parseStart('0001-01-01')).toBe(0)
    expect(parseStart('9999-12-31T23:59:59.999Z')).toBe(Date.UTC(9999, 11, 31, 23, 59, 59, 999))
  })

  test('with a fraction of a millisecond begins at the next one, since no record of this one is as late', () => {
    const second = Date.UTC(2026, 0, 31, 12)
    expect(parseStart('2026-01-31T12:00:00.5Z')).toBe(second + 500)
    expect(parseStart('2026-01-31T12:00:00.000000001Z')).toBe(second + 1)
    expect(parseStart('2026-01-31T12:00:00.999000001Z')).toBe(second + 1_000)
  })

  test('with a day or a time of day that does not exist is refused', () => {
    for (const text of [
      ...['2026-02-29', '2026-02-30', '2026-02-30T09:30:00Z', '2100-02-29', '2026-04-31'],
      ...['2026-13-01', '2026-00-01', '2026-01-00', '2026-01-32', '2026-1-1', '26-01-01'],
      ...['2026-01-31T24:00:00Z', '2026-01-31T24:00', '2026-01-31T25:00', '2026-01-31T12:60'],
      ...['2026-01-31T12:00:60Z', '2016-12-31T23:59:60Z', '2026-01-31T12:00:00.'],
      ...['2026-01-31T12:00:00+24:00', '2026-01-31T12:00:00+01:60', '2026-01-31T12:00:00+1:00'],
      ...['2026-01-31T12:00:00 UTC', '2026-01-31T12:00:00ZZ', '2026-01-31T', '2026-01-31Z'],
      ...['+2026-01-31', '-2026-01-31', '2026-W05-6', '2026-031', '1785500000000', 'now', ''],
    ]) {
      expect([text, parseStart(text)]).toEqual([text, undefined])
    }
  })

  test('with a date is valid if and only if that day exists', () => {
    const two = (max: number) => fc.nat({ max }).map((n) => String(n).padStart(2, '0'))
    const year = fc.integer({ min: 1970, max: 2400 }).map(String)
    fc.assert(
      fc.property(year, two(14), two(33), (...parts) => {
        const text = parts.join('-')
        const [y = 0, m = 0, d = 0] = parts.map(Number)
        const days = new Date(Date.UTC(y, m, 0)).getUTCDate()
        const exists = m >= 1 && m <= 12 && d >= 1 && d <= days
        expect(parseStart(text) !== undefined).toBe(exists)
      }),
    )
  })

  test('with a duration goes back from now', () => {
    setSystemTime(NOW)
    expect(back('-PT10M')).toBe(600_000)
    expect(back('-P1DT12H')).toBe(129_600_000)
    expect(back('-PT1.5S')).toBe(1_500)
    expect(back('-10m')).toBe(600_000)
    expect(back('-2d')).toBe(172_800_000)
    for (const text of [
      '-P',
      '-PT',
      '-P1DT',
      '-P1M',
      '-P1W',
      '-P1Y',
      'PT1S',
      '-pt1s',
      '-1.5s',
      '-1w',
    ]) {
      expect([text, parseStart(text)]).toEqual([text, undefined])
    }
  })
})
