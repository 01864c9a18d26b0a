/**
 * Hono's own bearer authentication in front: each client has a key, and sees its part of the records.
 *
 *   KAFKA_BROKERS=localhost:9092 KAFKA_TOPICS=orders SWEDEN_KEY=… ALL_KEY=… bun examples/clients.ts
 *
 *   curl -H "Authorization: Bearer $SWEDEN_KEY" 'localhost:3000/orders?start=earliest'
 *   curl -H "Authorization: Bearer $ALL_KEY" -N localhost:3000/orders -H 'Accept: text/event-stream'
 */
import { Hono } from 'hono'
import { bearerAuth } from 'hono/bearer-auth'
import { timingSafeEqual } from 'hono/utils/buffer'
import { type KafkaClient, kafkaConsume } from 'hono-kafka-consume'

const { KAFKA_BROKERS = 'localhost:9092', KAFKA_TOPICS = 'orders', PORT = '3000' } = process.env
const { SWEDEN_KEY = '', ALL_KEY = '' } = process.env
if (!SWEDEN_KEY || !ALL_KEY) throw new Error('SWEDEN_KEY and ALL_KEY are required')

const clients: ReadonlyArray<readonly [key: string, client: KafkaClient]> = [
  [SWEDEN_KEY, { name: 'sweden', only: { filters: ['value.country == "SE"'] } }],
  [ALL_KEY, { name: 'all' }],
]

const orders = kafkaConsume({
  bootstrapServers: KAFKA_BROKERS,
  topics: KAFKA_TOPICS,
  mode: 'auto',
  messageDeserializer: 'json',
  autoOffsetReset: 'earliest',
  consumerGroup: { mode: 'kong_consumer' }, // a GET without a position reads as the client's own group
  responseFormat: 'records',
})

const app = new Hono()
app.use(
  '/orders/*',
  bearerAuth({
    async verifyToken(token, c) {
      for (const [key, client] of clients) {
        if (!(await timingSafeEqual(key, token))) continue
        c.set('kafkaClient', client)
        return true
      }
      return false
    },
  }),
)
app.all('/orders', orders)

const server = Bun.serve({ port: Number(PORT), idleTimeout: 120, fetch: app.fetch })
console.log(`http://localhost:${server.port}/orders`)
process.on('SIGTERM', async () => {
  await orders.close()
  process.exit()
})
