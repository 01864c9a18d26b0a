import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { KafkaConsumeError } from '../../src/core/errors.ts'
import {
  parseRead,
  parseSocket,
  parseStream,
  READ_NAMES,
  SOCKET_NAMES,
  STREAM_NAMES,
} from '../../src/http/request/parameters.ts'
import { text } from './arbitraries.ts'

const TOPICS = ['fuzz', 'other']
const KNOWN = [
  'format',
  'max_records',
  'max_bytes',
  'timeout',
  'cursor',
  'start',
  'end',
  'last_event_id',
  'lastEventId',
  'topic',
  'partition',
  'key',
  'filter',
]

const name = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(...KNOWN) },
  {
    weight: 1,
    arbitrary: fc.constantFrom('', '__proto__', 'constructor', 'MAX_RECORDS', 'start '),
  },
  { weight: 1, arbitrary: text },
)
const value = fc.oneof(
  { weight: 3, arbitrary: text },
  { weight: 2, arbitrary: fc.integer().map(String) },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      'earliest',
      'latest',
      '-10m',
      '-PT10M',
      '-100',
      'kong',
      'fuzz',
      'fuzz:0=1',
      'offset > 1',
    ),
  },
  { weight: 1, arbitrary: fc.date().map((date) => JSON.stringify(date)) },
  { weight: 1, arbitrary: fc.stringMatching(/^-PT?[0-9DHMS.]{0,12}$/) },
)
const query = fc
  .array(fc.tuple(name, value), { maxLength: 4 })
  .map((pairs) => new URLSearchParams(pairs))

type ReadPlan = ReturnType<typeof parseRead>

function expectClientError(run: () => void): void {
  try {
    run()
  } catch (error) {
    if (!(error instanceof KafkaConsumeError)) throw error
    expect(error.status).toBe(400)
    expect(error.message).toStartWith('Cannot ')
    expect(error.message.length).toBeLessThan(1_000)
  }
}

function expectLimits({ limits }: ReadPlan): void {
  expect(limits.maxRecords).toBeWithin(1, 10_001)
  expect(limits.maxBytes).toBeWithin(1, 16 * 1024 * 1024 + 1)
  expect(limits.timeout).toBeWithin(0, 60_001)
}

function expectWholeNumbers(parameters: URLSearchParams): void {
  for (const whole of ['max_records', 'max_bytes', 'timeout', 'partition']) {
    for (const given of parameters.getAll(whole)) expect(given).toMatch(/^[0-9]+$/)
  }
}

function expectStartTime({ position }: ReadPlan): void {
  if (position === undefined || !('start' in position)) return
  if (typeof position.start !== 'number') return
  expect(Number.isFinite(position.start)).toBe(true)
  expect(position.start).toBeGreaterThanOrEqual(0)
}

function expectWanted({ wanted }: ReadPlan): void {
  for (const topic of wanted?.topics ?? []) expect(TOPICS).toContain(topic)
  for (const partition of wanted?.partitions ?? []) expect(partition).toBeGreaterThanOrEqual(0)
}

describe('any query', () => {
  test('a read is understood, within its limits, or refused as the client’s error', () => {
    fc.assert(
      fc.property(query, (parameters) =>
        expectClientError(() => {
          const read = parseRead(parameters, TOPICS)
          expectLimits(read)
          expectWholeNumbers(parameters)
          expect(read.format).toBeOneOf([undefined, 'kong', 'records'])
          expectStartTime(read)
          expectWanted(read)
        }),
      ),
      { numRuns: 5_000 },
    )
  })

  test('a stream is understood or refused as the client’s error, whatever its last event id', () => {
    fc.assert(
      fc.property(query, fc.option(value, { nil: undefined }), (parameters, lastEventId) =>
        expectClientError(() => {
          expect(parseStream(parameters, lastEventId, TOPICS).position).toBeDefined()
        }),
      ),
      { numRuns: 5_000 },
    )
  })

  test.each<[string, readonly string[], (query: URLSearchParams) => unknown]>([
    ['a read', READ_NAMES, (given) => parseRead(given, TOPICS)],
    ['a stream', STREAM_NAMES, (given) => parseStream(given, undefined, TOPICS)],
    ['a stream that resumes', STREAM_NAMES, (given) => parseStream(given, 'fuzz:0=1', TOPICS)],
    ['a WebSocket', SOCKET_NAMES, (given) => parseSocket(given, TOPICS)],
  ])(
    'a parameter of %s that is given twice is refused, unless it may be repeated',
    (_, names, parse) => {
      // Values that may be used once.
      const values = {
        acks: 'true',
        order: 'time',
        start: 'earliest',
        end: 'latest',
        format: 'records',
      }
      const once = (name: string) => values[name as keyof typeof values] ?? '1'
      for (const name of names) {
        if (['topic', 'partition', 'key'].includes(name)) continue
        const given = [name, name].map((each): [string, string] => [each, once(each)])
        const context: Array<[string, string]> = name === 'max_unacked' ? [['acks', 'true']] : []
        expect(() => parse(new URLSearchParams([...context, ...given]))).toThrow(
          `Cannot use parameter "${name}": it may be given only once`,
        )
      }
    },
  )
})
