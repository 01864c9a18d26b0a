import { TestKafka } from '../support/kafka.ts'
import { describeContract } from './contract.ts'

describeContract('a real Kafka', async () => {
  const { TEST_KAFKA_BROKERS: brokers } = process.env
  if (!brokers) {
    throw new Error(
      'TEST_KAFKA_BROKERS is not set: use "bun run test", or "bun run kafka start" and then ' +
        '"TEST_KAFKA_BROKERS=localhost:9092 bun test test/contract/real.test.ts"',
    )
  }
  const kafka = await TestKafka.connect(brokers, { autoCreate: false })
  return { kafka, close: () => kafka.close() }
})
