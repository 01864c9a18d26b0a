import { asKafkaConsumeError, type KafkaConsumeError } from '../core/errors.ts'
import type { KafkaCluster } from '../port/kafka.ts'
import { PartitionTable } from '../records/cursor.ts'
import type { EndOffsets } from './end-offsets.ts'
import type { LiveConsumer } from './live-consumer.ts'

/** Checks in a row without an answer, after which the live consumer is taken to be stalled. */
const MAX_UNANSWERED = 3

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
  #ids: ReadonlyMap<string, string> = new Map()
  /** Ids that topics had before they were re-created: a broker may still answer with one of them. */
  readonly #formerIds = new Set<string>()
  /** False once a request for topic ids got no answer from brokers that answer other requests. */
  #hasIds = true
  /** What the last check saw. */
  #last:
    | {
        readonly liveConsumer: LiveConsumer
        readonly head: Float64Array
        readonly ends: Float64Array
      }
    | undefined
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
    const asking = this.#askIds()
    const table = new PartitionTable(await this.#cluster.partitions(this.#topics))
    // Topic ids matter for later checks only, so nobody waits for them here.
    void asking.then((ids) => {
      this.#ids = ids ?? new Map()
      this.#hasIds = ids !== undefined
    })
    this.#goneSince = undefined
    this.#unanswered = 0
    return table
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
    this.#hasIds = answer !== undefined
    const ids = answer ?? new Map<string, string>()
    const recreated = this.#recreatedTopics(ids)
    if (recreated.size > 0 || hasMore(table, liveConsumer.table)) {
      return { kind: 'changed', table, recreated, accept: () => this.#accept(recreated, ids) }
    }
    // The topics were not re-created after all, as when a partition has lost its newest records.
    for (const key of suspected) liveConsumer.recreatedPartitions.delete(key)
    if (!liveConsumer.isFollowing) return undefined
    const now = { liveConsumer, head: liveConsumer.head.slice(), ends: await ends.now() }
    const last = this.#last
    this.#last = now
    // A live consumer that waits for its subscribers has not stalled.
    if (liveConsumer.pacing.takeHasWaited() || last?.liveConsumer !== liveConsumer) return undefined
    const isStalled = now.head.some(
      (head, index) => head === last.head[index] && head < (last.ends[index] as number),
    )
    return isStalled ? { kind: 'stalled' } : undefined
  }

  /** @returns undefined when brokers do not tell topic ids, though they may answer other requests. */
  async #askIds(): Promise<ReadonlyMap<string, string> | undefined> {
    if (!this.#hasIds) return undefined
    return this.#cluster.topicIds(this.#topics).catch(() => undefined)
  }

  #recreatedTopics(ids: ReadonlyMap<string, string>): Set<string> {
    const recreated = new Set<string>()
    for (const [topic, id] of ids) {
      const former = this.#ids.get(topic)
      if (former === undefined || former === id || this.#formerIds.has(id)) continue
      recreated.add(topic)
    }
    return recreated
  }

  #accept(recreated: ReadonlySet<string>, ids: ReadonlyMap<string, string>): void {
    for (const topic of recreated) this.#formerIds.add(this.#ids.get(topic) as string)
    this.#ids = new Map([...this.#ids, ...ids])
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
