import { describe, expect, test } from 'bun:test'
import { type } from 'arktype'
import * as v from 'valibot'
import * as z from 'zod'
import { KafkaConsumeError } from '../../src/core/errors.ts'
import { consumedRecordOf } from '../../src/records/consumed-record.ts'
import { encodeRecords } from '../../src/records/encode.ts'
import { jsonStep } from '../../src/records/json-step.ts'
import { pipelineOf } from '../../src/records/pipeline.ts'
import { RecordValidator } from '../../src/records/record-validator.ts'
import { isStandardSchema, type StandardSchema } from '../../src/records/standard-schema.ts'
import type { SchemasByTopic, TopicSchemas } from '../../src/records/topic-schemas.ts'
import { checkStep, schemaStep } from '../../src/records/validate-record.ts'
import { recordAt } from './fakes.ts'

const TOPIC = recordAt(0, 0, '').topic
const encoder = new TextEncoder()

function schemasOf(own: TopicSchemas): SchemasByTopic {
  return new Map([[TOPIC, own]])
}

function records(...values: readonly string[]) {
  return values.map((value, offset) => recordAt(0, offset, value))
}

/** The JSON that clients get of records with these values. */
async function jsonBy(own: TopicSchemas, ...values: readonly string[]): Promise<string[]> {
  const processed = await pipelineOf([jsonStep, schemaStep(schemasOf(own))])(records(...values))
  return encodeRecords(processed, 'json')
}

/** The records that clients get, made of these values. */
async function answeredBy(own: TopicSchemas, ...values: readonly string[]) {
  return (await jsonBy(own, ...values)).map((json) => JSON.parse(json))
}

/** Orders by each library: the total is a number from 0, and `at` becomes a Date. */
const ORDERS: Readonly<Record<string, StandardSchema>> = {
  valibot: v.object({
    total: v.pipe(v.number(), v.minValue(0)),
    at: v.pipe(
      v.string(),
      v.isoTimestamp(),
      v.transform((text) => new Date(text)),
    ),
  }),
  zod: z.object({ total: z.number().min(0), at: z.coerce.date() }),
  arktype: type({ total: 'number >= 0', at: 'string.date.iso.parse' }),
}
const AT = '2026-11-28T10:00:00.000Z'

describe.each(Object.entries(ORDERS))('a schema of %s', (_, value) => {
  test('gives clients of HTTP the JSON of its output, and its neighbours an error each', async () => {
    const answered = await answeredBy(
      { value },
      JSON.stringify({ total: 1, at: AT }),
      '{"total":-1,"at":"never"}',
      JSON.stringify({ total: 2, at: AT }),
    )
    expect(answered[0].value).toEqual({ total: 1, at: AT })
    expect(answered[2].value).toEqual({ total: 2, at: AT })
    expect(answered[1]).toMatchObject({
      value: { total: -1, at: 'never' },
      error: { code: 'VALIDATION_FAILED' },
    })
    const { message } = answered[1].error
    expect(message).toMatch(
      /^Cannot validate the record: value\.(total|at): .+; value\.(total|at): /,
    )
  })

  test('gives handlers its output itself', async () => {
    let failed = 0
    const validator = new RecordValidator(schemasOf({ value }))
    const consumed = records(`{"total":1,"at":"${AT}"}`, '{"total":"1"}').map((record) =>
      consumedRecordOf(record, 'json'),
    )
    const [valid, invalid] = await validator.validateAll(consumed, () => failed++)
    expect(valid?.value).toEqual({ total: 1, at: new Date(AT) })
    expect(valid?.error).toBeUndefined()
    expect(invalid).toMatchObject({ value: { total: '1' }, error: { code: 'VALIDATION_FAILED' } })
    expect(failed).toBe(1)
  })

  test('is recognized', () => expect(isStandardSchema(value)).toBe(true))
})

describe('validation', () => {
  const number = v.object({ n: v.number() })

  test('keeps the text of a value that its schema leaves as it is, with all digits of its numbers', async () => {
    const text = '{ "n": 12345678901234567890.50 }'
    const [json] = await jsonBy({ value: number }, text)
    expect(json).toContain(`"value":${text},`)
  })

  test('leaves records of other topics alone', async () => {
    const other = { ...recordAt(0, 0, '{"n":"x"}'), topic: 'other' }
    const [processed] = await pipelineOf([schemaStep(schemasOf({ value: number }))])([other])
    expect(processed).toBe(other)
  })

  test('of keys and headers replaces them, and says which field does not fit', async () => {
    const own = {
      key: v.pipe(v.string(), v.transform(Number), v.integer()),
      headers: v.object({ attempt: v.pipe(v.string(), v.transform(Number), v.integer()) }),
    }
    const given = [
      {
        ...recordAt(0, 0, 'x'),
        key: encoder.encode('7'),
        headers: [{ attempt: encoder.encode('2') }],
      },
      { ...recordAt(0, 1, 'x'), key: encoder.encode('a'), headers: [] },
    ]
    const processed = await pipelineOf([schemaStep(schemasOf(own))])(given)
    const answered = encodeRecords(processed, 'noop').map((json) => JSON.parse(json))
    expect(answered[0]).toMatchObject({ key: 7, value: 'x', headers: { attempt: 2 } })
    expect(answered[1]).toMatchObject({ key: 'a', error: { code: 'VALIDATION_FAILED' } })
    expect(answered[1].error.message).toContain('key: ')
    expect(answered[1].error.message).toContain('headers.attempt: ')
    expect(processed.map((record) => consumedRecordOf(record, 'noop'))).toEqual(answered)
  })

  test('of headers that are bytes leaves them base64, and says so', async () => {
    const own = {
      headers: v.pipe(
        v.looseObject({}),
        v.transform((all) => ({ ...all, more: 1 })),
      ),
    }
    const given = { ...recordAt(0, 0, 'x'), headers: [{ raw: Uint8Array.of(0xff) }] }
    const processed = await pipelineOf([schemaStep(schemasOf(own))])([given])
    const [answered] = encodeRecords(processed, 'noop').map((json) => JSON.parse(json))
    expect(answered).toMatchObject({
      headers: { raw: '/w==', more: 1 },
      encoding: { headers: { raw: 'base64' } },
    })
    expect(consumedRecordOf(processed[0] as (typeof processed)[0], 'noop')).toEqual(answered)
  })

  test('a tombstone fits a schema that allows null', async () => {
    const tombstone = { ...recordAt(0, 0, ''), value: null }
    const codes = await Promise.all(
      [v.nullable(number), number].map(async (value) => {
        const [processed] = await pipelineOf([schemaStep(schemasOf({ value }))])([tombstone])
        return processed?.error?.code
      }),
    )
    expect(codes).toEqual([undefined, 'VALIDATION_FAILED'])
  })

  test.each([
    ['a bigint', () => 1n],
    ['undefined', () => undefined],
    ['a function', () => () => 1],
  ])('an output that is %s has no JSON: only that record fails', async (_, output) => {
    const value = v.pipe(
      v.object({ n: v.number() }),
      v.transform(({ n }) => (n === 1 ? output() : n)),
    )
    const answered = await answeredBy({ value }, '{"n":0}', '{"n":1}', '{"n":2}')
    expect(answered.map(({ value }) => value)).toEqual([0, { n: 1 }, 2])
    expect(answered[1].error.message).toBe(
      'Cannot validate the record: JSON cannot represent the value that its schema returned',
    )
  })

  test('a schema that throws fails its record without telling clients why', async () => {
    const value = v.pipe(
      v.number(),
      v.transform((n) => {
        if (n === 1) throw new Error('internal')
        return n
      }),
    )
    const answered = await answeredBy({ value }, '0', '1')
    expect(answered[1]).toMatchObject({
      value: 1,
      error: {
        code: 'VALIDATION_FAILED',
        message: 'Cannot validate the record: its schema failed',
      },
    })
  })

  test('asynchronous schemas keep the order, and run for 16 records at a time', async () => {
    let [now, most] = [0, 0]
    const value = v.pipeAsync(
      v.number(),
      v.checkAsync(async (n) => {
        most = Math.max(most, ++now)
        for (let i = n + 20; i > 0; i--) await Promise.resolve()
        now--
        return n !== 3
      }, 'it is 3'),
    )
    const given = Array.from({ length: 40 }, (_, n) => String((n * 7) % 10))
    const answered = await answeredBy({ value }, ...given)
    expect(answered.map(({ value }) => String(value))).toEqual(given)
    expect(answered.flatMap(({ value, error }) => (error ? [value] : []))).toEqual([3, 3, 3, 3])
    expect(most).toBe(16)
    const validator = new RecordValidator(schemasOf({ value }))
    const consumed = records(...given).map((record) => consumedRecordOf(record, 'json'))
    const valid = await validator.validateAll(consumed, () => {})
    expect(valid.map(({ value }) => String(value))).toEqual(given)
  })

  test('what a schema cannot tell now is an outage, and no record is passed over', async () => {
    const away = new KafkaConsumeError('SCHEMA_REGISTRY_UNAVAILABLE', 'Cannot validate: it is away')
    const value = v.pipeAsync(
      v.number(),
      v.checkAsync(() => Promise.reject(away)),
    )
    const pipeline = pipelineOf([jsonStep, schemaStep(schemasOf({ value }))])
    await expect(pipeline(records('1'))).rejects.toBe(away)
    const validator = new RecordValidator(schemasOf({ value }))
    const consumed = records('1').map((record) => consumedRecordOf(record, 'json'))
    await expect(validator.validateAll(consumed, () => {})).rejects.toBe(away)
  })

  test('a message names three issues, and is bounded', async () => {
    const value = v.array(v.number())
    const [long, many] = await answeredBy(
      { value },
      JSON.stringify(['x'.repeat(5_000)]),
      JSON.stringify(new Array(50).fill('x')),
    )
    expect(long.error.message.length).toBeLessThan(600)
    expect(many.error.message).toContain('value.2: ')
    expect(many.error.message).toEndWith('; and 47 more')
  })

  test('a value of more than 1,000 levels fails alone', async () => {
    const deep = `${'['.repeat(2_000)}${']'.repeat(2_000)}`
    const answered = await answeredBy({ value: v.any() }, '1', deep, '2')
    expect(answered.map(({ error }) => error?.code)).toEqual([
      undefined,
      'VALIDATION_FAILED',
      undefined,
    ])
  })

  test('as a check leaves valid records as Kafka has them, with the outputs beside', async () => {
    const schemas = schemasOf({ value: ORDERS['zod'] })
    const text = `{"at":"2026-11-28T10:00:00Z","total":1.0,"more":1}`
    const pipeline = pipelineOf([jsonStep, checkStep(schemas)])
    const [valid, invalid] = await pipeline(records(text, '{}'))
    expect(valid?.valueJson).toBe(text)
    expect(valid?.outputs?.value).toEqual({ at: expect.any(Date), total: 1 })
    expect(invalid?.error?.code).toBe('VALIDATION_FAILED')
    expect(invalid?.outputs).toBeUndefined()
  })
})
