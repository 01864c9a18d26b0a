import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { KafkaConsumeError } from '../../src/core/errors.ts'
import { shortName } from '../../src/records/compact-cursor.ts'
import {
  Cursor,
  MAX_CURSOR_LENGTH,
  MAX_NAMED_PARTITIONS,
  PartitionTable,
  parseCursor,
} from '../../src/records/cursor.ts'
import { text } from './arbitraries.ts'

const topicName = fc.stringMatching(/^[a-zA-Z0-9._-]{1,20}$/)
const offset = fc.oneof(fc.nat(), fc.constantFrom(0, Number.MAX_SAFE_INTEGER), fc.maxSafeNat())

/** A subscription with a position in each of its partitions. */
const subscription = fc
  .uniqueArray(fc.tuple(topicName, fc.array(offset, { minLength: 1, maxLength: 5 })), {
    minLength: 1,
    maxLength: 4,
    selector: ([topic]) => topic,
  })
  .map((topics) =>
    topics.flatMap(([topic, offsets]) =>
      offsets.map((next, partition) => ({ topic, partition, offset: next })),
    ),
  )

/** A subscription with so many partitions that its ids are compact. */
const large = fc
  .uniqueArray(
    fc.tuple(topicName, fc.array(offset, { minLength: 17, maxLength: 80, size: 'max' })),
    {
      minLength: 2,
      maxLength: 4,
      selector: ([topic]) => topic,
    },
  )
  .map((topics) =>
    topics.flatMap(([topic, offsets]) =>
      offsets.map((next, partition) => ({ topic, partition, offset: next })),
    ),
  )

/** The id of a record whose reading leads to a position. */
function idAt(table: PartitionTable, vector: Float64Array): string {
  return new Cursor(table, vector).advance(0, vector[0] as number)
}

/** The vector that a table makes of an id. */
function vectorOf(table: PartitionTable, id: string): Float64Array {
  const vector = new Float64Array(table.size).fill(-1)
  for (const entry of parseCursor(id, 'id')) {
    if (!('offset' in entry)) throw new Error('An id has offsets')
    vector[table.indexOf(entry.topic, entry.partition)] = entry.offset
  }
  return vector
}

function expectClientError(run: () => unknown, parameter: string): void {
  try {
    run()
  } catch (error) {
    if (!(error instanceof KafkaConsumeError)) throw error
    expect(error.code).toBe('INVALID_CURSOR')
    expect(error.status).toBe(400)
    expect(error.message).toStartWith('Cannot parse ')
    expect(error.message).toContain(parameter)
    expect(error.message.length).toBeLessThan(1_000)
  }
}

describe('a cursor', () => {
  test('that was written is read back equal', () => {
    fc.assert(
      fc.property(subscription, (offsets) => {
        const table = new PartitionTable(offsets)
        const cursor = new Cursor(table, table.vector(offsets))
        const entries = parseCursor(cursor.toString(), 'cursor')
        expect(entries).toEqual(offsets)
        expect(cursor.toString()).toMatch(/^[\x21-\x7e]+$/)
      }),
    )
  })

  test('has one text for a position, however it moved there', () => {
    const moves = fc.array(fc.tuple(fc.nat(), fc.nat(1_000), fc.nat(2)), { maxLength: 30 })
    fc.assert(
      fc.property(subscription, moves, (offsets, steps) => {
        const table = new PartitionTable(offsets)
        const cursor = new Cursor(table, table.vector(offsets))
        const model = table.vector(offsets)
        for (const [at, next, way] of steps) {
          const index = at % table.size
          model[index] = next
          const expected = new Cursor(table, model).toString()
          if (way === 0) expect(cursor.advance(index, next)).toBe(expected)
          else if (way === 1) cursor.set(index, next)
          else cursor.moveTo(model)
          expect(cursor.toString()).toBe(expected)
        }
      }),
    )
  })

  test('of garbage is a 400 that names the parameter, and nothing else', () => {
    fc.assert(
      fc.property(text, (garbage) =>
        expectClientError(() => parseCursor(garbage, 'cursor'), 'cursor'),
      ),
      { numRuns: 5_000 },
    )
  })

  test('takes every offset that a number holds exactly, and no other', () => {
    const digits = fc.bigInt({ min: 0n, max: 1n << 55n })
    fc.assert(
      fc.property(
        fc.oneof(
          digits,
          digits.map((n) => (n % 200n) + (1n << 53n) - 100n),
        ),
        (next) => {
          const read = () => parseCursor(`a:0=${next}`, 'cursor')
          if (next < 1n << 53n) {
            expect(read()).toEqual([{ topic: 'a', partition: 0, offset: Number(next) }])
          } else {
            expect(read).toThrow(KafkaConsumeError)
          }
        },
      ),
    )
  })

  test('with one character changed is another valid cursor or a 400', () => {
    fc.assert(
      fc.property(
        subscription,
        fc.nat(),
        fc.string({ unit: 'binary', minLength: 0, maxLength: 2 }),
        (offsets, at, piece) => {
          const table = new PartitionTable(offsets)
          const whole = new Cursor(table, table.vector(offsets)).toString()
          const place = at % (whole.length + 1)
          const changed = whole.slice(0, place) + piece + whole.slice(place + 1)
          expectClientError(() => {
            for (const entry of parseCursor(changed, 'cursor')) {
              expect(entry.partition).toBeInteger()
              expect('offset' in entry && Number.isSafeInteger(entry.offset)).toBe(true)
            }
          }, 'cursor')
        },
      ),
      { numRuns: 2_000 },
    )
  })

  test('as a JSON array is read, whatever else its entries hold, or is a 400', () => {
    const entry = fc.record(
      {
        topic: fc.oneof(topicName, text),
        partition: fc.oneof(fc.nat(50), fc.anything()),
        offset: fc.oneof(fc.nat(), fc.anything()),
        timestamp: fc.oneof(fc.nat(), fc.anything()),
      },
      { requiredKeys: [] },
    )
    const json = fc.array(fc.oneof(entry, fc.jsonValue()), { maxLength: 4 }).map((entries) => {
      try {
        return JSON.stringify(entries)
      } catch {
        return '[{}]' // a bigint
      }
    })
    fc.assert(
      fc.property(json, (array) =>
        expectClientError(() => parseCursor(array, 'Last-Event-ID'), 'Last-Event-ID'),
      ),
      { numRuns: 2_000 },
    )
  })

  test('as KafkaSSE writes it names ends and times of partitions', () => {
    const read = (entry: object) =>
      parseCursor(JSON.stringify([{ topic: 't', partition: 0, ...entry }]), 'cursor')[0]
    const query = (query: unknown) => ({ topic: 't', partition: 0, query })
    expect(read({ offset: 5, timestamp: 7 })).toEqual({ topic: 't', partition: 0, offset: 5 })
    expect(read({ offset: 5, timestamp: null })).toEqual({ topic: 't', partition: 0, offset: 5 })
    expect(read({ offset: -1 })).toEqual(query('latest') as never)
    expect(read({ offset: -1, timestamp: null })).toEqual(query('latest') as never)
    expect(read({ offset: -2 })).toEqual(query('earliest') as never)
    for (const offset of [-1, null, undefined]) {
      expect(read({ offset, timestamp: 7 })).toEqual(query(7) as never)
    }
    for (const entry of [
      ...[-3, -1001, 1.5, '-1', 'toString', true, {}].map((offset) => ({ offset })),
      ...[-1, 1.5, '7', {}].map((timestamp) => ({ timestamp })),
      { offset: -1, timestamp: -1 },
      { offset: 'x', timestamp: 7 },
      {},
    ]) {
      expect(() => read(entry)).toThrow('Cannot parse cursor: ')
    }
  })

  test('of more than its limit is refused without being read', () => {
    const long = `${'a:0=1;'.repeat(MAX_CURSOR_LENGTH / 6 + 1)}`
    expect(() => parseCursor(long, 'cursor')).toThrow(KafkaConsumeError)
    expectClientError(() => parseCursor(long, 'cursor'), String(MAX_CURSOR_LENGTH))
    expectClientError(
      () => parseCursor(`[${'['.repeat(MAX_CURSOR_LENGTH - 1)}`, 'cursor'),
      'cursor',
    )
  })
})

describe('the id of a record of many partitions', () => {
  test('is compact, and is read back equal', () => {
    fc.assert(
      fc.property(large, (offsets) => {
        const table = new PartitionTable(offsets)
        const vector = table.vector(offsets)
        const id = idAt(table, vector)
        expect(id).toMatch(/^~[\w-]+$/)
        expect(vectorOf(table, id)).toEqual(vector)
        expect(id.length).toBeLessThan(new Cursor(table, vector).toString().length)
      }),
      { numRuns: 300 },
    )
  })

  test('is one text for a position, however it moved there, and the position is named in full beside it', () => {
    const moves = fc.array(fc.tuple(fc.nat(), offset, fc.nat(2)), { maxLength: 30 })
    fc.assert(
      fc.property(large, moves, (offsets, steps) => {
        const table = new PartitionTable(offsets)
        const cursor = new Cursor(table, table.vector(offsets))
        const model = table.vector(offsets)
        for (const [at, next, way] of steps) {
          const index = at % table.size
          model[index] = next
          if (way === 0) expect(cursor.advance(index, next)).toBe(idAt(table, model))
          else if (way === 1) cursor.set(index, next)
          else cursor.moveTo(model)
          expect(vectorOf(table, cursor.toString())).toEqual(model)
        }
      }),
      { numRuns: 200 },
    )
  })

  test('of some topics is read by a table that has more topics, or more partitions of them', () => {
    fc.assert(
      fc.property(large, large, fc.nat(3), (offsets, others, added) => {
        const table = new PartitionTable(offsets)
        const topics = new Set(offsets.map(({ topic }) => topic))
        const more = others.filter(({ topic }) => !topics.has(topic))
        const first = offsets[0] as { topic: string }
        const inFirst = offsets.filter(({ topic }) => topic === first.topic).length
        const grown = new PartitionTable([
          ...more,
          ...offsets.slice(0, inFirst),
          ...Array.from({ length: added }, (_, n) => ({
            topic: first.topic,
            partition: inFirst + n,
          })),
          ...offsets.slice(inFirst),
        ])
        const read = vectorOf(grown, idAt(table, table.vector(offsets)))
        for (const { topic, partition, offset } of offsets) {
          expect(read[grown.indexOf(topic, partition)]).toBe(offset)
        }
        expect(read.filter((next) => next === -1)).toHaveLength(more.length + added)
      }),
      { numRuns: 200 },
    )
  })

  test('with one character changed is another position or a 400', () => {
    const piece = fc.string({ unit: 'binary', minLength: 0, maxLength: 2 })
    fc.assert(
      fc.property(large, fc.nat(), piece, (offsets, at, piece) => {
        const table = new PartitionTable(offsets)
        const whole = idAt(table, table.vector(offsets))
        const place = at % (whole.length + 1)
        const changed = whole.slice(0, place) + piece + whole.slice(place + 1)
        expectClientError(() => {
          for (const entry of parseCursor(changed, 'cursor')) {
            expect(entry.partition).toBeInteger()
            expect('offset' in entry && Number.isSafeInteger(entry.offset)).toBe(true)
          }
        }, 'cursor')
      }),
      { numRuns: 2_000 },
    )
  })

  test('that is cut off is a 400, or ends with a whole topic', () => {
    fc.assert(
      fc.property(large, fc.nat(), (offsets, at) => {
        const table = new PartitionTable(offsets)
        const whole = idAt(table, table.vector(offsets))
        expectClientError(() => {
          const entries = parseCursor(whole.slice(0, 1 + (at % whole.length)), 'cursor')
          const last = entries.at(-1) as { topic: string; partition: number }
          const { topic, partition } = table.partitions[
            table.indexOf(last.topic, last.partition)
          ] as { topic: string; partition: number }
          expect(table.indexOf(topic, partition + 1)).toBe(-1)
        }, 'cursor')
      }),
    )
  })

  test('names topics by FNV-1a, of which two may be alike: then topics are named in full', () => {
    // The first digits of the hashes that RFC 9923 lists for "", "a" and "foobar", folded to 30 bits.
    const folded = (hash: number) => (hash & 0x3fffffff) ^ (hash >>> 30)
    for (const [text, hash] of [
      ['a', 0xe40c292c],
      ['foobar', 0xbf9cf968],
    ] as const) {
      const digits = [...shortName(text).slice(1)].map((digit) =>
        'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'.indexOf(digit),
      )
      expect(digits.reduce((sum, digit) => sum * 64 + digit, 0)).toBe(folded(hash))
    }
    const seen = new Map<string, string>()
    let pair: readonly [string, string] | undefined
    for (let n = 0; !pair; n++) {
      const name = `t${n}`
      const other = seen.get(shortName(name))
      if (other) pair = [other, name]
      seen.set(shortName(name), name)
    }
    const table = new PartitionTable(
      pair.flatMap((topic) => Array.from({ length: 40 }, (_, partition) => ({ topic, partition }))),
    )
    expect(idAt(table, new Float64Array(80))).toStartWith(`${pair[0]}:0=0,`)
    expect(table.indexOf(shortName(pair[0]), 0)).toBe(-1)
  })

  test('names each partition where there are few, where partitions are missing, or of more than 4095', () => {
    const ofOne = (count: number) =>
      Array.from({ length: count }, (_, partition) => ({ topic: 't', partition }))
    const idOf = (partitions: readonly { topic: string; partition: number }[]) =>
      idAt(new PartitionTable(partitions), new Float64Array(partitions.length))
    expect(idOf(ofOne(MAX_NAMED_PARTITIONS))).toStartWith('t:0=0,')
    expect(idOf(ofOne(MAX_NAMED_PARTITIONS + 1))).toStartWith('~')
    expect(idOf(ofOne(4_095))).toStartWith('~')
    expect(idOf(ofOne(4_096))).toStartWith('t:0=0,')
    expect(idOf(ofOne(60).toSpliced(3, 1))).toStartWith('t:0=0,')
    expect(idOf(ofOne(60).toReversed())).toStartWith('t:59=0,')
  })
})
