import { connectConsumer, connectProducer, consumeExactly, produce } from '../clients.ts'
import { startMockCluster } from '../clusters.ts'

const { brokers, createTopic } = await startMockCluster()
const topic = await createTopic()
await produce(await connectProducer(brokers), topic, [{ value: Buffer.from('x') }])
const consumer = await connectConsumer(brokers)
consumer.subscribe([topic])
await consumeExactly(consumer, 1)
consumer.consume(1000, () => {}) // under way on another thread at exit
console.log('consuming')
process.exit(7)
