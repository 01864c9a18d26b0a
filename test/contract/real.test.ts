import { TestKafka } from '../support/kafka.ts'
import { describeContract } from './contract.ts'

describeContract('a real Kafka', async () => {
  const kafka = await TestKafka.real()
  return { kafka, close: () => kafka.close() }
})
