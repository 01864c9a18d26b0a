import type { KafkaOutage } from '../../port/kafka.ts'
import type { PartitionReplicas, PartitionSizes, TopicSetting } from '../../port/topic-details.ts'
import type { Route } from './route.ts'
import type { PartitionRange, RouteStats } from './route-stats.ts'
import { type TopicDetails, topicDetails } from './topic-details.ts'

/** The methods of the handlers that `kafkaConsume` and `kafkaReader` return. */
export interface KafkaControls {
  /**
   * Connects, and joins the consumer group if the mode reads as one, so that the first request is
   * quick. Calling it is optional: the first request does the same.
   *
   * @throws KafkaConsumeError when Kafka cannot be reached or refuses; later calls try again.
   */
  start(): Promise<void>
  /** The reason why Kafka cannot be read now; `undefined` while it can. Kafka is not asked. */
  outage(): KafkaOutage | undefined
  /** Statistics of the route: numbers as they are now, or since the handler was made. */
  stats(): RouteStats
  /**
   * Asks Kafka for the first and the end offset of each partition of the topics.
   *
   * @throws KafkaConsumeError when Kafka cannot be asked.
   */
  partitions(): Promise<readonly PartitionRange[]>
  /**
   * Asks Kafka about topics as a whole: offsets, replicas, and the consumer groups that read them.
   *
   * @param topics Topics of the route's cluster. Default: those of the route.
   * @throws KafkaConsumeError when Kafka cannot be asked.
   */
  topicDetails(topics?: readonly string[]): Promise<TopicDetails>
  /**
   * Asks all brokers for the sizes of their replicas of partitions. A broker that is away for 2 s, or that
   * refuses, leaves sizes unknown.
   *
   * @param partitions Partitions as `topicDetails` returns them.
   * @throws KafkaConsumeError when Kafka cannot be asked.
   */
  partitionSizes(partitions: readonly PartitionReplicas[]): Promise<PartitionSizes>
  /**
   * Asks Kafka for the settings of a topic, such as `retention.ms`, in alphabetical order.
   *
   * @throws KafkaConsumeError when Kafka cannot be asked.
   */
  topicSettings(topic: string): Promise<readonly TopicSetting[]>
  /**
   * Ends streams after their last whole event, commits what was delivered and leaves the consumer
   * group. Later requests are answered 503 `SHUTTING_DOWN`.
   */
  close(): Promise<void>
}

/** The controls of a route. */
export function controlsOf(route: Route): KafkaControls {
  const { mode, topics } = route.options
  return {
    start: async () => {
      const { cluster, feed } = await route.lease()
      await cluster.connected()
      // A member of a group would join, and keep partitions that it cannot read from members that can.
      await cluster.assertUsable(topics, 'read')
      // A WebSocket joins the group when a client wants to acknowledge: a member without polls keeps
      // records from the other members. With `kong_consumer` a client's first request joins its
      // group.
      const joins = (mode === 'http-get' || mode === 'auto') && !route.hasClientGroups
      if (joins) await (await route.group({})).ready()
      if (mode !== 'http-get') await feed.warm()
    },
    outage: () => route.outage() ?? route.groupOutage(),
    stats: () => route.stats(),
    partitions: () => route.partitions(),
    topicDetails: async (asked = topics) => {
      return topicDetails((await route.lease()).cluster, asked)
    },
    partitionSizes: async (partitions) => {
      return (await route.lease()).cluster.partitionSizes(partitions)
    },
    topicSettings: async (topic) => (await route.lease()).cluster.topicSettings(topic),
    close: () => route.close(),
  }
}
