import type { EmbeddedBroker, EmbeddedOptions } from '../../src/port/kafka.ts'
import { createProducer, type Metadata, type ProducerClient } from '../client/client.ts'
import { DemoShop } from './demo-events.ts'

/** The first records are as if they had come in over this time, in milliseconds. */
const HISTORY = 3_600_000
/** Milliseconds that starting may take, and that the first records may take. */
const DEADLINE = 10_000
/** Records that wait for the broker at a time; the client's own queue holds 100,000. */
const MAX_WAITING = 10_000
/** Milliseconds between two looks at the client's delivery reports while records are waited for. */
const POLL_INTERVAL = 2

/**
 * Starts librdkafka's mock cluster in this process, with one topic of demo events: one broker on a
 * port of its own on 127.0.0.1, everything in memory. Topics come into being when a producer names
 * them and have 4 partitions, which librdkafka fixes for every client but those in C. A partition
 * keeps its newest 5 MB and drops what is older, so memory stays bounded.
 *
 * @throws Error when the client cannot be loaded, or the broker is not there within 10 s.
 */
export async function startEmbeddedBroker(options: EmbeddedOptions): Promise<EmbeddedBroker> {
  const feed = await DemoProducer.connect(options.topic)
  try {
    await feed.addHistory(options.records)
  } catch (error) {
    await feed.close()
    throw error
  }
  feed.keepAdding(options.recordsPerSecond)
  const name = feed.bootstrapServers.join(',')
  running.add(name)
  const close = () => {
    running.delete(name)
    return feed.close()
  }
  return { bootstrapServers: feed.bootstrapServers, close }
}

const running = new Set<string>()

/** Whether these brokers are an embedded one of this process, which is quicker in some ways. */
export function isEmbedded(bootstrapServers: string): boolean {
  return running.has(bootstrapServers)
}

/** The producer that owns the cluster and writes the events. */
class DemoProducer {
  readonly bootstrapServers: readonly string[]
  readonly #producer: ProducerClient
  readonly #topic: string
  readonly #shop = new DemoShop()
  #waiting = 0
  #failure: Error | undefined
  #timer: ReturnType<typeof setTimeout> | undefined
  #closed: Promise<void> | undefined

  private constructor(
    producer: ProducerClient,
    topic: string,
    bootstrapServers: readonly string[],
  ) {
    this.#producer = producer
    this.#topic = topic
    this.bootstrapServers = bootstrapServers
    producer.on('delivery-report', (error) => {
      this.#waiting--
      if (error) this.#failure = new Error(error.message, { cause: error })
    })
  }

  static async connect(topic: string): Promise<DemoProducer> {
    const settings = {
      // The client's type declarations leave out librdkafka's hidden settings, such as this one.
      'test.mock.num.brokers': 1,
      'allow.auto.create.topics': true,
      'linger.ms': 5,
      dr_cb: true,
    }
    const producer = createProducer(settings)
    try {
      const metadata = await start(producer, topic)
      const brokers = metadata.brokers.map(({ host, port }) => `${host}:${port}`)
      if (brokers.length === 0)
        throw new Error('Cannot start the embedded broker: it has no address')
      return new DemoProducer(producer, topic, brokers)
    } catch (error) {
      await disconnect(producer)
      throw error
    }
  }

  /** Events over the last hour, in order; resolves when the broker has them all. */
  async addHistory(records: number): Promise<void> {
    const deadline = performance.now() + DEADLINE
    const step = HISTORY / Math.max(records, 1)
    const first = Date.now() - HISTORY
    for (let index = 0; index < records; index++) {
      this.#add(Math.floor(first + index * step))
      if (this.#waiting >= MAX_WAITING) await this.#delivered(deadline)
    }
    await this.#delivered(deadline)
  }

  /** Adds events from now on, at uneven times as real ones come, on a timer that holds no process up. */
  keepAdding(recordsPerSecond: number): void {
    if (recordsPerSecond <= 0) return
    let last = performance.now()
    let due = 0
    const tick = () => {
      const now = performance.now()
      // A process that was stopped for a while goes on; it does not catch up.
      due += (Math.min(now - last, 1_000) / 1_000) * recordsPerSecond
      last = now
      this.#producer.poll()
      for (; due >= 1 && this.#waiting < MAX_WAITING; due--) this.#add(Date.now())
      schedule()
    }
    const schedule = () => {
      const interval = Math.max(10, 1_000 / recordsPerSecond)
      this.#timer = setTimeout(tick, interval * (0.4 + 1.2 * Math.random()))
      this.#timer.unref()
    }
    schedule()
  }

  close(): Promise<void> {
    clearTimeout(this.#timer)
    this.#closed ??= disconnect(this.#producer)
    return this.#closed
  }

  #add(at: number): void {
    const { key, value, headers } = this.#shop.next(at)
    this.#waiting++
    this.#producer.produce(this.#topic, null, Buffer.from(value), key, at, undefined, [...headers])
  }

  async #delivered(deadline: number): Promise<void> {
    while (this.#waiting > 0) {
      if (this.#failure || performance.now() > deadline) {
        const state = this.#failure?.message ?? `${this.#waiting} events were not taken in time`
        throw new Error(`Cannot fill the embedded broker: ${state}`, { cause: this.#failure })
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_INTERVAL))
      this.#producer.poll()
    }
  }
}

/** Connects, which starts the cluster, and asks for the topic, which creates it. */
function start(producer: ProducerClient, topic: string): Promise<Metadata> {
  return new Promise((resolve, reject) => {
    const fail = (state: string, cause?: unknown) =>
      reject(new Error(`Cannot start the embedded broker: ${state}`, { cause }))
    setTimeout(() => fail(`it did not answer within ${DEADLINE / 1_000} s`), DEADLINE).unref()
    producer.connect({ timeout: DEADLINE }, (error) => {
      if (error) return fail(error.message, error)
      producer.getMetadata({ topic, timeout: DEADLINE }, (error, metadata) => {
        if (error) fail(error.message, error)
        else resolve(metadata)
      })
    })
  })
}

/** Does not wait for records that are still on their way: their broker ends too. */
function disconnect(producer: ProducerClient): Promise<void> {
  return new Promise((resolve) => {
    if (!producer.isConnected()) return resolve()
    producer.disconnect(1, () => resolve())
  })
}
