import { describe, expect, test } from 'bun:test'
import { KafkaConsumer } from '@confluentinc/kafka-javascript'
import { DemoShop } from '../kafka/embedded/demo-events.ts'
import { startEmbeddedBroker } from '../kafka/embedded/embedded.ts'
import type { EmbeddedBroker } from '../src/port/kafka.ts'
import { SOON, stays, until, within } from './support/wait.ts'

type Message = import('@confluentinc/kafka-javascript').Message
type Metadata = import('@confluentinc/kafka-javascript').Metadata

/** Reads all partitions of a topic from their beginning. */
class Reader implements AsyncDisposable {
  readonly messages: Message[] = []
  readonly #consumer: KafkaConsumer
  #partitions = 0

  private constructor(consumer: KafkaConsumer) {
    this.#consumer = consumer
  }

  static async open(broker: EmbeddedBroker, topic: string): Promise<Reader> {
    const consumer = new KafkaConsumer({
      'bootstrap.servers': broker.bootstrapServers.join(','),
      'group.id': 'embedded-test',
      'enable.auto.commit': false,
      'fetch.wait.max.ms': 20,
    })
    // For each message of a batch: by default `consume` waits a second for the batch to fill.
    consumer.setDefaultConsumeTimeout(10)
    const reader = new Reader(consumer)
    await call((done) => consumer.connect({ timeout: SOON }, done))
    const partitions = await reader.partitions(topic)
    consumer.assign(partitions.map((partition) => ({ topic, partition, offset: 0 })))
    reader.#partitions = partitions.length
    return reader
  }

  async partitions(topic: string): Promise<number[]> {
    const metadata = await call<Metadata>((done) =>
      this.#consumer.getMetadata({ topic, timeout: SOON }, done),
    )
    const found = metadata.topics.find(({ name }) => name === topic)
    return found?.partitions.map(({ id }) => id) ?? []
  }

  async until(count: number): Promise<void> {
    await until(
      async () => {
        const more = await call<Message[]>((done) => this.#consumer.consume(1_000, done))
        this.messages.push(...more)
        return this.messages.length >= count
      },
      () => `${count} messages; ${this.messages.length} came of ${this.#partitions} partitions`,
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await within(
      new Promise<void>((resolve) => this.#consumer.disconnect(() => resolve())),
      'the consumer to disconnect',
    )
  }
}

function call<T>(run: (done: (error: unknown, result: T) => void) => unknown): Promise<T> {
  return new Promise((resolve, reject) => {
    run((error, result) => (error ? reject(error) : resolve(result)))
  })
}

describe('the embedded broker', () => {
  test('begins with a shop’s events of the last hour, in order', async () => {
    const started = Date.now()
    const broker = await startEmbeddedBroker({ topic: 'shop', records: 1_000, recordsPerSecond: 0 })
    try {
      await using reader = await Reader.open(broker, 'shop')
      expect(await reader.partitions('shop')).toEqual([0, 1, 2, 3])
      await reader.until(1_000)
      await stays(() => reader.messages.length === 1_000, 'there are 1,000 events', 100)
      for (const partition of [0, 1, 2, 3]) {
        const messages = reader.messages.filter((message) => message.partition === partition)
        expect(messages.length).toBeGreaterThan(100)
        const times = messages.map(({ timestamp }) => timestamp ?? 0)
        expect(times).toEqual(times.toSorted((a, b) => a - b))
        expect(times[0]).toBeGreaterThan(started - 3_700_000)
        expect(times.at(-1)).toBeLessThan(Date.now())
      }
      for (const { key, value, headers = [] } of reader.messages) {
        expect(String(key)).toMatch(/^cust-\d{4}$/)
        expect(JSON.parse(String(value))).toMatchObject({ customer: String(key) })
        expect(headers.map((header) => Object.keys(header)[0])).toEqual([
          'content-type',
          'traceparent',
        ])
      }
    } finally {
      await within(broker.close(), 'the broker to close', 2_000)
    }
  })

  test('keeps adding at about the given rate, and stops when it is closed', async () => {
    const broker = await startEmbeddedBroker({ topic: 'shop', records: 0, recordsPerSecond: 50 })
    await using reader = await Reader.open(broker, 'shop')
    const began = performance.now()
    await reader.until(50)
    const seconds = (performance.now() - began) / 1_000
    expect(seconds).toBeGreaterThan(0.4)
    expect(seconds).toBeLessThan(25)
    await within(broker.close(), 'the broker to close', 2_000)
    await broker.close()
  })

  test('runs beside a second one in the same process', async () => {
    const options = { topic: 'shop', records: 10, recordsPerSecond: 0 }
    const [one, two] = await Promise.all([
      startEmbeddedBroker(options),
      startEmbeddedBroker(options),
    ])
    expect(one.bootstrapServers).not.toEqual(two.bootstrapServers)
    await within(Promise.all([one.close(), two.close()]), 'both brokers to close', 2_000)
  })

  test('a reader does not create a topic to which nothing was produced', async () => {
    const broker = await startEmbeddedBroker({ topic: 'shop', records: 1, recordsPerSecond: 0 })
    try {
      await using reader = await Reader.open(broker, 'shop')
      expect(await reader.partitions('nobody')).toEqual([])
    } finally {
      await broker.close()
    }
  })
})

describe('the demo shop', () => {
  test('has equal events for equal seeds', () => {
    const story = (seed: number) => {
      const shop = new DemoShop(seed)
      return Array.from({ length: 200 }, (_, index) => shop.next(index))
    }
    expect(story(7)).toEqual(story(7))
    expect(story(7)).not.toEqual(story(8))
  })

  test('an order is placed, then paid, then shipped', () => {
    const shop = new DemoShop()
    const orders = new Map<string, string[]>()
    for (let index = 0; index < 5_000; index++) {
      const { type, order } = JSON.parse(shop.next(index).value)
      if (order && type !== 'payment.declined')
        orders.set(order, [...(orders.get(order) ?? []), type])
    }
    const finished = [...orders.values()].filter((steps) => steps.length === 3)
    expect(finished.length).toBeGreaterThan(100)
    for (const steps of orders.values()) {
      const whole = ['order.placed', 'payment.authorized', 'order.shipped']
      expect(steps).toEqual(whole.slice(0, steps.length))
    }
  })
})
