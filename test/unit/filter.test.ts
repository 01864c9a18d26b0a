import { describe, expect, test } from 'bun:test'
import type { KafkaRecord } from '../../src/port/kafka.ts'
import { Cursor, PartitionTable } from '../../src/records/cursor.ts'
import { EncodedBatch } from '../../src/records/encoded-batch.ts'
import { filterFor, type RequestedFilters } from '../../src/records/filter.ts'

const table = new PartitionTable([
  { topic: 'a', partition: 0 },
  { topic: 'a', partition: 1 },
  { topic: 'b', partition: 0 },
])

function record(topic: string, partition: number, key: string | Uint8Array | null): KafkaRecord {
  const bytes = typeof key === 'string' ? new TextEncoder().encode(key) : key
  return { topic, partition, offset: 0, timestamp: 0, key: bytes, value: null }
}

const records = [
  record('a', 0, 'x'),
  record('a', 1, 'y'),
  record('b', 0, 'x'),
  record('b', 0, null),
  record('a', 0, ''),
  record('a', 1, 'żółw'),
  record('a', 1, new Uint8Array([0xff, 0x00])),
]

function passing(wanted: Partial<RequestedFilters>): number[] | undefined {
  const filter = filterFor({ topics: [], partitions: [], keys: [], filters: [], ...wanted }, table)
  if (!filter) return undefined
  const batch = EncodedBatch.encode(records, new Cursor(table, new Float64Array(3)), 'noop')
  return records.flatMap((_, index) => (filter.matches(batch, index) ? [index] : []))
}

describe('filters', () => {
  test.each<[Partial<RequestedFilters>, number[]]>([
    [{ topics: ['a'] }, [0, 1, 4, 5, 6]],
    [{ topics: ['a', 'b'] }, [0, 1, 2, 3, 4, 5, 6]],
    [{ partitions: [1] }, [1, 5, 6]],
    [{ partitions: [0] }, [0, 2, 3, 4]],
    [{ partitions: [0], topics: ['b'] }, [2, 3]],
    [{ keys: ['x'] }, [0, 2]],
    [{ keys: ['x', 'y'], topics: ['a'] }, [0, 1]],
    [{ keys: [''] }, [4]],
    [{ keys: ['żółw'] }, [5]],
    [{ keys: ['null'] }, []],
    // A client names a key that is not valid UTF-8 by its base64, as answers show it.
    [{ keys: ['/wA='] }, [6]],
    [{ filters: ['key == "x"'] }, [0, 2]],
    [{ filters: ['topic == "a"', 'partition > 0'], keys: ['y', 'x'] }, [1]],
    [{ filters: ['key.size() == 4'] }, [5, 6]],
  ])('%j lets pass what has all of it', (wanted, expected) => {
    expect(passing(wanted)).toEqual(expected)
  })

  test('a key that a schema registry deserialized is named by its JSON, with all digits', () => {
    const deep = `${'['.repeat(60_000)}${']'.repeat(60_000)}`
    for (const keyJson of ['{"id":9007199254740993}', '9007199254740993', 'true', deep]) {
      const made = { ...record('a', 0, 'bytes of it'), keyJson }
      const batch = EncodedBatch.encode([made], new Cursor(table, new Float64Array(3)), 'noop')
      for (const [key, passes] of [
        [keyJson, true],
        ['bytes of it', false],
      ] as const) {
        const filter = filterFor({ topics: [], partitions: [], keys: [key], filters: [] }, table)
        expect(filter?.matches(batch, 0)).toBe(passes)
      }
    }
  })

  test('a request without conditions has no filter', () => {
    expect(passing({})).toBeUndefined()
  })

  test('a partition that no topic has is refused by an error that names the range', () => {
    expect(() => passing({ partitions: [2] })).toThrow(
      'Cannot use parameter "partition": there is no partition 2, they go from 0 to 1',
    )
  })

  // The filter would never pass a record, without a reason for the client.
  test('a partition that none of the wanted topics has is refused', () => {
    expect(() => passing({ topics: ['b'], partitions: [1] })).toThrow('partition')
  })
})
