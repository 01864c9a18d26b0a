import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { kafkaSide } from '../../kafka/index.ts'
import {
  type EmbeddedBroker,
  headerEntry,
  type KafkaCluster,
  type KafkaRecord,
} from '../../src/port/kafka.ts'
import type { ProducerRecord } from '../../src/port/producer.ts'
import { TestKafka } from '../support/kafka.ts'
import { uniqueName } from '../support/names.ts'
import { within } from '../support/wait.ts'

const encoder = new TextEncoder()
const decoder = new TextDecoder()

function describeProducer(name: string, start: () => Promise<Setup>) {
  describe(`the producer, with ${name}`, () => {
    let setup: Setup
    let source: KafkaCluster
    beforeAll(async () => {
      setup = await start()
      source = kafkaSide.connect({ bootstrapServers: setup.kafka.bootstrapServers.split(',') })
    })
    afterAll(async () => {
      await source?.close()
      await setup?.close()
    })

    /** Reads a topic back, in the order of its offsets. */
    async function recordsOf(topic: string, count: number): Promise<KafkaRecord[]> {
      const partitions = await source.partitions([topic])
      const reader = await source.openConsumer(
        await source.offsets(partitions, 'earliest'),
        'catch-up',
      )
      const read: KafkaRecord[] = []
      try {
        while (read.length < count) {
          read.push(...(await within(reader.read(1_000, 1_000), 'records')).records)
        }
      } finally {
        await reader.close()
      }
      return read.sort((a, b) => a.partition - b.partition || a.offset - b.offset)
    }

    test('a record arrives as it was sent, and the producer returns its offset', async () => {
      const topic = await setup.kafka.createTopic()
      const sent: ProducerRecord[] = [
        {
          topic,
          partition: 2,
          timestamp: 1_700_000_000_123,
          key: new Uint8Array([0, 255, 128]),
          value: encoder.encode('{"ä":1}'),
          headers: [
            { a: encoder.encode('1') },
            { __proto__: encoder.encode('odd') },
            { ['__proto__']: encoder.encode('odder') },
            { a: new Uint8Array([255]) },
            { empty: new Uint8Array() },
            { none: null },
            { ['a\0b']: encoder.encode('c\0d') },
          ],
        },
        { topic, partition: 2, key: null, value: null },
        { topic, partition: 2, key: new Uint8Array(), value: new Uint8Array() },
      ]
      const before = Date.now()
      const results = await source.producer('all').send(sent)
      expect(results).toEqual([0, 1, 2].map((offset) => ({ topic, partition: 2, offset })))
      const [first, tombstone, empty] = (await recordsOf(topic, 3)) as [
        KafkaRecord,
        KafkaRecord,
        KafkaRecord,
      ]
      expect(first).toMatchObject({ partition: 2, offset: 0, timestamp: 1_700_000_000_123 })
      expect([...(first.key as Uint8Array)]).toEqual([0, 255, 128])
      expect(decoder.decode(first.value as Uint8Array)).toBe('{"ä":1}')
      expect(
        first.headers?.map((header) => headerEntry(header)).map(([n, v]) => [n, v && [...v]]),
      ).toEqual([
        ['a', [49]],
        ['__proto__', [...encoder.encode('odd')]],
        ['__proto__', [...encoder.encode('odder')]],
        ['a', [255]],
        ['empty', []],
        ['none', null],
        ['a\0b', [99, 0, 100]],
      ])
      expect(tombstone.value).toBeNull()
      expect(tombstone.key).toBeNull()
      expect(tombstone.timestamp).toBeGreaterThanOrEqual(before - 1_000)
      expect(empty.value?.length).toBe(0)
      expect(empty.key?.length).toBe(0)
    })

    test('records with the same key share a partition, the one that Java clients choose', async () => {
      const topic = await setup.kafka.createTopic()
      const keys = ['a', 'b', 'c', 'd', 'order-17', 'ä']
      const results = await source
        .producer('all')
        .send(
          keys.flatMap((key) =>
            [1, 2].map((n) => ({ topic, key: encoder.encode(key), value: encoder.encode(`${n}`) })),
          ),
        )
      const partitions = results.map((result) => ('partition' in result ? result.partition : -1))
      expect(partitions).toEqual(
        keys.flatMap((key) => {
          const partition = (murmur2(encoder.encode(key)) & 0x7fff_ffff) % 4
          return [partition, partition]
        }),
      )
    })

    test('many records arrive once each, in the order given', async () => {
      const topic = await setup.kafka.createTopic()
      const count = 5_000
      const results = await source.producer('all').send(
        Array.from({ length: count }, (_, n) => ({
          topic,
          partition: 1,
          key: null,
          value: encoder.encode(`${n}`),
        })),
      )
      expect(results.every((result, n) => 'offset' in result && result.offset === n)).toBe(true)
      const values = (await recordsOf(topic, count)).map(({ value }) =>
        decoder.decode(value ?? undefined),
      )
      expect(values).toEqual(Array.from({ length: count }, (_, n) => `${n}`))
    })

    test('a record that the leader alone confirms is written', async () => {
      const topic = await setup.kafka.createTopic()
      const record = { topic, partition: 0, key: null, value: encoder.encode('x') }
      expect(await source.producer('leader').send([record])).toEqual([
        { topic, partition: 0, offset: 0 },
      ])
    })

    test('a record to a partition that does not exist fails alone', async () => {
      const topic = await setup.kafka.createTopic()
      const record = { topic, key: null, value: encoder.encode('x') }
      const [good, bad] = await source.producer('all').send([
        { ...record, partition: 3 },
        { ...record, partition: 99 },
      ])
      expect(good).toMatchObject({ partition: 3, offset: 0 })
      expect(bad).toMatchObject({ code: 'UNKNOWN_TOPIC' })
    })

    if (name === 'a real Kafka') {
      test('a record fails alone when its topic does not exist or rejects it', async () => {
        const topic = await setup.kafka.createTopic()
        const value = encoder.encode('x')
        const results = await source.producer('all').send([
          { topic, partition: 0, key: null, value },
          { topic: uniqueName('missing'), key: null, value },
          { topic, partition: 0, key: null, value: new Uint8Array(3_000_000) },
          { topic, partition: 0, key: null, value },
        ])
        expect(results[0]).toMatchObject({ offset: 0 })
        expect(results[1]).toMatchObject({ code: 'UNKNOWN_TOPIC', status: 404 })
        expect(results[2]).toMatchObject({ code: 'RECORD_TOO_LARGE', status: 413 })
        expect(results[3]).toMatchObject({ offset: 1 })
      })
    }
  })
}

interface Setup {
  readonly kafka: TestKafka
  close(): Promise<void>
}

describeProducer('a real Kafka', async () => {
  const kafka = await TestKafka.connect(process.env['TEST_KAFKA_BROKERS'] as string, {
    autoCreate: false,
  })
  return { kafka, close: () => kafka.close() }
})

describeProducer('the embedded broker', async () => {
  const broker: EmbeddedBroker = await kafkaSide.startEmbeddedBroker({
    topic: uniqueName('embedded'),
    records: 0,
    recordsPerSecond: 0,
  })
  const kafka = await TestKafka.connect(broker.bootstrapServers.join(','), { autoCreate: true })
  return {
    kafka,
    close: async () => {
      await kafka.close()
      await broker.close()
    },
  }
})

test('a producer reports brokers that cannot be reached at once', async () => {
  const source = kafkaSide.connect({ bootstrapServers: ['127.0.0.1:1'] })
  const record = { topic: 't', key: null, value: null }
  await expect(source.producer('all').send([record])).rejects.toMatchObject({ status: 503 })
  await within(source.close(), 'the cluster to close', 15_000)
})

/** The hash of Java's `org.apache.kafka.common.utils.Utils.murmur2`. */
function murmur2(data: Uint8Array): number {
  const m = 0x5bd1e995
  let h = 0x9747b28c ^ data.length
  const whole = data.length - (data.length % 4)
  for (let i = 0; i < whole; i += 4) {
    let k = new DataView(data.buffer, data.byteOffset).getInt32(i, true)
    k = Math.imul(k, m)
    k ^= k >>> 24
    h = Math.imul(h, m) ^ Math.imul(k, m)
  }
  const rest = data.length % 4
  if (rest > 2) h ^= (data[whole + 2] as number) << 16
  if (rest > 1) h ^= (data[whole + 1] as number) << 8
  if (rest > 0) h = Math.imul(h ^ (data[whole] as number), m)
  h ^= h >>> 13
  h = Math.imul(h, m)
  return h ^ (h >>> 15)
}
