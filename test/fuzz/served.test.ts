import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { kafkaSide } from '../../kafka/index.ts'
import type { KafkaRecord } from '../../src/port/kafka.ts'
import { expectIntact } from '../support/decoded.ts'
import { TestKafka } from '../support/kafka.ts'
import { uniqueName } from '../support/names.ts'
import { Route } from '../support/route.ts'
import { record } from './arbitraries.ts'

const COUNT = 400

/** Kafka's client writes header names as C strings, so a name with NUL can't be produced here. */
function producible({ headers }: KafkaRecord): boolean {
  return (headers ?? []).every((header) => !Object.keys(header)[0]?.includes('\0'))
}

test('whatever is produced comes out intact, live, replayed and by GET, from a real server', async () => {
  const embedded = { topic: uniqueName('fuzz'), records: 0, recordsPerSecond: 0 }
  const broker = await kafkaSide.startEmbeddedBroker(embedded)
  const kafka = await TestKafka.connect(broker.bootstrapServers.join(','), { autoCreate: true })
  const topic = await kafka.createTopic()
  const written = Array.from({ length: COUNT }, (_, offset) => {
    const [sample] = fc.sample(record(topic, 0, offset).filter(producible), 1) as [KafkaRecord]
    const { headers = [], ...rest } = sample
    return { ...rest, timestamp: 1_700_000_000_000 + offset, headers }
  })
  {
    await using streaming = await Route.mount(
      { kafka, close: async () => undefined },
      { topics: [topic], mode: 'server-sent-events' },
    )
    await using getting = await Route.mount(
      { kafka, close: async () => undefined },
      { topics: [topic], mode: 'http-get' },
    )
    await using live = await streaming.stream()
    for (const one of written) {
      await kafka.produce(topic, [
        {
          key: one.key,
          value: one.value,
          timestamp: one.timestamp,
          headers: one.headers.map((header) => Object.entries(header)[0] as [string, Uint8Array]),
        },
      ])
    }
    await live.until(COUNT)
    await using catchUp = await streaming.stream({ start: 'earliest' })
    await catchUp.until(COUNT)
    const flat = await getting.flat({ start: 'earliest' })
    for (const received of [live.records(), catchUp.records(), flat.records]) {
      expect(received).toHaveLength(COUNT)
      received.forEach((one, index) => {
        expectIntact(one, written[index] as KafkaRecord)
      })
    }
    for (const stream of [live, catchUp]) {
      expect(stream.events).toHaveLength(COUNT)
      expect(stream.comments.join('').trim()).toBe('')
      expect(stream.retries).toHaveLength(1)
    }
  }
  await kafka.close()
  await broker.close()
}, 120_000)
