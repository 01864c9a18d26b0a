/** What people would write: a consumer, a set of streams, and an event to each of them. */
import { join } from 'node:path'
import { Hono } from 'hono'
import { type SSEStreamingApi, streamSSE } from 'hono/streaming'
import { loadClient } from '../../kafka/client.ts'
import { serveCommands } from './serve.ts'

export type Peer = typeof commands

/** Clients for Kafka, as their documentation shows them. */
export const PEERS = ['confluent', 'kafkajs', 'platformatic'] as const
export type PeerName = (typeof PEERS)[number]

interface Received {
  readonly topic: string
  readonly partition: number
  readonly offset: string
  readonly value: string | undefined
}

type Follow = (
  brokers: string,
  topic: string,
  each: (record: Received) => Promise<void>,
) => Promise<void>

const streams = new Set<SSEStreamingApi>()

const commands = {
  /** Serves what comes to a topic at `/stream`. */
  async serve({ name, brokers, topic }: { name: PeerName; brokers: string; topic: string }) {
    const app = new Hono()
    app.get('/stream', (c) =>
      streamSSE(c, async (stream) => {
        await stream.write(': \n\n') // Bun sends the head with the first bytes
        streams.add(stream)
        await new Promise<void>((resolve) => stream.onAbort(resolve))
        streams.delete(stream)
      }),
    )
    const server = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      idleTimeout: 0,
      fetch: app.fetch,
    })
    await follow[name](brokers, topic, async ({ partition, offset, value }) => {
      const event = {
        id: `${topic}:${partition}=${offset}`,
        data: JSON.stringify({ topic, partition, offset, value }),
      }
      await Promise.all([...streams].map((stream) => stream.writeSSE(event)))
    })
    return { port: server.port as number }
  },
}

const groupId = `bench-${crypto.randomUUID()}`

const follow: Record<PeerName, Follow> = {
  async confluent(brokers, topic, each) {
    const { KafkaJS } = loadClient()
    const kafka = new KafkaJS.Kafka({ 'bootstrap.servers': brokers })
    const consumer = kafka.consumer({ 'group.id': groupId, 'auto.offset.reset': 'latest' })
    await consumer.connect()
    await consumer.subscribe({ topic })
    await consumer.run({
      eachMessage: ({ partition, message: { offset, value } }) =>
        each({ topic, partition, offset, value: value?.toString() }),
    })
  },

  async kafkajs(brokers, topic, each) {
    const { Kafka, logLevel } = await peer<KafkaJs>('kafkajs')
    const kafka = new Kafka({ brokers: brokers.split(','), logLevel: logLevel.NOTHING })
    const consumer = kafka.consumer({ groupId })
    await consumer.connect()
    await consumer.subscribe({ topic, fromBeginning: false })
    await consumer.run({
      eachMessage: ({ partition, message: { offset, value } }) =>
        each({ topic, partition, offset, value: value?.toString() }),
    })
  },

  async platformatic(brokers, topic, each) {
    const { Consumer, MessagesStreamModes } = await peer<Platformatic>('@platformatic/kafka')
    const consumer = new Consumer({
      groupId,
      clientId: 'bench',
      bootstrapBrokers: brokers.split(','),
    })
    const messages = await consumer.consume({
      topics: [topic],
      mode: MessagesStreamModes.LATEST,
      autocommit: true,
    })
    void (async () => {
      for await (const { partition, offset, value } of messages) {
        await each({ topic, partition, offset: String(offset), value: value?.toString() })
      }
    })()
  },
}

/** What is used of the peers, which are not installed where types are checked. */
interface KafkaJs {
  readonly logLevel: { readonly NOTHING: number }
  readonly Kafka: new (
    options: object,
  ) => {
    consumer(options: object): {
      connect(): Promise<void>
      subscribe(options: object): Promise<void>
      run(options: {
        eachMessage(payload: {
          partition: number
          message: { offset: string; value: Buffer | null }
        }): Promise<void>
      }): Promise<void>
    }
  }
}
interface Platformatic {
  readonly MessagesStreamModes: { readonly LATEST: string }
  readonly Consumer: new (
    options: object,
  ) => {
    consume(
      options: object,
    ): Promise<AsyncIterable<{ partition: number; offset: bigint; value: Buffer | null }>>
  }
}

/** Packages of `bench/peers`, which are no dependencies of the project. */
function peer<T>(name: string): Promise<T> {
  return import(Bun.resolveSync(name, join(import.meta.dirname, '..', 'peers')))
}

serveCommands(commands)
