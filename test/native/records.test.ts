import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test'
import type { Message } from '@confluentinc/kafka-javascript'
import { headerEntry } from '../../src/port/kafka.ts'
import { connectProducer, disconnectAll, type NewRecord, produce, read } from './clients.ts'
import { type Cluster, clusters } from './clusters.ts'

const binary = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))

for (const { name, start } of clusters) {
  describe(`Records through the ${name}`, () => {
    let cluster: Cluster
    beforeAll(async () => {
      cluster = await start()
    })
    afterEach(disconnectAll)
    afterAll(() => cluster.close())

    async function roundTrip(records: NewRecord[]): Promise<Message[]> {
      const topic = await cluster.createTopic()
      await produce(await connectProducer(cluster.brokers), topic, records)
      return read(cluster.brokers, [{ topic, partition: 0, offset: 0 }], records.length)
    }

    async function roundTripOne(record: NewRecord): Promise<Message> {
      const [message] = await roundTrip([record])
      if (!message) throw new Error('Cannot read the record: none came')
      return message
    }

    test('keep text keys and values, and come with partition, offset and timestamp', async () => {
      const message = await roundTripOne({ key: 'ключ', value: Buffer.from('żółw 🐢') })
      expect(String(message.key)).toBe('ключ')
      expect(String(message.value)).toBe('żółw 🐢')
      expect(message).toMatchObject({ partition: 0, offset: 0 })
      expect(Math.abs((message.timestamp ?? 0) - Date.now())).toBeLessThan(60_000)
    }, 120_000)

    test('tell a tombstone from an empty value', async () => {
      const [tombstone, empty] = await roundTrip([
        { key: 'a', value: null },
        { key: 'a', value: Buffer.alloc(0) },
      ])
      expect(tombstone?.value).toBeNull()
      expect(empty?.value).toEqual(Buffer.alloc(0))
    }, 120_000)

    test('tell no key from an empty key', async () => {
      const [none, empty] = await roundTrip([
        { key: null, value: Buffer.from('a') },
        { key: '', value: Buffer.from('b') },
      ])
      expect(none?.key ?? null).toBeNull()
      expect(empty?.key).toHaveLength(0)
      expect(empty?.key ?? null).not.toBeNull()
    }, 120_000)

    test('keep every byte', async () => {
      const message = await roundTripOne({ key: binary, value: binary, headers: [{ binary }] })
      expect(message.key).toEqual(binary)
      expect(message.value).toEqual(binary)
      expect(message.headers).toEqual([{ binary }])
    }, 120_000)

    test('keep a value of nearly 1 MB', async () => {
      const value = Buffer.alloc(999_000)
      for (let at = 0; at < value.length; at += 4) value.writeUInt32LE(at, at)
      const message = await roundTripOne({ value })
      expect(message.value?.equals(value)).toBe(true)
    }, 120_000)

    test('keep headers in order, with names that occur twice and empty values', async () => {
      const { headers } = await roundTripOne({
        value: Buffer.from('x'),
        headers: [{ trace: 'one' }, { other: '' }, { trace: 'two' }],
      })
      const entries = (headers ?? []).flatMap((header) => Object.entries(header))
      expect(entries.map(([key, value]) => [key, String(value)])).toEqual([
        ['trace', 'one'],
        ['other', ''],
        ['trace', 'two'],
      ])
    }, 120_000)

    test('keep a header without a value apart from an empty one, and bytes that are 0', async () => {
      const given = [
        { none: null },
        { empty: Buffer.alloc(0) },
        { ['a\0b']: Buffer.from('c\0d') },
        { ['\0']: null },
        { ['__proto__']: Buffer.from('e') },
      ]
      const { headers = [] } = await roundTripOne({
        value: Buffer.from('x'),
        headers: given as never,
      })
      expect(
        (headers as unknown as typeof given).map((header) => headerEntry(header as never)),
      ).toEqual(given.map((header) => headerEntry(header as never)))
    })

    test('come without headers when they have none', async () => {
      const { headers } = await roundTripOne({ value: Buffer.from('x') })
      expect(headers ?? []).toEqual([])
    }, 120_000)

    test('keep their order within a partition, compressed by every codec', async () => {
      const values = Array.from({ length: 500 }, (_, index) => `record ${index}`)
      for (const codec of ['gzip', 'snappy', 'lz4', 'zstd'] as const) {
        const topic = await cluster.createTopic()
        const producer = await connectProducer(cluster.brokers, { 'compression.codec': codec })
        await produce(
          producer,
          topic,
          values.map((value) => ({ value: Buffer.from(value) })),
        )
        const messages = await read(cluster.brokers, [{ topic, partition: 0, offset: 0 }], 500)
        expect(messages.map((message) => String(message.value))).toEqual(values)
      }
    }, 120_000)
  })
}
