import { describe, expect, test } from 'bun:test'
import { ConfluentAssignedConsumer } from '../../kafka/consumer/assigned-consumer.ts'
import { consumerSettings } from '../../kafka/consumer/consumer-settings.ts'
import type { KafkaRecord } from '../../src/port/kafka.ts'
import { collectLog, messagesOf } from '../support/log.ts'
import { within } from '../support/wait.ts'
import { FakeConsumer, recordAt } from './fakes.ts'

const log = collectLog()

interface Setup {
  readonly consumer: FakeConsumer
  readonly reader: ConfluentAssignedConsumer
  readonly released: boolean[]
}

function readerAt(offsets: readonly number[]): Setup {
  const consumer = new FakeConsumer()
  const released: boolean[] = []
  const from = offsets.map((offset, partition) => ({ topic: 't', partition, offset }))
  const reader = new ConfluentAssignedConsumer(consumer.asConsumer, from, [], {
    release: async (healthy) => {
      released.push(healthy)
    },
    explain: (error) => error,
  })
  return { consumer, reader, released }
}

function offsetsOf(records: readonly KafkaRecord[]): number[] {
  return records.map(({ offset }) => offset)
}

describe('an assigned consumer announces skipped offsets', () => {
  test('records that retention removed are a gap up to the log start offset', async () => {
    const { consumer, reader } = readerAt([5, 0])
    consumer.watermarks.set('t:0', { lowOffset: 40, highOffset: 60 })
    consumer.queue.push(recordAt(0, 40), recordAt(0, 41))
    const { records, gaps } = await reader.read(10, 5)
    expect(offsetsOf(records)).toEqual([40, 41])
    expect(gaps).toEqual([{ topic: 't', partition: 0, from: 5, to: 40, reason: 'retention' }])
    expect((await reader.read(10, 5)).gaps).toEqual([])
  })

  test('a gap ends at the next record when the partition has lost more meanwhile', async () => {
    const { consumer, reader } = readerAt([5])
    consumer.watermarks.set('t:0', { lowOffset: 50, highOffset: 60 })
    consumer.queue.push(recordAt(0, 40))
    expect((await reader.read(10, 5)).gaps).toEqual([
      { topic: 't', partition: 0, from: 5, to: 40, reason: 'retention' },
    ])
  })

  test('a hole that compaction or a transaction left is not a gap', async () => {
    const { consumer, reader } = readerAt([5])
    consumer.watermarks.set('t:0', { lowOffset: 0, highOffset: 60 })
    consumer.queue.push(recordAt(0, 5), recordAt(0, 9), recordAt(0, 30))
    const { records, gaps } = await reader.read(10, 5)
    expect(offsetsOf(records)).toEqual([5, 9, 30])
    expect(gaps).toEqual([])
  })

  test('a hole before the end of a partition is not a gap, even when Kafka deletes it afterwards', async () => {
    const { consumer, reader } = readerAt([5])
    consumer.watermarks.set('t:0', { lowOffset: 0, highOffset: 7 })
    consumer.queue.push(recordAt(0, 5))
    consumer.eof(0, 7)
    expect((await reader.read(10, 5)).ends).toEqual([{ topic: 't', partition: 0, offset: 7 }])
    consumer.watermarks.set('t:0', { lowOffset: 7, highOffset: 8 })
    consumer.queue.push(recordAt(0, 7))
    const { records, gaps } = await reader.read(10, 5)
    expect([offsetsOf(records), gaps]).toEqual([[7], []])
  })

  test('deleted records before the end of a partition are a gap, which comes after the records before them', async () => {
    const { consumer, reader } = readerAt([5])
    consumer.queue.push(recordAt(0, 5))
    consumer.watermarks.set('t:0', { lowOffset: 20, highOffset: 20 })
    consumer.eof(0, 20)
    const first = await reader.read(10, 5)
    expect([offsetsOf(first.records), first.gaps, first.ends]).toEqual([[5], [], []])
    const second = await reader.read(10, 5)
    const gap = { topic: 't', partition: 0, from: 6, to: 20, reason: 'retention' } as const
    const end = { topic: 't', partition: 0, offset: 20 }
    expect([second.records, second.gaps, second.ends]).toEqual([[], [gap], [end]])
    expect((await reader.read(10, 5)).gaps).toEqual([])
  })

  test('offsets that go back, as when a topic is re-created, are announced', async () => {
    const { consumer, reader } = readerAt([99])
    consumer.queue.push(recordAt(0, 99))
    await reader.read(10, 5)
    consumer.queue.push(recordAt(0, 0), recordAt(0, 1))
    const { records, gaps } = await reader.read(10, 5)
    expect(offsetsOf(records)).toEqual([0, 1])
    expect(gaps).toEqual([{ topic: 't', partition: 0, from: 100, to: 0, reason: 'out-of-range' }])
  })

  test('each partition is checked by itself, in any mixture of records', async () => {
    const { consumer, reader } = readerAt([0, 10])
    consumer.watermarks.set('t:1', { lowOffset: 20, highOffset: 30 })
    consumer.queue.push(recordAt(0, 0), recordAt(1, 10), recordAt(0, 1), recordAt(1, 20))
    consumer.queue.push(recordAt(1, 21), recordAt(0, 2))
    const gaps: unknown[] = []
    const offsets: number[] = []
    while (offsets.length < 6) {
      const batch = await reader.read(10, 5)
      gaps.push(...batch.gaps)
      offsets.push(...offsetsOf(batch.records))
    }
    expect(offsets).toEqual([0, 10, 1, 20, 21, 2])
    expect(gaps).toEqual([{ topic: 't', partition: 1, from: 11, to: 20, reason: 'retention' }])
  })

  // A gap comes before its batch: records before it would be lost for a client that leaves after the gap, or has a filter.
  test('records before a gap are not in the batch that announces it', async () => {
    const { consumer, reader } = readerAt([5])
    consumer.watermarks.set('t:0', { lowOffset: 40, highOffset: 60 })
    consumer.queue.push(recordAt(0, 5), recordAt(0, 6), recordAt(0, 40))
    const first = await reader.read(10, 5)
    expect(offsetsOf(first.records)).toEqual([5, 6])
    expect(first.gaps).toEqual([])
    const second = await reader.read(10, 5)
    expect(offsetsOf(second.records)).toEqual([40])
    expect(second.gaps).toHaveLength(1)
  })
})

describe('a read of an assigned consumer', () => {
  test('reports the end of each partition once', async () => {
    const { consumer, reader } = readerAt([0, 0])
    consumer.eof(1, 7)
    expect((await reader.read(10, 5)).ends).toEqual([{ topic: 't', partition: 1, offset: 7 }])
    expect((await reader.read(10, 5)).ends).toEqual([])
  })

  test('requests fewer records when they are large, and slowly more when they are small', async () => {
    const { consumer, reader } = readerAt([0])
    await reader.read(1_000, 5)
    expect(consumer.limits).toEqual([64])
    consumer.queue.push(recordAt(0, 0, 2_000_000))
    await reader.read(1_000, 5)
    await reader.read(1_000, 5)
    expect(consumer.limits.at(-1)).toBe(2)
    for (let i = 1; i < 30; i++) {
      consumer.queue.push(recordAt(0, i, 10))
      await reader.read(1_000, 5)
    }
    expect(consumer.limits.at(-1)).toBe(1_000)
    const limits = consumer.limits.slice(3)
    expect(limits).toEqual(limits.toSorted((a, b) => a - b))
  })

  test('that fails reports the reason, and its consumer is not used again', async () => {
    const { consumer, reader, released } = readerAt([0])
    consumer.readError = { message: 'broker down', code: -195 }
    const failure = await reader.read(10, 5).catch((error: unknown) => error)
    expect(failure).toMatchObject({ code: 'KAFKA_UNAVAILABLE', detail: 'broker down' })
    await reader.close()
    expect(released).toEqual([false])
  })

  test('in progress is awaited by close, which leaves nothing behind', async () => {
    const { consumer, reader, released } = readerAt([0])
    const reading = reader.read(10, 50)
    const closing = reader.close()
    expect(released).toEqual([])
    await within(Promise.all([reading, closing]), 'the reader to close')
    expect(released).toEqual([true])
    expect(consumer.listenerCount('partition.eof')).toBe(0)
  })

  test('that has ended is closed without an error, although its consumer cannot be taken back', async () => {
    const reader = new ConfluentAssignedConsumer(new FakeConsumer().asConsumer, [], [], {
      release: () => Promise.reject(new Error('broken')),
      explain: (error) => error,
    })
    await within(reader.close(), 'the reader to close')
    expect(messagesOf(log).map((line) => line.replace('Error: ', ''))).toEqual([
      'Cannot close a consumer: broken',
    ])
  })

  test('commits nothing, and reports the ends of partitions', () => {
    for (const purpose of ['live', 'catch-up'] as const) {
      expect(consumerSettings(purpose)).toMatchObject({
        'enable.auto.commit': false,
        'enable.auto.offset.store': false,
        'enable.partition.eof': true,
      })
    }
  })
})
