import { describe, expect, test } from 'bun:test'
import { headerEntry, type KafkaRecord } from '../../src/port/kafka.ts'
import type { TestRecord } from '../support/kafka.ts'
import { uniqueName } from '../support/names.ts'
import { readAll } from '../support/read-all.ts'
import { Route, type RouteOptions, type Target } from '../support/route.ts'
import { until } from '../support/wait.ts'

const decoder = new TextDecoder()
const TIMESTAMP = 1_787_305_085_262
const NOT_JSON = Uint8Array.from([0xff, 0x00, 0x7b])

/** Valid records, one that is not valid JSON, and one that the Lua function refuses. */
const RECORDS: readonly TestRecord[] = [
  { value: '{"n":0}' },
  {
    key: 'k',
    value: NOT_JSON,
    timestamp: TIMESTAMP,
    headers: [
      ['trace', 'a'],
      ['trace', 'b'],
      ['nothing', null],
    ],
  },
  { value: '{"n":2}' },
  { value: '{"n":"three"}' },
  { value: '{"n":4}' },
]
const LUA = 'return function(m) m.value.n = m.value.n * 2 return m end'

export function describeDeadLetters(target: () => Target): void {
  async function optionsOf(dlqTopic: string) {
    const { kafka } = target()
    const topic = await kafka.createTopic()
    await kafka.produce(topic, RECORDS)
    return {
      topics: [topic],
      mode: 'auto',
      messageDeserializer: 'json',
      autoOffsetReset: 'earliest',
      messageByLuaFunctions: [LUA],
      enableDlq: true,
      dlqTopic,
      consumerGroup: { mode: 'manual', consumerGroupId: uniqueName('group') },
    } satisfies RouteOptions
  }

  describe.concurrent('dead letters', () => {
    test('are written as the records were, once, with error and origin; neighbours arrive', async () => {
      const { kafka } = target()
      const dlqTopic = await kafka.createTopic()
      const options = await optionsOf(dlqTopic)
      const [topic] = options.topics
      await using route = await Route.mount(target(), options)
      const good = [0, 2, 4].map((offset) => ({ offset, value: { n: offset * 2 } }))
      const asGroup = await route.drain(3)
      expect(asGroup).toMatchObject(good)
      expect(await route.records({ start: 'earliest' })).toMatchObject(good)
      await using stream = await route.stream({ start: 'earliest' })
      await stream.until(3)
      expect(stream.records()).toMatchObject(good)

      const letters = await readAll(kafka, dlqTopic)
      expect(letters).toHaveLength(2)
      const noJson = letters.find(({ key }) => key !== null) as KafkaRecord
      expect(noJson.timestamp).toBe(TIMESTAMP)
      expect(decoder.decode(noJson.key as Uint8Array)).toBe('k')
      expect([...(noJson.value as Uint8Array)]).toEqual([...NOT_JSON])
      expect(headersOf(noJson)).toEqual([
        ['trace', 'a'],
        ['trace', 'b'],
        ['nothing', null],
        ['__connect.errors.topic', topic as string],
        ['__connect.errors.partition', '0'],
        ['__connect.errors.offset', '1'],
        ['__connect.errors.connector.name', 'hono-kafka-consume'],
        ['__connect.errors.stage', 'VALUE_CONVERTER'],
        ['__connect.errors.exception.class.name', 'DESERIALIZATION_FAILED'],
        [
          '__connect.errors.exception.message',
          'Cannot deserialize the value: it is not valid JSON',
        ],
      ])
      const failed = letters.find(({ key }) => key === null) as KafkaRecord
      expect(decoder.decode(failed.value as Uint8Array)).toBe('{"n":"three"}')
      expect(Object.fromEntries(headersOf(failed))).toMatchObject({
        '__connect.errors.offset': '3',
        '__connect.errors.stage': 'TRANSFORMATION',
        '__connect.errors.exception.class.name': 'TRANSFORM_FAILED',
      })
      // Counted at each reading: as the group, by GET and by stream.
      expect((await route.stats()).feed).toMatchObject({ failed: 6, deadLetters: 6 })
    })

    test('are not written without a dead letter topic: the record is delivered with its error', async () => {
      const { enableDlq, dlqTopic, ...options } = await optionsOf('unused')
      await using route = await Route.mount(target(), { ...options, enableDlq: false })
      const records = await route.records({ start: 'earliest' })
      expect(records).toMatchObject([
        { offset: 0, value: { n: 0 } },
        { offset: 1, error: { code: 'DESERIALIZATION_FAILED' } },
        { offset: 2, value: { n: 4 } },
        { offset: 3, value: { n: 'three' }, error: { code: 'TRANSFORM_FAILED' } },
        { offset: 4, value: { n: 8 } },
      ])
      expect(JSON.stringify(records)).not.toContain('function 1')
    })

    test('that cannot be written hold up the reads: no record is skipped or committed', async () => {
      const { kafka } = target()
      const dlqTopic = uniqueName('dead')
      const options = await optionsOf(dlqTopic)
      const [topic] = options.topics
      const { consumerGroupId } = options.consumerGroup
      await using route = await Route.mount(target(), options)
      const refused = await route.fetch()
      expect(refused.status).toBe(502)
      const refusal = await refused.json()
      expect(refusal).toMatchObject({
        code: 'KAFKA_ERROR',
        message: 'Cannot write a dead letter: the topic does not exist',
        retryable: true,
      })
      expect((await kafka.committed(consumerGroupId, topic as string))[0]).toBe(-1)
      await kafka.createTopic(4, 1, dlqTopic)
      const got: number[] = []
      await until(
        async () => {
          const answer = await route.fetch({ format: 'records' })
          if (answer.status !== 200) return false
          const { records } = (await answer.json()) as { records: Array<{ offset: number }> }
          got.push(...records.map(({ offset }) => offset))
          return got.length >= 3
        },
        'the records behind the dead letter',
        20_000,
      )
      expect(got).toEqual([0, 2, 4])
      expect(await readAll(kafka, dlqTopic)).toHaveLength(2)
    })
  })
}

function headersOf({ headers = [] }: KafkaRecord): Array<[string, string | null]> {
  return headers.map((header) => {
    const [name, value] = headerEntry(header)
    return [name, value && decoder.decode(value)]
  })
}
