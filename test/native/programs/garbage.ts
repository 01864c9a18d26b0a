import { KafkaConsumer, Producer } from '@confluentinc/kafka-javascript'

async function make(count: number): Promise<number> {
  for (let i = 0; i < count; i++) {
    new Producer({ 'client.id': 'x' })
    new KafkaConsumer({ 'group.id': 'x' })
    if (i % 500 === 0) {
      Bun.gc(true)
      await Bun.sleep(5)
    }
  }
  return Math.round(process.memoryUsage.rss() / 2 ** 20)
}

const before = await make(5000)
const after = await make(10_000)
console.log(JSON.stringify({ before, after }))
