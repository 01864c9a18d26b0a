import { getLogger } from '@logtape/logtape'
import { asKafkaConsumeError, outageError } from '../core/errors.ts'
import { partitionKey } from '../core/topic-partition.ts'
import type { KafkaCluster, KafkaOutage } from '../port/kafka.ts'
import type { PartitionTable } from '../records/cursor.ts'
import type { MessageDeserializer } from '../records/encode.ts'
import type { Filter } from '../records/filter.ts'
import type { RecordProcessor } from '../records/record-processor.ts'
import { CatchUpPool } from './catch-up-pool.ts'
import { EndOffsets } from './end-offsets.ts'
import { IdleTimer } from './idle-timer.ts'
import { LiveConsumer } from './live-consumer.ts'
import { type Position, resolvePosition } from './position.ts'
import { isAtOrBelow } from './ring-buffer.ts'
import { Subscription } from './subscription.ts'
import { SuspendedReads } from './suspended-reads.ts'
import { type FollowedTopics, type TopicChange, TopicMonitor } from './topic-monitor.ts'

/** Durations of a feed, in milliseconds. */
const TIMES = {
  /** How long a live consumer goes on without subscribers, for clients that reconnect or poll. */
  idleTimeout: 30_000,
  /** Between two checks of the topics, while there are subscribers. */
  checkInterval: 10_000,
  /** The least time between a check and the next one that a request asks for. */
  minCheckInterval: 1_000,
  /** How long topics may be missing before a check reports them gone. */
  grace: 8_000,
  /** How long a catch-up read is kept for a client that asks for its next page. */
  suspendedRead: 3_000,
  /** How long the ring buffer of a live consumer is kept for its subscribers after a handover. */
  drain: 30_000,
}

const log = getLogger(['hono-kafka-consume', 'feed'])

/** What two routes must have in common to share a feed. */
export interface FeedOptions {
  readonly topics: readonly string[]
  readonly messageDeserializer: MessageDeserializer
  /** Absent: records are encoded as they are, without waiting. */
  readonly processor?: RecordProcessor | undefined
  readonly ringBytes: number
  readonly maxReplays: number
}

/** Statistics of a live consumer and its ring buffer, as they are now or since its start. */
export interface FeedStats {
  /** Number of the live consumer within this process: routes that share one show one number. */
  readonly id: number
  /** The topics that it reads. */
  readonly topics: readonly string[]
  /** Streams, single reads from a position, and reads kept for a next page. */
  readonly readers: number
  /** Bytes of records in the ring buffer; 0 while nobody reads. */
  readonly ringBytes: number
  /** The option `ringBytes`. */
  readonly maxRingBytes: number
  /** Catch-up reads in progress, each with a consumer of its own. */
  readonly replays: number
  /** The option `maxReplays`. */
  readonly maxReplays: number
  /** Streams that wait for a catch-up read to end. */
  readonly waiting: number
  /** Streams that fell behind the ring buffer, since the start. */
  readonly fallenBehind: number
  /** Consumers replaced because they brought nothing although Kafka had more, since the start. */
  readonly rebuilt: number
  /** Records that could not be deserialized or transformed, at each reading of them, since the start. */
  readonly failed: number
  /** Failed records that went to the dead letter topic instead of to clients, since the start. */
  readonly deadLetters: number
  /** Dead letters written with parts left out, because the topic rejected them, since the start. */
  readonly reducedDeadLetters: number
}

let feeds = 0

/**
 * The records of a set of topics on one cluster, for any number of subscribers: one live consumer,
 * started with the first subscriber and stopped some time after the last one, and the catch-up reads
 * of subscribers behind its ring buffer.
 */
export class Feed {
  readonly catchUpPool: CatchUpPool
  readonly #cluster: KafkaCluster
  readonly #options: FeedOptions
  readonly #times: typeof TIMES
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
  /** Empties the ring buffer of the former live consumer, after a handover. */
  #dropFormerRing = () => {}

  /** @param times Shorter durations for tests. */
  constructor(cluster: KafkaCluster, options: FeedOptions, times: Partial<typeof TIMES> = {}) {
    this.#cluster = cluster
    this.#options = options
    this.#times = { ...TIMES, ...times }
    this.#monitor = new TopicMonitor(cluster, options.topics, this.#times.grace)
    this.#suspendedReads = new SuspendedReads(this.#times.suspendedRead)
    this.#subscribers = new IdleTimer(this.#times.idleTimeout, () => void this.close())
    this.catchUpPool = new CatchUpPool(cluster, options.maxReplays, () =>
      this.#suspendedReads.evictOldest(),
    )
  }

  get processor(): RecordProcessor | undefined {
    return this.#options.processor
  }

  /** Starts the live consumer, so that the first subscriber finds it running. */
  async warm(): Promise<void> {
    await this.#enter()
    this.#subscribers.leave()
  }

  /**
   * A subscription from a position on, which is to be closed or {@link release}d.
   *
   * @param filter Called with the present partitions. It throws for a partition that does not exist.
   * @throws KafkaConsumeError UNKNOWN_TOPIC, INVALID_CURSOR, TOO_MANY_REPLAYS, or why Kafka cannot be read.
   */
  async subscribe(
    position: Position,
    filter: (table: PartitionTable) => Filter | undefined,
  ): Promise<Subscription> {
    this.processor?.assertAvailable()
    const followed = await this.#enter()
    try {
      const { outage } = followed.liveConsumer
      if (outage) throw outageError(outage)
      return await this.#subscribe(followed, position, filter).catch(async (error: unknown) => {
        // The client may name a partition that was added since the last check.
        const { code } = asKafkaConsumeError(error)
        if (code !== 'INVALID_CURSOR' && code !== 'INVALID_PARAMETER') throw error
        await this.#check(this.#times.minCheckInterval)
        const now = this.#followed
        if (!now || now === followed) throw error
        return this.#subscribe(now, position, filter)
      })
    } catch (error) {
      this.#subscribers.leave()
      throw error
    }
  }

  /**
   * Ends a subscription. A catch-up read that is not finished stays open for a while, for a client
   * that asks for its next page.
   */
  release(subscription: Subscription): void {
    const isKept = subscription.isResumable && this.catchUpPool.waiting === 0
    if (isKept) this.#suspendedReads.keep(subscription)
    else void subscription.close()
  }

  /** The caller has counted the subscriber. Once the subscription is open, its end counts it out. */
  async #subscribe(
    { liveConsumer, ends }: FollowedTopics,
    position: Position,
    filter: (table: PartitionTable) => Filter | undefined,
  ): Promise<Subscription> {
    const { table } = liveConsumer
    const vector = await resolvePosition(position, table, ends, this.#cluster)
    const kept = filter(table) ? undefined : this.#suspendedReads.take(liveConsumer, vector)
    if (kept) {
      // A suspended read is counted while it is kept.
      this.#subscribers.leave()
      return kept
    }
    const subscription = new Subscription({
      liveConsumer,
      catchUpPool: this.catchUpPool,
      vector,
      isCertain:
        'start' in position ||
        isAtOrBelow(vector, liveConsumer.head) ||
        isAtOrBelow(vector, await ends.now()),
      deserializer: this.#options.messageDeserializer,
      processor: this.processor,
      filter,
      onClose: this.#onClose,
    })
    try {
      await subscription.open()
      return subscription
    } catch (error) {
      await subscription.close()
      throw error
    }
  }

  /** Why the topics cannot be read although the cluster can be reached. */
  outage(): KafkaOutage | undefined {
    return this.#followed?.liveConsumer.outage ?? this.processor?.outage()
  }

  /**
   * Stands for what can be read now: another object when that has changed, undefined while it is not
   * known. Asking for it postpones the idle timeout, as a subscriber would.
   */
  get version(): object | undefined {
    const liveConsumer = this.#followed?.liveConsumer
    if (liveConsumer) this.#subscribers.touch()
    return liveConsumer?.version
  }

  stats(): FeedStats {
    const { catchUpPool, processor } = this
    return {
      id: this.#id,
      topics: this.#options.topics,
      readers: this.#subscribers.users,
      ringBytes: this.#followed?.liveConsumer.ring.bytes ?? 0,
      maxRingBytes: this.#options.ringBytes,
      replays: catchUpPool.count,
      maxReplays: catchUpPool.limit,
      waiting: catchUpPool.waiting,
      fallenBehind: catchUpPool.fallenBehind,
      rebuilt: this.#replaced + catchUpPool.replaced,
      failed: processor?.counts.failed ?? 0,
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

  /** Counts a subscriber, and starts the live consumer if it does not run. */
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
      throw error
    }
  }

  readonly #onClose = () => this.#subscribers.leave()

  async #start(): Promise<FollowedTopics> {
    const table = await this.#monitor.begin()
    const ends = new EndOffsets(this.#cluster, table)
    const liveConsumer = this.#newLiveConsumer(table, await ends.now())
    await liveConsumer.start()
    return { liveConsumer, ends }
  }

  #newLiveConsumer(table: PartitionTable, head: Float64Array): LiveConsumer {
    const { messageDeserializer, ringBytes } = this.#options
    return new LiveConsumer(
      this.#cluster,
      table,
      head,
      messageDeserializer,
      ringBytes,
      this.processor,
    )
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
    const head = table.vector(starts)
    former.table.partitions.forEach((place, index) => {
      const next = table.indexOf(place.topic, place.partition)
      if (next < 0 || (recreated.has(place.topic) && !entered.has(partitionKey(place)))) return
      head[next] = former.head[index] as number
    })
    accept()
    log.info('Following {topics} with {count} partitions from now on{recreated}', {
      topics: this.#topics,
      count: table.size,
      recreated: recreated.size > 0 ? `: ${[...recreated].join(', ')} was re-created` : '',
    })
    const liveConsumer = this.#newLiveConsumer(table, head)
    const next = { liveConsumer, ends: new EndOffsets(this.#cluster, table) }
    this.#followed = next
    this.#starting = Promise.resolve(next)
    liveConsumer.startWhenPossible()
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
