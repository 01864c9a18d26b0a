/**
 * A page in React that follows a topic with `useKafkaStream`:
 *
 *   bun examples/react-app/server.ts
 *
 * It is at http://localhost:3000/. Without `KAFKA_BROKERS` this process has a Kafka broker of its own, with
 * the events of a small shop.
 */
import { Hono } from 'hono'
import { kafkaConsume } from 'hono-kafka-consume'
import { kafkaSide } from 'hono-kafka-consume/kafka'
import * as v from 'valibot'
import page from './page.html'

/** An event of the demo shop: all have a type, a customer and a time, and orders a total. */
const ShopEvent = v.object({
  type: v.string(),
  customer: v.string(),
  at: v.pipe(v.string(), v.isoTimestamp()),
  total: v.optional(v.number()),
})

const { KAFKA_BROKERS, PORT = '3000' } = process.env
const broker = KAFKA_BROKERS
  ? undefined
  : await kafkaSide.startEmbeddedBroker({ topic: 'shop', records: 1_000, recordsPerSecond: 5 })

const events = kafkaConsume({
  bootstrapServers: broker?.bootstrapServers ?? String(KAFKA_BROKERS),
  topics: { shop: ShopEvent },
  mode: 'server-sent-events',
})

const app = new Hono().get('/events', events)
/** The app's routes, by which the page knows the types of its records. */
export type App = typeof app

// Bun bundles the page. Another bundler makes files of page.tsx, which serveStatic of Hono serves.
const server = Bun.serve({
  port: Number(PORT),
  idleTimeout: 120,
  routes: { '/': page },
  fetch: app.fetch,
})
console.log(`http://localhost:${server.port}/`)
process.on('SIGTERM', async () => {
  await events.close()
  await broker?.close()
  process.exit()
})
