import { expect, test } from 'bun:test'
import { kafkaConsume, kafkaTopics, type PartitionSizes } from '../../src/index.ts'
import { reader } from '../../tools/kafka/credentials.ts'
import { printedSizes } from '../support/kafka-tools.ts'
import { until } from '../support/wait.ts'
import type { Secured } from './secured.ts'

/** Sizes of topics need the right to describe the cluster. */
export function describeTopicSizes(secured: () => Secured): void {
  test('sizes of topics are unknown to a user whom no ACL allows to describe the cluster', async () => {
    const { topic, broker } = secured()
    const handler = kafkaConsume({
      ...secured().options('SASL_SSL', 'SCRAM-SHA-512'),
      bootstrapServers: secured().bootstrapServers('SASL_SSL'),
      topics: [topic],
      mode: 'server-sent-events',
    })
    const acl = ['--allow-principal', `User:${reader.name}`, '--operation', 'Describe', '--cluster']
    try {
      await handler.start()
      const response = await kafkaTopics({ '/t': handler }).request(`/${topic}`)
      expect(response.status).toBe(200)
      expect(await response.json()).toMatchObject({
        bytes: null,
        replicaBytes: null,
        partitions: [{ start: 0, bytes: null, replicaBytes: null }],
        sizeError: {
          code: 'KAFKA_AUTHORIZATION',
          message:
            "Cannot read the sizes of partitions: Kafka's ACLs do not allow this user to describe the cluster",
        },
      })
      await secured().tool('kafka-acls', '--add', ...acl)
      const { partitions } = await handler.topicDetails()
      const [printed] = await printedSizes(broker.bootstrapServers, topic)
      let sizes: PartitionSizes | undefined
      await until(
        async () => {
          sizes = await handler.partitionSizes(partitions)
          return sizes.unknown === undefined
        },
        () => `sizes; the last were ${JSON.stringify(sizes)}`,
        30_000,
      )
      expect(sizes?.partitions[0]?.bytes).toBe(printed?.size)
    } finally {
      await handler.close()
      await secured().tool('kafka-acls', '--remove', '--force', ...acl)
    }
  })
}
