/**
 * An app on Deno, with the addon that `bun run setup` has compiled:
 *
 *   KAFKA_BROKERS=localhost:9092 KAFKA_TOPICS=orders deno serve --allow-all examples/deno.ts
 *
 * Deno does not notify a handler of the end. The process gets a signal.
 */
import process from 'node:process'
import { Hono } from 'hono'
import { kafkaConsume } from '../src/index.ts'

const { KAFKA_BROKERS = 'localhost:9092', KAFKA_TOPICS = 'orders' } = process.env

const orders = kafkaConsume({
  bootstrapServers: KAFKA_BROKERS,
  topics: KAFKA_TOPICS,
  mode: 'auto',
  autoOffsetReset: 'earliest',
})
process.on('SIGTERM', async () => {
  await orders.close()
  process.exit()
})

export default new Hono().all('/orders', orders)
