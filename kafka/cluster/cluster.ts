import { allSettled, inTurn } from '../../src/core/in-turn.ts'
import type { TopicPartition } from '../../src/core/topic-partition.ts'
import type { ClusterOptions } from '../../src/port/cluster-options.ts'
import type {
  AssignedConsumer,
  BrokerState,
  GroupOptions,
  GroupSession,
  KafkaCluster,
  KafkaOutage,
  OffsetQuery,
  PartitionOffset,
} from '../../src/port/kafka.ts'
import type { OpenProducer, ProducerSettings } from '../../src/port/open-producer.ts'
import type { Producer, ProducerProfile } from '../../src/port/producer.ts'
import type {
  GroupsProgress,
  PartitionReplicas,
  PartitionSizes,
  TopicOperation,
  TopicSetting,
} from '../../src/port/topic-details.ts'
import { committedOffsets, disconnectClient, membersOf, type Settings } from '../client/client.ts'
import { ConfluentAssignedConsumer } from '../consumer/assigned-consumer.ts'
import { isEmbedded } from '../embedded/embedded.ts'
import { BriefMember } from '../group/brief-member.ts'
import { Group } from '../group/group.ts'
import type { GroupHost } from '../group/group-host.ts'
import {
  GROUP_TOPIC_SETTINGS,
  groupSettings,
  hidesEmptyAssignment,
  mayOrphan,
} from '../group/group-settings.ts'
import { haveAll, orphansOf } from '../group/orphaned-partitions.ts'
import { readBlock } from '../group/record-block.ts'
import { ConfirmingProducer, type ProducerHost } from '../producer.ts'
import { ownLimits, ownSettings, profileSettings } from '../producer-settings.ts'
import { ClientFactory } from './client-factory.ts'
import { ClusterConnection } from './connection.ts'
import { ConsumerPool } from './consumer-pool.ts'
import { GroupProgressQueries } from './group-progress.ts'
import { OffsetQueries } from './offsets.ts'
import { partitionSizes } from './partition-sizes.ts'
import { Topics } from './topics.ts'

/** One Kafka cluster: makes its consumers, groups and producers, and closes them. */
export class ConfluentCluster implements KafkaCluster {
  readonly name: string
  readonly #isEmbedded: boolean
  readonly #clients: ClientFactory
  readonly #connection: ClusterConnection
  readonly #topics: Topics
  readonly #offsets: OffsetQueries
  readonly #consumers: ConsumerPool
  readonly #groupProgress: GroupProgressQueries
  readonly #open = new Set<AssignedConsumer | GroupSession>()
  readonly #producers = new Map<ProducerProfile, ConfirmingProducer>()
  readonly #openProducers = new Set<ConfirmingProducer>()

  constructor(options: ClusterOptions) {
    const servers = options.bootstrapServers.join(',')
    this.name = options.name ?? servers
    this.#isEmbedded = isEmbedded(servers)
    this.#clients = new ClientFactory(options)
    this.#connection = new ClusterConnection(this.name, this.#clients, () => {
      this.#topics.onOutage()
    })
    this.#topics = new Topics(this.#connection, this.#isEmbedded)
    this.#groupProgress = new GroupProgressQueries(this.#connection)
    this.#consumers = new ConsumerPool(this.#connection, this.#isEmbedded)
    this.#offsets = new OffsetQueries(this.#connection, this.#topics, (from) =>
      this.openConsumer(from, 'catch-up'),
    )
  }

  outage(): KafkaOutage | undefined {
    return this.#connection.outage
  }

  brokers(): readonly BrokerState[] {
    return this.#connection.brokers
  }

  async connected(): Promise<void> {
    await this.#connection.client()
  }

  partitions(topics: readonly string[]): Promise<TopicPartition[]> {
    return this.#topics.partitions(topics)
  }

  assertUsable(topics: readonly string[], operation: TopicOperation): Promise<void> {
    return this.#topics.assertUsable(topics, operation)
  }

  topicNames(): Promise<readonly string[]> {
    return this.#topics.names()
  }

  topicIds(topics: readonly string[]): Promise<ReadonlyMap<string, string>> {
    return this.#topics.ids(topics)
  }

  replicas(topics: readonly string[]): Promise<readonly PartitionReplicas[]> {
    return this.#topics.replicas(topics)
  }

  async partitionSizes(partitions: readonly PartitionReplicas[]): Promise<PartitionSizes> {
    return partitionSizes(await this.#connection.client(), partitions)
  }

  topicSettings(topic: string): Promise<readonly TopicSetting[]> {
    return this.#topics.settings(topic)
  }

  async groupProgress(topics: readonly string[]): Promise<GroupsProgress> {
    // The embedded broker answers no requests about groups.
    return this.#isEmbedded ? { groups: [], leftOut: 0 } : this.#groupProgress.of(topics)
  }

  offsets(partitions: readonly TopicPartition[], query: OffsetQuery): Promise<PartitionOffset[]> {
    return this.#offsets.find(partitions, query)
  }

  async committed(
    groupId: string,
    partitions: readonly TopicPartition[],
  ): Promise<readonly PartitionOffset[]> {
    return committedOffsets(groupId, partitions, await this.#connection.client())
  }

  async openConsumer(
    from: readonly PartitionOffset[],
    purpose: 'live' | 'catch-up',
  ): Promise<AssignedConsumer> {
    const gaps = purpose === 'catch-up' ? await this.#offsets.gaps(from) : []
    const start = from.map((position) => {
      const gap = gaps.find(
        ({ topic, partition }) => topic === position.topic && partition === position.partition,
      )
      return gap ? { ...position, offset: gap.to } : position
    })
    const consumer = await this.#consumers.acquire(purpose)
    const assigned: AssignedConsumer = new ConfluentAssignedConsumer(consumer, start, gaps, {
      release: async (isHealthy) => {
        this.#open.delete(assigned)
        await this.#consumers.release(consumer, isHealthy && purpose === 'catch-up')
      },
      explain: (error) => this.#connection.outageOr(error),
    })
    this.#open.add(assigned)
    return assigned
  }

  group(options: GroupOptions): GroupSession {
    const group = new Group(this.#groupHost(options), options)
    this.#open.add(group)
    void group.ended.then(() => this.#open.delete(group))
    return group
  }

  producer(profile: ProducerProfile): Producer {
    const producer =
      this.#producers.get(profile) ??
      new ConfirmingProducer(this.#producerHost(profileSettings(profile)))
    this.#producers.set(profile, producer)
    return producer
  }

  openProducer(settings: ProducerSettings): OpenProducer {
    const host = this.#producerHost(ownSettings(settings))
    const producer = new ConfirmingProducer(host, ownLimits(settings))
    this.#openProducers.add(producer)
    return {
      send: (records) => producer.send(records),
      accept: (records) => producer.accept(records),
      close: async () => {
        await producer.close()
        this.#openProducers.delete(producer)
      },
    }
  }

  async close(): Promise<void> {
    if (this.#connection.isStopped) return
    this.#connection.stop()
    const producers = [...this.#producers.values(), ...this.#openProducers]
    await inTurn(
      () => allSettled([...this.#open].map((open) => open.close())),
      () => allSettled(producers.map((producer) => producer.close())),
      () => this.#consumers.close(),
      () => this.#clients.close(),
      () => this.#connection.disconnect(),
    )
  }

  #producerHost(settings: Settings): ProducerHost {
    return {
      reachable: () => this.connected(),
      partitions: (topic) => this.partitions([topic]),
      create: () => this.#clients.createProducer(settings),
    }
  }

  #groupHost(options: GroupOptions): GroupHost {
    const { groupId, instanceId, topics } = options
    const connectAs =
      (member: GroupOptions): GroupHost['connect'] =>
      (rebalance) =>
        this.#connection.connectConsumer(
          { ...groupSettings(member, this.#isEmbedded), rebalance_cb: rebalance },
          GROUP_TOPIC_SETTINGS,
        )
    return {
      connect: connectAs(options),
      read: readBlock,
      disconnect: disconnectClient,
      partitions: () => this.partitions(topics),
      committed: (consumer, partitions) => this.#offsets.committed(consumer, partitions),
      offsets: (partitions, query) => this.offsets(partitions, query),
      topicIds: () => this.topicIds(topics),
      isInstanceTaken: async () => {
        const { members } = await membersOf(groupId, await this.#connection.client())
        return members.some(({ groupInstanceId }) => groupInstanceId === instanceId)
      },
      orphans: async () => {
        if (!mayOrphan(options, this.#isEmbedded)) return []
        const { members, isStable } = await membersOf(groupId, await this.#connection.client())
        return isStable ? orphansOf(await this.partitions(topics), members) : undefined
      },
      isSpare: async () => {
        if (!hidesEmptyAssignment(options, this.#isEmbedded)) return false
        const { members, isStable } = await membersOf(groupId, await this.#connection.client())
        return isStable && haveAll(await this.partitions(topics), members)
      },
      joinBriefly: () => BriefMember.join(connectAs({ ...options, instanceId: undefined }), topics),
    }
  }
}
