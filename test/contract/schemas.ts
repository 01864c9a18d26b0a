import { describe, expect, test } from 'bun:test'
import { Hono } from 'hono'
import * as v from 'valibot'
import {
  kafkaProduce,
  kafkaReader,
  type RecordOf,
  type SchemaResult,
  type StandardSchema,
} from '../../src/index.ts'
import type { KafkaRecord } from '../../src/port/kafka.ts'
import { uniqueName } from '../support/names.ts'
import { readAll } from '../support/read-all.ts'
import { Route, type Target } from '../support/route.ts'
import { SocketClient } from '../support/socket.ts'
import { within } from '../support/wait.ts'

const schema = v.object({
  n: v.pipe(v.number(), v.maxValue(2, 'it is too large')),
  at: v.pipe(
    v.string(),
    v.isoTimestamp(),
    v.transform((text) => new Date(text)),
  ),
})
const AT = '2026-11-28T10:00:00.000Z'
const VALUES = [0, 1, 5, 2].map((n) => JSON.stringify({ more: true, n, at: AT }))
/** The records as clients get them: a Date is a text again, and fields without a schema are gone. */
const EXPECTED = [
  { offset: 0, value: { n: 0, at: AT } },
  { offset: 1, value: { n: 1, at: AT } },
  {
    offset: 2,
    value: { more: true, n: 5, at: AT },
    error: {
      code: 'VALIDATION_FAILED',
      message: 'Cannot validate the record: value.n: it is too large',
    },
  },
  { offset: 3, value: { n: 2, at: AT } },
]
const VALID = EXPECTED.filter(({ error }) => !error)

/** Schemas of topics, wherever records go out. */
export function describeSchemas(target: () => Target): void {
  async function optionsOf() {
    const { kafka } = target()
    const topic = await kafka.createTopic()
    await kafka.produce(
      topic,
      VALUES.map((value) => ({ value })),
    )
    return {
      topics: [{ name: topic, schema }],
      mode: 'auto',
      autoOffsetReset: 'earliest',
      consumerGroup: { mode: 'manual', consumerGroupId: uniqueName('group') },
    } as const
  }

  describe.concurrent('a schema of a topic', () => {
    test('by GET, as a group and from a position: clients get its outputs, and one error', async () => {
      await using route = await Route.mount(target(), await optionsOf())
      expect(await route.drain(4)).toMatchObject(EXPECTED)
      expect(await route.records({ start: 'earliest' })).toMatchObject(EXPECTED)
      // A filter sees what clients get.
      const filter = 'has(value.more)'
      expect(await route.records({ start: 'earliest', filter })).toMatchObject([{ offset: 2 }])
      expect((await route.stats()).feed).toMatchObject({ failed: 3 })
    })

    test('on a stream, from the past and live, and on a WebSocket', async () => {
      const options = await optionsOf()
      await using route = await Route.mount(target(), options)
      await using stream = await route.stream({ start: 'earliest' })
      await stream.until(4)
      expect(stream.records()).toMatchObject(EXPECTED)
      await target().kafka.produce(options.topics[0].name, [{ value: VALUES[1] as string }])
      await stream.until(5)
      expect(stream.records().at(-1)).toMatchObject({ offset: 4, value: { n: 1, at: AT } })
      await using socket = await SocketClient.open(route.url({ start: 'earliest' }))
      await socket.until(4)
      expect(socket.records().slice(0, 4)).toMatchObject(EXPECTED)
    })

    test('sends a record that does not fit to the dead letter topic, as Kafka has it', async () => {
      const { kafka } = target()
      const dlqTopic = await kafka.createTopic()
      await using route = await Route.mount(target(), {
        ...(await optionsOf()),
        enableDlq: true,
        dlqTopic,
      })
      expect(await route.drain(3)).toMatchObject(VALID)
      expect(await lettersIn(dlqTopic)).toEqual([
        {
          value: VALUES[2] as string,
          stage: 'TRANSFORMATION',
          code: 'VALIDATION_FAILED',
          message: 'Cannot validate the record: value.n: it is too large',
        },
      ])
    })

    async function lettersIn(topic: string) {
      const decoder = new TextDecoder()
      return (await readAll(target().kafka, topic)).map(({ value, headers = [] }: KafkaRecord) => {
        const all = Object.assign({}, ...headers)
        const text = (name: string) => decoder.decode(all[`__connect.errors.${name}`])
        return {
          value: decoder.decode(value as Uint8Array),
          stage: text('stage'),
          code: text('exception.class.name'),
          message: text('exception.message'),
        }
      })
    }

    test('refuses posted records that do not fit, and writes others as they were given', async () => {
      const { kafka } = target()
      const { bootstrapServers } = kafka
      const [orders, plain] = [await kafka.createTopic(), await kafka.createTopic()]
      const total = v.pipe(v.string(), v.decimal('no price'), v.transform(Number))
      const key = v.pipe(v.string('a key is required'), v.maxLength(3, 'the key is too long'))
      const headers = v.object({ trace: v.string() })
      const topics = [{ name: orders, schema: v.object({ total }), key, headers }, plain]
      const handler = kafkaProduce({ bootstrapServers, topics })
      const app = new Hono().post('/', handler)
      const post = async (path: string, body: string, type = 'application/json') => {
        const init = { method: 'POST', body, headers: { 'content-type': type } }
        const response = await within(app.request(path, init) as Promise<Response>, 'an answer')
        return [response.status, await response.json()] as const
      }
      const order = { topic: orders, partition: 0, key: 'a', headers: { trace: 't' } }
      const records = [
        { ...order, value: { total: '1.50', more: 1 } },
        { ...order, value: '{"total":"2"}' },
        { topic: plain, partition: 0, value: 'text' },
      ]
      expect((await post('/', JSON.stringify({ records })))[0]).toBe(200)

      const refused: Array<[refusal: string, ...records: object[]]> = [
        [
          `record 2 does not fit the schema of topic ${orders}: value.total: no price`,
          { ...order, value: { total: '1' } },
          { ...order, value: { total: 'x' } },
          { topic: plain, value: 'x' },
        ],
        [
          `the record does not fit the schema of topic ${orders}: key: a key is required`,
          { ...order, key: null, value: { total: '1' } },
        ],
        [
          `the record does not fit the schema of topic ${orders}: value: it is not valid JSON`,
          { ...order, value: 'text' },
        ],
      ]
      for (const [refusal, ...records] of refused) {
        expect(await post('/', JSON.stringify({ records }))).toEqual([
          400,
          { message: `Cannot write records: ${refusal}`, code: 'INVALID_RECORD' },
        ])
      }
      expect(await post(`/?topic=${orders}&key=long`, '{"total":"3"}', 'text/plain')).toEqual([
        400,
        {
          code: 'INVALID_RECORD',
          message: expect.stringMatching(/: key: the key is too long; headers\.trace: /),
        },
      ])
      expect(handler.stats().outcomes).toEqual({ OK: 1, INVALID_RECORD: 4 })
      await handler.close()

      // Nothing of a refused request is written.
      const decoder = new TextDecoder()
      const written = [...(await readAll(kafka, orders)), ...(await readAll(kafka, plain))]
      expect(written.map(({ value }) => decoder.decode(value as Uint8Array))).toEqual([
        '{"total":"1.50","more":1}',
        '{"total":"2"}',
        'text',
      ])
    })

    test.each([false, true])(
      'validates each record that a handler polls once (dead letters: %p)',
      async (enableDlq) => {
        const { kafka } = target()
        const dlqTopic = await kafka.createTopic()
        const { mode: _, ...options } = await optionsOf()
        const { validate, ...standard } = schema['~standard']
        const validated: unknown[] = []
        const counted: StandardSchema = {
          '~standard': {
            ...standard,
            validate: (value) => {
              validated.push((value as { n: number }).n)
              return validate(value) as SchemaResult
            },
          },
        }
        const reader = kafkaReader({
          bootstrapServers: kafka.bootstrapServers,
          ...options,
          topics: [{ name: options.topics[0].name, schema: counted }],
          ...(enableDlq && { enableDlq, dlqTopic }),
        })
        const app = new Hono().get('/', reader, async (c) => {
          const { records } = await c.var.kafka.poll({ timeout: 5_000 })
          return c.json(records.map(({ offset }) => offset))
        })
        const polled: number[] = []
        while (polled.at(-1) !== 3) {
          const response = await within(app.request('/') as Promise<Response>, 'a poll', 15_000)
          polled.push(...((await response.json()) as number[]))
        }
        expect(polled).toEqual(enableDlq ? [0, 1, 3] : [0, 1, 2, 3])
        expect(validated).toEqual([0, 1, 5, 2])
        await reader.close()
      },
    )

    test('records that are validated when their handler ends go to the next client', async () => {
      const { mode: _, ...options } = await optionsOf()
      const { validate, ...standard } = schema['~standard']
      const began = Promise.withResolvers<void>()
      const goesOn = Promise.withResolvers<void>()
      const slow: StandardSchema = {
        '~standard': {
          ...standard,
          validate: async (value) => {
            began.resolve()
            await goesOn.promise
            return validate(value) as SchemaResult
          },
        },
      }
      const reader = kafkaReader({
        bootstrapServers: target().kafka.bootstrapServers,
        ...options,
        topics: [{ name: options.topics[0].name, schema: slow }],
      })
      let left: Promise<{ readonly records: readonly unknown[] }> | undefined
      const app = new Hono()
        .get('/left', reader, async (c) => {
          left = c.var.kafka.poll({ timeout: 15_000 })
          await began.promise
          return c.text('did not wait')
        })
        .get('/', reader, async (c) => {
          const { records } = await c.var.kafka.poll({ timeout: 1_000 })
          return c.json(records.map(({ offset }) => offset))
        })
      expect((await within(app.request('/left') as Promise<Response>, 'an answer')).status).toBe(
        200,
      )
      goesOn.resolve()
      expect((await left)?.records).toEqual([])
      const next = await within(app.request('/') as Promise<Response>, 'a poll')
      expect(await next.json()).toEqual([0, 1, 2, 3])
      await reader.close()
    })

    test.each([false, true])(
      'gives handlers its outputs by poll, read and stream (dead letters: %p)',
      async (enableDlq) => {
        const { kafka } = target()
        const dlqTopic = await kafka.createTopic()
        const { mode: _, ...options } = await optionsOf()
        const reader = kafkaReader({
          bootstrapServers: kafka.bootstrapServers,
          ...options,
          ...(enableDlq && { enableDlq, dlqTopic }),
        })
        const app = new Hono()
          .get('/poll', reader, async (c) => {
            const { records } = await c.var.kafka.poll({ timeout: 5_000 })
            return c.json(records.map(shown))
          })
          .get('/read', reader, async (c) => {
            const { records } = await c.var.kafka.read({ start: 'earliest', timeout: 5_000 })
            return c.json(records.map(shown))
          })
          .get('/stream', reader, async (c) => {
            const taken: unknown[] = []
            for await (const record of c.var.kafka.stream({ start: 'earliest' })) {
              taken.push(shown(record))
              if (record.offset === 3) break
            }
            return c.json(taken)
          })
        const expected = [
          'a date after 0',
          'a date after 1',
          ...(enableDlq ? [] : ['VALIDATION_FAILED']),
          'a date after 2',
        ]
        for (const path of ['/poll', '/read', '/stream']) {
          const response = await within(app.request(path) as Promise<Response>, path, 15_000)
          expect(await response.json()).toEqual(expected)
        }
        // One record that fails in several reads is one dead letter.
        if (enableDlq) expect(await lettersIn(dlqTopic)).toHaveLength(1)
        expect(reader.stats().feed).toMatchObject({ failed: 3, deadLetters: enableDlq ? 3 : 0 })
        await reader.close()
      },
    )
  })
}

/** A record as its handler sees it: an output is a Date, not its text. */
function shown(
  record: RecordOf<readonly [{ readonly name: string; readonly schema: typeof schema }]>,
) {
  if (record.error) return record.error.code
  return record.value.at instanceof Date ? `a date after ${record.value.n}` : 'no date'
}
