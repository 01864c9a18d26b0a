import { connectConsumer } from '../clients.ts'
import { startMockCluster } from '../clusters.ts'

const { brokers } = await startMockCluster()
await connectConsumer(brokers)
setTimeout(() => {
  throw new Error('thrown on purpose')
}, 10)
