import type { EmbeddedBroker, EmbeddedOptions } from '../../src/port/kafka.ts'
import { createProducer, type Metadata, type ProducerClient } from '../client/client.ts'
import { DemoShop } from './demo-events.ts'

/** The timestamps of the first records are spread over this time before the start. */
const HISTORY_MS = 3_600_000
/** Milliseconds for starting, and again for writing the first records. */
const TIMEOUT_MS = 10_000
/** Records that wait for the broker at most; the client's own queue holds 100,000. */
const MAX_PENDING = 10_000
/** Milliseconds between two polls for delivery reports. */
const POLL_INTERVAL_MS = 2

/**
 * Starts librdkafka's mock cluster in this process, with one topic of demo events: one broker on a
 * free port of 127.0.0.1, with all records in memory. A topic is created when a producer names it, and
 * has 4 partitions, since only C programs can change librdkafka's default. A partition keeps its newest
 * 5 MB and drops older records, which bounds memory.
 *
 * @throws Error when the client cannot be loaded, or the broker does not answer within 10 s.
 */
export async function startEmbeddedBroker(options: EmbeddedOptions): Promise<EmbeddedBroker> {
  const producer = await DemoProducer.connect(options.topic)
  try {
    await producer.addHistory(options.records)
  } catch (error) {
    await producer.close()
    throw error
  }
  producer.keepAdding(options.recordsPerSecond)
  const name = producer.bootstrapServers.join(',')
  running.add(name)
  const close = () => {
    running.delete(name)
    return producer.close()
  }
  return { bootstrapServers: producer.bootstrapServers, close }
}

const running = new Set<string>()

/** Whether these bootstrap servers are an embedded broker of this process, which needs other settings. */
export function isEmbedded(bootstrapServers: string): boolean {
  return running.has(bootstrapServers)
}

/** The producer that owns the mock cluster and writes the demo events. */
class DemoProducer {
  readonly bootstrapServers: readonly string[]
  readonly #producer: ProducerClient
  readonly #topic: string
  readonly #shop = new DemoShop()
  #pending = 0
  #error: Error | undefined
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
      this.#pending--
      if (error) this.#error = new Error(error.message, { cause: error })
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

  /** Adds events of the last hour, in order; resolves when the broker has all of them. */
  async addHistory(records: number): Promise<void> {
    const deadline = performance.now() + TIMEOUT_MS
    const step = HISTORY_MS / Math.max(records, 1)
    const first = Date.now() - HISTORY_MS
    for (let index = 0; index < records; index++) {
      this.#add(Math.floor(first + index * step))
      if (this.#pending >= MAX_PENDING) await this.#delivered(deadline)
    }
    await this.#delivered(deadline)
  }

  /** Adds events from now on, at uneven intervals like real ones. Its timer does not keep a process alive. */
  keepAdding(recordsPerSecond: number): void {
    if (recordsPerSecond <= 0) return
    let last = performance.now()
    let due = 0
    const tick = () => {
      const now = performance.now()
      // A process that was suspended for a while does not make up for the events of that time.
      due += (Math.min(now - last, 1_000) / 1_000) * recordsPerSecond
      last = now
      this.#producer.poll()
      for (; due >= 1 && this.#pending < MAX_PENDING; due--) this.#add(Date.now())
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
    this.#pending++
    this.#producer.produce(this.#topic, null, Buffer.from(value), key, at, undefined, [...headers])
  }

  async #delivered(deadline: number): Promise<void> {
    while (this.#pending > 0) {
      if (this.#error || performance.now() > deadline) {
        const state = this.#error?.message ?? `${this.#pending} events were not taken in time`
        throw new Error(`Cannot fill the embedded broker: ${state}`, { cause: this.#error })
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_INTERVAL_MS))
      this.#producer.poll()
    }
  }
}

/** Connects, which starts the mock cluster, and requests the topic's metadata, which creates the topic. */
function start(producer: ProducerClient, topic: string): Promise<Metadata> {
  return new Promise((resolve, reject) => {
    const rejectWith = (state: string, cause?: unknown) =>
      reject(new Error(`Cannot start the embedded broker: ${state}`, { cause }))
    setTimeout(
      () => rejectWith(`it did not answer within ${TIMEOUT_MS / 1_000} s`),
      TIMEOUT_MS,
    ).unref()
    producer.connect({ timeout: TIMEOUT_MS }, (error) => {
      if (error) return rejectWith(error.message, error)
      producer.getMetadata({ topic, timeout: TIMEOUT_MS }, (error, metadata) => {
        if (error) rejectWith(error.message, error)
        else resolve(metadata)
      })
    })
  })
}

/** Disconnects without waiting for pending records: their broker ends, too. */
function disconnect(producer: ProducerClient): Promise<void> {
  return new Promise((resolve) => {
    if (!producer.isConnected()) return resolve()
    producer.disconnect(1, () => resolve())
  })
}
