/** The upper bound for reading: `KafkaConsumer.consume(1000, cb)` in a loop that only counts. */
import {
  type Consumer,
  call,
  connectClient,
  createConsumer,
  disconnectClient,
  loadClient,
  type Message,
  type Settings,
} from '../../kafka/client/client.ts'
import {
  CONSUMER_TOPIC_SETTINGS,
  consumerSettings,
} from '../../kafka/consumer/consumer-settings.ts'
import { serveCommands } from './serve.ts'

export type Bare = typeof commands

const BATCH = 1_000
const CONNECT_MS = 5_000

/** `ours`: the settings of the gateway's consumers. `defaults`: those of librdkafka and the client. */
export type BareSettings = 'ours' | 'defaults'

interface Reading {
  readonly brokers: string
  readonly settings: BareSettings
  /** The start offset of each partition of the topic. */
  readonly from: ReadonlyArray<{ topic: string; partition: number; offset: number }>
}

let reading: { consumer: Consumer; from: Reading['from'] } | undefined

const commands = {
  /** Connects. A `live` consumer begins to fetch at once, since its records are not written yet. */
  async open({ brokers, settings, from, live }: Reading & { live: boolean }) {
    const consumer = createBare(brokers, settings, live ? 'live' : 'catch-up')
    await connectClient(consumer, CONNECT_MS)
    if (live) consumer.assign([...from])
    reading = { consumer, from: live ? [] : from }
  },

  /** Reads a number of records. Times are seconds since the command, or since the first records. */
  async read({ records }: { records: number }) {
    if (!reading) throw new Error('Cannot read: no consumer is open')
    const { consumer, from } = reading
    const begun = performance.now()
    if (from.length > 0) consumer.assign([...from])
    let count = 0
    let first = 0
    let firstAt = 0
    while (count < records) {
      const messages = await call<Message[]>('Cannot read from Kafka', (done) =>
        consumer.consume(BATCH, done),
      )
      count += messages.length
      if (first > 0 || count === 0) continue
      first = count
      firstAt = performance.now()
    }
    const end = performance.now()
    return {
      seconds: (end - begun) / 1000,
      secondsFromFirst: (end - firstAt) / 1000,
      records: count,
      recordsFromFirst: count - first,
    }
  },

  async close() {
    const closing = reading
    reading = undefined
    if (closing) await disconnectClient(closing.consumer)
  },
}

serveCommands(commands)

function createBare(
  brokers: string,
  settings: BareSettings,
  purpose: 'live' | 'catch-up',
): Consumer {
  if (settings === 'ours') {
    const consumer = createConsumer(
      { 'bootstrap.servers': brokers, ...consumerSettings(purpose) },
      CONSUMER_TOPIC_SETTINGS,
    )
    consumer.setDefaultConsumeTimeout(100)
    return consumer
  }
  const defaults: Settings = { 'bootstrap.servers': brokers, 'group.id': 'bench-bare' }
  return new (loadClient().KafkaConsumer)(defaults, {}) as Consumer
}
