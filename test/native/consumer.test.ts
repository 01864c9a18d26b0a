import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test'
import type { EofEvent, TopicPartition } from '@confluentinc/kafka-javascript'
import { until } from '../support/wait.ts'
import {
  connectConsumer,
  connectProducer,
  consume,
  consumeExactly,
  disconnect,
  disconnectAll,
  produce,
} from './clients.ts'
import { type Cluster, clusters, newName } from './clusters.ts'

const partitions = [0, 1, 2, 3]

for (const { name, start } of clusters) {
  describe(`A consumer of the ${name}`, () => {
    let cluster: Cluster
    beforeAll(async () => {
      cluster = await start()
    })
    afterEach(disconnectAll)
    afterAll(() => cluster.close())

    async function topicWith(recordsPerPartition: number): Promise<string> {
      const topic = await cluster.createTopic()
      const records = partitions.flatMap((partition) =>
        Array.from({ length: recordsPerPartition }, (_, index) => ({
          partition,
          value: Buffer.from(`${partition}:${index}`),
        })),
      )
      await produce(await connectProducer(cluster.brokers), topic, records)
      return topic
    }

    test('reads from its assigned offsets, without a group', async () => {
      const topic = await topicWith(10)
      const consumer = await connectConsumer(cluster.brokers)
      consumer.assign([
        { topic, partition: 1, offset: 7 },
        { topic, partition: 3, offset: 9 },
      ])
      const messages = await consumeExactly(consumer, 4)
      expect(messages.map(({ value }) => String(value)).sort()).toEqual([
        '1:7',
        '1:8',
        '1:9',
        '3:9',
      ])
    }, 120_000)

    test('returns an empty batch when nothing comes', async () => {
      const topic = await topicWith(1)
      const consumer = await connectConsumer(cluster.brokers)
      consumer.assign([{ topic, partition: 0, offset: 1 }])
      expect(await consume(consumer, 10)).toEqual([])
    }, 120_000)

    test('can be assigned again, at other offsets', async () => {
      const topic = await topicWith(5)
      const consumer = await connectConsumer(cluster.brokers)
      for (const offset of [4, 2, 0]) {
        consumer.assign([{ topic, partition: 2, offset }])
        const [first] = await consumeExactly(consumer, 1)
        expect(first?.offset).toBe(offset)
      }
    }, 120_000)

    test('gets an event at the end of each partition', async () => {
      const topic = await topicWith(3)
      const consumer = await connectConsumer(cluster.brokers, { 'enable.partition.eof': true })
      const ends: EofEvent[] = []
      consumer.on('partition.eof', (event) => ends.push(event))
      consumer.assign(partitions.map((partition) => ({ topic, partition, offset: 0 })))
      let count = 0
      await until(async () => {
        count += (await consume(consumer, 100)).length
        return ends.length === 4
      }, 'the end of each partition')
      expect(count).toBe(12)
      expect(ends.map(({ partition, offset }) => `${partition}@${offset}`).sort()).toEqual([
        '0@3',
        '1@3',
        '2@3',
        '3@3',
      ])
    }, 120_000)

    test('shares the partitions with a second member of its group, and gets them back', async () => {
      const topic = await topicWith(5)
      const options = {
        'group.id': newName(),
        'heartbeat.interval.ms': 200,
        'session.timeout.ms': 6000, // for which the mock cluster waits at each rebalance
      }
      const first = await connectConsumer(cluster.brokers, options)
      first.subscribe([topic])
      const seen = new Set<string>()
      const poll = async (consumer: typeof first) => {
        for (const { value } of await consume(consumer, 100)) seen.add(String(value))
      }
      await until(async () => {
        await poll(first)
        return seen.size === 20
      }, 'all records')
      expect(first.assignments()).toHaveLength(4)

      const second = await connectConsumer(cluster.brokers, options)
      second.subscribe([topic])
      await until(
        async () => {
          await Promise.all([poll(first), poll(second)])
          return first.assignments().length === 2 && second.assignments().length === 2
        },
        'two partitions each',
        20_000,
      )
      const owned = (consumer: typeof first) =>
        (consumer.assignments() as TopicPartition[]).map(({ partition }) => partition)
      expect([...owned(first), ...owned(second)].sort()).toEqual(partitions)

      await disconnect(second)
      await until(
        async () => {
          await poll(first)
          return first.assignments().length === 4
        },
        'all partitions to come back',
        20_000,
      )
    }, 120_000)

    test('goes on at the committed offsets of its group', async () => {
      const topic = await topicWith(4)
      const options = { 'group.id': newName() }
      const first = await connectConsumer(cluster.brokers, options)
      first.assign([{ topic, partition: 0, offset: 0 }])
      await consumeExactly(first, 3)
      first.commitSync({ topic, partition: 0, offset: 3 })
      await disconnect(first)

      const second = await connectConsumer(cluster.brokers, options)
      second.assign([{ topic, partition: 0 }])
      const [next] = await consumeExactly(second, 1)
      expect(String(next?.value)).toBe('0:3')
    }, 120_000)
  })
}
