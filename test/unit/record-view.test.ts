/** The parsed records that filters share, and the limits of what is cached of them. */
import { expect, test } from 'bun:test'
import { Cursor, PartitionTable } from '../../src/records/cursor.ts'
import { EncodedBatch } from '../../src/records/encoded-batch.ts'
import { viewsOf } from '../../src/records/record-view.ts'
import { recordAt } from './fakes.ts'

const MIB = 1024 * 1024
const table = new PartitionTable([{ topic: 't', partition: 0 }])

/** @param size Bytes of each value. */
function batchOf(count: number, size = 1): EncodedBatch {
  const records = Array.from({ length: count }, (_, offset) => recordAt(0, offset, size))
  return EncodedBatch.encode(records, new Cursor(table, new Float64Array(1)), 'noop')
}

test('the parsed records of 256 batches are cached, and the batch that was cached first is dropped', () => {
  const batches = Array.from({ length: 257 }, () => batchOf(1))
  const [first, second] = batches as [EncodedBatch, EncodedBatch]
  const views = batches.map(viewsOf)
  expect(viewsOf(second)).toBe(views[1] as never)
  // Asking for the dropped batch caches it again, in the place of the one that is the oldest now.
  expect(viewsOf(first)).not.toBe(views[0] as never)
  expect(viewsOf(second)).not.toBe(views[1] as never)
  expect(viewsOf(batches.at(-1) as EncodedBatch)).toBe(views.at(-1) as never)
})

test('the parsed records of batches of 8 MiB are cached, besides the newest batch', () => {
  const batches = Array.from({ length: 4 }, () => batchOf(1, 3 * MIB))
  const views = batches.map(viewsOf)
  const areCached = batches.map((batch, index) => [batch, views[index]] as const).reverse()
  // From the newest on: asking for a dropped batch would drop others.
  const [newest, second] = areCached
  expect(viewsOf(newest?.[0] as EncodedBatch)).toBe(newest?.[1] as never)
  expect(viewsOf(second?.[0] as EncodedBatch)).toBe(second?.[1] as never)
  expect(viewsOf(batches[0] as EncodedBatch)).not.toBe(views[0] as never)

  const large = batchOf(1, 9 * MIB)
  const ofLarge = viewsOf(large)
  expect(viewsOf(large)).toBe(ofLarge)
  expect(viewsOf(newest?.[0] as EncodedBatch)).not.toBe(newest?.[1] as never)
  expect(viewsOf(large)).not.toBe(ofLarge)
})

test('64 Ki results of tests are cached for a batch, and further tests examine each record again', () => {
  const count = 4_096
  const views = viewsOf(batchOf(count))
  let examined = 0
  const tests = Array.from({ length: 17 }, () => ({
    required: [],
    matches: () => {
      examined++
      return true
    },
  }))
  const all = (test: (typeof tests)[number]) => {
    for (let index = 0; index < count; index++) expect(views.passes(test, index)).toBe(true)
  }
  for (const test of tests) all(test)
  expect(examined).toBe(17 * count)
  for (const test of tests.slice(0, 16)) all(test)
  expect(examined).toBe(17 * count)
  all(tests[16] as (typeof tests)[number])
  expect(examined).toBe(18 * count)
})
