/** The measured gateway: `kafkaConsume` on a Hono app, served by Bun with the gateway's own settings. */
import { Hono } from 'hono'
import { websocket } from 'hono/bun'
import {
  type KafkaConsumeOptions,
  type KafkaReaderEnv,
  kafkaConsume,
  kafkaReader,
} from '../../src/index.ts'
import { serveCommands } from './serve.ts'

export type Gateway = typeof commands

interface Serving {
  readonly brokers: string
  readonly topic: string | readonly string[]
  readonly quiet?: string
  /** PEM texts. Default: plain HTTP. */
  readonly tls?: { readonly cert: string; readonly key: string }
}

interface GroupServing {
  readonly brokers: string
  readonly topic: string
  readonly group: string
  /** Default: classic. */
  readonly protocol?: 'classic' | 'consumer'
}

const commands = {
  /** Serves topics at `/stream` and `/messages`, and another topic at `/quiet`. */
  async serve(serving: Serving) {
    const { brokers, topic, quiet, tls } = serving
    const topics = typeof topic === 'string' ? [topic] : [...topic]
    const route = kafkaConsume({
      bootstrapServers: brokers,
      topics,
      mode: 'server-sent-events',
    })
    const app = new Hono()
    app.all('/stream', route)
    app.all('/messages', kafkaConsume({ bootstrapServers: brokers, topics }))
    if (quiet) {
      const mode = 'server-sent-events'
      app.all('/quiet', kafkaConsume({ bootstrapServers: brokers, topics: [quiet], mode }))
    }
    const server = Bun.serve({
      port: 0,
      hostname: '0.0.0.0', // a crowd comes from more than one address
      fetch: (request, server) => app.fetch(request, server),
      ...(tls && { tls, http2: true }),
    })
    await route.start()
    return { port: server.port as number }
  },

  /**
   * Serves a topic as a group that begins at the first record: `/messages`, `/socket`, and `/count`,
   * whose handler counts the records of one poll.
   */
  async serveGroup({ brokers, topic, group, protocol }: GroupServing) {
    await closeGroup?.()
    const options: KafkaConsumeOptions = {
      bootstrapServers: brokers,
      topics: [topic],
      autoOffsetReset: 'earliest',
      consumerGroup: { mode: 'manual', consumerGroupId: group, groupProtocol: protocol },
    }
    const messages = kafkaConsume(options)
    const socket = kafkaConsume({ ...options, mode: 'websocket' })
    const reader = kafkaReader(options)
    const app = new Hono<KafkaReaderEnv>()
    app.all('/messages', messages)
    app.all('/socket', socket)
    app.use('/count', reader)
    app.get('/count', async (c) => {
      const maxRecords = Number(c.req.query('max_records'))
      const { records } = await c.var.kafka.poll({ maxRecords, timeout: 5_000 })
      return c.text(String(records.length))
    })
    const server = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      fetch: (request, server) => app.fetch(request, server),
      websocket,
    })
    closeGroup = async () => {
      closeGroup = undefined
      await Promise.all([messages, socket, reader].map((handler) => handler.close()))
      await server.stop(true)
    }
    return { port: server.port as number }
  },

  /** Leaves the group of `serveGroup`. */
  closeGroup: async () => closeGroup?.(),
}

let closeGroup: (() => Promise<void>) | undefined

serveCommands(commands)
