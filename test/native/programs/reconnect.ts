import { readdirSync } from 'node:fs'
import {
  connectConsumer,
  connectProducer,
  consumeExactly,
  disconnect,
  produce,
} from '../clients.ts'
import { startMockCluster } from '../clusters.ts'

const cluster = await startMockCluster()
const topic = await cluster.createTopic()

async function oneOfEach(): Promise<void> {
  const producer = await connectProducer(cluster.brokers)
  await produce(producer, topic, [{ value: Buffer.from('x') }])
  await disconnect(producer)
  const consumer = await connectConsumer(cluster.brokers)
  consumer.assign([{ topic, partition: 0, offset: 0 }])
  await consumeExactly(consumer, 1)
  await disconnect(consumer)
}

async function resources() {
  Bun.gc(true)
  await Bun.sleep(200)
  return {
    threads: readdirSync('/proc/self/task').length,
    files: readdirSync('/proc/self/fd').length,
    megabytes: Math.round(process.memoryUsage.rss() / 2 ** 20),
  }
}

for (let i = 0; i < 5; i++) await oneOfEach()
const before = await resources()
for (let i = 0; i < 50; i++) await oneOfEach()
const after = await resources()
await cluster.close()
console.log(JSON.stringify({ before, after }))
