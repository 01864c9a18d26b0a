/** Dead letters that their topic does not take as they are. Only a real Kafka refuses any. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { headerEntry, type KafkaRecord } from '../../src/port/kafka.ts'
import { TestKafka, type TestRecord } from '../support/kafka.ts'
import { uniqueName } from '../support/names.ts'
import { readAll } from '../support/read-all.ts'
import { Route, type RouteOptions } from '../support/route.ts'

const decoder = new TextDecoder()
const HOUR = 3_600_000

describe('a dead letter that its topic rejects', () => {
  let kafka: TestKafka
  beforeAll(async () => {
    kafka = await TestKafka.real()
  })
  afterAll(() => kafka?.close())

  /** Reads the records as a group and by a stream, and returns the dead letters by their offsets. */
  async function lettersOf(
    records: readonly TestRecord[],
    good: readonly number[],
    config: Record<string, string>,
  ): Promise<{ letters: Record<number, KafkaRecord>; reduced: number | undefined }> {
    const topic = await kafka.createTopic(1, 1, undefined, {
      'message.timestamp.after.max.ms': String(1_000 * HOUR),
      'max.message.bytes': '5000000',
    })
    const dlqTopic = await kafka.createTopic(1, 1, uniqueName('dead'), config)
    await kafka.produce(topic, records)
    await using route = await Route.mount({ kafka, close: async () => {} }, {
      topics: [topic],
      mode: 'auto',
      messageDeserializer: 'json',
      autoOffsetReset: 'earliest',
      enableDlq: true,
      dlqTopic,
      consumerGroup: { mode: 'manual', consumerGroupId: uniqueName('group') },
    } satisfies RouteOptions)
    expect((await route.drain(good.length)).map(({ offset }) => offset)).toEqual([...good])
    await using stream = await route.stream({ start: 'earliest' })
    await stream.until(good.length)
    expect(stream.records().map(({ offset }) => offset)).toEqual([...good])
    const letters = (await readAll(kafka, dlqTopic)).map(
      (letter) => [Number(headersOf(letter)['__connect.errors.offset']), letter] as const,
    )
    expect(letters).toHaveLength(records.length - good.length)
    const reduced = (await route.stats()).feed?.reducedDeadLetters
    return { letters: Object.fromEntries(letters), reduced }
  }

  test('is written without its value, then without key and headers; neighbours are whole', async () => {
    const long = 'x'.repeat(5_000)
    const few: TestRecord = { key: 'k', value: 'no JSON', headers: [['trace', 'a']] }
    const { letters, reduced } = await lettersOf(
      [
        { value: '{}' },
        few,
        { ...few, value: long },
        // Together they are larger than the topic allows one batch to be.
        ...Array.from({ length: 40 }, () => ({ ...few, value: `no ${'y'.repeat(200)}` })),
        { ...few, value: long, key: long },
        { ...few, value: 'no JSON', headers: [['trace', long]] },
        { value: '{}' },
      ],
      [0, 45],
      { 'max.message.bytes': '2000' },
    )
    const shapeOf = (offset: number) => {
      const { key, value, ...letter } = letters[offset] as KafkaRecord
      const { trace, 'hono-kafka-consume.omitted': omitted } = headersOf(letter)
      const [keyText, valueText] = [key, value].map((bytes) => bytes && decoder.decode(bytes))
      return { key: keyText, value: valueText, trace, omitted }
    }
    expect(shapeOf(1)).toEqual({ key: 'k', value: 'no JSON', trace: 'a', omitted: undefined })
    expect(shapeOf(2)).toEqual({ key: 'k', value: null, trace: 'a', omitted: 'value' })
    for (let offset = 3; offset < 43; offset++) {
      expect(shapeOf(offset)).toMatchObject({ key: 'k', trace: 'a', omitted: undefined })
    }
    const rest = { key: null, value: null, trace: undefined, omitted: 'value,key,headers' }
    expect(shapeOf(43)).toEqual(rest)
    expect(shapeOf(44)).toEqual(rest)
    expect(headersOf(letters[43] as KafkaRecord)).toMatchObject({
      '__connect.errors.exception.class.name': 'DESERIALIZATION_FAILED',
      '__connect.errors.exception.message': 'Cannot deserialize the value: it is not valid JSON',
    })
    // At each reading: as the group, and by the stream.
    expect(reduced).toBe(6)
  }, 120_000)

  test('is written without a timestamp that is out of range', async () => {
    const timestamp = Date.now() + 500 * HOUR
    const { letters } = await lettersOf([{ value: 'no JSON', timestamp }, { value: '{}' }], [1], {
      'message.timestamp.after.max.ms': String(HOUR),
    })
    const letter = letters[0] as KafkaRecord
    expect(decoder.decode(letter.value ?? undefined)).toBe('no JSON')
    expect(letter.timestamp).toBeLessThan(timestamp - 400 * HOUR)
    expect(headersOf(letter)['hono-kafka-consume.omitted']).toBe('timestamp')
  }, 120_000)
})

function headersOf({ headers = [] }: Pick<KafkaRecord, 'headers'>): Record<string, string | null> {
  return Object.fromEntries(
    headers.map((header) => {
      const [name, value] = headerEntry(header)
      return [name, value && decoder.decode(value)]
    }),
  )
}
