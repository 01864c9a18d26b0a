/** Answers for the Kafka side to one other thread, which has none of its own. */
import { settledWithin } from '../core/deadline.ts'
import { KafkaConsumeError, shuttingDownError } from '../core/errors.ts'
import { LruMap } from '../core/lru-map.ts'
import {
  connect,
  type GroupConnection,
  leaseProducer,
  type ProducerLease,
} from '../http/route/cluster-registry.ts'
import type { ClusterOptions } from '../port/cluster-options.ts'
import type { EncodingSpec } from '../port/encoding.ts'
import type { AssignedConsumer, KafkaCluster } from '../port/kafka.ts'
import type { AcceptedRecords, ProducerSettings } from '../port/open-producer.ts'
import type { ProducerProfile, ProducerRecord, RecordMetadata } from '../port/producer.ts'
import { HostedGroups } from './hosted-groups.ts'
import { type HostedConsumer, LiveHubs } from './live-hub.ts'
import { type Messenger, sentResults } from './messenger.ts'
import type { SentClosing, SentConsumer, SentOpening, SentRead, SentState } from './remote-kafka.ts'
import { type SentBatch, sentBatch } from './sent-batch.ts'

/** Milliseconds between two looks at the state of clusters, which threads are told when it changes. */
const STATE_INTERVAL_MS = 100
/** Milliseconds for which the shares of a thread that has died are kept for the one that replaces it. */
const HANDOVER_MS = 10_000
/** Records that are remembered as written once. Overflow policy: {@link LruMap}'s. */
const MAX_ONCE = 65_536

/** The part that the hosts of all threads share. */
export class SharedKafka {
  readonly hubs = new LiveHubs()
  /** The threads. */
  readonly messengers = new Set<Messenger>()
  readonly #once = new LruMap<string, Promise<RecordMetadata | KafkaConsumeError>>(MAX_ONCE)

  /** Writes records, those of {@link ProducerRecord.once} for the first thread that sends them. */
  async send(
    cluster: KafkaCluster,
    profile: ProducerProfile,
    records: readonly ProducerRecord[],
  ): Promise<Array<RecordMetadata | KafkaConsumeError>> {
    const [record] = records
    const producer = cluster.producer(profile)
    if (records.length !== 1 || record?.once === undefined) return producer.send(records)
    const key = JSON.stringify([cluster.name, record.topic, record.once])
    const known = this.#once.get(key)
    if (known) return [await known]
    const writing = producer.send(records).then(([result]) => result as RecordMetadata)
    this.#once.set(key, writing)
    const forget = () => this.#once.delete(key)
    writing.then((result) => result instanceof KafkaConsumeError && forget(), forget)
    return [await writing]
  }
}

/** A reader of another thread. */
interface OpenConsumer {
  readonly consumer: HostedConsumer | AssignedConsumer
  /** How its next read encodes records. */
  spec: EncodingSpec | undefined
}

export class KafkaHost {
  readonly #messenger: Messenger
  readonly #shared: SharedKafka
  readonly #clusters = new Map<number, Promise<GroupConnection>>()
  /** The state of each cluster that the thread was told last. */
  readonly #told = new Map<number, { outage: unknown; brokers: unknown }>()
  readonly #connected = new Map<number, KafkaCluster>()
  readonly #consumers = new Map<number, OpenConsumer>()
  readonly #groups: HostedGroups
  readonly #producers = new Map<number, Promise<ProducerLease>>()
  readonly #options = new Map<number, ClusterOptions>()
  readonly #outcomes = new Map<number, AcceptedRecords['outcome']>()
  readonly #watching: ReturnType<typeof setInterval>
  #ids = 0
  #isOver = false

  constructor(messenger: Messenger, shared: SharedKafka) {
    this.#messenger = messenger
    this.#shared = shared
    this.#groups = new HostedGroups((cluster) => this.#connection(cluster))
    this.#watching = setInterval(() => this.#tellStates(), STATE_INTERVAL_MS)
    shared.messengers.add(messenger)
    messenger.handle({
      wantPlace: (name: string) => {
        for (const other of shared.messengers) {
          if (other !== messenger) other.notify('placeWanted', name)
        }
      },
      connect: (sent: { cluster: number; options: ClusterOptions }) => this.#connect(sent),
      disconnect: (cluster: number) => this.#disconnect(cluster),
      ask: (sent: { cluster: number; method: AskedMethod; parameters: never[] }) => this.#ask(sent),
      openConsumer: (opening: SentOpening) => this.#openConsumer(opening),
      read: (read: SentRead) => this.#read(read),
      closeConsumer: (closing: SentClosing) => this.#closeConsumer(closing),
      ...this.#groups.handlers,
      send: async (sent: {
        cluster: number
        profile: ProducerProfile
        records: ProducerRecord[]
      }) =>
        sentResults(
          await this.#shared.send(await this.#cluster(sent.cluster), sent.profile, sent.records),
        ),
      openProducer: (sent: { cluster: number; producer: number; settings: ProducerSettings }) =>
        this.#openProducer(sent),
      accept: (sent: { producer: number; records: ProducerRecord[] }) => this.#accept(sent),
      outcome: async (id: number) => sentResults((await this.#outcomes.get(id)) ?? []),
      closeProducer: async (id: number) => this.#closeProducer(id),
    })
  }

  /**
   * Ends all that the thread had. The records that its clients have not confirmed go to other
   * clients at once. Its shares of groups and clusters end once another thread has taken its place.
   *
   * @param replaced Resolves when that is so.
   */
  async dispose(replaced: Promise<unknown>): Promise<void> {
    if (this.#isOver) return
    this.#isOver = true
    clearInterval(this.#watching)
    this.#messenger.close(shuttingDownError('answer'))
    this.#shared.messengers.delete(this.#messenger)
    this.#groups.requeueAll()
    for (const { consumer } of this.#consumers.values()) void consumer.close().catch(() => {})
    await settledWithin(replaced, HANDOVER_MS)
    await this.#groups.leaveAll()
    await Promise.allSettled([...this.#producers.keys()].map((id) => this.#closeProducer(id)))
    await Promise.allSettled([...this.#clusters.keys()].map((id) => this.#disconnect(id)))
  }

  #connect({ cluster: id, options }: { cluster: number; options: ClusterOptions }): void {
    this.#options.set(id, options)
    const connecting = connect(options)
    this.#clusters.set(id, connecting)
    connecting.then(
      ({ cluster }) => this.#clusters.has(id) && this.#connected.set(id, cluster),
      // Each question about the cluster rejects with the error.
      () => undefined,
    )
  }

  async #disconnect(id: number): Promise<void> {
    const connecting = this.#clusters.get(id)
    this.#clusters.delete(id)
    this.#connected.delete(id)
    this.#told.delete(id)
    this.#options.delete(id)
    await (await connecting)?.release()
  }

  async #cluster(id: number): Promise<KafkaCluster> {
    return (await this.#connection(id)).cluster
  }

  #connection(id: number): Promise<GroupConnection> {
    return this.#clusters.get(id) ?? Promise.reject(shuttingDownError('read from Kafka'))
  }

  #tellStates(): void {
    for (const [id, cluster] of this.#connected) {
      const state = { outage: cluster.outage(), brokers: cluster.brokers() }
      const told = this.#told.get(id)
      if (told?.outage === state.outage && told?.brokers === state.brokers) continue
      this.#told.set(id, state)
      this.#messenger.notify('clusterState', { cluster: id, ...state } satisfies SentState)
    }
  }

  async #ask({
    cluster: id,
    method,
    parameters,
  }: {
    readonly cluster: number
    readonly method: AskedMethod
    readonly parameters: readonly never[]
  }): Promise<unknown> {
    const cluster = await this.#cluster(id)
    try {
      return await (cluster[method] as (...given: readonly never[]) => unknown)(...parameters)
    } finally {
      this.#tellStates()
    }
  }

  async #openConsumer({ cluster: id, from, purpose, use }: SentOpening): Promise<SentConsumer> {
    const cluster = await this.#cluster(id)
    const consumer =
      purpose === 'live' && use
        ? await this.#shared.hubs.openConsumer(cluster, from, use)
        : await cluster.openConsumer(from, purpose)
    if (this.#isOver) {
      await consumer.close()
      throw shuttingDownError('read from Kafka')
    }
    const { gaps, start } = consumer
    this.#consumers.set(++this.#ids, { consumer, spec: undefined })
    return { id: this.#ids, gaps, start }
  }

  async #read({ consumer: id, limit, wait, from, spec }: SentRead): Promise<SentBatch> {
    const open = this.#consumers.get(id)
    if (!open) throw shuttingDownError('read from Kafka')
    if (spec) open.spec = spec
    const encoding = from && open.spec && { spec: open.spec, from }
    const batch: SentBatch | Awaited<ReturnType<AssignedConsumer['read']>> =
      await open.consumer.read(limit, wait, encoding)
    if ('packed' in batch) return batch
    return sentBatch(batch)
  }

  async #closeConsumer({ consumer: id, hasStalled }: SentClosing): Promise<void> {
    const open = this.#consumers.get(id)
    this.#consumers.delete(id)
    await open?.consumer.close(hasStalled)
  }

  #openProducer({
    cluster,
    producer,
    settings,
  }: {
    readonly cluster: number
    readonly producer: number
    readonly settings: ProducerSettings
  }): void {
    const options = this.#options.get(cluster)
    const opening = options
      ? leaseProducer(options, settings)
      : Promise.reject(shuttingDownError('write to Kafka'))
    opening.catch(() => undefined)
    this.#producers.set(producer, opening)
  }

  async #accept({
    producer: id,
    records,
  }: {
    readonly producer: number
    readonly records: readonly ProducerRecord[]
  }): Promise<number> {
    const lease = await this.#producers.get(id)
    if (!lease) throw shuttingDownError('write to Kafka')
    const { outcome } = await lease.producer.accept(records)
    const accepted = ++this.#ids
    this.#outcomes.set(accepted, outcome)
    const forget = () => setTimeout(() => this.#outcomes.delete(accepted), HANDOVER_MS)
    outcome.then(forget, forget)
    return accepted
  }

  async #closeProducer(id: number): Promise<void> {
    const opening = this.#producers.get(id)
    this.#producers.delete(id)
    await (await opening?.catch(() => undefined))?.release()
  }
}

/** The methods of a cluster that one question and one answer serve. */
type AskedMethod = Extract<
  keyof KafkaCluster,
  | 'connected'
  | 'partitions'
  | 'assertUsable'
  | 'topicNames'
  | 'topicIds'
  | 'replicas'
  | 'partitionSizes'
  | 'topicSettings'
  | 'groupProgress'
  | 'committed'
  | 'offsets'
>
