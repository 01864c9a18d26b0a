import {
  AdminClient,
  type GroupDescriptions,
  type IAdminClient,
  KafkaConsumer,
  type LibrdKafkaError,
  type Metadata,
  type MetadataOptions,
  Producer,
  type TopicPartitionOffset,
  type WatermarkOffsets,
} from '@confluentinc/kafka-javascript'
import { uniqueName } from './names.ts'
import { until, within } from './wait.ts'

/** The state of a group whose members do not change, as the client numbers them (`ConsumerGroupStates`). */
const STABLE = 3

/** A record to produce. Text is sent as UTF-8; `null` is a tombstone, an absent key is none. */
export interface TestRecord {
  readonly partition?: number
  readonly key?: string | Uint8Array | null
  readonly value: string | Uint8Array | null
  /** In this order; names may repeat. */
  readonly headers?: ReadonlyArray<readonly [name: string, value: string | Uint8Array | null]>
  /** Milliseconds since 1970. Default: now. */
  readonly timestamp?: number
}

/** Where a produced record went. */
export interface Produced {
  readonly partition: number
  readonly offset: number
}

/** The differences between brokers. */
export interface BrokerKind {
  /** Topics come into being when a producer asks for them, with four partitions. */
  readonly autoCreate: boolean
}

/** The partitions that every test topic has, unless a test asks for others. */
export const PARTITIONS = 4

/** How long a new topic may take until it can be written and read. */
const READY_MS = 60_000
/** How much longer that may be for each of its partitions, of which some tests have a thousand. */
const READY_EACH_MS = 100

/** A client connects without the metadata of all topics, of which the tests make thousands. The type lacks it. */
export const NO_TOPICS = { allTopics: false } as MetadataOptions

/** Some tests write records of former years, which Kafka would delete at its next look, every 5 minutes. */
const KEPT = { 'retention.ms': '-1' }

interface Pending {
  resolve(produced: Produced): void
  reject(error: Error): void
}

type Callback<T> = (error: LibrdKafkaError | null | undefined, result: T) => void

function call<T>(what: string, run: (done: Callback<T>) => void, milliseconds?: number) {
  const result = new Promise<T>((resolve, reject) => {
    run((error, value) => {
      if (error) reject(new Error(`Cannot ${what}: ${error.message}`, { cause: error }))
      else resolve(value)
    })
  })
  return within(result, what, milliseconds)
}

function bytes(value: string | Uint8Array): Buffer {
  return typeof value === 'string' ? Buffer.from(value) : Buffer.from(value)
}

/** A broker as the tests use it: behind the back of what is tested. */
export class TestKafka {
  readonly bootstrapServers: string
  readonly #kind: BrokerKind
  readonly #producer: Producer

  private constructor(bootstrapServers: string, kind: BrokerKind, producer: Producer) {
    this.bootstrapServers = bootstrapServers
    this.#kind = kind
    this.#producer = producer
  }

  static async connect(bootstrapServers: string, kind: BrokerKind): Promise<TestKafka> {
    const producer = new Producer({
      'bootstrap.servers': bootstrapServers,
      'linger.ms': 2,
      'message.max.bytes': 4_000_000,
      'allow.auto.create.topics': true,
      dr_cb: true,
    })
    producer.on('delivery-report', (error, report) => {
      const pending = report.opaque as Pending
      if (error) pending.reject(new Error(`Cannot produce: ${error.message}`, { cause: error }))
      else pending.resolve({ partition: report.partition, offset: report.offset })
    })
    await call<Metadata>(`connect to ${bootstrapServers}`, (done) =>
      producer.connect(NO_TOPICS, done),
    )
    producer.setPollInBackground(true)
    return new TestKafka(bootstrapServers, kind, producer)
  }

  /** The Kafka that the tests were given. */
  static async real(): Promise<TestKafka> {
    const { TEST_KAFKA_BROKERS: brokers } = process.env
    if (!brokers) {
      throw new Error(
        'TEST_KAFKA_BROKERS is not set: use "bun run test", or "bun run kafka start" and then ' +
          '"TEST_KAFKA_BROKERS=localhost:9092 bun test test/contract/real.test.ts"',
      )
    }
    return TestKafka.connect(brokers, { autoCreate: false })
  }

  /** The number of partitions that every topic has, where it cannot be chosen. */
  get fixedPartitions(): number | undefined {
    return this.#kind.autoCreate ? PARTITIONS : undefined
  }

  /**
   * A new topic, ready to be written and read.
   *
   * @param config Kafka's own settings of topics; the embedded broker knows none.
   */
  async createTopic(
    partitions = PARTITIONS,
    replicas = 1,
    topic = uniqueName('contract'),
    config: Readonly<Record<string, string>> = {},
  ): Promise<string> {
    if (!this.#kind.autoCreate) {
      await this.#create(topic, partitions, replicas, config)
    } else if (partitions !== PARTITIONS) {
      throw new Error(`Cannot create topic: the embedded broker has ${PARTITIONS} partitions`)
    }
    await this.#ready(topic, partitions)
    return topic
  }

  #create(
    topic: string,
    partitions: number,
    replicas: number,
    config: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    return this.#administer<void>(`create topic ${topic}`, (admin, done) =>
      admin.createTopic(
        {
          topic,
          num_partitions: partitions,
          replication_factor: replicas,
          config: { ...KEPT, ...config },
        },
        30_000,
        (error) => done(error, undefined),
      ),
    )
  }

  async deleteTopic(topic: string): Promise<void> {
    await this.#administer<void>(`delete topic ${topic}`, (admin, done) =>
      admin.deleteTopic(topic, 30_000, (error) => done(error, undefined)),
    )
  }

  /** Deletes a topic and creates another one of its name. */
  async recreateTopic(topic: string, partitions = PARTITIONS): Promise<void> {
    await this.deleteTopic(topic)
    // It is gone some moments later.
    await this.#untilTrue(
      () => this.#create(topic, partitions, 1).then(() => true),
      `topic ${topic} to be re-created`,
    )
    await this.#ready(topic, partitions)
    // Until a broker takes note of both, it writes to the old one, and deletes that afterwards.
    for (let partition = 0; partition < partitions; partition += 1) {
      await this.#untilTrue(
        async () => (await this.watermarks(topic, partition)).highOffset === 0,
        `${topic}/${partition} to be empty`,
      )
    }
  }

  /** Adds partitions to a topic, up to so many. */
  async addPartitions(topic: string, total: number): Promise<void> {
    await this.#administer<void>(`add partitions to ${topic}`, (admin, done) =>
      admin.createPartitions(topic, total, 30_000, (error) => done(error, undefined)),
    )
    await this.#ready(topic, total)
  }

  async #administer<T>(
    what: string,
    run: (admin: IAdminClient, done: Callback<T>) => void,
  ): Promise<T> {
    const admin = AdminClient.create({ 'bootstrap.servers': this.bootstrapServers })
    try {
      return await call<T>(what, (done) => run(admin, done))
    } finally {
      admin.disconnect()
    }
  }

  async #ready(topic: string, partitions: number): Promise<void> {
    const limit = READY_MS + READY_EACH_MS * partitions
    await this.#untilTrue(
      async () => (await this.leaders(topic)).filter((id) => id >= 0).length === partitions,
      `a leader of each partition of ${topic}`,
      limit,
    )
    // A broker may still refuse, for some milliseconds, to be the leader that it was named as.
    for (let partition = 0; partition < partitions; partition += 1) {
      await this.#untilTrue(
        async () => (await this.watermarks(topic, partition)).highOffset >= 0,
        `an answer of ${topic}/${partition}`,
        limit,
      )
    }
  }

  /** Asks a broker that may not know yet, or be too busy to answer in time. */
  #untilTrue(holds: () => Promise<boolean>, what: string, milliseconds = READY_MS): Promise<void> {
    return until(() => holds().catch(() => false), what, milliseconds)
  }

  /** The ids of the brokers that lead the partitions, in their order; -1 for none. */
  async leaders(topic: string): Promise<number[]> {
    const metadata = await call<Metadata>(`read the metadata of ${topic}`, (done) =>
      this.#producer.getMetadata({ topic, timeout: 5_000 }, done),
    )
    const found = metadata.topics.find((candidate) => candidate.name === topic)
    return (found?.partitions ?? []).toSorted((a, b) => a.id - b.id).map(({ leader }) => leader)
  }

  /** Writes records; resolves with their offsets, in the order given, when the broker has them all. */
  async produce(topic: string, records: readonly TestRecord[]): Promise<Produced[]> {
    const sent = records.map((record) => {
      const { promise, resolve, reject } = Promise.withResolvers<Produced>()
      const opaque: Pending = { resolve, reject }
      this.#producer.produce(
        topic,
        record.partition ?? 0,
        record.value === null ? null : bytes(record.value),
        record.key === undefined || record.key === null ? null : bytes(record.key),
        record.timestamp ?? Date.now(),
        opaque,
        // The client's type leaves out null.
        (record.headers ?? []).map(([name, value]) => ({
          [name]: (value === null ? null : bytes(value)) as Buffer,
        })),
      )
      return promise
    })
    return within(Promise.all(sent), `delivery of ${records.length} records to ${topic}`)
  }

  /** The first offset kept and the offset after the last. */
  watermarks(topic: string, partition: number): Promise<WatermarkOffsets> {
    return call<WatermarkOffsets>(`read the watermarks of ${topic}/${partition}`, (done) =>
      this.#producer.queryWatermarkOffsets(topic, partition, 5_000, done),
    )
  }

  /** Deletes a partition's records below an offset: by request, or by outgrowing what it keeps. */
  async expire(topic: string, partition: number, below: number): Promise<void> {
    if (this.#kind.autoCreate) {
      // The embedded broker keeps 5 MB of a partition.
      const filler = new Uint8Array(900_000)
      while ((await this.watermarks(topic, partition)).lowOffset < below) {
        await this.produce(topic, [{ partition, value: filler }])
      }
      return
    }
    await this.#administer<unknown>(`delete records of ${topic}/${partition}`, (admin, done) =>
      admin.deleteRecords([{ topic, partition, offset: below }], { timeout: 10_000 }, done),
    )
  }

  /** The committed offsets of a group, by partition; -1 for none. */
  async committed(group: string, topic: string, partitions = PARTITIONS): Promise<number[]> {
    const consumer = new KafkaConsumer(
      { 'bootstrap.servers': this.bootstrapServers, 'group.id': group },
      {},
    )
    await call<Metadata>('connect a consumer', (done) => consumer.connect(NO_TOPICS, done))
    try {
      const asked = Array.from({ length: partitions }, (_, partition) => ({ topic, partition }))
      const answer = await call<TopicPartitionOffset[]>(`read the offsets of ${group}`, (done) =>
        consumer.committed(asked, 5_000, done),
      )
      const offsets = Array.from({ length: partitions }, () => -1)
      for (const { partition, offset } of answer) {
        if (typeof offset === 'number' && offset >= 0) offsets[partition] = offset
      }
      return offsets
    } finally {
      await call<unknown>('disconnect a consumer', (done) => consumer.disconnect(done))
    }
  }

  /** The ids by which Kafka knows the members of a group. */
  async memberIds(group: string): Promise<string[]> {
    const { groups } = await this.#describe(group)
    return groups.flatMap(({ members }) => members.map(({ memberId }) => memberId))
  }

  /** Whether no change of a group's members is under way. */
  async isStable(group: string): Promise<boolean> {
    const { groups } = await this.#describe(group)
    return groups.every(({ state }) => state === STABLE)
  }

  #describe(group: string): Promise<GroupDescriptions> {
    return this.#administer<GroupDescriptions>(`describe group ${group}`, (admin, done) =>
      admin.describeGroups([group], { timeout: 5_000 }, done),
    )
  }

  async close(): Promise<void> {
    await call<unknown>('disconnect the producer', (done) => this.#producer.disconnect(2_000, done))
  }
}
