import { kafkaSide } from '../../kafka/index.ts'
import { TestKafka } from '../support/kafka.ts'
import { uniqueName } from '../support/names.ts'
import { describeContract } from './contract.ts'

// librdkafka asks the controller for topic ids, and its mock cluster names none.
const features = { hasTopicIds: false }

async function makeTarget() {
  const topic = uniqueName('embedded')
  const broker = await kafkaSide.startEmbeddedBroker({ topic, records: 0, recordsPerSecond: 0 })
  const kafka = await TestKafka.connect(broker.bootstrapServers.join(','), { autoCreate: true })
  return {
    kafka,
    async close() {
      await kafka.close()
      await broker.close()
    },
  }
}

describeContract('the embedded broker', makeTarget, features)
