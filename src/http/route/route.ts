import { toHex } from '../../core/bytes.ts'
import { KafkaConsumeError, outageError, shuttingDownError } from '../../core/errors.ts'
import type { Gauge, MakeGauge } from '../../core/gauge.ts'
import { allSettled, inTurn } from '../../core/in-turn.ts'
import type { RequestStatistics } from '../../core/request-statistics.ts'
import type { ShareNames } from '../../core/shared-names.ts'
import type { ResolvedOptions } from '../../options/consume-options.ts'
import type { KafkaOutage } from '../../port/kafka.ts'
import type { RecordProcessor } from '../../records/record-processor.ts'
import type { KafkaClient } from '../request/client.ts'
import { AnswerBudget, AnswerMemory } from '../response/answer-budget.ts'
import { ResponseCache } from '../response/response-cache.ts'
import { ClientGroups } from './client-groups.ts'
import type { Lease } from './cluster-registry.ts'
import { nameFunctions } from './function-names.ts'
import { LazyLease } from './lazy-lease.ts'
import type { GroupCalls, Membership } from './memberships.ts'
import { type ReadKind, RouteStatistics } from './route-statistics.ts'
import type { GroupStats, PartitionRange, RouteStats, StreamForm } from './route-stats.ts'
import { StreamLimit } from './stream-limit.ts'
import { limitsOfApp } from './thread-limits.ts'

/** An open stream, as the route sees it. */
export interface OpenStream {
  readonly form: StreamForm
  /**
   * Called every {@link Route.tickInterval}: one timer serves all streams.
   *
   * @param now `performance.now()`.
   */
  onTick?(now: number): void
  /** Ends the stream after its last whole event; resolves when it has ended. */
  end(): Promise<void>
}

/** Releases a stream from the client's own limit; undefined where the client has none. */
export type ClientRelease = (() => void) | undefined

/** An outage that lasts. */
export interface OngoingOutage {
  readonly outage: KafkaOutage
  /** In `performance.now()`'s time, because the clock may be set during the outage. */
  readonly since: number
}

/** Limits that all routes of a gateway share. */
export interface SharedLimits {
  /** Limits the open streams. */
  readonly streams?: StreamLimit
  /** Limits the memory of answers. */
  readonly answers?: AnswerBudget
  /** Makes the gauges of the route's own limits. Default: this thread counts alone. */
  readonly gauge?: MakeGauge
  /** Counts the groups of clients. Default: this thread counts alone. */
  readonly groups?: ShareNames
}

const MAX_TICK_MS = 250
/** Bytes of a cached page at most: the default of `max_bytes`, and what surrounds the records. */
const MAX_PAGE_BYTES = 1.25 * 1024 * 1024
/** Long enough for clients that ask for one page at one time, and reach the server one after another. */
const MAX_PAGE_AGE_MS = 10_000

/**
 * The state behind one `kafkaConsume(options)` or `kafkaReader(options)`: its shares of a cluster and
 * of a consumer group, its limits, its statistics and its open streams.
 */
export class Route {
  readonly options: ResolvedOptions
  readonly #streams = new Set<OpenStream>()
  readonly #lease: LazyLease<Lease>
  #membership: Membership | undefined
  #clientGroups: ClientGroups | undefined
  readonly #streamLimit: StreamLimit
  readonly #sharedStreamLimit: StreamLimit | undefined
  readonly #answerBudgets: readonly AnswerBudget[]
  readonly #gauges: ReadonlyArray<Gauge | undefined>
  readonly #shareGroups: ShareNames | undefined
  #ticking: ReturnType<typeof setInterval> | undefined
  #ongoingOutage: OngoingOutage | undefined
  readonly statistics = new RouteStatistics()
  readonly responseCache: ResponseCache
  /** Full pages that were read just now, by the ids of their topics. */
  readonly pageCache: ResponseCache

  /** @param shared Limits that it shares with other routes. */
  constructor(options: ResolvedOptions, shared?: SharedLimits) {
    const limits: SharedLimits = shared ?? limitsOfApp(options) ?? {}
    const { streams, answers, gauge, groups } = limits
    this.options = options
    nameFunctions(options)
    const take = async () => (await import('./cluster-registry.ts')).lease(options)
    this.#lease = new LazyLease('read from Kafka', take, this)
    const [open, answerBytes] = [gauge?.('streams'), gauge?.('answers')]
    this.#gauges = [open, answerBytes]
    this.#shareGroups = groups
    this.#streamLimit = new StreamLimit(options.maxSubscribers, open)
    this.#sharedStreamLimit = streams
    const budget = new AnswerBudget(options.maxAnswerBytes, answerBytes)
    this.#answerBudgets = answers ? [budget, answers] : [budget]
    this.responseCache = new ResponseCache(this.answerMemory())
    this.pageCache = new ResponseCache(this.answerMemory(), {
      maxBytes: MAX_PAGE_BYTES,
      maxAge: Math.min(MAX_PAGE_AGE_MS, options.pageMaxAge),
    })
  }

  /**
   * The route's share of its cluster.
   *
   * @throws KafkaConsumeError SHUTTING_DOWN, or the error of an outage, without a wait for its end.
   */
  async lease(): Promise<Lease> {
    const taken = await this.#lease.take()
    const outage = taken.cluster.outage()
    if (outage) throw outageError(outage)
    return taken
  }

  /** Whether each client has a consumer group of its own. */
  get hasClientGroups(): boolean {
    return this.options.consumerGroup.mode === 'kong_consumer'
  }

  /**
   * The route's membership of its consumer group, or of the client's own group. Its first call joins
   * the group.
   *
   * @throws KafkaConsumeError INVALID_OPTIONS when the group is the client's own and the client has no
   *   name.
   */
  group(client: KafkaClient): GroupCalls | Promise<GroupCalls> {
    const isOpen = this.#membership && !this.isClosed && !this.#lease.outage()
    return isOpen ? (this.#membership as Membership) : this.#join(client)
  }

  /**
   * The id of the group by which a client reads.
   *
   * @throws KafkaConsumeError INVALID_OPTIONS when the group is the client's own and the client has no
   *   name.
   */
  async groupId(client: KafkaClient): Promise<string> {
    return this.hasClientGroups ? groupIdOfClient(client) : groupIdOf(this.options)
  }

  async #join(client: KafkaClient): Promise<GroupCalls> {
    const { memberships } = await this.lease()
    if (this.isClosed) throw shuttingDownError('read from Kafka')
    const { topics, autoOffsetReset, commitStrategy, consumerGroup, maxGroups } = this.options
    const { groupInstanceId: instanceId, groupProtocol: protocol } = consumerGroup
    const own = { instanceId, protocol, topics, autoOffsetReset, commitStrategy }
    const join = (groupId: string) => memberships.join({ groupId, ...own })
    if (this.hasClientGroups) {
      this.#clientGroups ??= new ClientGroups(join, maxGroups, this.#shareGroups)
      return this.#clientGroups.forClient(groupIdOfClient(client))
    }
    const groupId = await groupIdOf(this.options)
    if (this.isClosed) throw shuttingDownError('read from Kafka')
    this.#membership ??= join(groupId)
    return this.#membership
  }

  /** See {@link Feed.askVersion}; undefined, too, while records cannot be read. */
  askVersion(): object | undefined {
    if (this.isClosed || this.outage()) return undefined
    return this.#lease.taken?.feed.askVersion()
  }

  /** The outage of Kafka, or of a service that processing needs, such as a schema registry. */
  outage(): KafkaOutage | undefined {
    return this.#lease.outage() ?? this.#lease.taken?.feed.outage()
  }

  /** The outage as of the last tick; undefined while no stream is open. */
  get ongoingOutage(): OngoingOutage | undefined {
    return this.#ongoingOutage
  }

  /** The outage of a service that processing needs, as of a recent group read. */
  groupOutage(): KafkaOutage | undefined {
    return this.processor?.failure()
  }

  /** Processes records; undefined where they are encoded as they are, and before the first lease. */
  get processor(): RecordProcessor | undefined {
    return this.#lease.taken?.processor
  }

  /**
   * Counts a stream in the limits of the route, of the process and of the client, until
   * {@link releaseStream}.
   *
   * @param end Ends the stream.
   * @returns Releases the stream from the client's own limit.
   * @throws KafkaConsumeError TOO_MANY_SUBSCRIBERS, or the error of the client's own limit.
   */
  async acquireStream({ openStream }: KafkaClient, end: () => void): Promise<ClientRelease> {
    this.#streamLimit.acquire()
    try {
      this.#sharedStreamLimit?.acquire()
    } catch (error) {
      this.#streamLimit.release()
      throw error
    }
    try {
      return await openStream?.(end)
    } catch (error) {
      this.releaseStream(undefined)
      throw error
    }
  }

  /** Releases a stream from the limits that {@link acquireStream} counted it in. */
  releaseStream(releaseClient: ClientRelease): void {
    this.#streamLimit.release()
    this.#sharedStreamLimit?.release()
    releaseClient?.()
  }

  /** Memory for one more answer; the caller releases it. */
  answerMemory(): AnswerMemory {
    return new AnswerMemory(this.#answerBudgets)
  }

  /**
   * Counts records and bytes of an answer, or of a write to a WebSocket.
   *
   * @param request The statistics of its request, where there are any.
   */
  countSent(
    kind: ReadKind,
    records: number,
    bytes: number,
    request: RequestStatistics | undefined,
  ): void {
    for (const counted of [this.statistics.sent[kind], request]) {
      if (!counted) continue
      counted.records += records
      counted.bytes += bytes
    }
  }

  addStream(stream: OpenStream): void {
    this.#streams.add(stream)
    this.#ticking ??= setInterval(() => this.#tick(), this.tickInterval)
  }

  /** Computes once what is equal for all streams: there may be as many ticks as records. */
  #tick(): void {
    const now = performance.now()
    const outage = this.outage()
    this.#ongoingOutage = outage && { outage, since: this.#ongoingOutage?.since ?? now }
    for (const open of this.#streams) open.onTick?.(now)
  }

  removeStream(stream: OpenStream): void {
    this.#streams.delete(stream)
    if (this.#streams.size > 0) return
    clearInterval(this.#ticking)
    this.#ticking = undefined
    this.#ongoingOutage = undefined
  }

  /** Milliseconds between ticks. */
  get tickInterval(): number {
    const { heartbeat, writeDeadline } = this.options
    return Math.min(MAX_TICK_MS, heartbeat / 4, writeDeadline / 4)
  }

  get isClosed(): boolean {
    return this.#lease.isClosed
  }

  /**
   * Asks Kafka for the first and the end offset of each partition.
   *
   * @throws KafkaConsumeError when Kafka cannot be asked.
   */
  async partitions(): Promise<PartitionRange[]> {
    const { cluster } = await this.lease()
    const all = await cluster.partitions(this.options.topics)
    const [starts, ends] = await Promise.all([
      cluster.offsets(all, 'earliest'),
      cluster.offsets(all, 'latest'),
    ])
    return all.map(({ topic, partition }, index) => ({
      topic,
      partition,
      start: starts[index]?.offset ?? -1,
      end: ends[index]?.offset ?? -1,
    }))
  }

  stats(): RouteStats {
    const feed = this.#lease.taken?.feed.stats()
    const openStreams = { 'event-stream': 0, ndjson: 0, websocket: 0 }
    for (const { form } of this.#streams) openStreams[form]++
    return {
      mode: this.options.mode,
      commitStrategy: this.options.commitStrategy,
      topics: this.options.topics,
      filters: this.options.filters ?? {},
      hasOwnFormat: this.options.format !== undefined,
      subscribers: this.#streamLimit.open,
      maxSubscribers: this.options.maxSubscribers,
      answerBytes: this.#answerBudgets[0]?.used ?? 0,
      maxAnswerBytes: this.options.maxAnswerBytes,
      openStreams,
      catchUpReads: feed?.catchUpReads ?? 0,
      fallenBehind: feed?.fallenBehind ?? 0,
      silent: this.statistics.silent,
      gaps: this.statistics.gaps,
      uncompressed: this.statistics.uncompressed,
      sent: this.statistics.sent,
      latency: this.statistics.latency(),
      cluster: this.#lease.clusterStats(),
      feed,
      groups: this.#groups(),
    }
  }

  #groups(): GroupStats[] {
    if (this.#clientGroups) return this.#clientGroups.stats()
    return this.#membership ? [this.#membership.stats()] : []
  }

  /** Ends all streams, then releases the shares of the group and of the cluster. */
  async close(): Promise<void> {
    await inTurn(
      () => this.#lease.close(() => this.#end()),
      ...this.#gauges.map((gauge) => () => gauge?.release()),
    )
  }

  async #end(): Promise<void> {
    this.responseCache.close()
    this.pageCache.close()
    await inTurn(
      () => allSettled([...this.#streams].map((stream) => stream.end())),
      () => allSettled([this.#membership?.close(), this.#clientGroups?.close()]),
    )
  }
}

function groupIdOfClient({ name }: KafkaClient): string {
  // Kafka allows 32767 characters; the option `consumerGroupId` allows 255.
  if (name !== undefined && name !== '' && name.length <= 255) return name
  throw new KafkaConsumeError(
    'INVALID_OPTIONS',
    name
      ? "Cannot read as the consumer group: it would have the client's name, which has more than 255 characters"
      : 'Cannot read as the consumer group: the mode is kong_consumer, and no consumer is authenticated on this route',
  )
}

/** The configured group id, or one derived from brokers and topics, which a restart does not change. */
async function groupIdOf({
  consumerGroup,
  bootstrapServers,
  topics,
}: ResolvedOptions): Promise<string> {
  if (consumerGroup.consumerGroupId !== undefined) return consumerGroup.consumerGroupId
  const text = JSON.stringify([[...bootstrapServers].sort(), [...topics].sort()])
  const hash = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text))
  return `hono-kafka-consume-${toHex(new Uint8Array(hash)).slice(0, 16)}`
}
