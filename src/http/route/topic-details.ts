import { KafkaConsumeError } from '../../core/errors.ts'
import type { TopicPartition } from '../../core/topic-partition.ts'
import type { KafkaCluster } from '../../port/kafka.ts'
import type { GroupProgress, GroupsProgress, PartitionReplicas } from '../../port/topic-details.ts'
import type { PartitionRange } from './route-stats.ts'

/** A partition with its offsets and the brokers that have it. */
export interface PartitionDetails extends PartitionRange {
  /** The id of the broker that serves it; `undefined` where there is none now. */
  readonly leader: number | undefined
  /** The ids of the brokers that have a replica. */
  readonly replicas: readonly number[]
  /** The ids of the brokers whose replica is up to date. */
  readonly inSync: readonly number[]
}

/** The answer of Kafka about topics as a whole. */
export interface TopicDetails {
  /** The partitions of the topics that exist. Offsets are -1 in one without a leader. */
  readonly partitions: readonly PartitionDetails[]
  /** The consumer groups with committed offsets in the topics, as far as Kafka was asked about them. */
  readonly groups: readonly GroupProgress[]
  /** Groups of the cluster that Kafka was not asked about yet: later calls ask about them. */
  readonly groupsLeftOut: number
}

/**
 * Asks Kafka about topics as a whole.
 *
 * @throws KafkaConsumeError when Kafka cannot be asked.
 */
export async function topicDetails(
  cluster: KafkaCluster,
  topics: readonly string[],
): Promise<TopicDetails> {
  const replicas = await cluster.replicas(topics)
  const led = replicas.filter(({ leader }) => leader !== undefined)
  const [starts, ends, progress] = await Promise.all([
    offsetsOf(cluster, led, 'earliest'),
    offsetsOf(cluster, led, 'latest'),
    groupsOf(cluster, topics),
  ])
  let at = 0
  return {
    partitions: replicas.map((partition: PartitionReplicas) => {
      if (partition.leader === undefined) return { ...partition, start: -1, end: -1 }
      const range = { start: starts[at] ?? -1, end: ends[at] ?? -1 }
      at++
      return { ...partition, ...range }
    }),
    groups: progress.groups,
    groupsLeftOut: progress.leftOut,
  }
}

async function offsetsOf(
  cluster: KafkaCluster,
  partitions: readonly TopicPartition[],
  query: 'earliest' | 'latest',
): Promise<number[]> {
  if (partitions.length === 0) return []
  return (await cluster.offsets(partitions, query)).map(({ offset }) => offset)
}

/** No groups where this user of Kafka may not list them: the topics are worth showing all the same. */
async function groupsOf(cluster: KafkaCluster, topics: readonly string[]): Promise<GroupsProgress> {
  try {
    return await cluster.groupProgress(topics)
  } catch (error) {
    const isRefused = error instanceof KafkaConsumeError && error.code === 'KAFKA_AUTHORIZATION'
    if (isRefused) return { groups: [], leftOut: 0 }
    throw error
  }
}
