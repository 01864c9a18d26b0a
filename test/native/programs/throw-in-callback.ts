import { until } from '../../support/wait.ts'
import { connectProducer, disconnect } from '../clients.ts'
import { startMockCluster } from '../clusters.ts'

let reports = 0
let uncaught = 0
process.on('uncaughtException', (error) => {
  if (error.message !== 'thrown on purpose') throw error
  uncaught++
})
const cluster = await startMockCluster()
const producer = await connectProducer(cluster.brokers)
producer.on('delivery-report', () => {
  reports++
  throw new Error('thrown on purpose')
})
const topic = await cluster.createTopic()
for (let i = 0; i < 5; i++) producer.produce(topic, 0, Buffer.from('x'))
await until(() => reports === 5 && uncaught === 5, 'five reports and errors')
await disconnect(producer)
await cluster.close()
console.log(`reports ${reports}, uncaught ${uncaught}`)
