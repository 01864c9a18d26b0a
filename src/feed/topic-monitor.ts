import { asKafkaConsumeError, type KafkaConsumeError } from '../core/errors.ts'
import { logOf } from '../core/log.ts'
import { StallDetector } from '../core/stall-detector.ts'
import { TopicIds } from '../core/topic-ids.ts'
import type { KafkaCluster } from '../port/kafka.ts'
import { PartitionTable } from '../records/cursor.ts'
import type { EndOffsets } from './end-offsets.ts'
import type { LiveConsumer } from './live-consumer.ts'

const log = logOf('feed')

/** Checks in a row without an answer, after which the live consumer is taken to be stalled. */
const MAX_UNANSWERED = 3

const NO_IDS: ReadonlyMap<string, string> = new Map()

/** A change that a live consumer does not see by itself. */
export type TopicChange =
  /** Partitions were added, or topics were re-created. */
  | {
      readonly kind: 'changed'
      readonly table: PartitionTable
      /** Names of topics that were re-created. */
      readonly recreated: ReadonlySet<string>
      /** Confirms that the change was handled: it is not reported again. */
      accept(): void
    }
  /** The topics have not been readable for a while. */
  | { readonly kind: 'gone'; readonly error: KafkaConsumeError }
  /** Kafka has had more records for a while, and the live consumer brings none of them. */
  | { readonly kind: 'stalled' }

/** A live consumer to compare with Kafka. */
export interface FollowedTopics {
  readonly liveConsumer: LiveConsumer
  readonly ends: EndOffsets
}

/**
 * Compares a live consumer with Kafka: Kafka's client reports neither added partitions nor deleted
 * topics, and a stalled consumer must be detected, because its streams would only go quiet.
 */
export class TopicMonitor {
  readonly #cluster: KafkaCluster
  readonly #topics: readonly string[]
  readonly #grace: number
  /** Topic ids by topic name. */
  #ids: ReadonlyMap<string, string> = NO_IDS
  readonly #topicIds = new TopicIds()
  readonly #stallDetector = new StallDetector<number>()
  /** The live consumer of the last check. */
  #checked: LiveConsumer | undefined
  #goneSince: number | undefined
  #unanswered = 0

  /** @param grace Milliseconds for which topics may be missing, as while they are re-created. */
  constructor(cluster: KafkaCluster, topics: readonly string[], grace: number) {
    this.#cluster = cluster
    this.#topics = topics
    this.#grace = grace
  }

  /**
   * The partitions to follow from now on.
   *
   * @throws KafkaConsumeError UNKNOWN_TOPIC, or why Kafka cannot be read.
   */
  async begin(): Promise<PartitionTable> {
    const unknown = new Map<string, string>()
    this.#ids = unknown
    const asking = this.#askIds()
    const table = new PartitionTable(await this.#cluster.partitions(this.#topics))
    // Topic ids matter for later checks only, so nobody waits for them here.
    void asking.then((ids) => {
      if (ids && this.#ids === unknown) this.#learn(ids)
    })
    this.#goneSince = undefined
    this.#unanswered = 0
    return table
  }

  /** Topic ids by name, as far as they are known. It is another map when one has changed. */
  get ids(): ReadonlyMap<string, string> {
    return this.#ids
  }

  /** The topic ids as one text: equal texts stand for equal topics, in every thread. */
  get idText(): string {
    return JSON.stringify([...this.#ids].toSorted())
  }

  async compareWithKafka(followed: FollowedTopics): Promise<TopicChange | undefined> {
    const begun = performance.now()
    try {
      const change = await this.#compare(followed)
      this.#goneSince = undefined
      this.#unanswered = 0
      return change
    } catch (thrown) {
      return this.#judge(asKafkaConsumeError(thrown), begun)
    }
  }

  async #compare({ liveConsumer, ends }: FollowedTopics): Promise<TopicChange | undefined> {
    const suspected = [...liveConsumer.recreatedPartitions]
    const answer = await this.#askIds()
    const table = new PartitionTable(await this.#cluster.partitions(this.#topics))
    const ids = answer ?? NO_IDS
    const recreated = this.#recreatedTopics(ids)
    if (recreated.size > 0 || hasMore(table, liveConsumer.table)) {
      return { kind: 'changed', table, recreated, accept: () => this.#accept(recreated, ids) }
    }
    if (answer) {
      this.#learn(answer)
      // The topics were not re-created after all, as when a partition has lost its newest records.
      for (const key of suspected) liveConsumer.recreatedPartitions.delete(key)
    }
    if (!liveConsumer.isFollowing) return undefined
    const head = liveConsumer.head.slice()
    const endsNow = await ends.now()
    // A live consumer that waits for its subscribers has not stalled.
    const hasWaited = liveConsumer.pacing.takeHasWaited()
    if (hasWaited || this.#checked !== liveConsumer) this.#stallDetector.reset()
    this.#checked = liveConsumer
    const progress = Array.from(head, (position, index) => {
      return [index, { position, end: endsNow[index] as number }] as const
    })
    const isStalled = this.#stallDetector.check(new Map(progress)).length > 0
    return isStalled ? { kind: 'stalled' } : undefined
  }

  /**
   * Asks for topic ids. Kafka's client asks the controller, which may be away while other brokers answer
   * other requests. Brokers without topic ids do answer, with none.
   *
   * @returns undefined without an answer: the next check asks again.
   */
  async #askIds(): Promise<ReadonlyMap<string, string> | undefined> {
    try {
      return await this.#cluster.topicIds(this.#topics)
    } catch (error) {
      log.debug('Cannot compare topics: {error}', { error })
      return undefined
    }
  }

  /** Notes the ids of topics whose ids were not known, to compare later answers with them. */
  #learn(ids: ReadonlyMap<string, string>): void {
    const learned = this.#present(ids).filter(([topic]) => !this.#ids.has(topic))
    if (learned.length > 0) this.#ids = new Map([...this.#ids, ...learned])
  }

  /** The ids without those that topics had before they were re-created. */
  #present(ids: ReadonlyMap<string, string>): Array<[topic: string, id: string]> {
    return [...ids].filter(([, id]) => !this.#topicIds.isRetired(id))
  }

  #recreatedTopics(ids: ReadonlyMap<string, string>): Set<string> {
    const isRecreated = ([topic, id]: readonly [string, string]) =>
      this.#topicIds.isRecreated(this.#ids.get(topic), id)
    return new Set([...ids].filter(isRecreated).map(([topic]) => topic))
  }

  #accept(recreated: ReadonlySet<string>, ids: ReadonlyMap<string, string>): void {
    for (const topic of recreated) this.#topicIds.retire(this.#ids.get(topic))
    this.#ids = new Map([...this.#ids, ...this.#present(ids)])
  }

  /** @param begun When the request was sent, in `performance.now()`'s time: it may take seconds. */
  #judge(error: KafkaConsumeError, begun: number): TopicChange | undefined {
    if (error.code === 'UNKNOWN_TOPIC' || error.code === 'KAFKA_AUTHORIZATION') {
      this.#goneSince ??= begun
      return performance.now() - this.#goneSince < this.#grace ? undefined : { kind: 'gone', error }
    }
    // The cluster itself reports an outage of Kafka.
    if (this.#cluster.outage()) return undefined
    this.#unanswered++
    if (this.#unanswered < MAX_UNANSWERED) return undefined
    this.#unanswered = 0
    return { kind: 'stalled' }
  }
}

/** Whether there are added partitions. A broker that is late to know of them answers with fewer. */
function hasMore(table: PartitionTable, before: PartitionTable): boolean {
  return table.partitions.some(({ topic, partition }) => before.indexOf(topic, partition) < 0)
}
