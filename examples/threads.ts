/**
 * Serves an app by two threads of Bun on one port. This thread owns Kafka: both threads share one member
 * of the group, and one consumer for all streams.
 *
 *   KAFKA_BROKERS=localhost:9092 KAFKA_TOPICS=orders bun examples/threads.ts
 */
import { serveThreads } from 'hono-kafka-consume/threads'

const server = await serveThreads({
  module: new URL('./threads-app.ts', import.meta.url),
  workers: 2,
  port: Number(process.env['PORT'] ?? 3000),
})
console.log(`Listening on http://localhost:${server.port}/orders`)

process.once('SIGTERM', async () => {
  await server.close()
  process.exit(0)
})
