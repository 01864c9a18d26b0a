/** A handwritten server, as people would write it: a consumer, a set of streams, and an event to each. */
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { Hono } from 'hono'
import { type SSEStreamingApi, streamSSE } from 'hono/streaming'
import { loadClient } from '../../kafka/client/client.ts'
import { serveCommands } from './serve.ts'

export type Peer = typeof commands

/** Kafka clients, used as their documentation shows. */
export const PEERS = ['confluent', 'kafkajs', 'platformatic', 'kafka-crab'] as const
export type PeerName = (typeof PEERS)[number]

interface Serving {
  readonly name: PeerName
  /** The folder whose `node_modules` has the peers, which are not dependencies of the project. */
  readonly packages: string
  readonly brokers: string
  readonly topic: string
}

interface Received {
  readonly topic: string
  readonly partition: number
  readonly offset: string | number | bigint
  readonly value: Buffer | null
}

/** Reads a topic from its beginning; resolves when it reads, with a function that ends it. */
type Follow = (
  serving: Serving,
  each: (record: Received) => Promise<unknown>,
) => Promise<() => Promise<unknown>>

const streams = new Set<SSEStreamingApi>()

const commands = {
  /** Serves a topic at `/stream` with one consumer for all streams, and any topic at `/own/TOPIC` with one for each stream. */
  async serve(serving: Serving) {
    const followOne = follow[serving.name]
    const app = new Hono()
    app.get('/stream', (c) =>
      streamSSE(c, async (stream) => {
        await stream.write(': \n\n') // Bun sends the head with the first bytes
        streams.add(stream)
        await new Promise<void>((resolve) => stream.onAbort(resolve))
        streams.delete(stream)
      }),
    )
    app.get('/own/:topic', (c) =>
      streamSSE(c, async (stream) => {
        await stream.write(': \n\n')
        const aborted = new Promise<void>((resolve) => stream.onAbort(resolve))
        const own = { ...serving, topic: c.req.param('topic') }
        const close = await followOne(own, (record) => stream.writeSSE(eventOf(record)))
        await aborted
        await close()
      }),
    )
    const server = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      idleTimeout: 0,
      fetch: app.fetch,
    })
    await followOne(serving, (record) => {
      const event = eventOf(record)
      return Promise.all([...streams].map((stream) => stream.writeSSE(event)))
    })
    return { port: server.port as number }
  },
}

function eventOf({ topic, partition, offset, value }: Received): { id: string; data: string } {
  return {
    id: `${topic}:${partition}=${offset}`,
    data: JSON.stringify({
      topic,
      partition,
      offset: String(offset),
      value: value?.toString(),
    }),
  }
}

const newGroup = () => `bench-${crypto.randomUUID()}`

const follow: Record<PeerName, Follow> = {
  async confluent({ brokers, topic }, each) {
    const { KafkaJS } = loadClient()
    const { logLevel } = KafkaJS
    const kafka = new KafkaJS.Kafka({
      kafkaJS: { brokers: brokers.split(','), logLevel: logLevel.NOTHING },
    })
    const consumer = kafka.consumer({ kafkaJS: { groupId: newGroup(), fromBeginning: true } })
    await consumer.connect()
    await consumer.subscribe({ topic })
    await consumer.run({
      eachMessage: async ({ partition, message: { offset, value } }) => {
        await each({ topic, partition, offset, value })
      },
    })
    return () => consumer.disconnect()
  },

  async kafkajs({ packages, brokers, topic }, each) {
    const { Kafka, logLevel } = peer<KafkaJs>(packages, 'kafkajs')
    const kafka = new Kafka({ brokers: brokers.split(','), logLevel: logLevel.NOTHING })
    const consumer = kafka.consumer({ groupId: newGroup() })
    await consumer.connect()
    await consumer.subscribe({ topic, fromBeginning: true })
    await consumer.run({
      eachMessage: async ({ partition, message: { offset, value } }) => {
        await each({ topic, partition, offset, value })
      },
    })
    return () => consumer.disconnect()
  },

  async platformatic({ packages, brokers, topic }, each) {
    const { Consumer } = peer<Platformatic>(packages, '@platformatic/kafka')
    const consumer = new Consumer({
      groupId: newGroup(),
      clientId: 'bench',
      bootstrapBrokers: brokers.split(','),
    })
    const messages = await consumer.consume({
      topics: [topic],
      mode: 'earliest',
      autocommit: true,
    })
    void (async () => {
      for await (const { partition, offset, value } of messages) {
        await each({ topic, partition, offset, value })
      }
    })()
    return () => consumer.close(true)
  },

  async 'kafka-crab'({ packages, brokers, topic }, each) {
    const { KafkaClient } = peer<KafkaCrab>(packages, 'kafka-crab-js')
    const client = new KafkaClient({ brokers, clientId: 'bench' })
    const { consumer, stream } = client.createWebStreamConsumer({
      groupId: newGroup(),
      enableAutoCommit: true,
      batchSize: 64, // "Start with", says its README.
      batchTimeout: 5,
      configuration: { 'auto.offset.reset': 'earliest' },
    })
    await consumer.subscribe(topic)
    void (async () => {
      for await (const messages of stream) {
        for (const { partition, offset, payload } of messages) {
          await each({ topic, partition, offset, value: payload })
        }
      }
    })()
    return () => consumer.disconnect()
  },
}

/** The used types of the peers, which are not installed where types are checked. */
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
      disconnect(): Promise<void>
    }
  }
}
interface Platformatic {
  readonly Consumer: new (
    options: object,
  ) => {
    consume(
      options: object,
    ): Promise<AsyncIterable<{ partition: number; offset: bigint; value: Buffer | null }>>
    close(force: boolean): Promise<void>
  }
}
interface KafkaCrab {
  readonly KafkaClient: new (
    options: object,
  ) => {
    createWebStreamConsumer(options: object): {
      consumer: { subscribe(topic: string): Promise<void>; disconnect(): Promise<void> }
      stream: AsyncIterable<Array<{ partition: number; offset: number; payload: Buffer }>>
    }
  }
}

function peer<T>(packages: string, name: string): T {
  return createRequire(join(packages, 'package.json'))(name)
}

serveCommands(commands)
