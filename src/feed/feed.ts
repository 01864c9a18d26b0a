import { getLogger } from '@logtape/logtape'
import { asKafkaConsumeError, KafkaConsumeError, outageError } from '../core/errors.ts'
import { partitionKey, type TopicPartition } from '../core/topic-partition.ts'
import type { KafkaCluster, KafkaOutage, OffsetQuery } from '../port/kafka.ts'
import type { CursorEntry, PartitionTable } from '../records/cursor.ts'
import type { MessageDeserializer } from '../records/encode.ts'
import type { Filter } from '../records/filter.ts'
import type { RecordProcessor } from '../records/record-processor.ts'
import { CatchUpPool } from './catch-up-pool.ts'
import { EndOffsets } from './end-offsets.ts'
import { isAtOrBelow, LiveConsumer } from './live-consumer.ts'
import { Subscription } from './subscription.ts'
import { SuspendedReads } from './suspended-reads.ts'
import { type FollowedTopics, type TopicChange, TopicMonitor } from './topic-monitor.ts'

/** Milliseconds that a feed keeps to. */
const TIMES = {
  /** How long a tail goes on without readers: a client that reconnects or polls finds it warm. */
  linger: 30_000,
  /** Between two looks at what Kafka has, while there are readers. */
  look: 10_000,
  /** How soon a request may have a look of its own after the last one. */
  lookAgain: 1_000,
  /** For how long topics may be gone before the next look tells readers. */
  grace: 8_000,
  /** For how long a read that broke off behind the ring is kept for whoever asks for the next page. */
  page: 3_000,
  /** For how long the ring of a tail that was succeeded is kept for those who read it. */
  drain: 30_000,
}

const log = getLogger(['hono-kafka-consume', 'feed'])

/** Where reading begins. */
export type Position =
  | { readonly start: OffsetQuery }
  | { readonly cursor: readonly CursorEntry[]; readonly parameter: string }

/** What makes the frames of two routes the same, so that they can share a tail. */
export interface FeedOptions {
  readonly topics: readonly string[]
  readonly messageDeserializer: MessageDeserializer
  /** Absent: records are encoded as they are, without waiting. */
  readonly preparation?: RecordProcessor | undefined
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
 * The records of a set of topics on one cluster, for any number of readers: one tail, started with
 * the first reader and stopped some time after the last, and the replays of readers behind it.
 */
export class Feed {
  readonly catchUpPool: CatchUpPool
  readonly #source: KafkaCluster
  readonly #options: FeedOptions
  readonly #times: typeof TIMES
  readonly #watch: TopicMonitor
  readonly #pages: SuspendedReads
  readonly #id = feeds++
  #starting: Promise<FollowedTopics> | undefined
  /** The same once it follows. */
  #followed: FollowedTopics | undefined
  #readers = 0
  #rebuilt = 0
  #idleTimer: ReturnType<typeof setTimeout> | undefined
  #looks: ReturnType<typeof setInterval> | undefined
  #looking: Promise<void> | undefined
  #looked = 0
  /** Until when it lingers at least, in `performance.now()`'s time. */
  #wantedUntil = 0
  /** Ends the time that readers have to take the rest of a tail that was succeeded. */
  #releaseFormer = () => {}

  /** @param times Others for tests. */
  constructor(source: KafkaCluster, options: FeedOptions, times: Partial<typeof TIMES> = {}) {
    this.#source = source
    this.#options = options
    this.#times = { ...TIMES, ...times }
    this.#watch = new TopicMonitor(source, options.topics, this.#times.grace)
    this.#pages = new SuspendedReads(this.#times.page)
    this.catchUpPool = new CatchUpPool(source, options.maxReplays, () => this.#pages.evictOldest())
  }

  get processor(): RecordProcessor | undefined {
    return this.#options.preparation
  }

  /** Starts the tail, so that the first reader finds it running. */
  async warm(): Promise<void> {
    await this.#enter()
    this.#leave()
  }

  /**
   * A reader from a position on. The caller closes it.
   *
   * @param filter Made when the partitions are known; it may refuse one that does not exist.
   * @throws KafkaConsumeError UNKNOWN_TOPIC, INVALID_CURSOR, TOO_MANY_REPLAYS, or why Kafka cannot be read.
   */
  async subscribe(
    position: Position,
    filter: (table: PartitionTable) => Filter | undefined,
  ): Promise<Subscription> {
    this.processor?.assertAble()
    const followed = await this.#enter()
    if (followed.tail.outage) {
      this.#leave()
      throw outageError(followed.tail.outage)
    }
    try {
      return await this.#subscribe(followed, position, filter).catch(async (error: unknown) => {
        // It may name a partition that is newer than what is known here.
        const { code } = asKafkaConsumeError(error)
        if (code !== 'INVALID_CURSOR' && code !== 'INVALID_PARAMETER') throw error
        await this.#monitor(this.#times.lookAgain)
        const now = this.#followed
        if (!now || now === followed) throw error
        return this.#subscribe(now, position, filter)
      })
    } catch (error) {
      this.#leave()
      throw error
    }
  }

  /**
   * Ends a read in place of its caller: one that broke off behind the ring stays open for a while,
   * for whoever asks for the next page.
   */
  release(subscription: Subscription): void {
    if (subscription.isResumable && this.catchUpPool.waiting === 0) this.#pages.keep(subscription)
    else void subscription.close()
  }

  /** The reader counts already; once it is open, its end is what counts it out. */
  async #subscribe(
    { tail, ends }: FollowedTopics,
    position: Position,
    filter: (table: PartitionTable) => Filter | undefined,
  ): Promise<Subscription> {
    const vector = await this.#resolve(position, tail.table, ends)
    const kept = filter(tail.table) ? undefined : this.#pages.take(tail, vector)
    if (kept) {
      // It has been counted all the while.
      this.#leave()
      return kept
    }
    const subscription = new Subscription({
      tail,
      replays: this.catchUpPool,
      vector,
      isCertain:
        'start' in position ||
        isAtOrBelow(vector, tail.head) ||
        isAtOrBelow(vector, await ends.now()),
      deserializer: this.#options.messageDeserializer,
      preparation: this.processor,
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

  /** What keeps its topics from being read, while the cluster can be reached. */
  outage(): KafkaOutage | undefined {
    return this.#followed?.tail.outage ?? this.processor?.outage()
  }

  /**
   * Stands for what can be read just now: another object when that has changed, undefined while it
   * is not known. Who asks counts as a reader that comes and goes.
   */
  get version(): object | undefined {
    const tail = this.#followed?.tail
    // The timer itself stays: this is asked for each request that is answered from what is kept.
    if (tail) this.#wantedUntil = performance.now() + this.#times.linger
    return tail?.version
  }

  stats(): FeedStats {
    const tail = this.#followed?.tail
    return {
      id: this.#id,
      topics: this.#options.topics,
      readers: this.#readers,
      ringBytes: tail?.bytes ?? 0,
      maxRingBytes: this.#options.ringBytes,
      replays: this.catchUpPool.count,
      maxReplays: this.catchUpPool.limit,
      waiting: this.catchUpPool.waiting,
      fallenBehind: this.catchUpPool.fallenBehind,
      rebuilt: this.#rebuilt + this.catchUpPool.rebuilt,
      failed: this.processor?.counts.failed ?? 0,
      deadLetters: this.processor?.counts.deadLetters ?? 0,
      reducedDeadLetters: this.processor?.counts.reducedDeadLetters ?? 0,
    }
  }

  async close(): Promise<void> {
    clearTimeout(this.#idleTimer)
    clearInterval(this.#looks)
    this.#releaseFormer()
    this.#pages.clear()
    const starting = this.#starting
    this.#starting = undefined
    this.#followed = undefined
    await (await starting?.catch(() => undefined))?.tail.stop()
  }

  async #enter(): Promise<FollowedTopics> {
    clearTimeout(this.#idleTimer)
    this.#readers++
    this.#starting ??= this.#start()
    const starting = this.#starting
    try {
      const followed = await starting
      if (this.#starting === starting && !this.#followed) {
        this.#followed = followed
        this.#looks = setInterval(() => void this.#monitor(), this.#times.look)
      }
      return followed
    } catch (error) {
      if (this.#starting === starting) this.#starting = undefined
      this.#leave()
      throw error
    }
  }

  readonly #onClose = () => this.#leave()

  #leave(): void {
    this.#readers--
    if (this.#readers === 0) this.#restartIdleTimeout()
  }

  #restartIdleTimeout(milliseconds = this.#times.linger): void {
    clearTimeout(this.#idleTimer)
    this.#idleTimer = setTimeout(() => {
      const left = this.#wantedUntil - performance.now()
      if (left > 0) this.#restartIdleTimeout(left)
      else void this.close()
    }, milliseconds)
  }

  async #start(): Promise<FollowedTopics> {
    const table = await this.#watch.begin()
    const ends = new EndOffsets(this.#source, table)
    const tail = this.#makeLiveConsumer(table, await ends.now())
    await tail.start()
    return { tail, ends }
  }

  #makeLiveConsumer(table: PartitionTable, head: Float64Array): LiveConsumer {
    const { messageDeserializer, ringBytes } = this.#options
    return new LiveConsumer(
      this.#source,
      table,
      head,
      messageDeserializer,
      ringBytes,
      this.processor,
    )
  }

  /**
   * Compares the tail with Kafka, and mends what differs.
   *
   * @param age Milliseconds that the last look may be old to do as well.
   */
  #monitor(age = 0): Promise<void> {
    if (this.#looking) return this.#looking
    const followed = this.#followed
    if (!followed || this.#readers === 0 || performance.now() - this.#looked < age) {
      return Promise.resolve()
    }
    this.#looking = this.#watch
      .compareWithKafka(followed)
      .then((finding) => finding && this.#reconcile(followed, finding))
      .catch((error: unknown) => {
        log.warn('Cannot look after {topics}: {error}', { topics: this.#names, error })
      })
      .finally(() => {
        this.#looked = performance.now()
        this.#looking = undefined
      })
    return this.#looking
  }

  async #reconcile(followed: FollowedTopics, finding: TopicChange): Promise<void> {
    if (this.#followed !== followed) return
    const topics = this.#names
    if (finding.kind === 'changed') {
      await this.#handOver(followed, finding)
    } else if (finding.kind === 'gone') {
      log.warn('Cannot follow {topics} any more: {error}', { topics, error: finding.error.message })
      clearInterval(this.#looks)
      this.#starting = undefined
      this.#followed = undefined
      followed.tail.fail(finding.error)
    } else if (followed.tail.replaceReader()) {
      this.#rebuilt++
      log.warn('Following {topics} has come to a stop: going on with another consumer', { topics })
    }
  }

  /** Another tail for other partitions goes on where the one before has ended. */
  async #handOver(
    followed: FollowedTopics,
    { table, anew, accept }: Extract<TopicChange, { kind: 'changed' }>,
  ): Promise<void> {
    const { tail } = followed
    const begun = table.partitions.filter(
      ({ topic, partition }) => anew.has(topic) || tail.table.indexOf(topic, partition) < 0,
    )
    const starts = await this.#source.offsets(begun, 'earliest')
    await tail.stop()
    if (this.#followed !== followed) return
    const entered = new Set(tail.recreatedPartitions)
    const head = table.vector(starts)
    tail.table.partitions.forEach(({ topic, partition }, index) => {
      const next = table.indexOf(topic, partition)
      if (next < 0 || (anew.has(topic) && !entered.has(partitionKey({ topic, partition })))) return
      head[next] = tail.head[index] as number
    })
    accept()
    log.info('Following {topics} with {count} partitions from now on{anew}', {
      topics: this.#names,
      count: table.size,
      anew: anew.size > 0 ? `: ${[...anew].join(', ')} was created anew` : '',
    })
    const next = {
      tail: this.#makeLiveConsumer(table, head),
      ends: new EndOffsets(this.#source, table),
    }
    this.#followed = next
    this.#starting = Promise.resolve(next)
    next.tail.startInTime()
    tail.handOverTo({
      tail: next.tail,
      anew: starts.filter(({ topic }) => anew.has(topic)),
      entered,
    })
    this.#releaseFormer()
    const drained = setTimeout(() => this.#releaseFormer(), this.#times.drain)
    this.#releaseFormer = () => {
      clearTimeout(drained)
      tail.clear()
    }
  }

  get #names(): string {
    return this.#options.topics.join(', ')
  }

  async #resolve(
    position: Position,
    table: PartitionTable,
    ends: EndOffsets,
  ): Promise<Float64Array> {
    if ('start' in position) {
      if (position.start === 'latest') return ends.now()
      return table.vector(await this.#source.offsets(table.partitions, position.start))
    }
    const { cursor, parameter } = position
    const vector = new Float64Array(table.size).fill(-1)
    const queries = new Map<OffsetQuery, TopicPartition[]>()
    for (const entry of cursor) {
      const { topic, partition } = entry
      const index = table.indexOf(topic, partition)
      if (index < 0) {
        const known = table.hasTopic(topic)
        throw new KafkaConsumeError(
          'INVALID_CURSOR',
          known
            ? `Cannot use ${parameter}: topic "${topic}" has no partition ${partition}`
            : `Cannot use ${parameter}: topic "${topic}" is not among those of this route`,
        )
      }
      if ('offset' in entry) vector[index] = entry.offset
      else queries.set(entry.query, [...(queries.get(entry.query) ?? []), entry])
    }
    for (const [query, partitions] of queries) {
      for (const { topic, partition, offset } of await this.#source.offsets(partitions, query)) {
        vector[table.indexOf(topic, partition)] = offset
      }
    }
    // A partition that a cursor does not name is newer than the cursor: all of it is still to come.
    const unnamed = table.partitions.filter((_, index) => vector[index] === -1)
    if (unnamed.length > 0) {
      for (const { topic, partition, offset } of await this.#source.offsets(unnamed, 'earliest')) {
        vector[table.indexOf(topic, partition)] = offset
      }
    }
    return vector
  }
}
