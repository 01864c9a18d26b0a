/**
 * The seam between the HTTP side (`src/`) and the Kafka side (`kafka/`): what the one asks of the
 * other. Nothing here knows of HTTP, and nothing here knows of Confluent's client.
 */
import type { ErrorCode, KafkaConsumeError } from '../core/errors.ts'
import type { TopicPartition } from '../core/topic-partition.ts'

/** One record, as Kafka holds it: bytes are not decoded yet. */
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
   * In the record's own order, one name each; names may repeat. Absent when there are none. `null` is
   * the value of a header that has none; an empty value has length 0.
   */
  readonly headers?: ReadonlyArray<{ readonly [name: string]: Uint8Array | null }>
}

/**
 * A header's name and value. One named `__proto__` is no property of its object: the client sets
 * headers by assignment, which makes the value the object's prototype instead.
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
  readonly topic: string
  readonly partition: number
  readonly offset: number
}

/** Offsets that will never be delivered, announced to whoever was to get them. */
export interface Gap {
  /** The topic in which offsets are missing. */
  readonly topic: string
  /** The partition in which offsets are missing. */
  readonly partition: number
  /** The first missing offset: the one that was asked for. */
  readonly from: number
  /** The offset with which reading continues. */
  readonly to: number
  /** `retention`: Kafka deleted them; `out-of-range`: beyond the end, as when a topic was re-created. */
  readonly reason: 'retention' | 'out-of-range'
}

/** What one read of a reader brought. */
export interface Batch {
  /** In partition order; empty when the wait ran out. */
  readonly records: readonly KafkaRecord[]
  /** What was read, in place of `records`, by a reader that made the frames that were asked for. */
  readonly frames?: Frames | undefined
  /** Partitions seen to have no more records at hand, with the offset that reading goes on with. */
  readonly ends: readonly PartitionOffset[]
  /** To be announced before the records. */
  readonly gaps: readonly Gap[]
}

/** What the frames of a subscription have in common, an entry for each of its partitions. */
export interface FrameShape {
  readonly layout: FrameLayout
  readonly partitions: readonly TopicPartition[]
  /** What stands before the partition's offset in the text of a cursor. */
  readonly labels: readonly string[]
  /** The beginning of a record's JSON, up to its offset. */
  readonly prefixes: readonly string[]
  /** Values are the JSON that they are, not strings. */
  readonly valuesAreJson: boolean
}

/** What stands around a record's JSON and the cursor after it in its frame. All of it is ASCII. */
export interface FrameLayout {
  readonly beforeJson: string
  readonly beforeCursor: string
  readonly afterCursor: string
}

/** Records as frames, one after another, and where each lies. */
export interface Frames {
  /** `<beforeJson><json><beforeCursor><cursor><afterCursor>` for each record. */
  readonly bytes: Uint8Array
  /** Where each frame begins, and at the end where the last one ends. */
  readonly starts: Uint32Array
  /** Where each record's JSON ends. */
  readonly jsonEnds: Uint32Array
  /** Index of each record's partition among those of the subscription. */
  readonly partitions: Uint32Array
  readonly offsets: Float64Array
  /** What was due next in each partition before the first record, and is after the last. */
  readonly from: Float64Array
  readonly to: Float64Array
  /** Of the first record, which is the oldest of them or nearly so; -1 where there is none. */
  readonly timestamp: number
}

/** Frames that are wanted in place of records. A reader that cannot make them brings records. */
export interface Framing {
  readonly shape: FrameShape
  /** What is due next in each partition: where reading goes on. The frames keep it. */
  readonly from: Float64Array
}

/** A consumer without a group, assigned at given offsets. One read at a time. */
export interface AssignedConsumer {
  /** What is missing at the offsets that were asked for: reading begins behind it. */
  readonly gaps: readonly Gap[]
  /**
   * @param limit Records at most.
   * @param wait Milliseconds to wait for a first record.
   * @throws KafkaConsumeError when Kafka cannot be read.
   */
  read(limit: number, wait: number, framing?: Framing): Promise<Batch>
  close(): Promise<void>
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

/** How far a member of a group is in a partition that it owns. */
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

/** A broker, as a client's connection to it shows. */
export interface BrokerState {
  /** `host:port/id`, as the cluster names it. */
  readonly name: string
  /** Whether the connection is up. */
  readonly isUp: boolean
  /** Seconds from a request to its answer, of late; `undefined` without a request. */
  readonly roundTrip: { readonly average: number; readonly p99: number } | undefined
  /** Requests that wait to be sent. */
  readonly queued: number
  /** Requests that wait for their answer. */
  readonly inFlight: number
  /** Requests that failed or were not answered in time, since the connection was first made. */
  readonly failed: number
}

/** Limits of one poll. */
export interface PollLimits {
  readonly maxRecords: number
  /** Bytes of keys, values and headers; a first record is delivered whatever its size. */
  readonly maxBytes: number
  /** Milliseconds to wait for a first record. */
  readonly timeout: number
}

/**
 * Records handed to one caller of a group. Exactly one of `done` and `giveBack` is to be called in
 * the end, for what was not confirmed before.
 */
export interface Delivery {
  readonly records: readonly KafkaRecord[]
  /** What the group has missed since the last delivery; each is told to one caller. */
  readonly gaps: readonly Gap[]
  readonly partitions: readonly PartitionState[]
  /** The caller has some of them, the others are still open. */
  ackRecords(records: readonly KafkaRecord[]): void
  /** The caller has them: commits what is now delivered without a hole. */
  ack(): void
  /** The caller went away: the next one gets them. */
  requeue(): void
}

/** Figures of a member of a group: as they are now, or since it was made. */
export interface MemberStats {
  /** The partitions that it owns, and how far it is in them. */
  readonly partitions: readonly PartitionPosition[]
  /** Records whose caller went away before they were delivered: the next one got them. */
  readonly handedBack: number
  /**
   * Records that were delivered, and not committed when their partition went to another member,
   * which may deliver them again. 0 where the group does not commit by itself.
   */
  readonly uncertain: number
  /** Consumers given up for another one since they brought nothing although Kafka had more. */
  readonly rebuilt: number
}

/** A member of a consumer group, shared by all of its callers in this process. */
export interface GroupSession {
  /** Whether a caller waits, or has records that are neither delivered nor given back. */
  readonly isInUse: boolean
  /** Resolves when partitions were assigned; rejects when Kafka refuses or does not answer in time. */
  ready(signal?: AbortSignal): Promise<void>
  /**
   * Takes the next records. Calls are served in turn.
   * @throws KafkaConsumeError when Kafka cannot be read.
   */
  poll(limits: PollLimits, signal?: AbortSignal): Promise<Delivery>
  /**
   * Commits given offsets for the group.
   * @throws KafkaConsumeError when Kafka refuses or cannot be reached.
   */
  commit(offsets: readonly PartitionOffset[]): Promise<void>
  stats(): MemberStats
  /** Commits what was delivered and leaves the group. */
  close(): Promise<void>
}

/** How a group reads. */
export interface GroupOptions {
  readonly groupId: string
  /** Kafka's `group.instance.id`: makes a static member. Default: a dynamic one. */
  readonly instanceId?: string | undefined
  readonly topics: readonly string[]
  /** Where a group without committed offsets begins. */
  readonly autoOffsetReset: 'earliest' | 'latest'
  /** `off`: nothing is committed but by {@link GroupSession.commit}. */
  readonly commitStrategy: 'auto' | 'off'
  /**
   * Milliseconds without a caller after which the member leaves the group; it joins again with the
   * next caller. Default: five minutes.
   */
  readonly idleTimeout?: number
}

/** A record to be written. */
export interface ProducerRecord {
  readonly topic: string
  /** Absent: chosen by the key, as Java's clients do, or by chance where there is none. */
  readonly partition?: number | undefined
  /** Milliseconds since 1970. Absent, or not above 0: now. */
  readonly timestamp?: number | undefined
  readonly key: Uint8Array | null
  /** `null` is a tombstone. */
  readonly value: Uint8Array | null
  readonly headers?: KafkaRecord['headers']
}

/** Who has a record when it counts as written: all replicas that are in sync, or their leader. */
export type Acknowledgement = 'all' | 'leader'

/**
 * How records are written: the acknowledgement, or `each`. That is `all` with a batch for each
 * record: a topic's limit of size is one of batches, and so none is refused for its neighbours.
 */
export type ProducerProfile = Acknowledgement | 'each'

/**
 * Where a record was written. Without an offset where Kafka says only that it has the record: an
 * answer was lost, as with a broker that fails, and the record was sent again.
 */
export interface RecordMetadata extends Omit<PartitionOffset, 'offset'> {
  readonly offset: number | null
}

/** Writes records. But for `leader` each is written once, and in the order given within a partition. */
export interface Producer {
  /**
   * Resolves when Kafka has answered for every record: with where it is, or with why it was not
   * confirmed. One that was not confirmed in time may have been written all the same.
   *
   * @throws KafkaConsumeError when none was taken: TOO_MANY_RECORDS where others wait already, or
   * why Kafka cannot be reached.
   */
  send(records: readonly ProducerRecord[]): Promise<Array<RecordMetadata | KafkaConsumeError>>
}

/** Which offsets are asked for: the first kept, the end, or the first at or after a time (ms since 1970). */
export type OffsetQuery = 'earliest' | 'latest' | number

/** One Kafka cluster, as the HTTP side sees it. */
export interface KafkaCluster {
  /** What the cluster is called in logs: its given name, or the bootstrap servers. */
  readonly name: string
  /**
   * The partitions of topics, in topic and partition order, asked of Kafka each time.
   * @throws KafkaConsumeError UNKNOWN_TOPIC when one does not exist.
   */
  partitions(topics: readonly string[]): Promise<readonly TopicPartition[]>
  /**
   * What Kafka tells topics of the same name apart by, asked each time; without those that have no
   * id or do not exist.
   */
  topicIds(topics: readonly string[]): Promise<ReadonlyMap<string, string>>
  /** Offsets of partitions, asked of Kafka each time. */
  offsets(partitions: readonly TopicPartition[], query: OffsetQuery): Promise<PartitionOffset[]>
  /** A consumer that reads on from given offsets. */
  reader(from: readonly PartitionOffset[], purpose: 'tail' | 'replay'): Promise<AssignedConsumer>
  /** A new member of a group; it joins at once, and leaves while nobody calls. */
  group(options: GroupOptions): GroupSession
  /** The cluster's producer: one for each way to write, which connects with its first record. */
  producer(writing: ProducerProfile): Producer
  /** Why Kafka can't be read just now, or undefined while it can. */
  outage(): KafkaOutage | undefined
  /** The brokers that have been spoken to, as of some seconds ago. */
  brokers(): readonly BrokerState[]
  /** Resolves when Kafka has answered once; rejects when it does not within some seconds. */
  connected(): Promise<void>
  close(): Promise<void>
}

/** A standing failure of a cluster. */
export interface KafkaOutage {
  /** The code that requests are answered with. */
  readonly code: ErrorCode
  /** Reads "Cannot <action>: <state>"; safe to show to a client. */
  readonly message: string
  /** The Kafka client's own words, for logs. */
  readonly detail: string
  /** When it began, in milliseconds since 1970. */
  readonly since: number
}

/** How to reach a cluster. */
export interface ClusterOptions {
  /** `host:port` pairs. */
  readonly bootstrapServers: readonly string[]
  /** What logs call it. Default: the bootstrap servers. */
  readonly name?: string | undefined
  /** Default: no TLS. */
  readonly tls?: TlsOptions | undefined
  /** Default: nobody is named to Kafka. */
  readonly sasl?: SaslOptions | undefined
  /** Further settings of librdkafka, by its own names; none of those that are ours. */
  readonly librdkafka?: Readonly<Record<string, string | number | boolean>> | undefined
}

/** Text, or a file that holds it, which is read anew for each connection. */
export type TextOrFile = string | { readonly file: string }

/** How connections are encrypted. All certificates and keys are PEM. */
export interface TlsOptions {
  /** Whether the broker's certificate and its host name are verified. */
  readonly verify: boolean
  /** The authorities that brokers' certificates are verified by. Default: the system's. */
  readonly ca?: TextOrFile | undefined
  /** What is shown to brokers that ask for a certificate, and its key. */
  readonly certificate?: TextOrFile | undefined
  readonly key?: TextOrFile | undefined
}

/** Who we are to Kafka, by SASL. */
export type SaslOptions = PasswordSasl | TokenSasl

export interface PasswordSasl {
  readonly mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512'
  readonly user: string
  readonly password: TextOrFile
  /** User and password are the id and the HMAC of a delegation token (KIP-48). SCRAM only. */
  readonly isDelegationToken?: boolean | undefined
}

/** A token of an OAuth 2 token endpoint, asked for with client credentials (RFC 6749, 4.4). */
export interface TokenSasl {
  readonly mechanism: 'OAUTHBEARER'
  /** An http or https URL. */
  readonly tokenEndpoint: string
  readonly clientId: string
  readonly clientSecret: TextOrFile
  readonly scopes: readonly string[]
  /** Sent to the broker along with the token (RFC 7628, 3.1). */
  readonly extensions: Readonly<Record<string, string>>
  /** Whether the endpoint's certificate is verified: by the authorities of `tls.ca`, too. */
  readonly verify: boolean
}

/** A Kafka cluster inside this process, in memory, for the first minute and for tests. */
export interface EmbeddedBroker {
  readonly bootstrapServers: readonly string[]
  close(): Promise<void>
}

/** What the embedded broker begins with. */
export interface EmbeddedOptions {
  /** The topic to create. */
  readonly topic: string
  /** Records put into the topic before the promise resolves. */
  readonly records: number
  /** Records added each second from then on; 0 for none. */
  readonly recordsPerSecond: number
}

/** What `kafka/index.ts` exports: all that `src/` imports of the Kafka side. */
export interface KafkaSide {
  connect(options: ClusterOptions): KafkaCluster
  startEmbeddedBroker(options: EmbeddedOptions): Promise<EmbeddedBroker>
}
