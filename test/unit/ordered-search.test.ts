import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { findInOrder, type OrderedRecords } from '../../src/feed/ordered-search.ts'
import type { RecordsPart } from '../../src/feed/pending-records.ts'
import type { Subscription } from '../../src/feed/subscription.ts'
import { Cursor, PartitionTable } from '../../src/records/cursor.ts'
import { EncodedBatch } from '../../src/records/encoded-batch.ts'

const table = new PartitionTable([0, 1, 2].map((partition) => ({ topic: 't', partition })))

/** Partitions whose records have the given timestamps, and the reads of them. */
class Log {
  readonly #times: ReadonlyArray<readonly number[]>
  readonly #passes: (partition: number, offset: number) => boolean
  readonly #bytes: number
  /** Offsets that each read has examined. */
  readonly spans: number[] = []
  /** The most records that one read has brought. */
  mostTaken = 0
  open = 0

  constructor(
    times: ReadonlyArray<readonly number[]>,
    passes: (partition: number, offset: number) => boolean = () => true,
    bytes = 4,
  ) {
    this.#times = times
    this.#passes = passes
    this.#bytes = bytes
  }

  get examined(): number {
    return this.spans.reduce((sum, span) => sum + span, 0)
  }

  get starts(): Float64Array {
    return new Float64Array(this.#times.length)
  }

  get ends(): Float64Array {
    return Float64Array.from(this.#times, ({ length }) => length)
  }

  readonly read = async (from: Float64Array, end: Float64Array): Promise<Subscription> => {
    const parts: RecordsPart[] = []
    const value = new Uint8Array(this.#bytes).fill(0x61)
    this.spans.push(from.reduce((sum, first, p) => sum + (end[p] as number) - first, 0))
    for (const [partition, times] of this.#times.entries()) {
      const [first, last] = [from[partition] as number, end[partition] as number]
      const records = times
        .slice(first, last)
        .map((timestamp, k) => ({ ...recordAt(partition, first + k, value), timestamp }))
        .filter(({ offset }) => this.#passes(partition, offset))
      if (records.length === 0) continue
      const batch = EncodedBatch.encode(records, new Cursor(table, from), 'noop')
      parts.push({ batch, begin: 0, end: batch.length })
    }
    this.open++
    let taken = 0
    const log = this
    return {
      get hasEnded() {
        return parts.length === 0
      },
      cursor: new Cursor(table, end),
      fill: async () => parts.length > 0,
      take: () => {
        const part = parts.shift()
        taken += part ? part.end - part.begin : 0
        log.mostTaken = Math.max(log.mostTaken, taken)
        return part
      },
      stop() {},
      wait: async () => {},
      close: async () => {
        log.open--
      },
    } as unknown as Subscription
  }
}

function recordAt(partition: number, offset: number, value: Uint8Array) {
  return { topic: 't', partition, offset, key: null, value }
}

function placesOf({ parts }: OrderedRecords): string[] {
  return parts.map(({ batch, begin }) => `${batch.partitions[begin]}/${batch.offsets[begin]}`)
}

const NEVER = new AbortController().signal

const partitions = fc.array(fc.array(fc.nat({ max: 30 }), { maxLength: 40 }), {
  minLength: 3,
  maxLength: 3,
})

describe('a search in the order of time', () => {
  test.each(['newest', 'oldest'] as const)(
    'for the %s records comes upon each record once, page by page',
    async (direction) => {
      await fc.assert(
        fc.asyncProperty(
          partitions,
          fc.integer({ min: 1, max: 20 }),
          fc.integer({ min: 1, max: 5 }),
          async (times, count, nth) => {
            const log = new Log(times, (_, offset) => offset % nth === 0)
            let { starts, ends } = log
            const found: string[] = []
            for (let pages = 0; pages < 200; pages++) {
              const searched = { table, starts, ends, isFiltered: nth > 1 }
              const limits = { records: count, bytes: Infinity }
              const page = await findInOrder(direction, searched, limits, log.read, NEVER)
              if (page.parts.length === 0) break
              found.push(...placesOf(page))
              if (direction === 'newest') ends = page.from
              else starts = page.to
            }
            const all = times.flatMap((each, partition) =>
              [...each.keys()].filter((o) => o % nth === 0).map((o) => `${partition}/${o}`),
            )
            expect(found.toSorted()).toEqual(all.toSorted())
            expect(log.open).toBe(0)
          },
        ),
        { numRuns: 200 },
      )
    },
  )

  test.each(['newest', 'oldest'] as const)(
    'for the %s records that are rare examines each offset once',
    async (direction) => {
      const times = [0, 1, 2].map((p) => Array.from({ length: 5_000 }, (_, n) => 3 * n + p))
      const log = new Log(times, (partition, offset) => partition === 1 && offset === 2_500)
      const { starts, ends } = log
      const searched = { table, starts, ends, isFiltered: true }
      const limits = { records: 100, bytes: 1e6 }
      const found = await findInOrder(direction, searched, limits, log.read, NEVER)
      expect(placesOf(found)).toEqual(['1/2500'])
      expect(log.examined).toBe(15_000)
    },
  )

  test('holds no more records than its limits allow, and a first record of any size', async () => {
    const times = [[0, 3], [1, 4], [2]]
    const limits = { records: 100, bytes: 1 }
    const log = new Log(times)
    const searched = { table, starts: log.starts, ends: log.ends, isFiltered: false }
    const oldest = await findInOrder('oldest', searched, limits, log.read, NEVER)
    expect(placesOf(oldest)).toEqual(['0/0'])
    expect([...oldest.to]).toEqual([1, 0, 0])
    const newest = await findInOrder('newest', searched, limits, log.read, NEVER)
    expect(placesOf(newest)).toEqual(['1/1'])
    expect([...newest.from]).toEqual([2, 1, 1])
  })

  test('gives a round of more than 16 MiB up, and reads smaller ones', async () => {
    const times = [0, 1, 2].map((p) => Array.from({ length: 30 }, (_, n) => 3 * n + p))
    const log = new Log(times, () => true, 400_000)
    const searched = { table, starts: log.starts, ends: log.ends, isFiltered: false }
    const limits = { records: 60, bytes: 1_500_000 }
    const oldest = await findInOrder('oldest', searched, limits, log.read, NEVER)
    expect(placesOf(oldest)).toEqual(['0/0', '1/0', '2/0'])
    expect(log.spans[0]).toBe(90)
    expect(Math.max(...log.spans.slice(1))).toBeLessThan(30)
  })

  test.each([
    ['oldest', ['0/0', '1/0']],
    ['newest', ['1/0', '2/0']],
  ] as const)(
    'for the %s records reads fewer partitions at a time where one record of each has more than 16 MiB',
    async (direction, places) => {
      const log = new Log([[0], [1], [2]], () => true, 9_000_000)
      const searched = { table, starts: log.starts, ends: log.ends, isFiltered: false }
      const limits = { records: 2, bytes: 1e9 }
      const found = await findInOrder(direction, searched, limits, log.read, NEVER)
      expect(placesOf(found).toSorted()).toEqual([...places])
      // A read of two records is given up with the second one.
      expect(log.mostTaken).toBe(2)
      expect(log.spans).toContain(1)
    },
  )

  test('ends when nobody waits for it any more, and closes its read', async () => {
    const leaving = new AbortController()
    const log = new Log([[0], [1], [2]])
    const searched = { table, starts: log.starts, ends: log.ends, isFiltered: true }
    const read = async (from: Float64Array, end: Float64Array) => {
      const subscription = await log.read(from, end)
      return Object.create(subscription, {
        hasEnded: { value: false },
        fill: {
          value: async () => {
            leaving.abort(new Error('left'))
            return false
          },
        },
      }) as Subscription
    }
    const limits = { records: 9, bytes: 1e6 }
    const search = findInOrder('oldest', searched, limits, read, leaving.signal)
    await expect(search).rejects.toThrow('left')
    expect(log.open).toBe(0)
  })
})
