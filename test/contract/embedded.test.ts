import { kafkaSide } from '../../kafka/index.ts'
import { TestKafka } from '../support/kafka.ts'
import { uniqueName } from '../support/names.ts'
import { describeContract } from './contract.ts'

describeContract('the embedded broker', async () => {
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
})
