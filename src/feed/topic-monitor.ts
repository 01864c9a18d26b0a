import { asKafkaConsumeError, type KafkaConsumeError } from '../core/errors.ts'
import type { KafkaCluster } from '../port/kafka.ts'
import { PartitionTable } from '../records/cursor.ts'
import type { EndOffsets } from './end-offsets.ts'
import type { LiveConsumer } from './live-consumer.ts'

/** Looks in a row that Kafka left without an answer, after which its silence is the tail's fault. */
const UNANSWERED = 3

/** What a tail does not see by itself. */
export type TopicChange =
  /** There are other partitions than before, or other topics of the same names. */
  | {
      readonly kind: 'changed'
      readonly table: PartitionTable
      /** The latter. */
      readonly anew: ReadonlySet<string>
      /** Takes note that it was acted upon: it is not found again. */
      accept(): void
    }
  /** The topics cannot be read any more, and have not been for a while. */
  | { readonly kind: 'gone'; readonly error: KafkaConsumeError }
  /** Kafka has had more for a while, and the tail brings none of it. */
  | { readonly kind: 'stuck' }

/** What is followed, to be looked at. */
export interface FollowedTopics {
  readonly tail: LiveConsumer
  readonly ends: EndOffsets
}

/**
 * Compares what a tail has with what Kafka has: a consumer is told of neither new partitions nor
 * topics that are gone, and whatever silences it must not silence its readers.
 */
export class TopicMonitor {
  readonly #source: KafkaCluster
  readonly #topics: readonly string[]
  readonly #grace: number
  /** The ids of the topics, and those that they had before: a broker may be late to know. */
  #ids: ReadonlyMap<string, string> = new Map()
  readonly #former = new Set<string>()
  /** False once brokers that answer otherwise have left that question unanswered. */
  #hasIds = true
  /** What the last look saw of the tail that it looked at. */
  #last:
    | { readonly tail: LiveConsumer; readonly head: Float64Array; readonly ends: Float64Array }
    | undefined
  #goneSince: number | undefined
  #unanswered = 0

  /** @param grace Milliseconds for which topics may be away, as when they are created anew. */
  constructor(source: KafkaCluster, topics: readonly string[], grace: number) {
    this.#source = source
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
    const table = new PartitionTable(await this.#source.partitions(this.#topics))
    // Nobody waits for what only matters later.
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
      const finding = await this.#compare(followed)
      this.#goneSince = undefined
      this.#unanswered = 0
      return finding
    } catch (thrown) {
      return this.#judge(asKafkaConsumeError(thrown), begun)
    }
  }

  async #compare({ tail, ends }: FollowedTopics): Promise<TopicChange | undefined> {
    const restarted = [...tail.recreatedPartitions]
    const asked = await this.#askIds()
    const table = new PartitionTable(await this.#source.partitions(this.#topics))
    this.#hasIds = asked !== undefined
    const ids = asked ?? new Map<string, string>()
    const anew = this.#recreatedTopics(ids)
    if (anew.size > 0 || hasMore(table, tail.table)) {
      return { kind: 'changed', table, anew, accept: () => this.#accept(anew, ids) }
    }
    // Those were no topics created anew, as when a partition has lost its end.
    for (const name of restarted) tail.recreatedPartitions.delete(name)
    const now = { tail, head: tail.head.slice(), ends: await ends.now() }
    const last = this.#last
    this.#last = now
    // Who waits for its readers is not stuck.
    if (tail.takeWaited() || last?.tail !== tail) return undefined
    const isStuck = now.head.some(
      (head, index) => head === last.head[index] && head < (last.ends[index] as number),
    )
    return isStuck ? { kind: 'stuck' } : undefined
  }

  /** @returns undefined where brokers do not tell, though they may answer other questions. */
  async #askIds(): Promise<ReadonlyMap<string, string> | undefined> {
    if (!this.#hasIds) return undefined
    return this.#source.topicIds(this.#topics).catch(() => undefined)
  }

  /** Topics that are others than before. */
  #recreatedTopics(ids: ReadonlyMap<string, string>): Set<string> {
    const anew = new Set<string>()
    for (const [topic, id] of ids) {
      const former = this.#ids.get(topic)
      if (former === undefined || former === id || this.#former.has(id)) continue
      anew.add(topic)
    }
    return anew
  }

  #accept(anew: ReadonlySet<string>, ids: ReadonlyMap<string, string>): void {
    for (const topic of anew) this.#former.add(this.#ids.get(topic) as string)
    this.#ids = new Map([...this.#ids, ...ids])
  }

  /** @param begun When the question was put, in `performance.now()`'s time: the answer may take seconds. */
  #judge(error: KafkaConsumeError, begun: number): TopicChange | undefined {
    if (error.code === 'UNKNOWN_TOPIC' || error.code === 'KAFKA_AUTHORIZATION') {
      this.#goneSince ??= begun
      return performance.now() - this.#goneSince < this.#grace ? undefined : { kind: 'gone', error }
    }
    // What keeps Kafka from being read altogether is told otherwise.
    if (this.#source.outage()) return undefined
    this.#unanswered++
    if (this.#unanswered < UNANSWERED) return undefined
    this.#unanswered = 0
    return { kind: 'stuck' }
  }
}

/** Whether there are new partitions. Fewer are an answer of a broker that is late to know of them. */
function hasMore(table: PartitionTable, before: PartitionTable): boolean {
  return table.partitions.some(({ topic, partition }) => before.indexOf(topic, partition) < 0)
}
