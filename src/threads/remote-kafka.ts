/** The port in a thread that has no Kafka client of its own: another thread answers for it. */
import { shuttingDownError } from '../core/errors.ts'
import type { Gauge, MakeGauge } from '../core/gauge.ts'
import { logOf } from '../core/log.ts'
import type { TopicPartition } from '../core/topic-partition.ts'
import type { ClusterOptions } from '../port/cluster-options.ts'
import type { EncodingRequest, EncodingSpec } from '../port/encoding.ts'
import type {
  AssignedConsumer,
  Batch,
  BrokerState,
  GroupOptions,
  GroupSession,
  KafkaCluster,
  KafkaOutage,
  KafkaSide,
  MemberStats,
  OffsetQuery,
  PartitionOffset,
} from '../port/kafka.ts'
import type { OpenProducer, ProducerSettings } from '../port/open-producer.ts'
import type { Producer, ProducerProfile, ProducerRecord, RecordMetadata } from '../port/producer.ts'
import type { ConsumerUse, SharedPlaces } from '../port/threads.ts'
import type {
  GroupsProgress,
  PartitionReplicas,
  PartitionSizes,
  TopicOperation,
  TopicSetting,
} from '../port/topic-details.ts'
import { BodyReceiver, bodyMemory } from './body-memory.ts'
import { type Messenger, receivedResults } from './messenger.ts'
import { unpackRecords } from './packed-records.ts'
import { RemoteSession } from './remote-session.ts'
import type { SentBatch } from './sent-batch.ts'

const log = logOf('threads')

/** The request to open a consumer. */
export interface SentOpening {
  readonly cluster: number
  readonly from: readonly PartitionOffset[]
  readonly purpose: 'live' | 'catch-up'
  readonly use: ConsumerUse | undefined
}

/** A consumer that was opened. */
export interface SentConsumer extends Pick<AssignedConsumer, 'gaps' | 'start'> {
  readonly id: number
}

/** The request to read. */
export interface SentRead {
  readonly consumer: number
  readonly limit: number
  readonly wait: number
  readonly from: Float64Array | undefined
  /** Sent where it is another one than for the read before. */
  readonly spec: EncodingSpec | undefined
}

/** The request to close a consumer. */
export interface SentClosing {
  readonly consumer: number
  readonly hasStalled: boolean
}

/** The state of a cluster. */
export interface SentState {
  readonly cluster: number
  readonly outage: KafkaOutage | undefined
  readonly brokers: readonly BrokerState[]
}

/** The Kafka side of another thread. */
export class RemoteKafka implements KafkaSide {
  readonly #messenger: Messenger
  readonly #makeGauge: MakeGauge
  readonly #clusters = new Map<number, RemoteCluster>()
  readonly #sessions = new Map<number, RemoteSession>()
  readonly #places = new Map<string, RemotePlaces>()
  readonly #bodies: BodyReceiver
  #ids = 0

  /** @param makeGauge Makes gauges that count all threads. */
  constructor(messenger: Messenger, makeGauge: MakeGauge) {
    this.#messenger = messenger
    this.#makeGauge = makeGauge
    const memory = bodyMemory()
    this.#bodies = new BodyReceiver(memory)
    messenger.notify('bodyMemory', memory)
    messenger.handle({
      clusterState: ({ cluster, ...state }: SentState) => this.#clusters.get(cluster)?.set(state),
      placeWanted: (name: string) => this.#places.get(name)?.leave(),
    })
  }

  sharedPlaces(name: string): SharedPlaces {
    const gauges = [this.#makeGauge(name), this.#makeGauge(`${name}: waiting since`)] as const
    const places = new RemotePlaces(gauges, {
      ask: () => this.#messenger.notify('wantPlace', name),
      onRelease: () => this.#places.delete(name),
    })
    this.#places.set(name, places)
    return places
  }

  connect(options: ClusterOptions): KafkaCluster {
    const id = ++this.#ids
    const cluster = new RemoteCluster(options, {
      messenger: this.#messenger,
      id,
      nextId: () => ++this.#ids,
      sessions: this.#sessions,
      bodies: this.#bodies,
      onClose: () => this.#clusters.delete(id),
    })
    this.#clusters.set(id, cluster)
    return cluster
  }

  startEmbeddedBroker(): Promise<never> {
    return Promise.reject(new Error('Cannot start a broker: the thread that owns Kafka does that'))
  }

  /** Asks for the statistics of all groups, which {@link GroupSession.stats} tells from then on. */
  async refreshStatistics(): Promise<void> {
    const found = await this.#messenger.request<Array<[number, MemberStats]>>('groupStats')
    for (const [id, stats] of found) this.#sessions.get(id)?.set(stats)
  }
}

/** The part of a remote cluster that its objects share. */
interface RemoteContext {
  readonly messenger: Messenger
  readonly id: number
  readonly nextId: () => number
  readonly sessions: Map<number, RemoteSession>
  readonly bodies: BodyReceiver
  readonly onClose: () => void
}

class RemoteCluster implements KafkaCluster {
  readonly name: string
  readonly #context: RemoteContext
  readonly #messenger: Messenger
  #state: Omit<SentState, 'cluster'> = { outage: undefined, brokers: [] }
  #isClosed = false

  constructor(options: ClusterOptions, context: RemoteContext) {
    this.name = options.name ?? options.bootstrapServers.join(',')
    this.#context = context
    this.#messenger = context.messenger
    this.#messenger.notify('connect', { cluster: context.id, options })
  }

  set(state: Omit<SentState, 'cluster'>): void {
    this.#state = state
  }

  outage(): KafkaOutage | undefined {
    return this.#state.outage
  }

  brokers(): readonly BrokerState[] {
    return this.#state.brokers
  }

  connected(): Promise<void> {
    return this.#ask('connected')
  }

  partitions(topics: readonly string[]): Promise<readonly TopicPartition[]> {
    return this.#ask('partitions', topics)
  }

  assertUsable(topics: readonly string[], operation: TopicOperation): Promise<void> {
    return this.#ask('assertUsable', topics, operation)
  }

  topicNames(): Promise<readonly string[]> {
    return this.#ask('topicNames')
  }

  topicIds(topics: readonly string[]): Promise<ReadonlyMap<string, string>> {
    return this.#ask('topicIds', topics)
  }

  replicas(topics: readonly string[]): Promise<readonly PartitionReplicas[]> {
    return this.#ask('replicas', topics)
  }

  partitionSizes(partitions: readonly PartitionReplicas[]): Promise<PartitionSizes> {
    return this.#ask('partitionSizes', partitions)
  }

  topicSettings(topic: string): Promise<readonly TopicSetting[]> {
    return this.#ask('topicSettings', topic)
  }

  groupProgress(topics: readonly string[]): Promise<GroupsProgress> {
    return this.#ask('groupProgress', topics)
  }

  committed(
    groupId: string,
    partitions: readonly TopicPartition[],
  ): Promise<readonly PartitionOffset[]> {
    return this.#ask('committed', groupId, partitions)
  }

  offsets(partitions: readonly TopicPartition[], query: OffsetQuery): Promise<PartitionOffset[]> {
    return this.#ask('offsets', partitions, query)
  }

  async openConsumer(
    from: readonly PartitionOffset[],
    purpose: 'live' | 'catch-up',
    use?: ConsumerUse,
  ): Promise<AssignedConsumer> {
    this.#assertOpen()
    const opening: SentOpening = { cluster: this.#context.id, from, purpose, use }
    const opened = await this.#messenger.request<SentConsumer>('openConsumer', opening)
    return new RemoteConsumer(this.#messenger, opened)
  }

  group(options: GroupOptions): GroupSession {
    const { id: cluster, nextId, sessions, bodies } = this.#context
    const id = nextId()
    this.#messenger.notify('join', { cluster, group: id, options })
    const session = new RemoteSession(this.#messenger, id, bodies, () => sessions.delete(id))
    sessions.set(id, session)
    return session
  }

  producer(profile: ProducerProfile): Producer {
    const { id: cluster } = this.#context
    return {
      send: async (records) =>
        receivedResults(await this.#messenger.request('send', { cluster, profile, records })),
    }
  }

  openProducer(settings: ProducerSettings): OpenProducer {
    const { id: cluster, nextId } = this.#context
    const producer = nextId()
    this.#messenger.notify('openProducer', { cluster, producer, settings })
    const accept = async (records: readonly ProducerRecord[]) => {
      const accepted = await this.#messenger.request<number>('accept', { producer, records })
      const outcome = this.#messenger
        .request<unknown[]>('outcome', accepted)
        .then((sent) => receivedResults<RecordMetadata>(sent))
      // Its caller may look at it later.
      outcome.catch(() => {})
      return { outcome }
    }
    return {
      accept,
      send: async (records) => (await accept(records)).outcome,
      close: () => this.#messenger.request('closeProducer', producer),
    }
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#context.onClose()
    await this.#messenger.request('disconnect', this.#context.id)
  }

  async #ask<T>(method: string, ...parameters: readonly unknown[]): Promise<T> {
    this.#assertOpen()
    return this.#messenger.request('ask', { cluster: this.#context.id, method, parameters })
  }

  #assertOpen(): void {
    if (this.#isClosed) throw shuttingDownError('read from Kafka')
  }
}

class RemotePlaces implements SharedPlaces {
  readonly #taken: Gauge
  /** Since when each thread has waited; 0 for one that does not wait. */
  readonly #waiting: Gauge
  readonly #calls: { readonly ask: () => void; readonly onRelease: () => void }
  #waitsSince = 0
  #leave = () => {}

  constructor(
    [taken, waiting]: readonly [taken: Gauge, waiting: Gauge],
    calls: { readonly ask: () => void; readonly onRelease: () => void },
  ) {
    this.#taken = taken
    this.#waiting = waiting
    this.#calls = calls
  }

  get taken(): number {
    return this.#taken.value
  }

  get othersWaitSince(): number | undefined {
    const times = this.#waiting.others.filter((time) => time > 0)
    return times.length > 0 ? Math.min(...times) : undefined
  }

  add(places: number): void {
    this.#taken.add(places)
  }

  waitSince(time = 0): void {
    this.#waiting.add(time - this.#waitsSince)
    this.#waitsSince = time
  }

  ask(): void {
    this.#calls.ask()
  }

  onAsked(leave: () => void): void {
    this.#leave = leave
  }

  /** Leaves a place that this thread can do without. */
  leave(): void {
    this.#leave()
  }

  release(): void {
    this.#taken.release()
    this.#waiting.release()
    this.#calls.onRelease()
  }
}

class RemoteConsumer implements AssignedConsumer {
  readonly gaps: AssignedConsumer['gaps']
  readonly start: AssignedConsumer['start']
  readonly #messenger: Messenger
  readonly #id: number
  #spec: EncodingSpec | undefined
  #closed: Promise<void> | undefined

  constructor(messenger: Messenger, { id, gaps, start }: SentConsumer) {
    this.#messenger = messenger
    this.#id = id
    this.gaps = gaps
    this.start = start
  }

  async read(limit: number, wait: number, encoding?: EncodingRequest): Promise<Batch> {
    const { spec, from } = encoding ?? {}
    const isOther = spec !== this.#spec
    this.#spec = spec
    const read: SentRead = {
      consumer: this.#id,
      limit,
      wait,
      from,
      spec: isOther ? spec : undefined,
    }
    const { packed, ...batch } = await this.#messenger.request<SentBatch>('read', read)
    return { ...batch, encoded: packed && unpackRecords(packed) }
  }

  close(hasStalled = false): Promise<void> {
    const closing: SentClosing = { consumer: this.#id, hasStalled }
    this.#closed ??= this.#messenger
      .request<void>('closeConsumer', closing)
      .catch((error: unknown) => log.debug('Cannot close a consumer: {error}', { error }))
    return this.#closed
  }
}
