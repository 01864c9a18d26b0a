/** The Kafkas that the addon is tried against: librdkafka's mock and, where one is named, a real one. */
import { KafkaJS, Producer, type ProducerGlobalConfig } from '@confluentinc/kafka-javascript'

export interface Cluster {
  brokers: string
  isReal: boolean
  /** Makes a topic of four partitions that no other test uses. */
  createTopic(): Promise<string>
  close(): Promise<void>
}

/** Lives in this process, until closed. It makes topics by itself, with four partitions. */
export async function startMockCluster(): Promise<Cluster> {
  const config: ProducerGlobalConfig & Record<string, unknown> = {
    'bootstrap.servers': 'unused:1',
    'test.mock.num.brokers': 1,
  }
  const host = new Producer(config)
  const brokers = new Promise<string>((resolve) => {
    host.on('event.log', ({ message }: { message: string }) => {
      const addresses = /replaced with (\S+)/.exec(message)?.[1]
      if (addresses) resolve(addresses)
    })
  })
  await new Promise<void>((resolve, reject) => {
    host.connect({ timeout: 10_000 }, (error) => (error ? reject(error) : resolve()))
  })
  return {
    brokers: await brokers,
    isReal: false,
    createTopic: async () => newName(),
    close: () => new Promise((resolve) => host.disconnect(() => resolve())),
  }
}

async function useRealCluster(brokers: string): Promise<Cluster> {
  const admin = new KafkaJS.Kafka({ 'bootstrap.servers': brokers }).admin()
  await admin.connect()
  const topics: string[] = []
  return {
    brokers,
    isReal: true,
    async createTopic() {
      const topic = newName()
      topics.push(topic)
      await admin.createTopics({ topics: [{ topic, numPartitions: 4 }] })
      return topic
    },
    async close() {
      if (topics.length > 0) await admin.deleteTopics({ topics })
      await admin.disconnect()
    },
  }
}

const { TEST_KAFKA_BROKERS: realBrokers } = process.env

export const clusters: { name: string; start: () => Promise<Cluster> }[] = [
  { name: 'mock cluster', start: startMockCluster },
  ...(realBrokers ? [{ name: 'real Kafka', start: () => useRealCluster(realBrokers) }] : []),
]

export function newName(): string {
  return `native-${crypto.randomUUID()}`
}
