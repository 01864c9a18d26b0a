/** The parameters of `poll`, `read` and `stream` of `c.var.kafka`, which are checked before Kafka is needed. */
import { afterAll, describe, expect, test } from 'bun:test'
import { Hono } from 'hono'
import { parsePollParameters, parseReadParameters } from '../../src/http/reader-parameters.ts'
import { type KafkaReader, type KafkaReaderEnv, kafkaReader } from '../../src/index.ts'
import { within } from '../support/wait.ts'

// No broker listens there.
const reader = kafkaReader({ bootstrapServers: '127.0.0.1:1', topics: ['t'] })
afterAll(() => reader.close())

const METHODS = {
  poll: (kafka: KafkaReader, given: never) => kafka.poll(given),
  read: (kafka: KafkaReader, given: never) => kafka.read(given),
  stream: (kafka: KafkaReader, given: never) => kafka.stream(given).next(),
} as const

/** The status of an answer and its message. */
async function answer(method: keyof typeof METHODS, given: unknown): Promise<[number, string]> {
  const app = new Hono<KafkaReaderEnv>().get('/', reader, async (c) => {
    await METHODS[method](c.var.kafka, given as never)
    return c.body(null)
  })
  const response = await within(Promise.resolve(app.request('/')), `an answer of ${method}`, 4_000)
  const { message, code } = (await response.json()) as { message: string; code: string }
  expect(code).toBe('INVALID_PARAMETER')
  return [response.status, message]
}

const RECORDS = 'maxRecords: a whole number of records from 1 to 10000 is required'
const BYTES = 'maxBytes: a whole number of bytes from 1 to 16777216 is required'
const TIMEOUT = 'timeout: a number of milliseconds is required'

describe.each(['poll', 'read'] as const)('%s refuses', (method) => {
  test.each<[unknown, string]>([
    [{ maxRecords: 1.5 }, RECORDS],
    [{ maxRecords: Number.NaN }, RECORDS],
    [{ maxRecords: Infinity }, RECORDS],
    [{ maxRecords: 0 }, RECORDS],
    [{ maxRecords: -1 }, RECORDS],
    [{ maxRecords: '2' }, RECORDS],
    [{ maxBytes: Number.NaN }, BYTES],
    [{ maxBytes: Infinity }, BYTES],
    [{ timeout: Number.NaN }, TIMEOUT],
    [{ timeout: '500' }, TIMEOUT],
    [{ signal: {} }, 'signal: an AbortSignal is required'],
    [{ max_records: 1 }, 'max_records: unknown parameter (did you mean maxRecords?)'],
    [{ maxRecords: 0, maxBytes: 0 }, `${RECORDS}; ${BYTES}`],
    [5, 'parameters: an object is required'],
    [null, 'parameters: an object is required'],
  ])('%p', async (given, message) => {
    expect(await answer(method, given)).toEqual([400, `Cannot ${method}: ${message}`])
  })
})

describe('stream refuses', () => {
  test.each<[unknown, string]>([
    [{ filter: 'x' }, 'filter: unknown parameter (there are start, cursor, signal, onGap)'],
    [{ strat: 0 }, 'strat: unknown parameter (did you mean start?)'],
    [
      { start: '-10m' },
      'start: "earliest", "latest" or milliseconds from 0 to 2^53-1 are required',
    ],
    [{ cursor: 5 }, 'cursor: the cursor of a record or of an earlier read is required'],
    [{ onGap: 'log' }, 'onGap: a function is required'],
  ])('%p', async (given, message) => {
    expect(await answer('stream', given)).toEqual([400, `Cannot stream: ${message}`])
  })
})

test('times that a handler has computed are accepted: fractions, negative ones and Infinity', () => {
  expect(parsePollParameters({ timeout: 0.5 }).timeout).toBe(0.5)
  expect(parsePollParameters({ timeout: -5 }).timeout).toBe(0)
  expect(parsePollParameters({ timeout: Infinity }).timeout).toBe(24 * 86_400_000)
  expect(parseReadParameters({ start: 1.2 }).start).toBe(2)
})

test('parameters that are left out, or undefined, have their defaults', () => {
  const defaults = { maxRecords: 500, maxBytes: 1_048_576, timeout: 1_000 }
  expect(parsePollParameters({})).toEqual(defaults)
  expect(parsePollParameters({ maxRecords: undefined, timeout: undefined })).toEqual(defaults)
  expect(parseReadParameters({})).toEqual({ ...defaults, start: 'latest' })
})
