/**
 * Two nodes share the work: both read as one consumer group, so Kafka spreads the partitions over
 * them, and no record is handed out twice while both are there.
 *
 *   KAFKA_BROKERS=localhost:9092 KAFKA_TOPICS=orders bun examples/two-gateways.ts
 */
import { Hono } from 'hono'
import { kafkaConsume } from 'hono-kafka-consume'

const { KAFKA_BROKERS = 'localhost:9092', KAFKA_TOPICS = 'orders' } = process.env

/**
 * What runs on one machine: an app, and its place in the group. Handlers of one process share a member
 * where their cluster has the same name, so here each node gives it a name of its own.
 */
function node(clusterName: string) {
  const orders = kafkaConsume({
    bootstrapServers: KAFKA_BROKERS,
    clusterName,
    topics: KAFKA_TOPICS,
    autoOffsetReset: 'earliest',
    responseFormat: 'records',
    consumerGroup: { mode: 'manual', consumerGroupId: `orders-of-${KAFKA_TOPICS}` },
  })
  const app = new Hono().all('/orders', orders)
  return { orders, server: Bun.serve({ port: 0, fetch: app.fetch }) }
}

const nodes = [node('first'), node('second')]
await Promise.all(nodes.map(({ orders }) => orders.start()))

// A load balancer would choose; here both are asked until neither has more.
const taken = [0, 0]
for (let empty = 0; empty < 3; ) {
  const counts = await Promise.all(
    nodes.map(async ({ server }, index) => {
      const response = await fetch(new URL('/orders?timeout=1000', server.url))
      const { records } = (await response.json()) as { records: unknown[] }
      taken[index] = (taken[index] ?? 0) + records.length
      return records.length
    }),
  )
  empty = counts.every((count) => count === 0) ? empty + 1 : 0
}
console.log(`the first node took ${taken[0]} records, the second ${taken[1]}`)

for (const { orders, server } of nodes) {
  await orders.close() // commits, and leaves the group: the other one goes on at once
  await server.stop()
}
