import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test'
import type { KafkaConsumer } from '@confluentinc/kafka-javascript'
import fc from 'fast-check'
import type { Consumer } from '../../kafka/client/client.ts'
import { ConfluentAssignedConsumer } from '../../kafka/consumer/assigned-consumer.ts'
import { NativeEncoder } from '../../kafka/consumer/native-encoder.ts'
import type { EncodedRecords } from '../../src/port/encoding.ts'
import type { Batch, Gap, KafkaRecord } from '../../src/port/kafka.ts'
import type { BatchForm } from '../../src/records/batch-form.ts'
import { Cursor, PartitionTable } from '../../src/records/cursor.ts'
import { EncodedBatch } from '../../src/records/encoded-batch.ts'
import { record } from '../fuzz/arbitraries.ts'
import { connectConsumer, connectProducer, disconnectAll, produce } from './clients.ts'
import { type Cluster, clusters, startMockCluster } from './clusters.ts'
import { ODD_RECORDS } from './odd-records.ts'

/** The package's declarations lack some of its methods. */
function asConsumer(consumer: KafkaConsumer): Consumer {
  return consumer as unknown as Consumer
}

function frameReader(
  table: PartitionTable,
  deserializer: 'noop' | 'json',
  form: BatchForm = 'events',
): NativeEncoder {
  const { spec } = EncodedBatch.encodingRequest(
    new Cursor(table, new Float64Array(table.size)),
    deserializer,
    form,
  )
  return new NativeEncoder(spec)
}

const PARTITIONS = [0, 1, 2]
const UNLIMITED = { records: 100_000, bytes: 64 * 1024 * 1024, wait: 1_000 }
for (const { name, start } of clusters) {
  describe(`frames made by the addon, through the ${name}`, () => {
    let cluster: Cluster
    let topic: string
    let table: PartitionTable
    beforeAll(async () => {
      cluster = await start()
    })
    afterEach(disconnectAll)
    afterAll(() => cluster.close())

    /** @param others Partitions of another topic, which nobody reads. */
    async function newTopic(others = 0): Promise<void> {
      topic = await cluster.createTopic()
      table = new PartitionTable([
        ...PARTITIONS.map((partition) => ({ topic, partition })),
        ...Array.from({ length: others }, (_, partition) => ({ topic: 'other', partition })),
      ])
    }

    function assigned(from: Float64Array) {
      return table.offsets(from).slice(0, PARTITIONS.length)
    }

    async function openConsumer(): Promise<Consumer> {
      const settings = { 'enable.partition.eof': true, 'fetch.wait.max.ms': 20 }
      return asConsumer(await connectConsumer(cluster.brokers, settings))
    }

    /** All that is there from a position on, as the client's records. */
    async function readRecords(
      consumer: Consumer,
      from: Float64Array,
      count: number,
    ): Promise<KafkaRecord[]> {
      const reader = new ConfluentAssignedConsumer(consumer, assigned(from), [], {
        release: async () => {},
        explain: (error) => error,
      })
      const records: KafkaRecord[] = []
      while (records.length < count) records.push(...(await reader.read(10_000, 100)).records)
      await reader.close()
      return records
    }

    /** Reads as many records through the native encoder. */
    async function readFrames(
      consumer: Consumer,
      from: Float64Array,
      count: number,
      deserializer: 'noop' | 'json',
      limits = UNLIMITED,
      form: BatchForm = 'events',
    ): Promise<EncodedRecords[]> {
      consumer.assign(assigned(from))
      const reader = frameReader(table, deserializer, form)
      const all: EncodedRecords[] = []
      let due = from
      for (let read = 0; read < count; ) {
        const { batches, error } = await reader.read(consumer, due.slice(), limits)
        expect(error).toBeUndefined()
        for (const { encoded } of batches) {
          if (!encoded) continue
          expect(encoded.from).toEqual(due)
          all.push(encoded)
          read += encoded.offsets.length
          due = encoded.to
        }
      }
      return all
    }

    /** The batch that `EncodedBatch.encode` makes of these records in this order. */
    function expected(
      frames: EncodedRecords,
      records: readonly KafkaRecord[],
      deserializer: 'noop' | 'json',
    ): EncodedBatch {
      const inOrder = Array.from(frames.offsets, (offset, index) => {
        const found = records.find(
          (record) => record.offset === offset && record.partition === frames.partitions[index],
        )
        if (!found) throw new Error(`Cannot compare: offset ${offset} was not read`)
        return found
      })
      return EncodedBatch.encode(inOrder, new Cursor(table, frames.from), deserializer)
    }

    function expectAlike(frames: EncodedRecords, batch: EncodedBatch): void {
      for (let i = 0; i < frames.offsets.length; i++) {
        const at = (of: EncodedRecords) =>
          Buffer.from(of.bytes.subarray(of.starts[i], of.starts[i + 1])).toString('latin1')
        expect(at(frames)).toBe(at(batch))
      }
      expect(new EncodedBatch(table, frames)).toEqual(batch)
    }

    test('are those of EncodedBatch, byte for byte: chosen cases', async () => {
      await newTopic()
      const producer = await connectProducer(cluster.brokers)
      await produce(
        producer,
        topic,
        ODD_RECORDS.map((record, n) => ({ ...record, partition: n % 3 }) as never),
      )
      const from = new Float64Array(3)
      const consumer = await openConsumer()
      const records = await readRecords(consumer, from, ODD_RECORDS.length)
      for (const deserializer of ['noop', 'json'] as const) {
        const batches = await readFrames(consumer, from, ODD_RECORDS.length, deserializer)
        for (const frames of batches) expectAlike(frames, expected(frames, records, deserializer))
      }
    }, 120_000)

    test('lines, lists and fields hold the JSON of the events, without their cursors', async () => {
      await newTopic()
      const producer = await connectProducer(cluster.brokers)
      await produce(
        producer,
        topic,
        ODD_RECORDS.map((record, n) => ({ ...record, partition: n % 3 }) as never),
      )
      const from = new Float64Array(3)
      const consumer = await openConsumer()
      const read = async (form: BatchForm) => {
        const frames = await readFrames(consumer, from, ODD_RECORDS.length, 'json', UNLIMITED, form)
        return frames.map((encoded) => new EncodedBatch(table, encoded, form))
      }
      const textsOf = (batches: readonly EncodedBatch[], of: 'json' | 'fields') =>
        batches
          .flatMap((batch) =>
            Array.from(batch.offsets, (_, i) => Buffer.from(batch[of](i)).toString('latin1')),
          )
          .sort()
      const events = await read('events')
      for (const form of ['lines', 'list', 'fields'] as const) {
        const batches = await read(form)
        expect(textsOf(batches, 'json')).toEqual(textsOf(events, 'json'))
        expect(textsOf(batches, 'fields')).toEqual(textsOf(events, 'fields'))
        const separator = form === 'lines' ? '\n' : ','
        for (const batch of batches) {
          const each = Array.from(batch.offsets, (_, i) =>
            form === 'fields'
              ? `{${Buffer.from(batch.fields(i))}`
              : `${Buffer.from(batch.json(i))}`,
          )
          expect(`${Buffer.from(batch.run(0, batch.length))}`).toBe(each.join(separator))
        }
      }
    }, 120_000)

    test('are those of EncodedBatch, byte for byte: any records', async () => {
      await newTopic()
      const producer = await connectProducer(cluster.brokers)
      const consumer = await openConsumer()
      let from: Float64Array = new Float64Array(3)
      const anything = fc.array(
        fc.nat({ max: 2 }).chain((p) => record('', p, 0)),
        {
          minLength: 100,
          maxLength: 400,
          size: 'max',
        },
      )
      await fc.assert(
        fc.asyncProperty(anything, fc.constantFrom('noop', 'json'), async (given, deserializer) => {
          await produce(producer, topic, given as never)
          const records = await readRecords(consumer, from, given.length)
          const batches = await readFrames(consumer, from, given.length, deserializer)
          for (const frames of batches) expectAlike(frames, expected(frames, records, deserializer))
          from = (batches.at(-1) as EncodedRecords).to
        }),
        { numRuns: 15, endOnFailure: true },
      )
    }, 120_000)

    test('are those of EncodedBatch, byte for byte: compact ids, whose offsets need more and more digits', async () => {
      await newTopic(40)
      expect(table.compactLabels).toBeDefined()
      const producer = await connectProducer(cluster.brokers)
      const written = Array.from({ length: 400 }, (_, n) => ({
        value: Buffer.from(`${n}`),
        partition: n % 5 === 0 ? 1 : n % 3,
      }))
      await produce(producer, topic, written)
      const from = new Float64Array(table.size)
      from.forEach((_, i) => {
        if (i >= PARTITIONS.length) from[i] = 64 ** (i % 8) - (i % 2)
      })
      const consumer = await openConsumer()
      const records = await readRecords(consumer, from, written.length)
      const batches = await readFrames(consumer, from, written.length, 'noop')
      const ids = new Set<string>()
      for (const frames of batches) {
        const batch = expected(frames, records, 'noop')
        expectAlike(frames, batch)
        for (let i = 0; i < batch.length; i++) ids.add(batch.id(i))
      }
      expect(ids.size).toBe(written.length)
      for (const id of ids) expect(id).toMatch(/^~[\w-]+$/)
      const lengths = new Set([...ids].map(({ length }) => length))
      expect(lengths.size).toBe(2)
    }, 120_000)

    test('end at a limit of records or bytes, and go on there', async () => {
      await newTopic()
      const producer = await connectProducer(cluster.brokers)
      const values = Array.from({ length: 2_000 }, (_, n) => ({
        value: Buffer.from(`${n} ${'x'.repeat(1_000)}`),
        partition: n % 3,
      }))
      await produce(producer, topic, values)
      const from = new Float64Array(3)
      const consumer = await openConsumer()
      const few = await readFrames(consumer, from, 2_000, 'noop', { ...UNLIMITED, records: 7 })
      expect(Math.max(...few.map(({ offsets }) => offsets.length))).toBe(7)
      const small = await readFrames(consumer, from, 2_000, 'noop', { ...UNLIMITED, bytes: 20_000 })
      expect(Math.max(...small.map(({ bytes }) => bytes.length))).toBeLessThan(40_000)
      for (const all of [few, small]) {
        const seen = all.flatMap(({ offsets, partitions }) =>
          Array.from(offsets, (offset, i) => `${partitions[i]}:${offset}`),
        )
        expect(new Set(seen).size).toBe(2_000)
        expect(seen).toHaveLength(2_000)
      }
    }, 120_000)

    test('come after a gap, and never contain one', async () => {
      await newTopic()
      const producer = await connectProducer(cluster.brokers)
      const values = [0, 1, 2].flatMap((partition) =>
        Array.from({ length: 5 }, (_, n) => ({ value: Buffer.from(`${n}`), partition })),
      )
      await produce(producer, topic, values)
      const consumer = await openConsumer()
      consumer.assign(table.offsets(new Float64Array(3)))
      const reader = frameReader(table, 'noop')
      // The expected offsets of two partitions are too high, as after a topic was re-created.
      let due: Float64Array = Float64Array.of(9, 0, 7)
      const seen: Array<string | Gap> = []
      while (seen.length < values.length + 2) {
        for (const { encoded, gaps } of (await reader.read(consumer, due, UNLIMITED)).batches) {
          seen.push(...gaps)
          expect(gaps.length).toBeLessThan(2)
          if (!encoded) continue
          for (const { partition, to } of gaps) expect(encoded.from[partition]).toBe(to)
          encoded.offsets.forEach((offset, i) => {
            seen.push(`${encoded.partitions[i]}:${offset}`)
            const json = new EncodedBatch(table, encoded).json(i)
            const { partition, offset: own } = JSON.parse(Buffer.from(json).toString())
            expect({ partition, own }).toEqual({ partition: encoded.partitions[i], own: offset })
          })
          due = encoded.to
        }
      }
      for (const [partition, from] of [
        [0, 9],
        [2, 7],
      ] as const) {
        const gap = { topic, partition, from, to: 0, reason: 'out-of-range' } as const
        const at = seen.findIndex((entry) => Bun.deepEquals(entry, gap))
        expect(at).toBeGreaterThanOrEqual(0)
        expect(seen[at + 1]).toBe(`${partition}:0`)
      }
      expect([...due]).toEqual([5, 5, 5])
    }, 120_000)

    test('do not keep a consumer from being closed, and end with an error', async () => {
      await newTopic()
      const consumer = await openConsumer()
      consumer.assign(table.offsets(new Float64Array(3)))
      const reader = frameReader(table, 'noop')
      const due = new Float64Array(3)
      const limits = { ...UNLIMITED, wait: 500 }
      let reads = 0
      const reading = (async () => {
        for (;;) {
          const { batches, error } = await reader.read(consumer, due, limits)
          reads++
          if (batches.length === 0) return error
        }
      })()
      const early = reader.read(consumer, due, limits)
      await disconnectAll()
      await early
      expect(await reading).toMatchObject({ code: -172 })
      expect(reads).toBeGreaterThan(0)
    }, 120_000)
  })
}

test('deleted records are a gap to where the partition begins', async () => {
  const cluster = await startMockCluster()
  try {
    const topic = await cluster.createTopic()
    const table = new PartitionTable([{ topic, partition: 0 }])
    const producer = await connectProducer(cluster.brokers)
    // The mock cluster keeps 5 MB of a partition.
    for (let i = 0; i < 8; i++) {
      await produce(producer, topic, [{ value: Buffer.alloc(900_000, 'x') }])
    }
    const consumer = asConsumer(await connectConsumer(cluster.brokers))
    consumer.assign(table.offsets(new Float64Array(1)))
    const reader = frameReader(table, 'noop')
    let first: Batch | undefined
    for (const due = new Float64Array(1); !first?.encoded; ) {
      const { batches } = await reader.read(consumer, due, UNLIMITED)
      first = batches[0]
    }
    const begin = first.encoded.offsets[0] as number
    expect(begin).toBeGreaterThan(0)
    expect(first.gaps).toEqual([{ topic, partition: 0, from: 0, to: begin, reason: 'retention' }])
    expect(first.encoded.from[0]).toBe(begin)
  } finally {
    await disconnectAll()
    await cluster.close()
  }
}, 120_000)

test('an object that is not a consumer is refused', async () => {
  const table = new PartitionTable([{ topic: 't', partition: 0 }])
  const reader = frameReader(table, 'noop')
  const consumer = { getClient: () => ({}) } as unknown as Consumer
  const reading = reader.read(consumer, new Float64Array(1), UNLIMITED)
  await expect(reading).rejects.toThrow('Illegal invocation')
})
