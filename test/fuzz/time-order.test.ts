import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { sortFromNewest, sortFromOldest } from '../../src/feed/time-order.ts'

const partitions = fc.array(fc.array(fc.integer({ min: -1, max: 20 }), { maxLength: 12 }), {
  minLength: 1,
  maxLength: 5,
})

/** Takes the newest of the last records that are left, again and again. */
function takenFromTheEnd(times: ReadonlyArray<readonly number[]>, count: number): string[] {
  const left = times.map((each) => each.length)
  const taken: string[] = []
  while (taken.length < count) {
    let newest = -1
    times.forEach((each, partition) => {
      const last = (left[partition] as number) - 1
      if (last < 0) return
      const best =
        newest < 0 ? -Infinity : (times[newest]?.[(left[newest] as number) - 1] as number)
      if ((each[last] as number) > best) newest = partition
    })
    if (newest < 0) break
    left[newest] = (left[newest] as number) - 1
    taken.push(`${newest}/${left[newest]}`)
  }
  return taken
}

test('records by time: each once, in the order of offsets, and the last N are the newest N of all partitions', () => {
  fc.assert(
    fc.property(partitions, fc.nat({ max: 40 }), (times, count) => {
      const records = times.flatMap((each, partition) =>
        each.map((timestamp, offset) => ({ partition, offset, timestamp })),
      )
      const sorted = sortFromNewest(records)
      expect(sorted).toHaveLength(records.length)
      times.forEach((each, partition) => {
        const offsets = sorted.filter((record) => record.partition === partition)
        expect(offsets.map(({ offset }) => offset)).toEqual([...each.keys()])
      })
      const newest = sorted.slice(Math.max(0, sorted.length - count))
      const reference = takenFromTheEnd(times, count)
      // Records of equal times may be taken in any order of partitions: their times are equal.
      const timesOf = (keys: readonly string[]) =>
        keys.map((key) => {
          const [partition = 0, offset = 0] = key.split('/').map(Number)
          return Math.min(...(times[partition] as number[]).slice(offset))
        })
      const keys = newest.map(({ partition, offset }) => `${partition}/${offset}`)
      expect(timesOf(keys).sort()).toEqual(timesOf(reference).sort())
    }),
    { numRuns: 500 },
  )
})

/** Takes the oldest of the first records that are left, again and again: partitions by their index. */
function mergedFromTheBegin(times: ReadonlyArray<readonly number[]>): string[] {
  const next = times.map(() => 0)
  const taken: string[] = []
  for (;;) {
    const heads = times.map((each, partition) => each[next[partition] as number] ?? Infinity)
    const oldest = heads.indexOf(Math.min(...heads))
    if ((heads[oldest] as number) === Infinity) return taken
    taken.push(`${oldest}/${next[oldest]}`)
    next[oldest] = (next[oldest] as number) + 1
  }
}

test('records by time from the oldest: the first record of each partition that is left, the oldest of them next', () => {
  fc.assert(
    fc.property(partitions, (times) => {
      const records = times.flatMap((each, partition) =>
        each.map((timestamp, offset) => ({ partition, offset, timestamp })),
      )
      const sorted = sortFromOldest(records)
      const reference = mergedFromTheBegin(times)
      expect(sorted).toHaveLength(records.length)
      // Records that count as equally old may be taken in any order of partitions.
      const timesOf = (keys: readonly string[]) =>
        keys.map((key) => {
          const [partition = 0, offset = 0] = key.split('/').map(Number)
          return Math.max(...(times[partition] as number[]).slice(0, offset + 1))
        })
      const keys = sorted.map(({ partition, offset }) => `${partition}/${offset}`)
      expect(timesOf(keys)).toEqual(timesOf(reference))
      times.forEach((each, partition) => {
        const offsets = sorted.filter((record) => record.partition === partition)
        expect(offsets.map(({ offset }) => offset)).toEqual([...each.keys()])
      })
    }),
    { numRuns: 500 },
  )
})
