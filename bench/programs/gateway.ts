/** The measured gateway: `kafkaConsume` on a Hono app, served by Bun with the gateway's own settings. */
import { Hono } from 'hono'
import { kafkaConsume } from '../../src/index.ts'
import { serveCommands } from './serve.ts'

export type Gateway = typeof commands

const commands = {
  /** Serves topics at `/stream` and `/messages`. */
  async serve({ brokers, topic }: { brokers: string; topic: string | readonly string[] }) {
    const topics = typeof topic === 'string' ? [topic] : [...topic]
    const route = kafkaConsume({
      bootstrapServers: brokers,
      topics,
      mode: 'server-sent-events',
    })
    const app = new Hono()
    app.all('/stream', route)
    app.all('/messages', kafkaConsume({ bootstrapServers: brokers, topics }))
    const server = Bun.serve({
      port: 0,
      hostname: '0.0.0.0', // a crowd comes from more than one address
      fetch: (request, server) => app.fetch(request, server),
    })
    await route.start()
    return { port: server.port as number }
  },
}

serveCommands(commands)
