import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { KafkaConsumeError } from '../../src/core/errors.ts'
import { Cursor, MAX_CURSOR_LENGTH, PartitionTable, parseCursor } from '../../src/records/cursor.ts'
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
