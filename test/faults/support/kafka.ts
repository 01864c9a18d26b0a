import { TestKafka } from '../../support/kafka.ts'

/** The Kafka of the tests, for faults that leave the brokers alone. */
export async function connectKafka(): Promise<TestKafka> {
  const brokers = process.env['TEST_KAFKA_BROKERS']
  if (brokers === undefined) throw new Error('Cannot test: TEST_KAFKA_BROKERS is not set')
  return TestKafka.connect(brokers, { autoCreate: false })
}
