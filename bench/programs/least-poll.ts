/**
 * The upper bound for small polls: a Hono handler that does for a group GET what no program can leave out
 * that keeps the promises of docs/delivery.md, and nothing else. It waits until Bun has heard of clients
 * that left, polls, returns the JSON, and acks when Bun has sent all of it.
 *
 * It parses no parameters, limits no memory, knows no clients, compresses nothing, counts nothing and has
 * no answer for errors.
 */
import { Hono } from 'hono'
import { yieldToSocketEvents } from '../../src/core/turn-queue.ts'
import { bodyOfDelivery } from '../../src/http/response/body.ts'
import { Route } from '../../src/http/route/route.ts'
import { resolveOptions } from '../../src/options/consume-options.ts'
import type { PollLimits } from '../../src/port/kafka.ts'
import { serveCommands } from './serve.ts'

export type LeastPoll = typeof commands

interface Serving {
  readonly brokers: string
  readonly topic: string
  readonly records: number
}

const LAYOUT = { list: 'kong', content: 'record', valuesAreJson: false } as const
const HEADERS = {
  'Content-Type': 'application/json',
  'Cache-Control': 'no-store, no-transform',
  Vary: 'Accept-Encoding',
}
/** Microtasks within which Bun takes an answer. */
const MAX_MICROTASKS_UNTIL_TAKEN = 64

const commands = {
  /** Serves polls of so many records at `/messages`, as a group of its own that begins at the end of the topic. */
  async serve({ brokers, topic, records }: Serving) {
    const group = { mode: 'manual', consumerGroupId: `least-${crypto.randomUUID()}` } as const
    const options = { bootstrapServers: brokers, topics: [topic], consumerGroup: group }
    const route = new Route(resolveOptions(options))
    const limits: PollLimits = {
      maxRecords: records,
      maxBytes: 1024 * 1024,
      timeout: 1_000,
      layout: LAYOUT,
    }
    const app = new Hono()
    app.get('/messages', async (c) => {
      const joined = route.group({})
      const membership = joined instanceof Promise ? await joined : joined
      await yieldToSocketEvents()
      const delivery = membership.pollNow(limits) ?? (await membership.poll(limits, c.req.raw))
      const encoded = bodyOfDelivery(delivery, LAYOUT, true)
      const body = encoded instanceof Promise ? await encoded : encoded
      const response = c.body(body as Uint8Array<ArrayBuffer>, 200, HEADERS)
      let left = MAX_MICROTASKS_UNTIL_TAKEN
      const look = () => {
        const isSent = response.bodyUsed && server.requestIP(c.req.raw) === null
        if (isSent) delivery.ack()
        else if (left-- === 0) delivery.requeue()
        else queueMicrotask(look)
      }
      queueMicrotask(look)
      return response
    })
    const server = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: app.fetch })
    return { port: server.port as number }
  },
}

serveCommands(commands)
