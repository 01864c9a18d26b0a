/** Blocks of a group's records: read, unpacked and encoded by the addon. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test'
import type { KafkaConsumer } from '@confluentinc/kafka-javascript'
import fc from 'fast-check'
import type { Consumer } from '../../kafka/client/client.ts'
import {
  type BlockRead,
  encodeBlocks,
  joinReady,
  RecordBlock,
  type RecordRun,
  readBlock,
} from '../../kafka/group/record-block.ts'
import { headerEntry, type KafkaRecord, type PartitionOffset } from '../../src/port/kafka.ts'
import { encodePrefix, encodeRecords } from '../../src/records/encode.ts'
import { FORMATS } from '../../src/records/format.ts'
import { record } from '../fuzz/arbitraries.ts'
import { blockOf } from '../unit/fakes.ts'
import {
  connectConsumer,
  connectProducer,
  consumeExactly,
  disconnectAll,
  produce,
} from './clients.ts'
import { type Cluster, clusters } from './clusters.ts'
import { ODD_RECORDS } from './odd-records.ts'

const PLACE = { topic: 't"é', partition: 3 }
const DESERIALIZERS = ['noop', 'json'] as const
const UNLIMITED = { records: 100_000, wait: 1_000 }
/** Above this size, another thread encodes. */
const LARGE = 1024 * 1024
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

function asConsumer(consumer: KafkaConsumer): Consumer {
  return consumer as unknown as Consumer
}

/** Headers as names and values: objects of one name may have it as their prototype. */
function comparable({ headers, key, value, ...place }: KafkaRecord) {
  const hex = (bytes: Uint8Array | null) => bytes && Buffer.from(bytes).toString('hex')
  return {
    topic: place.topic,
    partition: place.partition,
    offset: place.offset,
    timestamp: place.timestamp,
    key: hex(key),
    value: hex(value),
    headers: (headers ?? []).map(headerEntry).map(([name, bytes]) => [name, hex(bytes)]),
  }
}

async function encode(
  records: readonly KafkaRecord[],
  valuesAreJson: boolean,
  content: 'record' | 'value',
  bytes = 0,
): Promise<string[]> {
  const block = blockOf(records)
  const prefix = encodePrefix(PLACE.topic, PLACE.partition)
  const run = { block, begin: 0, end: records.length, prefix, separator: '\n' }
  return decoder.decode(await encodeBlocks([run], { valuesAreJson, content }, bytes)).split('\n')
}

async function expectEncoded(records: readonly KafkaRecord[], bytes = 0): Promise<void> {
  for (const deserializer of DESERIALIZERS) {
    const json = encodeRecords(records, deserializer)
    const valuesAreJson = deserializer === 'json'
    expect(await encode(records, valuesAreJson, 'record', bytes)).toEqual(json)
    expect(await encode(records, valuesAreJson, 'value', bytes)).toEqual(json.map(FORMATS.value))
  }
}

test.each([true, false])(
  'ready JSON is joined with texts of any characters, brief: %p',
  (mayReuseBuffer) => {
    const bytes = new TextEncoder().encode('{"a":"é"}')
    for (const text of ['', '[é', '\u{1f600}'.repeat(20), 'x'.repeat(100_000)]) {
      const joined = joinReady([text, bytes, text, bytes, ''], mayReuseBuffer)
      expect(decoder.decode(joined)).toBe(`${text}{"a":"é"}${text}{"a":"é"}`)
    }
  },
)

describe('a block of records', () => {
  const odd = ODD_RECORDS.map((fields, offset) => ({
    ...PLACE,
    offset,
    timestamp: [-1, 0, 1_700_000_000_000, 2 ** 53 - 1][offset % 4] as number,
    ...fields,
  }))

  test.each([0, LARGE])('has the JSON of encode.ts, byte for byte: chosen cases, %d', (bytes) =>
    expectEncoded(odd, bytes),
  )

  test('has the JSON of encode.ts, byte for byte: any records', async () => {
    const anything = fc.array(record(PLACE.topic, PLACE.partition, 7), {
      minLength: 1,
      maxLength: 50,
    })
    await fc.assert(fc.asyncProperty(anything, (records) => expectEncoded(records)))
  })

  test('gives its records back as they are', () => {
    const block = blockOf(odd)
    const unpacked = odd.map((_, index) => block.record(index, PLACE))
    expect(unpacked.map(comparable)).toEqual(odd.map(comparable))
  })

  test('is encoded in parts, with texts around them', async () => {
    const block = blockOf(odd.slice(0, 4))
    const run = (begin: number, end: number) => ({
      block,
      begin,
      end,
      prefix: '{',
      separator: ' + ',
    })
    const parts = ['é[', run(0, 0), '|', run(1, 3), '|', run(3, 4), ']']
    const form = { valuesAreJson: false, content: 'record' } as const
    const [, one, two, three] = encodeRecords(odd.slice(0, 4), 'noop').map((json) =>
      json.replace(encodePrefix(PLACE.topic, PLACE.partition), '{'),
    )
    for (const bytes of [0, LARGE]) {
      const text = decoder.decode(await encodeBlocks(parts, form, bytes))
      expect(text).toBe(`é[|${one} + ${two}|${three}]`)
    }
  })

  test('does not encode records that it does not have, or broken bytes', () => {
    const block = blockOf(odd.slice(0, 4))
    const form = { valuesAreJson: false, content: 'record' } as const
    const run = { block, begin: 0, end: 4, prefix: '', separator: '' }
    const broken = { ...block, bytes: block.bytes.map(() => 0xff) } as unknown as typeof block
    for (const part of [
      { ...run, end: 5 },
      { ...run, begin: 3, end: 2 },
      { ...run, block: { ...block, bytes: block.bytes.subarray(1) } as unknown as typeof block },
      { ...run, block: broken },
    ]) {
      expect(() => encodeBlocks([part], form, 0)).toThrow()
    }
    expect(encodeBlocks([{ ...run, block: broken }], form, LARGE)).rejects.toThrow('cut off')
  })

  test('is not encoded where its JSON may have 4 GiB, beyond numbers of 32 bits', () => {
    const megabyte = new RecordBlock(
      new Uint8Array(1024 * 1024),
      Uint32Array.of(0, 1024 * 1024),
      Float64Array.of(0),
    )
    const run = { block: megabyte, begin: 0, end: 1, prefix: '', separator: '' }
    const form = { valuesAreJson: false, content: 'record' } as const
    expect(() => encodeBlocks(Array(4096).fill(run), form, 0)).toThrow('exceed 4 GiB')
    expect(encodeBlocks(Array(4096).fill(run), form, LARGE)).rejects.toThrow('exceed 4 GiB')
  })
})

function runsIn(read: BlockRead): RecordRun[] {
  return read.parts.filter((part): part is RecordRun => 'block' in part)
}

function endsIn(read: BlockRead): PartitionOffset[] {
  return read.parts.filter((part): part is PartitionOffset => !('block' in part))
}

function recordsIn(read: BlockRead): KafkaRecord[] {
  return runsIn(read).flatMap((run) =>
    Array.from({ length: run.end - run.begin }, (_, i) => run.block.record(run.begin + i, run)),
  )
}

for (const { name, start } of clusters) {
  describe(`blocks read by the addon, through the ${name}`, () => {
    let cluster: Cluster
    beforeAll(async () => {
      cluster = await start()
    })
    afterEach(disconnectAll)
    afterAll(() => cluster.close())

    async function openConsumer(topic: string): Promise<Consumer> {
      const settings = { 'enable.partition.eof': true, 'fetch.wait.max.ms': 20 }
      const consumer = asConsumer(await connectConsumer(cluster.brokers, settings))
      consumer.assign([0, 1, 2].map((partition) => ({ topic, partition, offset: 0 })))
      return consumer
    }

    test('have the records that the client’s own reads bring', async () => {
      const topic = await cluster.createTopic()
      const producer = await connectProducer(cluster.brokers)
      const given = ODD_RECORDS.map((fields, n) => ({ ...fields, partition: n % 3 }))
      await produce(producer, topic, given as never)
      const own = await connectConsumer(cluster.brokers, { 'fetch.wait.max.ms': 20 })
      own.assign([0, 1, 2].map((partition) => ({ topic, partition, offset: 0 })))
      const expected = (await consumeExactly(own, given.length)) as unknown as KafkaRecord[]
      const consumer = await openConsumer(topic)
      const records: KafkaRecord[] = []
      const ends: PartitionOffset[] = []
      while (ends.length < 3) {
        const read = await readBlock(consumer, UNLIMITED)
        expect(read.error).toBeUndefined()
        records.push(...recordsIn(read))
        ends.push(...endsIn(read))
      }
      const inOrder = (all: readonly KafkaRecord[]) =>
        all.toSorted((a, b) => a.partition - b.partition || a.offset - b.offset).map(comparable)
      expect(inOrder(records)).toEqual(inOrder(expected))
      for (const { partition, offset } of ends) {
        expect(offset).toBe(given.filter((record) => record.partition === partition).length)
      }
      // Within a partition they come in order, in runs without jumps.
      const places = records.map(({ partition, offset }) => ({ partition, offset }))
      for (const partition of [0, 1, 2]) {
        const offsets = places.filter((place) => place.partition === partition)
        expect(offsets.map(({ offset }) => offset)).toEqual(offsets.map((_, index) => index))
      }
    }, 120_000)

    test.each([true, false])(
      'have JSON that is made at once, with the bytes of later JSON; of values that are JSON: %p',
      async (valuesAreJson) => {
        const topic = await cluster.createTopic()
        const producer = await connectProducer(cluster.brokers)
        const large = { value: Buffer.alloc(300_000, 'x') }
        const given = [...ODD_RECORDS, large].map((fields, n) => ({ ...fields, partition: n % 3 }))
        await produce(producer, topic, given as never)
        const consumer = await openConsumer(topic)
        const separator = ',{'
        const ready = { valuesAreJson, separator }
        const form = { valuesAreJson, content: 'record' } as const
        let count = 0
        while (count < given.length) {
          for (const run of runsIn(await readBlock(consumer, { ...UNLIMITED, ready }))) {
            const { block, begin, end } = run
            count += end - begin
            for (const [from, to] of [
              [begin, end],
              [begin, begin + 1],
              [end - 1, end],
            ] as const) {
              const part = { block, begin: from, end: to, prefix: '', separator }
              const later = decoder.decode(await encodeBlocks([part], form, 0))
              const text = block.readyText(from, to, valuesAreJson, separator)
              if (later.length < 300_000) expect(decoder.decode(text)).toBe(later)
              else expect(text).toBeUndefined()
            }
            expect(block.readyText(begin, end, !valuesAreJson, separator)).toBeUndefined()
            expect(block.readyText(begin, end, valuesAreJson, ',')).toBeUndefined()
          }
        }
        const [unready] = runsIn(await readBlock(await openConsumer(topic), UNLIMITED))
        expect(unready?.block.readyText(0, 1, valuesAreJson, separator)).toBeUndefined()
      },
      120_000,
    )

    test('end at a limit of records and of bytes, and go on from there', async () => {
      const topic = await cluster.createTopic()
      const producer = await connectProducer(cluster.brokers)
      const values = Array.from({ length: 1_200 }, (_, n) => ({
        value: Buffer.from(`${n} ${'x'.repeat(1_000)}`),
        partition: n % 3,
      }))
      await produce(producer, topic, values)
      const consumer = await openConsumer(topic)
      const seen: string[] = []
      while (seen.length < values.length) {
        // The first reads are limited by records, the later ones by 256 KiB.
        const limit = seen.length < 21 ? 7 : 100_000
        const read = await readBlock(consumer, { records: limit, wait: 1_000 })
        const records = recordsIn(read)
        expect(records.length).toBeLessThanOrEqual(Math.min(limit, 600))
        if (records.length === 7) expect(read.isDrained).toBe(false)
        seen.push(...records.map(({ partition, offset }) => `${partition}:${offset}`))
      }
      expect(new Set(seen).size).toBe(values.length)
      let last = await readBlock(consumer, { records: 10, wait: 100 })
      while (last.parts.length > 0) last = await readBlock(consumer, { records: 10, wait: 100 })
      expect(last.isDrained).toBe(true)
    }, 120_000)

    test('do not keep a consumer from being closed, and end with an error', async () => {
      const consumer = await openConsumer(await cluster.createTopic())
      const reading = (async () => {
        for (;;) {
          const { error } = await readBlock(consumer, { records: 10, wait: 500 })
          if (error) return error
        }
      })()
      const early = readBlock(consumer, { records: 10, wait: 500 })
      await disconnectAll()
      await early
      expect(await reading).toMatchObject({ code: -172 })
    }, 120_000)
  })
}

test('an object that is not a consumer is refused by a block’s read', async () => {
  const consumer = { getClient: () => ({}) } as unknown as Consumer
  await expect(readBlock(consumer, UNLIMITED)).rejects.toThrow('Illegal invocation')
})
