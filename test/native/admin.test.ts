import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test'
import { KafkaJS } from '@confluentinc/kafka-javascript'
import { until } from '../support/wait.ts'
import {
  connectConsumer,
  connectProducer,
  consumeExactly,
  disconnectAll,
  produce,
} from './clients.ts'
import { type Cluster, clusters, newName } from './clusters.ts'

for (const { name, start } of clusters) {
  describe(`Queries to the ${name}`, () => {
    let cluster: Cluster
    let admin: KafkaJS.Admin
    beforeAll(async () => {
      cluster = await start()
      admin = new KafkaJS.Kafka({ 'bootstrap.servers': cluster.brokers }).admin()
      await admin.connect()
    })
    afterEach(disconnectAll)
    afterAll(async () => {
      await admin.disconnect()
      await cluster.close()
    })

    async function topicWithThree(): Promise<string> {
      const topic = await cluster.createTopic()
      const value = Buffer.from('x')
      await produce(await connectProducer(cluster.brokers), topic, [
        { value },
        { value },
        { value },
      ])
      return topic
    }

    test('list the topics', async () => {
      const topic = await topicWithThree()
      expect(await admin.listTopics()).toContain(topic)
    }, 120_000)

    test("tell a topic's partitions and leaders", async () => {
      const topic = await topicWithThree()
      const producer = await connectProducer(cluster.brokers)
      const metadata = await new Promise<{ topics: { name: string; partitions: unknown[] }[] }>(
        (resolve, reject) => {
          producer.getMetadata({ topic, timeout: 5000 }, (error, data) =>
            error ? reject(error) : resolve(data),
          )
        },
      )
      const partitions = metadata.topics.find((found) => found.name === topic)?.partitions
      expect(partitions).toHaveLength(4)
      expect(partitions?.[0]).toMatchObject({ id: 0, leader: expect.any(Number) })
    }, 120_000)

    test('tell the first and the next offset of a partition', async () => {
      const topic = await topicWithThree()
      const consumer = await connectConsumer(cluster.brokers)
      const offsets = await new Promise((resolve, reject) => {
        consumer.queryWatermarkOffsets(topic, 0, 5000, (error, data) =>
          error ? reject(error) : resolve(data),
        )
      })
      expect(offsets).toEqual({ lowOffset: 0, highOffset: 3 })
    }, 120_000)

    test('tell what a group has committed', async () => {
      const topic = await topicWithThree()
      const consumer = await connectConsumer(cluster.brokers)
      consumer.assign([{ topic, partition: 0, offset: 0 }])
      await consumeExactly(consumer, 2)
      consumer.commitSync({ topic, partition: 0, offset: 2 })
      const committed = await new Promise((resolve, reject) => {
        consumer.committed([{ topic, partition: 0 }], 5000, (error, data) =>
          error ? reject(error) : resolve(data),
        )
      })
      expect(committed).toMatchObject([{ topic, partition: 0, offset: 2 }])
    }, 120_000)

    // The mock cluster does not support the requests below.
    if (name === 'mock cluster') return

    test('create and delete topics', async () => {
      const topic = newName()
      expect(await admin.createTopics({ topics: [{ topic, numPartitions: 2 }] })).toBe(true)
      // A broker learns of a topic a moment after the controller has answered: its making and its end.
      let partitions: number | undefined
      await until(async () => {
        const asked = admin.fetchTopicMetadata({ topics: [topic] })
        const [metadata] = await asked.catch(() => [])
        partitions = metadata?.partitions.length
        return partitions !== undefined
      }, 'the topic to be known')
      expect(partitions).toBe(2)
      await admin.deleteTopics({ topics: [topic] })
      await until(async () => !(await admin.listTopics()).includes(topic), 'the topic to be gone')
    }, 120_000)

    test('tell the offsets of all partitions of a topic', async () => {
      const offsets = await admin.fetchTopicOffsets(await topicWithThree())
      expect(offsets).toHaveLength(4)
      expect(offsets.find(({ partition }) => partition === 0)).toMatchObject({
        low: '0',
        high: '3',
      })
    }, 120_000)

    test('describe a group and its members', async () => {
      const topic = await topicWithThree()
      const groupId = newName()
      const consumer = await connectConsumer(cluster.brokers, { 'group.id': groupId })
      consumer.subscribe([topic])
      await consumeExactly(consumer, 3)
      const { groups } = await admin.describeGroups([groupId])
      expect(groups[0]).toMatchObject({ groupId, members: [{ clientHost: expect.any(String) }] })
      const listed = await admin.listGroups()
      expect(listed.groups.map((group) => group.groupId)).toContain(groupId)
    }, 120_000)
  })
}
