/**
 * A page that may be open in any number of tabs on HTTP/1.1, of which a browser opens six connections
 * to a host: `sharedStream` has one connection for all tabs. HTTP/2 needs no sharing, since all streams of a
 * browser then share one connection.
 *
 *   KAFKA_BROKERS=localhost:9092 KAFKA_TOPICS=orders bun examples/tabs.ts
 */
import { Hono } from 'hono'
import { kafkaConsume } from 'hono-kafka-consume'
import page from './tabs.html'

const { KAFKA_BROKERS = 'localhost:9092', KAFKA_TOPICS = 'orders', PORT = '3000' } = process.env

const orders = kafkaConsume({
  bootstrapServers: KAFKA_BROKERS,
  topics: KAFKA_TOPICS,
  mode: 'server-sent-events',
})

const app = new Hono()
app.all('/orders', orders)

const server = Bun.serve({
  port: Number(PORT),
  idleTimeout: 120,
  routes: { '/': page },
  fetch: app.fetch,
})
console.log(`http://localhost:${server.port}/`)
process.on('SIGTERM', async () => {
  await orders.close()
  process.exit()
})
