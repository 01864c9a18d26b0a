import { getLogger } from '@logtape/logtape'
import { asKafkaConsumeError, KafkaConsumeError } from '../src/core/errors.ts'
import { partitionKey, type TopicPartition } from '../src/core/topic-partition.ts'
import type {
  AssignedConsumer,
  BrokerState,
  ClusterOptions,
  Gap,
  GroupOptions,
  GroupSession,
  KafkaCluster,
  KafkaOutage,
  OffsetQuery,
  PartitionOffset,
  Producer,
  ProducerProfile,
} from '../src/port/kafka.ts'
import { whyUntrusted } from './client/broker-certificate.ts'
import { brokerStates, STATISTICS_INTERVAL_MS } from './client/broker-statistics.ts'
import {
  adminOf,
  type Consumer,
  call,
  connectClient,
  createConsumer,
  createProducer,
  disconnectClient,
  type Metadata,
  membersOf,
  type Settings,
  type TopicDescription,
  unknownTopic,
  whyWithoutPartitions,
} from './client/client.ts'
import {
  type ClientTrouble,
  DOWN,
  isPassing,
  isUnknownTopic,
  notLoaded,
  REFUSED,
  REFUSED_DELEGATION_TOKEN,
  troubleError,
  troubleIn,
  UNTRUSTED,
} from './client/errors.ts'
import { KnownTopics } from './client/known-topics.ts'
import { OAuthTokens } from './client/oauth-tokens.ts'
import { connectionSettings } from './client/security.ts'
import {
  ConfluentAssignedConsumer,
  READER_TOPIC_SETTINGS,
  readerSettings,
} from './consumer/assigned-reader.ts'
import { searchTime } from './consumer/time-search.ts'
import { isEmbedded } from './embedded/embedded.ts'
import { Group } from './group/group.ts'
import { GROUP_TOPIC_SETTINGS, groupSettings } from './group/group-settings.ts'
import { ConfirmingProducer, producerSettings } from './producer.ts'

const log = getLogger(['hono-kafka-consume', 'cluster'])

const CONNECT_TIMEOUT_MS = 5_000
const REQUEST_TIMEOUT_MS = 5_000
const TOPIC_IDS_TIMEOUT_MS = 2_000
const RETRY_MS = 1_000
const LISTEN_MS = 500
/** How long a question that a broker could not answer yet waits to be put again: first, and at most. */
const ASK_AGAIN_MS = 50
const MAX_ASK_AGAIN_MS = 500
/** Consumers of ended replays that are kept connected for the next one, and for how long. */
const MAX_IDLE = 4
const IDLE_MS = 30_000

/** What the protocol's ListOffsets calls the first and the last offset. */
const EARLIEST = -2
const LATEST = -1
/** The id of topics on brokers that know of none. */
const NO_TOPIC_ID = '0 0'

/** What clients of any kind have, unless an option says otherwise. */
const SETTINGS: Settings = {
  'client.id': 'hono-kafka-consume',
  // A broker that comes back is found within a second.
  'reconnect.backoff.ms': 50,
  'reconnect.backoff.max.ms': 1_000,
  'allow.auto.create.topics': false,
}

/** The client for questions. It joins no group, but librdkafka wants a name of one. */
const CONTROL_SETTINGS: Settings = {
  'group.id': 'hono-kafka-consume-control',
  'statistics.interval.ms': STATISTICS_INTERVAL_MS,
}

/**
 * One Kafka cluster: a client of its own for questions and for knowing whether Kafka can be
 * reached, and consumers for tails, replays and groups.
 */
export class ConfluentCluster implements KafkaCluster {
  readonly name: string
  readonly #options: ClusterOptions
  readonly #servers: string
  readonly #tokens: OAuthTokens | undefined
  readonly #open = new Set<AssignedConsumer | GroupSession>()
  readonly #producers = new Map<ProducerProfile, ConfirmingProducer>()
  readonly #idle: Array<{ consumer: Consumer; timer: ReturnType<typeof setTimeout> }> = []
  #control: Consumer | undefined
  #connected = Promise.withResolvers<void>()
  #problem: KafkaOutage | undefined
  #brokers: readonly BrokerState[] = []
  /** What the client for questions has last said of reaching Kafka. */
  #trouble: ClientTrouble | undefined
  /** Resolves when Kafka has answered, or is known not to. */
  readonly #known = Promise.withResolvers<void>()
  #probing = false
  readonly #topics = new KnownTopics()
  /** Whether brokers have named any topic since they were last away. */
  #knowsTopics = false
  #listening: ReturnType<typeof setInterval> | undefined
  #closed = false

  constructor(options: ClusterOptions) {
    const { bootstrapServers, name, sasl, tls } = options
    this.#options = options
    this.#servers = bootstrapServers.join(',')
    this.name = name ?? this.#servers
    if (sasl?.mechanism === 'OAUTHBEARER') this.#tokens = new OAuthTokens(sasl, tls?.ca)
    this.#connected.promise.catch(() => {})
    void this.#connect()
  }

  outage(): KafkaOutage | undefined {
    return this.#problem
  }

  brokers(): readonly BrokerState[] {
    return this.#brokers
  }

  async connected(): Promise<void> {
    await this.#client()
  }

  async partitions(topics: readonly string[]): Promise<TopicPartition[]> {
    const control = await this.#client()
    return this.#patiently(async () => {
      const found = await Promise.all(topics.map((topic) => this.#partitionsOf(topic, control)))
      return found.flat()
    })
  }

  async topicIds(topics: readonly string[]): Promise<ReadonlyMap<string, string>> {
    // The embedded broker does not answer this, and its topics last as long as itself.
    if (isEmbedded(this.#servers)) return new Map()
    const admin = adminOf(await this.#client())
    try {
      const found = await call<TopicDescription[]>('Cannot read topics', (done) =>
        admin.describeTopics([...topics], { timeout: TOPIC_IDS_TIMEOUT_MS }, done),
      )
      return new Map(
        found.flatMap(({ name, topicId: { mostSignificantBits, leastSignificantBits }, error }) => {
          const id = `${mostSignificantBits} ${leastSignificantBits}`
          return error || id === NO_TOPIC_ID ? [] : [[name, id] as const]
        }),
      )
    } finally {
      admin.disconnect()
    }
  }

  async offsets(
    partitions: readonly TopicPartition[],
    query: OffsetQuery,
  ): Promise<PartitionOffset[]> {
    if (query === 'earliest') return this.#listOffsets(partitions, EARLIEST)
    if (query === 'latest') return this.#listOffsets(partitions, LATEST)
    const found = await this.#listOffsets(partitions, query)
    const ends = await this.#listOffsets(partitions, LATEST)
    const missing = found.filter(({ offset }) => offset < 0)
    if (missing.length > 0 && !(await this.#knowsTimes(partitions, ends))) {
      return searchTime(this, await this.offsets(partitions, 'earliest'), ends, query)
    }
    // Nothing as late as that: reading begins at the end.
    return found.map((found, index) =>
      found.offset < 0 ? (ends[index] as PartitionOffset) : found,
    )
  }

  async openConsumer(
    from: readonly PartitionOffset[],
    purpose: 'live' | 'catch-up',
  ): Promise<AssignedConsumer> {
    const gaps = purpose === 'catch-up' ? await this.#gaps(from) : []
    const begin = from.map((position) => {
      const gap = gaps.find(
        ({ topic, partition }) => topic === position.topic && partition === position.partition,
      )
      return gap ? { ...position, offset: gap.to } : position
    })
    const consumer = await this.#consumer(purpose)
    const reader: AssignedConsumer = new ConfluentAssignedConsumer(consumer, begin, gaps, {
      release: async (healthy) => {
        this.#open.delete(reader)
        await this.#release(consumer, healthy && purpose === 'catch-up')
      },
      explain: (error) => this.#orProblem(error),
    })
    this.#open.add(reader)
    return reader
  }

  group(options: GroupOptions): GroupSession {
    const { groupId, instanceId, topics } = options
    const group = new Group(
      {
        connect: async (rebalance) => {
          const settings = groupSettings(options, isEmbedded(this.#servers))
          return this.#connectConsumer(
            { ...settings, rebalance_cb: rebalance },
            GROUP_TOPIC_SETTINGS,
          )
        },
        disconnect: disconnectClient,
        partitions: () => this.partitions(topics),
        committed: async (consumer, partitions) => {
          const found = await call<PartitionOffset[]>('Cannot read committed offsets', (done) =>
            consumer.committed([...partitions], REQUEST_TIMEOUT_MS, done as never),
          )
          // In the place of a partition that could not be asked for stands an error.
          if (!found.some((each) => each instanceof Error)) return inOrder(partitions, found)
          throw new KafkaConsumeError(
            'KAFKA_UNAVAILABLE',
            'Cannot read committed offsets: not of all partitions',
          )
        },
        offsets: (partitions, query) => this.offsets(partitions, query),
        topicIds: () => this.topicIds(topics),
        isInstanceTaken: async () => {
          const members = await membersOf(groupId, await this.#client())
          return members.some(({ groupInstanceId }) => groupInstanceId === instanceId)
        },
      },
      options,
    )
    this.#open.add(group)
    void group.ended.then(() => this.#open.delete(group))
    return group
  }

  producer(writing: ProducerProfile): Producer {
    const producer =
      this.#producers.get(writing) ??
      new ConfirmingProducer({
        reachable: () => this.connected(),
        partitions: (topic) => this.partitions([topic]),
        create: () => createProducer(this.#settings(producerSettings(writing))),
      })
    this.#producers.set(writing, producer)
    return producer
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#connected.reject(closed())
    await Promise.all([...this.#open].map((open) => open.close()))
    await Promise.all([...this.#producers.values()].map((producer) => producer.close()))
    const idle = this.#idle.splice(0).map(({ consumer, timer }) => {
      clearTimeout(timer)
      return disconnectClient(consumer)
    })
    await Promise.all(idle)
    clearInterval(this.#listening)
    this.#tokens?.close()
    if (this.#control) await disconnectClient(this.#control)
  }

  /** Connects, again and again until it succeeds; what stands in the way is the problem. */
  async #connect(): Promise<void> {
    while (!this.#closed) {
      try {
        const control = await this.#connectConsumer(CONTROL_SETTINGS)
        if (this.#closed) return disconnectClient(control)
        this.#control = control
        this.#problem = undefined
        this.#listen(control)
        this.#connected.resolve()
        this.#known.resolve()
        return
      } catch (thrown) {
        const error = asKafkaConsumeError(thrown)
        // No trouble of Kafka's, as a missing addon: whoever asks is told.
        if (error.status === 500) return this.#connected.reject(error)
        this.#report(this.#troubleOf(error))
        await sleep(RETRY_MS)
      }
    }
  }

  /** A connected client; one that cannot connect is freed. */
  async #connectConsumer(purpose: Settings, topicSettings: Settings = {}): Promise<Consumer> {
    // Without one a client would wait for it in silence.
    await this.#tokens?.get()
    const consumer = createConsumer(this.#settings(purpose), topicSettings)
    try {
      await connectClient(consumer, CONNECT_TIMEOUT_MS)
      return consumer
    } catch (error) {
      void disconnectClient(consumer)
      throw await this.#explained(this.#orProblem(asKafkaConsumeError(error)))
    }
  }

  /** Of a client for some purpose. What users set goes before what we set for speed. */
  #settings(purpose: Settings): Settings {
    const settings = { ...SETTINGS, ...purpose, ...this.#options.librdkafka }
    return { ...settings, ...connectionSettings(this.#options, this.#tokens) }
  }

  /** The same error; with more than the client knows, of a certificate or a delegation token. */
  async #explained(error: KafkaConsumeError): Promise<KafkaConsumeError> {
    const { code, message, detail = '' } = error
    const { tls, sasl } = this.#options
    const explain = (state: string) =>
      troubleError({ code, state, detail }, 'Cannot connect to Kafka')
    if (tls && message.endsWith(UNTRUSTED)) return explain(await whyUntrusted(detail, tls))
    const isToken = sasl?.mechanism !== 'OAUTHBEARER' && sasl?.isDelegationToken
    if (isToken && message.endsWith(REFUSED)) return explain(REFUSED_DELEGATION_TOKEN)
    return error
  }

  /** A consumer tells of errors only while it is asked for records. This one has none to give. */
  #listen(control: Consumer): void {
    control.on('event.log', (line) => {
      const trouble = troubleIn(line)
      if (!trouble) return
      this.#trouble = trouble
      void this.#probe(control)
    })
    control.on('event.error', ({ message }) => {
      if (/all broker connections are down/i.test(message)) void this.#probe(control)
    })
    control.on('event.stats', ({ message }) => {
      this.#brokers = brokerStates(message)
    })
    control.setDefaultConsumeTimeout(0)
    this.#listening = setInterval(() => control.consume(1, () => {}), LISTEN_MS)
  }

  #report({ code, state, detail }: ClientTrouble): void {
    const message = `Cannot read from Kafka: ${state}`
    if (this.#closed || this.#problem?.message === message) return
    this.#problem = { code, message, detail, since: this.#problem?.since ?? Date.now() }
    this.#topics.forgetDenials()
    this.#knowsTopics = false
    this.#known.resolve()
    log.warn('{cluster}: {message}: {detail}', { cluster: this.name, message, detail })
  }

  /** What keeps a client from connecting. */
  #troubleOf({ code, message, detail = 'no answer' }: KafkaConsumeError): ClientTrouble {
    const isRefusal =
      code === 'KAFKA_AUTHENTICATION' || code === 'KAFKA_TLS' || code === 'KAFKA_TOKEN'
    if (!isRefusal) return { ...DOWN, detail }
    return { code, state: message.slice(message.indexOf(': ') + 2), detail }
  }

  /** The client reports trouble: ask, until there is an answer. One idle connection closed is none. */
  async #probe(control: Consumer): Promise<void> {
    if (this.#probing) return
    this.#probing = true
    while (!this.#closed) {
      try {
        await call<Metadata>('Cannot read from Kafka', (done) =>
          control.getMetadata({ allTopics: false, timeout: 2_000 } as object, done),
        )
        this.#problem = undefined
        this.#trouble = undefined
        break
      } catch (error) {
        const { detail = 'no answer' } = asKafkaConsumeError(error)
        const trouble = this.#trouble ?? { ...DOWN, detail }
        const known = this.#tokens?.failure ?? troubleError(trouble, 'Cannot connect to Kafka')
        this.#report(this.#troubleOf(await this.#explained(known)))
        await sleep(RETRY_MS)
      }
    }
    this.#probing = false
  }

  /** The client for questions. @throws KafkaConsumeError at once while Kafka is known to be away. */
  async #client(): Promise<Consumer> {
    if (this.#closed) throw closed()
    if (this.#problem) throw problemError(this.#problem)
    if (!this.#control) {
      const late = sleep(CONNECT_TIMEOUT_MS + 1_000)
      await Promise.race([this.#connected.promise, this.#known.promise, late])
      if (this.#problem) throw problemError(this.#problem)
    }
    if (!this.#control) {
      throw new KafkaConsumeError(
        'KAFKA_UNAVAILABLE',
        'Cannot read from Kafka: no broker answered yet',
      )
    }
    return this.#control
  }

  /**
   * The partitions of one topic, by Kafka's metadata: the only answer of Kafka that is believed when
   * it says that a topic does not exist.
   */
  async #partitionsOf(topic: string, control: Consumer): Promise<TopicPartition[]> {
    const action = `Cannot read topic "${topic}"`
    const metadata = await this.#metadata(control, action, { topic, allTopics: false })
    const partitions = metadata.topics.find(({ name }) => name === topic)?.partitions ?? []
    if (partitions.length > 0) {
      this.#topics.found(topic)
      return partitions
        .map(({ id }) => ({ topic, partition: id }))
        .sort((a, b) => a.partition - b.partition)
    }
    // The embedded broker does not say why, refuses nobody and never restarts.
    if (isEmbedded(this.#servers)) throw unknownTopic(topic)
    const why = await whyWithoutPartitions(topic, control)
    if (!isUnknownTopic(why)) throw why
    const isDoubtful = this.#topics.has(topic) || !(await this.#hasTopics(control))
    throw isDoubtful && !this.#topics.isGone(topic) ? notLoaded(action, why) : why
  }

  /** Whether the brokers know any topic: one that has just started may not know its own yet. */
  async #hasTopics(control: Consumer): Promise<boolean> {
    if (this.#knowsTopics) return true
    const { topics } = await this.#metadata(control, 'Cannot read topics', { allTopics: true })
    // Not one that was asked for, which is named without partitions, nor one of the broker's own.
    this.#knowsTopics = topics.some(
      ({ name, partitions }) => partitions.length > 0 && !name.startsWith('__'),
    )
    return this.#knowsTopics
  }

  #metadata(control: Consumer, action: string, asked: object): Promise<Metadata> {
    return call<Metadata>(action, (done) =>
      control.getMetadata({ ...asked, timeout: REQUEST_TIMEOUT_MS } as object, done),
    )
  }

  async #listOffsets(
    partitions: readonly TopicPartition[],
    time: number,
  ): Promise<PartitionOffset[]> {
    const control = await this.#client()
    const action = 'Cannot find offsets'
    // The client passes times on as they are, so the protocol's marks for both ends work too
    // (ListOffsets in https://kafka.apache.org/protocol).
    const asked = partitions.map(({ topic, partition }) => ({ topic, partition, offset: time }))
    return this.#patiently(async () => {
      const answer = await call<PartitionOffset[]>(action, (done) =>
        control.offsetsForTimes(asked, REQUEST_TIMEOUT_MS, done as never),
      ).catch((error) => this.#verify(error, partitions, action))
      const found = inOrder(partitions, answer)
      // In the place of a partition that could not be asked for stands an error. A time may have no
      // offset, but both ends are always there.
      const isWhole = !answer.some((each) => each instanceof Error)
      if (isWhole && (time >= 0 || found.every(({ offset }) => offset >= 0))) return found
      throw new KafkaConsumeError(
        'KAFKA_UNAVAILABLE',
        `${action}: not all partitions have a leader`,
      )
    })
  }

  /**
   * Throws an error of a question about partitions; where that is one of an unknown topic, what
   * Kafka's metadata says of the topic decides.
   */
  async #verify(
    thrown: unknown,
    partitions: readonly TopicPartition[],
    action: string,
  ): Promise<never> {
    const error = asKafkaConsumeError(thrown)
    if (!isUnknownTopic(error)) throw error
    const control = await this.#client()
    const topics = new Set(partitions.map(({ topic }) => topic))
    await Promise.all([...topics].map((topic) => this.#partitionsOf(topic, control)))
    throw notLoaded(action, error)
  }

  /**
   * Asks again for some seconds while brokers cannot answer yet: one that has just started loads its
   * topics, and a partition may be without a leader, as when its topic is new.
   */
  async #patiently<T>(ask: () => Promise<T>): Promise<T> {
    const until = performance.now() + REQUEST_TIMEOUT_MS
    for (let pause = ASK_AGAIN_MS; ; pause = Math.min(2 * pause, MAX_ASK_AGAIN_MS)) {
      try {
        return await ask()
      } catch (thrown) {
        const error = this.#orProblem(asKafkaConsumeError(thrown))
        if (this.#problem) throw error
        const isPatient = error.code === 'KAFKA_UNAVAILABLE' && !this.#closed
        if (!isPatient || performance.now() > until) throw error
        await sleep(pause)
      }
    }
  }

  /** That all brokers are away says more than that one has not answered. */
  #orProblem(error: KafkaConsumeError): KafkaConsumeError {
    return this.#problem && isPassing(error) ? problemError(this.#problem) : error
  }

  /** Whether brokers answer questions by time: the embedded one finds nothing even for 1970. */
  async #knowsTimes(
    partitions: readonly TopicPartition[],
    ends: readonly PartitionOffset[],
  ): Promise<boolean> {
    const starts = await this.#listOffsets(partitions, EARLIEST)
    const first = starts.findIndex(
      ({ offset }, index) => offset < (ends[index] as PartitionOffset).offset,
    )
    if (first < 0) return true
    const [found] = await this.#listOffsets([partitions[first] as TopicPartition], 0)
    return found !== undefined && found.offset >= 0
  }

  /** Positions that Kafka does not have: before a partition's first offset, or after its end. */
  async #gaps(from: readonly PartitionOffset[]): Promise<Gap[]> {
    const [starts, ends] = await Promise.all([
      this.#listOffsets(from, EARLIEST),
      this.#listOffsets(from, LATEST),
    ])
    return from.flatMap(({ topic, partition, offset }, index): Gap[] => {
      const start = (starts[index] as PartitionOffset).offset
      const end = (ends[index] as PartitionOffset).offset
      if (offset < start)
        return [{ topic, partition, from: offset, to: start, reason: 'retention' }]
      if (offset > end)
        return [{ topic, partition, from: offset, to: start, reason: 'out-of-range' }]
      return []
    })
  }

  async #consumer(purpose: 'live' | 'catch-up'): Promise<Consumer> {
    await this.#client()
    const idle = purpose === 'catch-up' ? this.#idle.pop() : undefined
    if (idle) {
      clearTimeout(idle.timer)
      return idle.consumer
    }
    return this.#connectConsumer(
      readerSettings(purpose, isEmbedded(this.#servers)),
      READER_TOPIC_SETTINGS,
    )
  }

  async #release(consumer: Consumer, keep: boolean): Promise<void> {
    if (!keep || this.#closed || this.#idle.length >= MAX_IDLE) return disconnectClient(consumer)
    consumer.unassign()
    const entry = {
      consumer,
      timer: setTimeout(() => {
        this.#idle.splice(this.#idle.indexOf(entry), 1)
        void disconnectClient(consumer)
      }, IDLE_MS),
    }
    this.#idle.push(entry)
  }
}

/** Offsets in the order of what was asked; -1 where there is none. */
function inOrder(
  asked: readonly TopicPartition[],
  found: ReadonlyArray<TopicPartition & { readonly offset?: number }>,
): PartitionOffset[] {
  const table = new Map(found.map((each) => [partitionKey(each), each.offset]))
  return asked.map(({ topic, partition }) => ({
    topic,
    partition,
    offset: table.get(partitionKey({ topic, partition })) ?? -1,
  }))
}

function problemError({ code, message, detail }: KafkaOutage): KafkaConsumeError {
  return new KafkaConsumeError(code, message, { detail })
}

function closed(): KafkaConsumeError {
  return new KafkaConsumeError(
    'SHUTTING_DOWN',
    'Cannot read from Kafka: the server is shutting down',
  )
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}
