import { KafkaConsumeError } from '../../src/core/errors.ts'
import type { TopicPartition } from '../../src/core/topic-partition.ts'
import type {
  PartitionReplicas,
  TopicOperation,
  TopicSetting,
} from '../../src/port/topic-details.ts'
import { addon } from '../client/addon.ts'
import {
  administer,
  type Consumer,
  call,
  type Metadata,
  type TopicDescription,
} from '../client/client.ts'
import {
  type ClientError,
  fromClient,
  isPassing,
  isUnknownTopic,
  notLoaded,
  topicNotAllowed,
} from '../client/errors.ts'
import { type ClusterConnection, REQUEST_TIMEOUT_MS } from './connection.ts'
import { KnownTopics } from './known-topics.ts'

/** How long a description of topics may take whose absence is not an error. */
const DESCRIBE_TIMEOUT_MS = 2_000
/** The operations on topics by Kafka's numbers (AclOperation). */
const ACL_OPERATIONS: Readonly<Record<TopicOperation, number>> = { read: 3, write: 4 }
/** The topic id that brokers without topic ids (KIP-516) answer with. */
const NO_TOPIC_ID = '0 0'

/**
 * Topics by Kafka's metadata, the only answer of Kafka that is believed when it says that a topic
 * does not exist.
 */
export class Topics {
  readonly #connection: ClusterConnection
  readonly #isEmbedded: boolean
  readonly #known = new KnownTopics()
  /** Whether brokers have named any topic since the last outage. */
  #hasAny = false

  constructor(connection: ClusterConnection, isEmbedded: boolean) {
    this.#connection = connection
    this.#isEmbedded = isEmbedded
  }

  /** Brokers that come back from an outage may not have loaded their topics yet. */
  onOutage(): void {
    this.#known.forgetDenials()
    this.#hasAny = false
  }

  /**
   * The partitions of topics, in topic and partition order.
   *
   * @throws KafkaConsumeError UNKNOWN_TOPIC when a topic does not exist.
   */
  async partitions(topics: readonly string[]): Promise<TopicPartition[]> {
    const control = await this.#connection.client()
    return this.#connection.retry(async () => {
      const found = await Promise.all(topics.map((topic) => this.#partitionsOf(topic, control)))
      return found.flat()
    })
  }

  /**
   * Asserts that topics exist and that ACLs allow an operation on their records: metadata names topics
   * that this user may describe and not read.
   *
   * @throws KafkaConsumeError UNKNOWN_TOPIC, KAFKA_AUTHORIZATION, or why Kafka cannot be asked.
   */
  async assertUsable(topics: readonly string[], operation: TopicOperation): Promise<void> {
    await this.partitions(topics)
    // The embedded broker has no ACLs.
    if (this.#isEmbedded) return
    const options = { timeout: DESCRIBE_TIMEOUT_MS, includeAuthorizedOperations: true }
    const described = await administer<TopicDescription[]>(
      'Cannot read topics',
      await this.#connection.client(),
      (admin, done) => admin.describeTopics([...topics], options, done as never),
    ).catch((): TopicDescription[] => [])
    // Brokers before version 2.3 name no operations (KIP-430): the first read or write asks them then.
    for (const { name, authorizedOperations: allowed = [] } of described) {
      if (allowed.length === 0 || allowed.includes(ACL_OPERATIONS[operation])) continue
      throw topicNotAllowed(`Cannot ${operation === 'read' ? 'read' : 'write to'} topic "${name}"`)
    }
  }

  /** The names of all topics in alphabetical order, without Kafka's own. */
  async names(): Promise<string[]> {
    const control = await this.#connection.client()
    const { topics } = await readMetadata(control, 'Cannot read topics', { allTopics: true })
    return topics
      .filter(isOfUsers)
      .map(({ name }) => name)
      .sort()
  }

  /** Topic ids (KIP-516) by topic name, without topics that have no id or do not exist. */
  async ids(topics: readonly string[]): Promise<ReadonlyMap<string, string>> {
    // The client asks the controller for this, and the embedded broker names none. Its topics last as
    // long as the broker.
    if (this.#isEmbedded) return new Map()
    const found = await administer<TopicDescription[]>(
      'Cannot read topics',
      await this.#connection.client(),
      (admin, done) =>
        admin.describeTopics([...topics], { timeout: DESCRIBE_TIMEOUT_MS }, done as never),
    )
    return new Map(
      found.flatMap(({ name, topicId: { mostSignificantBits, leastSignificantBits }, error }) => {
        const id = `${mostSignificantBits} ${leastSignificantBits}`
        return error || id === NO_TOPIC_ID ? [] : [[name, id] as const]
      }),
    )
  }

  /** The replicas of topics' partitions, without topics that do not exist. */
  async replicas(topics: readonly string[]): Promise<PartitionReplicas[]> {
    const control = await this.#connection.client()
    const found = await Promise.all(
      topics.map((topic) =>
        readMetadata(control, `Cannot read topic "${topic}"`, { topic, allTopics: false }),
      ),
    )
    return found.flatMap(({ topics: [described] }) =>
      (described?.partitions ?? [])
        .map(({ id, leader, replicas, isrs }) => ({
          topic: described?.name ?? '',
          partition: id,
          leader: leader < 0 ? undefined : leader,
          replicas,
          inSync: isrs,
        }))
        .sort((a, b) => a.partition - b.partition),
    )
  }

  /** The settings of a topic in alphabetical order. The embedded broker tells none. */
  async settings(topic: string): Promise<TopicSetting[]> {
    if (this.#isEmbedded) return []
    const control = await this.#connection.client()
    const found = await call<SettingFields>(
      `Cannot read the settings of topic "${topic}"`,
      (done) => describeConfiguration()(control.getClient(), topic, REQUEST_TIMEOUT_MS, done),
    )
    const settings: TopicSetting[] = []
    for (let at = 0; at < found.length; at += 3) {
      const [name, value, isDefault] = found.slice(at, at + 3) as [string, string | null, boolean]
      settings.push({ name, value, isDefault })
    }
    return settings.sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  /**
   * Decides what an error of a request about partitions means. A broker's answer that a topic does
   * not exist counts only if the metadata says so, too.
   */
  async verify(
    error: KafkaConsumeError,
    partitions: readonly TopicPartition[],
    action: string,
  ): Promise<KafkaConsumeError> {
    if (!isUnknownTopic(error)) return error
    const control = await this.#connection.client()
    const topics = new Set(partitions.map(({ topic }) => topic))
    await Promise.all([...topics].map((topic) => this.#partitionsOf(topic, control)))
    return notLoaded(action, error)
  }

  async #partitionsOf(topic: string, control: Consumer): Promise<TopicPartition[]> {
    const action = `Cannot read topic "${topic}"`
    const metadata = await readMetadata(control, action, { topic, allTopics: false })
    const partitions = metadata.topics.find(({ name }) => name === topic)?.partitions ?? []
    if (partitions.length > 0) {
      this.#known.found(topic)
      return partitions
        .map(({ id }) => ({ topic, partition: id }))
        .sort((a, b) => a.partition - b.partition)
    }
    // The embedded broker gives no reason, has no ACLs and never restarts.
    if (this.#isEmbedded) throw unknownTopic(topic)
    const reason = await whyWithoutPartitions(topic, control)
    if (!isUnknownTopic(reason)) throw reason
    const isDoubtful = this.#known.has(topic) || !(await this.#hasOthers(topic, control))
    throw isDoubtful && !this.#known.isGone(topic) ? notLoaded(action, reason) : reason
  }

  /**
   * Whether brokers know other topics: a broker that has just started may not know its own yet. The
   * topic itself is not counted, because it may have been created since the broker denied it.
   */
  async #hasOthers(topic: string, control: Consumer): Promise<boolean> {
    if (this.#hasAny) return true
    const { topics } = await readMetadata(control, 'Cannot read topics', { allTopics: true })
    this.#hasAny = topics.some((one) => isOfUsers(one) && one.name !== topic)
    return this.#hasAny
  }
}

/** Name, value, and whether the value is a default, of each setting in turn. */
type SettingFields = ReadonlyArray<string | null | boolean>

/** The addon's own function: the client's admin functions lack this one. */
function describeConfiguration() {
  return addon()['describeTopicConfiguration'] as (
    client: object,
    topic: string,
    timeout: number,
    done: (error: ClientError | null | undefined, fields: SettingFields) => void,
  ) => void
}

/** Whether a topic exists and is not Kafka's own: one that was asked for is named without partitions. */
function isOfUsers({ name, partitions }: Metadata['topics'][number]): boolean {
  return partitions.length > 0 && !name.startsWith('__')
}

function readMetadata(control: Consumer, action: string, query: object): Promise<Metadata> {
  return call<Metadata>(action, (done) =>
    control.getMetadata({ ...query, timeout: REQUEST_TIMEOUT_MS } as object, done),
  )
}

/**
 * Why a topic has no partitions: the client's metadata does not distinguish a topic that does not
 * exist from one that ACLs hide from us.
 */
async function whyWithoutPartitions(topic: string, client: Consumer): Promise<KafkaConsumeError> {
  const action = `Cannot read topic "${topic}"`
  // Older brokers do not support this request: then the metadata alone decides.
  const reasonOf = (thrown: unknown) => {
    const error = fromClient(thrown as ClientError, action)
    const isKnown = error.code === 'KAFKA_AUTHORIZATION' || error.code === 'SHUTTING_DOWN'
    return isPassing(error) || isKnown ? error : unknownTopic(topic)
  }
  try {
    const [description] = await administer<TopicDescription[]>(action, client, (admin, done) =>
      admin.describeTopics([topic], { timeout: REQUEST_TIMEOUT_MS }, done as never),
    )
    if (description && !description.error) return notLoaded(action, unknownTopic(topic))
    return description?.error ? reasonOf(description.error) : unknownTopic(topic)
  } catch (thrown) {
    return reasonOf(thrown)
  }
}

function unknownTopic(topic: string): KafkaConsumeError {
  return new KafkaConsumeError(
    'UNKNOWN_TOPIC',
    `Cannot read topic "${topic}": Kafka does not have it`,
  )
}
