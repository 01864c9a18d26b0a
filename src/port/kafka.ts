/**
 * The port between the HTTP side (`src/`) and the Kafka side (`kafka/`): what the HTTP side asks of
 * Kafka, in records and offsets. This file knows neither HTTP nor Confluent's client.
 */
import type { ErrorCode } from '../core/errors.ts'
import type { TopicPartition } from '../core/topic-partition.ts'
import type { ClusterOptions } from './cluster-options.ts'
import type {
  DeliveredRun,
  DeliveryLayout,
  EncodedRecords,
  EncodingRequest,
  RecordTexts,
} from './encoding.ts'
import type { OpenProducer, ProducerSettings } from './open-producer.ts'
import type { Producer, ProducerProfile } from './producer.ts'
import type { ConsumerUse, ThreadSharing } from './threads.ts'
import type {
  GroupsProgress,
  PartitionReplicas,
  PartitionSizes,
  TopicOperation,
  TopicSetting,
} from './topic-details.ts'

/** One record as Kafka holds it, with its bytes not yet decoded. */
export interface KafkaRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** Milliseconds since 1970, or -1 where the topic keeps none. */
  readonly timestamp: number
  readonly key: Uint8Array | null
  /** `null` is a tombstone; an empty value has length 0. */
  readonly value: Uint8Array | null
  /**
   * Headers in the record's own order, each an object with one name; names may repeat. Absent when
   * the record has none. A header without a value has `null`; an empty value has length 0.
   */
  readonly headers?: ReadonlyArray<{ readonly [name: string]: Uint8Array | null }>
}

/**
 * A header's name and value. A header named `__proto__` is not a property of its object: Confluent's
 * client sets headers by assignment, which makes the value the object's prototype instead.
 */
export function headerEntry(header: {
  readonly [name: string]: Uint8Array | null
}): [name: string, value: Uint8Array | null] {
  const [name] = Object.keys(header)
  if (name !== undefined) return [name, header[name] as Uint8Array | null]
  const prototype: unknown = Object.getPrototypeOf(header)
  return ['__proto__', prototype instanceof Uint8Array ? prototype : null]
}

/** A position in one partition: the next offset to read. */
export interface PartitionOffset {
  /** Name of the topic. */
  readonly topic: string
  /** Number of the partition, from 0. */
  readonly partition: number
  /** The next offset to read. */
  readonly offset: number
}

/** Offsets that will never be delivered, announced to the client that was to get them. */
export interface Gap {
  /** The topic in which offsets are missing. */
  readonly topic: string
  /** The partition in which offsets are missing. */
  readonly partition: number
  /** The first missing offset, which is the offset that was asked for. */
  readonly from: number
  /** The offset with which reading continues. */
  readonly to: number
  /** `retention`: Kafka deleted them; `out-of-range`: beyond the end, as when a topic was re-created. */
  readonly reason: 'retention' | 'out-of-range'
}

/** The result of one read. */
export interface Batch {
  /** In partition order; empty when the wait ran out. */
  readonly records: readonly KafkaRecord[]
  /** The records already encoded, in place of `records`, by a consumer that can encode them. */
  readonly encoded?: EncodedRecords | undefined
  /** Partitions whose end was reached, each with the offset at which reading goes on. */
  readonly ends: readonly PartitionOffset[]
  /** Missing offsets, to be announced before the records. */
  readonly gaps: readonly Gap[]
}

/** A consumer outside of any group, assigned at given offsets. It serves one read at a time. */
export interface AssignedConsumer {
  /** Offsets that were asked for and are missing: reading begins behind them. */
  readonly gaps: readonly Gap[]
  /** Where reading begins, if not at the offsets that were asked for. */
  readonly start?: readonly PartitionOffset[] | undefined
  /**
   * @param limit Records at most.
   * @param wait Milliseconds to wait for a first record.
   * @param encoding How records are to be encoded. A consumer that cannot encode them brings records.
   * @throws KafkaConsumeError when Kafka cannot be read.
   */
  read(limit: number, wait: number, encoding?: EncodingRequest): Promise<Batch>
  /** Never rejects. `hasStalled` says that reads brought nothing although Kafka has more. */
  close(hasStalled?: boolean): Promise<void>
}

/** The state of one partition of a group's subscription, as of the last fetch. */
export interface PartitionState {
  readonly topic: string
  readonly partition: number
  /** The offset after the newest record; -1 while unknown. */
  readonly highWatermark: number
  /** The offset up to which transactions are decided; -1 while unknown. */
  readonly lastStableOffset: number
}

/** The progress of a group's member in a partition that it owns. */
export interface PartitionPosition {
  /** The topic of the partition. */
  readonly topic: string
  /** The number of the partition. */
  readonly partition: number
  /** The offset after the newest record, as of the last fetch; -1 while unknown. */
  readonly end: number
  /** The first offset that is not delivered yet; -1 while unknown. */
  readonly next: number
}

/** A broker, as seen through the connection to it. */
export interface BrokerState {
  /** `host:port/id`, as the cluster names it. */
  readonly name: string
  /** Whether the connection is up. */
  readonly isUp: boolean
  /** Seconds from a request to its answer, over the last seconds; `undefined` without a request. */
  readonly roundTrip: { readonly average: number; readonly p99: number } | undefined
  /** Requests that wait to be sent. */
  readonly queued: number
  /** Requests that wait for their answer. */
  readonly inFlight: number
  /** Requests that failed or were not answered in time, since the first connection. */
  readonly failed: number
}

/** Limits of one read that ends. */
export interface RecordLimits {
  readonly maxRecords: number
  /** Bytes of keys, values and headers, more or less. A first record is delivered whatever its size. */
  readonly maxBytes: number
  /** Milliseconds to wait for a first record. */
  readonly timeout: number
}

/** Limits of one poll as the group, and the use of its delivery, which another thread must know beforehand. */
export interface PollLimits extends RecordLimits {
  /** Whether {@link Delivery.decodeRecords} and {@link Delivery.partitions} will be asked for. Default: unknown. */
  readonly wantsRecords?: boolean | undefined
  /** Whether {@link Delivery.runs} will be asked for. Default: unknown. */
  readonly wantsRuns?: boolean | undefined
  /** The form in which the whole delivery will be encoded. Absent: it will not be. */
  readonly layout?: DeliveryLayout | undefined
}

/** A client that waits. Its signal aborts when it leaves, and is asked for late: to make one takes time. */
export type LeavingClient = Pick<AbortController, 'signal'>

/**
 * Records and gaps given to one client of a group. In the end exactly one of `ack` and `requeue` must be
 * called, for the records that `ackRange` has not named before. The client counts as told of the gaps with
 * the first record that is acked, or with `ack`.
 */
export interface Delivery {
  /** The number of records. */
  readonly length: number
  /** Bytes of the records in memory, which are those of keys, values and headers and some more. */
  readonly bytes: number
  /** The records by partition, in the order of the delivery. */
  readonly runs: readonly DeliveredRun[]
  /**
   * The records as objects: {@link encode} costs less. Later reads of the group then make no JSON ahead, until
   * {@link encode} is called again.
   */
  decodeRecords(): readonly KafkaRecord[]
  /** Offsets that the group has missed since the last delivery. Each gap goes to one client. */
  readonly gaps: readonly Gap[]
  readonly partitions: readonly PartitionState[]
  /** The delivery in {@link PollLimits.layout}, where it came encoded: then {@link encode} is not called. */
  readonly body?: Uint8Array | undefined
  /** Encodes the runs of this delivery that the texts name. A promise where that takes a while. */
  encode(texts: RecordTexts): Uint8Array | Promise<Uint8Array>
  /** Acknowledges the records from index `begin` to before `end`; the others stay open. */
  ackRange(begin: number, end: number): void
  /** Acknowledges all records, and commits up to the first record that is not yet delivered. */
  ack(): void
  /** Gives the records to the next client, since their client left before it had them. */
  requeue(): void
}

/** Statistics of a group's member, as they are now or since it was created. */
export interface MemberStats {
  /** The partitions that the member owns, and its progress in them. */
  readonly partitions: readonly PartitionPosition[]
  /** Records that went to the next client, since their client left before it had them. */
  readonly requeued: number
  /**
   * Records that were delivered but not yet committed when their partition moved to another member,
   * which may deliver them again. 0 where the group does not commit by itself.
   */
  readonly uncertain: number
  /** Consumers replaced because they brought nothing although Kafka had more. */
  readonly rebuilt: number
}

/** A member of a consumer group, shared by all clients of the group in this process. */
export interface GroupSession {
  /** Whether a client waits, or has records that are neither acknowledged nor requeued. */
  readonly isInUse: boolean
  /** Resolves once partitions were assigned; rejects when Kafka refuses or does not answer in time. */
  ready(signal?: AbortSignal): Promise<void>
  /**
   * Polls records that are ready; undefined where the caller must wait, as for records or for its turn.
   */
  pollNow(limits: PollLimits): Delivery | undefined
  /**
   * Polls the next records. Calls are served in turn.
   * @throws KafkaConsumeError when Kafka cannot be read.
   */
  poll(limits: PollLimits, leaving?: LeavingClient): Promise<Delivery>
  /**
   * Commits the given offsets for the group.
   * @throws KafkaConsumeError when Kafka refuses or cannot be reached.
   */
  commit(offsets: readonly PartitionOffset[]): Promise<void>
  stats(): MemberStats
  /** Commits what was acknowledged, and leaves the group. */
  close(): Promise<void>
}

/** The settings of a group's member. */
export interface GroupOptions {
  readonly groupId: string
  /** Kafka's `group.instance.id`, which makes a static member. Default: a dynamic member. */
  readonly instanceId?: string | undefined
  /** Kafka's `group.protocol`. Default: `classic`. */
  readonly protocol?: 'classic' | 'consumer' | undefined
  readonly topics: readonly string[]
  /** Where reading begins in partitions without a committed offset. */
  readonly autoOffsetReset: 'earliest' | 'latest'
  /** `off`: only {@link GroupSession.commit} commits. */
  readonly commitStrategy: 'auto' | 'off'
  /**
   * Milliseconds without a client after which the member leaves the group; it joins again with the
   * next client. Default: five minutes.
   */
  readonly idleTimeout?: number
}

/** Asks for the log start offset, the end, or the first offset at or after a time (ms since 1970). */
export type OffsetQuery = 'earliest' | 'latest' | number

/** One Kafka cluster. */
export interface KafkaCluster {
  /** The cluster's name in logs: the configured name, or the bootstrap servers. */
  readonly name: string
  /**
   * The partitions of topics, in topic and partition order. Each call asks Kafka.
   * @throws KafkaConsumeError UNKNOWN_TOPIC when a topic does not exist.
   */
  partitions(topics: readonly string[]): Promise<readonly TopicPartition[]>
  /**
   * Asserts that topics exist, and that Kafka's ACLs let this user read or write their records, as far
   * as brokers tell. Each call asks Kafka.
   *
   * @throws KafkaConsumeError UNKNOWN_TOPIC, KAFKA_AUTHORIZATION, or why Kafka cannot be asked.
   */
  assertUsable(topics: readonly string[], operation: TopicOperation): Promise<void>
  /** The names of all topics in alphabetical order, without Kafka's own. Each call asks Kafka. */
  topicNames(): Promise<readonly string[]>
  /**
   * Topic ids (KIP-516) by topic name, without topics that have no id or do not exist. Each call
   * asks Kafka.
   */
  topicIds(topics: readonly string[]): Promise<ReadonlyMap<string, string>>
  /** The replicas of topics' partitions, without topics that do not exist. Each call asks Kafka. */
  replicas(topics: readonly string[]): Promise<readonly PartitionReplicas[]>
  /** The sizes of partitions on the disks of brokers. Each call asks all brokers that have a replica. */
  partitionSizes(partitions: readonly PartitionReplicas[]): Promise<PartitionSizes>
  /** The settings of a topic in alphabetical order; none of the embedded broker's. Each call asks Kafka. */
  topicSettings(topic: string): Promise<readonly TopicSetting[]>
  /** The progress of consumer groups in topics. Each call asks Kafka about a limited number of groups. */
  groupProgress(topics: readonly string[]): Promise<GroupsProgress>
  /** Offsets of partitions. Each call asks Kafka. */
  offsets(partitions: readonly TopicPartition[], query: OffsetQuery): Promise<PartitionOffset[]>
  /**
   * The offsets that a consumer group has committed, of partitions for which it has, whether it has
   * members or not. Each call asks Kafka.
   *
   * @throws KafkaConsumeError
   */
  committed(
    groupId: string,
    partitions: readonly TopicPartition[],
  ): Promise<readonly PartitionOffset[]>
  /** A consumer that reads from given offsets on: the live consumer's, or a catch-up read's. */
  openConsumer(
    from: readonly PartitionOffset[],
    purpose: 'live' | 'catch-up',
    use?: ConsumerUse,
  ): Promise<AssignedConsumer>
  /** A new member of a group. It joins at once, and leaves while it has no clients. */
  group(options: GroupOptions): GroupSession
  /** The cluster's producer of a profile. It connects with its first record. */
  producer(profile: ProducerProfile): Producer
  /**
   * A producer with settings of its own, which is closed with the cluster at the latest. It chooses
   * partitions by the CRC-32 of the key, as librdkafka and Kong do. It connects with its first record.
   */
  openProducer(settings: ProducerSettings): OpenProducer
  /** Why Kafka cannot be read now; undefined while it can. */
  outage(): KafkaOutage | undefined
  /** The brokers that a connection was made to, as of some seconds ago. */
  brokers(): readonly BrokerState[]
  /** Resolves when Kafka has answered once; rejects when it does not within some seconds. */
  connected(): Promise<void>
  close(): Promise<void>
}

/** An ongoing outage of a cluster, or of what records are processed with. */
export interface KafkaOutage {
  /** The code that requests are answered with. */
  readonly code: ErrorCode
  /** Reads "Cannot <action>: <state>"; safe to show to a client. */
  readonly message: string
  /** The Kafka client's own words, for logs. */
  readonly detail: string
  /** When the outage began, in milliseconds since 1970. */
  readonly since: number
}

/** A Kafka cluster in the memory of this process, for a first try and for tests. */
export interface EmbeddedBroker {
  readonly bootstrapServers: readonly string[]
  close(): Promise<void>
}

/** The settings of the embedded broker. */
export interface EmbeddedOptions {
  /** The topic to create. */
  readonly topic: string
  /** Records put into the topic before the promise resolves. */
  readonly records: number
  /** Records added each second after that; 0 for none. */
  readonly recordsPerSecond: number
}

/** The exports of `kafka/index.ts`: all that `src/` imports from the Kafka side. */
export interface KafkaSide extends ThreadSharing {
  connect(options: ClusterOptions): KafkaCluster
  startEmbeddedBroker(options: EmbeddedOptions): Promise<EmbeddedBroker>
}
