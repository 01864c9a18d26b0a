/**
 * Two nodes share the work: both are members of one consumer group, so Kafka assigns each of them a part
 * of the partitions, and no record is delivered twice while both run.
 *
 *   KAFKA_BROKERS=localhost:9092 KAFKA_TOPICS=orders bun examples/two-gateways.ts
 */
import { Hono } from 'hono'
import { kafkaConsume } from 'hono-kafka-consume'

const { KAFKA_BROKERS = 'localhost:9092', KAFKA_TOPICS = 'orders' } = process.env

/**
 * The app of one machine. Handlers of one process share a member of the group if they name the cluster
 * alike, so each node here gives the cluster another name.
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

// The member that joins second gets partitions once the first has given some up, which takes a moment.
// Until then the first would read the records of all partitions.
const hasPartitions = ({ orders }: (typeof nodes)[number]) =>
  orders.stats().groups.some(({ partitions }) => partitions.length > 0)
for (let waited = 0; waited < 30_000 && !nodes.every(hasPartitions); waited += 100) {
  await new Promise((resolve) => setTimeout(resolve, 100))
}

// In production a load balancer would choose a node. Here both are asked until neither has more records.
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
  await orders.close() // Commits and leaves the group, so that the other node takes over at once.
  await server.stop()
}
