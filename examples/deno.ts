/**
 * An app on Deno, with the addon that `bun run setup` has compiled:
 *
 *   KAFKA_BROKERS=localhost:9092 KAFKA_TOPICS=orders deno serve --allow-all examples/deno.ts
 *
 * `deno serve` stops listening at SIGTERM or SIGINT and ends when nothing is open. Kafka stays open until `close`.
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
for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => orders.close())

export default new Hono().all('/orders', orders)
