/** A feed, all of whose parts share one state: hence more than 400 lines. */
import { asKafkaConsumeError, outageError } from '../core/errors.ts'
import { logOf } from '../core/log.ts'
import type { KafkaCluster, KafkaOutage } from '../port/kafka.ts'
import type { BatchForm } from '../records/batch-form.ts'
import type { PartitionTable } from '../records/cursor.ts'
import type { Filter } from '../records/filter.ts'
import type { RecordProcessor } from '../records/record-processor.ts'
import {
  type Bounds,
  type BoundsContext,
  type OrderedRead,
  type RequestedBounds,
  readInOrder,
  resolveBounds,
} from './bounds.ts'
import { CatchUpPool } from './catch-up-pool.ts'
import { EndOffsets } from './end-offsets.ts'
import { FEED_TIMES, type FeedOptions } from './feed-options.ts'
import type { FeedStats } from './feed-stats.ts'
import { headAfter } from './handover.ts'
import { IdleTimer } from './idle-timer.ts'
import { LiveConsumer } from './live-consumer.ts'
import type { OrderedLimits } from './ordered-search.ts'
import { type FixedPosition, isLatest, type Position } from './position.ts'
import { isAtOrBelow } from './ring-buffer.ts'
import { Subscription } from './subscription.ts'
import { SuspendedReads } from './suspended-reads.ts'
import { type FollowedTopics, type TopicChange, TopicMonitor } from './topic-monitor.ts'

const log = logOf('feed')

let feeds = 0

/** Whether a subscriber waits for new records, as a stream does, or may leave before any is due. */
export type SubscriptionPurpose = 'follow' | 'read'

/**
 * The records of a set of topics on one cluster, for any number of subscribers: one live consumer,
 * started with the first subscriber that waits for new records and stopped some time after the last
 * subscriber, and the catch-up reads of subscribers behind its ring buffer.
 */
export class Feed {
  readonly catchUpPool: CatchUpPool
  /** Records that did not fit their schemas when a handler read them. */
  failed = 0
  readonly #cluster: KafkaCluster
  readonly #options: FeedOptions
  readonly #times: typeof FEED_TIMES
  readonly #monitor: TopicMonitor
  readonly #suspendedReads: SuspendedReads
  readonly #subscribers: IdleTimer
  readonly #id = feeds++
  #starting: Promise<FollowedTopics> | undefined
  /** The result of `#starting`, once it is there. */
  #followed: FollowedTopics | undefined
  #replaced = 0
  #checks: ReturnType<typeof setInterval> | undefined
  #checking: Promise<void> | undefined
  /** When the last check ended, in `performance.now()`'s time. */
  #checkedAt = 0
  /** When a read last came to the end, in `performance.now()`'s time. */
  #endReachedAt = -Infinity
  /** Empties the ring buffer of the former live consumer, after a handover. */
  #dropFormerRing = () => {}

  /** @param times Shorter durations for tests. */
  constructor(cluster: KafkaCluster, options: FeedOptions, times: Partial<typeof FEED_TIMES> = {}) {
    this.#cluster = cluster
    this.#options = options
    this.#times = { ...FEED_TIMES, ...times }
    this.#monitor = new TopicMonitor(cluster, options.topics, this.#times.grace)
    this.#suspendedReads = new SuspendedReads(this.#times.suspendedRead)
    this.#subscribers = new IdleTimer(this.#times.idleTimeout, () => void this.close())
    const evictSuspended = () => this.#suspendedReads.evictOldest()
    this.catchUpPool = new CatchUpPool(
      cluster,
      options.maxCatchUpReads,
      evictSuspended,
      options.places,
    )
  }

  get processor(): RecordProcessor | undefined {
    return this.#options.processor
  }

  /** Starts the live consumer, so that the first subscriber finds it running. */
  async warm(): Promise<void> {
    const { liveConsumer } = await this.#enter()
    try {
      await liveConsumer.start()
    } finally {
      this.#subscribers.leave()
    }
  }

  /**
   * A subscription from a position on, which is to be closed or {@link release}d.
   *
   * @param filter Called with the present partitions. It throws for a partition that does not exist.
   * @param purpose `follow` starts the live consumer at once, `read` when new records are waited for.
   * @param form The form of records that are read from Kafka for this subscription alone.
   * @param end Where reading ends. Default: it has no end.
   * @throws KafkaConsumeError UNKNOWN_TOPIC, INVALID_CURSOR, TOO_MANY_CATCH_UP_READS, or why Kafka cannot be read.
   */
  async subscribe(
    position: Position,
    filter: (table: PartitionTable) => Filter | undefined,
    purpose: SubscriptionPurpose = 'follow',
    form: BatchForm = 'events',
    end?: FixedPosition,
  ): Promise<Subscription> {
    const requested = { from: position, end }
    this.processor?.assertAvailable()
    const followed = await this.#enter()
    try {
      if (purpose === 'follow') await followed.liveConsumer.start()
      const { outage } = followed.liveConsumer
      if (outage) throw outageError(outage)
      return await this.#orAfterCheck(followed, (now) =>
        this.#subscribe(now, requested, filter, form),
      )
    } catch (error) {
      this.#subscribers.leave()
      throw error
    }
  }

  /**
   * Where a subscription would begin and end now.
   *
   * @throws KafkaConsumeError as {@link subscribe}.
   */
  async resolve(
    requested: RequestedBounds,
    filter: (table: PartitionTable) => Filter | undefined,
  ): Promise<Bounds & { readonly table: PartitionTable }> {
    const followed = await this.#enter()
    try {
      return await this.#orAfterCheck(followed, async (now) => {
        const bounds = await this.#resolve(requested, now, filter)
        return { table: now.liveConsumer.table, ...bounds }
      })
    } finally {
      this.#subscribers.leave()
    }
  }

  /**
   * The partitions, and the topic ids (KIP-516) by name as far as they are known: as of 10 s ago at
   * most, since reads that come and go leave no subscriber for whom the topics are checked.
   *
   * @throws KafkaConsumeError UNKNOWN_TOPIC, or why Kafka cannot be read.
   */
  async contents(): Promise<{
    readonly table: PartitionTable
    readonly topicIds: ReadonlyMap<string, string>
  }> {
    const entered = await this.#enter()
    await this.#check(this.#times.checkInterval).finally(() => this.#subscribers.leave())
    const { liveConsumer } = this.#followed ?? entered
    return { table: liveConsumer.table, topicIds: this.#monitor.ids }
  }

  /** Works again where the client may have named a partition that was added since the last check. */
  #orAfterCheck<T>(
    followed: FollowedTopics,
    work: (followed: FollowedTopics) => Promise<T>,
  ): Promise<T> {
    return work(followed).catch(async (error: unknown) => {
      const { code } = asKafkaConsumeError(error)
      if (code !== 'INVALID_CURSOR' && code !== 'INVALID_PARAMETER') throw error
      await this.#check(this.#times.minCheckInterval)
      const now = this.#followed
      if (!now || now === followed) throw error
      return work(now)
    })
  }

  #resolve(
    requested: RequestedBounds,
    followed: FollowedTopics,
    filter: (table: PartitionTable) => Filter | undefined,
  ): Promise<Bounds> {
    return resolveBounds(requested, this.#boundsContext(requested, followed, filter, 'list'))
  }

  #boundsContext(
    { from }: RequestedBounds,
    followed: FollowedTopics,
    filter: (table: PartitionTable) => Filter | undefined,
    form: BatchForm,
  ): BoundsContext {
    const open = async (vector: Float64Array, end: Float64Array) => {
      await this.#updateHead(followed, from, vector)
      return this.#open(followed, { vector, end }, filter, form, () => {})
    }
    const { table } = followed.liveConsumer
    return { followed, cluster: this.#cluster, filter: filter(table), open }
  }

  /**
   * Reads the next records in the order of time: the newest before the end, or the oldest from a
   * position on. It does not wait for new records.
   *
   * @param limits How many records to read.
   * @param form The form of records that are read from Kafka.
   * @returns undefined for a position beyond the end, at which only {@link subscribe} can read.
   * @throws KafkaConsumeError as {@link subscribe}; the signal's reason.
   */
  async readInOrder(
    requested: RequestedBounds,
    limits: OrderedLimits,
    filter: (table: PartitionTable) => Filter | undefined,
    form: BatchForm,
    signal: AbortSignal,
  ): Promise<(OrderedRead & { readonly table: PartitionTable }) | undefined> {
    this.processor?.assertAvailable()
    const followed = await this.#enter()
    try {
      return await this.#orAfterCheck(followed, async (now) => {
        const { outage } = now.liveConsumer
        if (outage) throw outageError(outage)
        const context = this.#boundsContext(requested, now, filter, form)
        const read = await readInOrder(requested, limits, context, signal)
        if (read && isAtOrBelow(read.latest, read.to)) this.#onEndReached()
        return read && { ...read, table: now.liveConsumer.table }
      })
    } finally {
      this.#subscribers.leave()
    }
  }

  /**
   * Ends a subscription. A catch-up read that is not finished stays open for a while, for a client
   * that asks for its next page.
   */
  release(subscription: Subscription): void {
    if (subscription.isAtEnd) this.#onEndReached()
    const isSuspended = subscription.isResumable && this.catchUpPool.waiting === 0
    if (isSuspended) this.#suspendedReads.keep(subscription)
    else void subscription.close()
  }

  /**
   * Starts the live consumer for clients that read to the end again and again without waiting there:
   * the ring buffer then has what they ask for. A single read of old records does not start it.
   */
  #onEndReached(): void {
    const now = performance.now()
    const isRepeated = now - this.#endReachedAt < this.#times.idleTimeout
    this.#endReachedAt = now
    if (isRepeated) this.#followed?.liveConsumer.startWhenPossible()
  }

  /** The caller has counted the subscriber. Once the subscription is open, its end counts it out. */
  async #subscribe(
    followed: FollowedTopics,
    requested: RequestedBounds,
    filter: (table: PartitionTable) => Filter | undefined,
    form: BatchForm,
  ): Promise<Subscription> {
    const { liveConsumer } = followed
    const bounds = await this.#resolve(requested, followed, filter)
    await this.#updateHead(followed, requested.from, bounds.vector)
    const suspended = filter(liveConsumer.table)
      ? undefined
      : this.#suspendedReads.take(liveConsumer, bounds, form)
    if (suspended) {
      // A suspended read is counted already.
      this.#subscribers.leave()
      return suspended
    }
    return this.#open(followed, bounds, filter, form, this.#onClose)
  }

  async #open(
    { liveConsumer, ends }: FollowedTopics,
    { vector, end }: Bounds,
    filter: (table: PartitionTable) => Filter | undefined,
    form: BatchForm,
    onClose: () => void,
  ): Promise<Subscription> {
    const subscription = new Subscription({
      liveConsumer,
      catchUpPool: this.catchUpPool,
      vector,
      end,
      isCertain: isAtOrBelow(vector, liveConsumer.head) || isAtOrBelow(vector, await ends.now()),
      deserializer: this.#options.messageDeserializer,
      processor: this.processor,
      filter,
      form,
      onClose,
    })
    try {
      await subscription.open()
      return subscription
    } catch (error) {
      await subscription.close()
      throw error
    }
  }

  /**
   * Tells the live consumer the present ends while it does not follow them: from time to time, and
   * when a subscriber begins at the end as it was known. A catch-up read ends where they were.
   */
  async #updateHead(
    { liveConsumer, ends }: FollowedTopics,
    position: Position,
    vector: Float64Array,
  ): Promise<void> {
    if (liveConsumer.isFollowing) return
    const isBeforeEnd =
      isAtOrBelow(vector, liveConsumer.head) && liveConsumer.locate(vector) === undefined
    if (isBeforeEnd && ends.age < this.#times.maxEndsAge) return
    liveConsumer.moveHead(isLatest(position) ? vector : await ends.now())
  }

  /** Why the topics cannot be read although the cluster can be reached. */
  outage(): KafkaOutage | undefined {
    return this.#followed?.liveConsumer.outage ?? this.processor?.outage()
  }

  /**
   * Asks for what can be read now, which postpones the idle timeout, as a subscriber would.
   *
   * @returns Another object when that has changed; undefined while it is not known, as while no live
   * consumer follows.
   */
  askVersion(): object | undefined {
    const liveConsumer = this.#followed?.liveConsumer
    if (!liveConsumer?.isFollowing) return undefined
    this.#subscribers.touch()
    return liveConsumer.version
  }

  stats(): FeedStats {
    const { catchUpPool, processor } = this
    return {
      id: this.#id,
      topics: this.#options.topics,
      readers: this.#subscribers.users,
      liveConsumers: this.#followed?.liveConsumer.isFollowing ? 1 : 0,
      ringBytes: this.#followed?.liveConsumer.ring.bytes ?? 0,
      maxRingBytes: this.#options.ringBytes,
      catchUpReads: catchUpPool.count,
      maxCatchUpReads: catchUpPool.limit,
      waiting: catchUpPool.waiting,
      fallenBehind: catchUpPool.fallenBehind,
      rebuilt: this.#replaced + catchUpPool.replaced,
      failed: (processor?.counts.failed ?? 0) + this.failed,
      deadLetters: processor?.counts.deadLetters ?? 0,
      reducedDeadLetters: processor?.counts.reducedDeadLetters ?? 0,
    }
  }

  async close(): Promise<void> {
    this.#subscribers.stop()
    clearInterval(this.#checks)
    this.#dropFormerRing()
    this.#suspendedReads.clear()
    const starting = this.#starting
    this.#starting = undefined
    this.#followed = undefined
    await (await starting?.catch(() => undefined))?.liveConsumer.stop()
  }

  /** Counts a subscriber, and asks Kafka for the partitions and their ends if they are not known. */
  async #enter(): Promise<FollowedTopics> {
    this.#subscribers.enter()
    this.#starting ??= this.#start()
    const starting = this.#starting
    try {
      const followed = await starting
      if (this.#starting === starting && !this.#followed) {
        this.#followed = followed
        this.#checks = setInterval(() => void this.#check(), this.#times.checkInterval)
      }
      return followed
    } catch (error) {
      if (this.#starting === starting) this.#starting = undefined
      this.#subscribers.leave()
      // Nothing is open that the idle timeout would close; its timer would keep the process alive.
      if (!this.#starting && this.#subscribers.users === 0) this.#subscribers.stop()
      throw error
    }
  }

  readonly #onClose = () => this.#subscribers.leave()

  async #start(): Promise<FollowedTopics> {
    const table = await this.#monitor.begin()
    this.#checkedAt = performance.now()
    const ends = new EndOffsets(this.#cluster, table)
    const liveConsumer = this.#newLiveConsumer(table, await ends.now())
    return { liveConsumer, ends }
  }

  #newLiveConsumer(table: PartitionTable, head: Float64Array, topicIds?: string): LiveConsumer {
    const { messageDeserializer, ringBytes } = this.#options
    return new LiveConsumer({
      cluster: this.#cluster,
      table,
      head,
      deserializer: messageDeserializer,
      ringBytes,
      processor: this.processor,
      topicIds,
    })
  }

  /**
   * Compares the live consumer with Kafka, and reconciles them. Concurrent callers share one check.
   *
   * @param maxAge Milliseconds: no check is made when the last one is more recent.
   */
  #check(maxAge = 0): Promise<void> {
    if (this.#checking) return this.#checking
    const followed = this.#followed
    const isRecent = performance.now() - this.#checkedAt < maxAge
    if (!followed || this.#subscribers.users === 0 || isRecent) return Promise.resolve()
    this.#checking = this.#monitor
      .compareWithKafka(followed)
      .then((change) => change && this.#reconcile(followed, change))
      .catch((error: unknown) => {
        log.warn('Cannot compare {topics} with Kafka: {error}', { topics: this.#topics, error })
      })
      .finally(() => {
        this.#checkedAt = performance.now()
        this.#checking = undefined
      })
    return this.#checking
  }

  async #reconcile(followed: FollowedTopics, change: TopicChange): Promise<void> {
    if (this.#followed !== followed) return
    const topics = this.#topics
    if (change.kind === 'changed') {
      await this.#handOver(followed, change)
    } else if (change.kind === 'gone') {
      log.warn('Cannot follow {topics} any more: {error}', { topics, error: change.error.message })
      clearInterval(this.#checks)
      this.#starting = undefined
      this.#followed = undefined
      followed.liveConsumer.fail(change.error)
    } else if (followed.liveConsumer.replaceConsumer()) {
      this.#replaced++
      log.warn('Following {topics} has stalled: going on with another consumer', { topics })
    }
  }

  /** Lets another live consumer for the changed partitions go on where the former one has ended. */
  async #handOver(
    followed: FollowedTopics,
    { table, recreated, accept }: Extract<TopicChange, { kind: 'changed' }>,
  ): Promise<void> {
    const former = followed.liveConsumer
    const begun = table.partitions.filter(
      ({ topic, partition }) => recreated.has(topic) || former.table.indexOf(topic, partition) < 0,
    )
    const starts = await this.#cluster.offsets(begun, 'earliest')
    await former.stop()
    if (this.#followed !== followed) return
    const entered = new Set(former.recreatedPartitions)
    const head = headAfter(former, table, recreated, starts)
    accept()
    log.info('Following {topics} with {count} partitions from now on{recreated}', {
      topics: this.#topics,
      count: table.size,
      recreated: recreated.size > 0 ? `: ${[...recreated].join(', ')} was re-created` : '',
    })
    const topicIds = recreated.size > 0 ? this.#monitor.idText : undefined
    const liveConsumer = this.#newLiveConsumer(table, head, topicIds)
    const next = { liveConsumer, ends: new EndOffsets(this.#cluster, table) }
    this.#followed = next
    this.#starting = Promise.resolve(next)
    if (former.isFollowing) liveConsumer.startWhenPossible()
    former.handOverTo({
      liveConsumer,
      recreated: starts.filter(({ topic }) => recreated.has(topic)),
      entered,
    })
    this.#drain(former)
  }

  /** Keeps the ring buffer of a former live consumer for a while, for its subscribers. */
  #drain(former: LiveConsumer): void {
    this.#dropFormerRing()
    const drained = setTimeout(() => this.#dropFormerRing(), this.#times.drain)
    this.#dropFormerRing = () => {
      clearTimeout(drained)
      former.clear()
    }
  }

  get #topics(): string {
    return this.#options.topics.join(', ')
  }
}
