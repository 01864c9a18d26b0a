import { describe, expect, test } from 'bun:test'
import { Producer } from '@confluentinc/kafka-javascript'
import { NO_TOPICS } from '../support/kafka.ts'
import { Route } from '../support/route.ts'
import { until } from '../support/wait.ts'
import type { Secured } from './secured.ts'

const codecs = ['gzip', 'snappy', 'lz4', 'zstd'] as const
/** Values of every kind, some worth compressing: text, bytes that are not UTF-8, empty, a tombstone. */
const values: ReadonlyArray<Buffer<ArrayBuffer> | null> = [
  Buffer.from('again and '.repeat(5_000)),
  Buffer.from([0xff, 0xfe, 0x00, 0x80]),
  Buffer.alloc(0),
  null,
  ...Array.from({ length: 50 }, (_, index) =>
    Buffer.from(`{"number":${index},"pad":"${'x'.repeat(200)}"}`),
  ),
]

/** Writes all in one batch; resolves when that was delivered, and was smaller than what is in it. */
async function produce(brokers: string, topic: string, codec: string): Promise<void> {
  const producer = new Producer({
    'bootstrap.servers': brokers,
    'compression.codec': codec as 'gzip',
    'linger.ms': 200,
    'statistics.interval.ms': 100,
    dr_cb: true,
  })
  let left = values.length
  let saved = 0
  producer.on('delivery-report', (error) => {
    if (error) throw error
    left--
  })
  // The bytes on the wire, and the records' own bytes.
  producer.on('event.stats', ({ message }) => {
    const { txmsg_bytes: plain, tx_bytes: sent } = JSON.parse(message) as Record<string, number>
    saved = (plain ?? 0) - (sent ?? 0)
  })
  await new Promise<void>((resolve, reject) => {
    producer.connect(NO_TOPICS, (error) => (error ? reject(error) : resolve()))
  })
  producer.setPollInBackground(true)
  for (const [index, value] of values.entries()) {
    producer.produce(topic, 0, value, `key-${index}`, Date.now())
  }
  await until(() => left === 0 && saved > 40_000, `delivery of what ${codec} compressed`)
  await new Promise((resolve) => producer.disconnect(resolve))
}

/** Records come out as they were, whatever their producer compressed them with. */
export function describeCompression(secured: () => Secured): void {
  describe('compressed records come out as they were', () => {
    test.each(codecs)('%s', async (codec) => {
      const { kafka } = secured()
      const topic = await kafka.createTopic(1)
      await produce(kafka.bootstrapServers, topic, codec)
      await using route = await Route.mount(secured(), {
        topics: [topic],
        mode: 'auto',
        autoOffsetReset: 'earliest',
      })
      await using stream = await route.stream({ start: 'earliest' })
      await stream.until(values.length)
      for (const records of [await route.drain(values.length), stream.records()]) {
        expect(records.map(({ key }) => key)).toEqual(values.map((_, index) => `key-${index}`))
        const bytes = records.map(({ value, encoding }) =>
          value === null ? null : Buffer.from(value as string, encoding ? 'base64' : 'utf8'),
        )
        expect(bytes).toEqual([...values])
      }
    })
  })
}
