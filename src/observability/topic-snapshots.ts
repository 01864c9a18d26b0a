import { settledWithin } from '../core/deadline.ts'
import { LruMap } from '../core/lru-map.ts'
import { partitionKey } from '../core/topic-partition.ts'
import type { RouteStats } from '../http/route/route-stats.ts'
import type { TopicDetails } from '../http/route/topic-details.ts'
import type { PartitionReplicas, PartitionSizes, TopicSetting } from '../port/topic-details.ts'
import { SizeCache } from './partition-sizes.ts'

/** The part of a handler that topics are read through. */
export interface DetailedHandler {
  /** Statistics of the handler, of which topics and cluster are needed. */
  stats(): Pick<RouteStats, 'topics' | 'cluster'>
  /** Asks Kafka for details of topics. Default: all topics of the handler. */
  topicDetails(topics?: readonly string[]): Promise<TopicDetails>
  /** Asks all brokers for the sizes of partitions. */
  partitionSizes(partitions: readonly PartitionReplicas[]): Promise<PartitionSizes>
  /** Asks Kafka for the settings of a topic. */
  topicSettings(topic: string): Promise<readonly TopicSetting[]>
}

/** The topics of a cluster, as of some seconds ago. */
export interface ClusterTopics {
  readonly name: string
  readonly details: TopicDetails
  /** Records a second over the last minute, by the key of the partition; without those not known yet. */
  readonly rates: ReadonlyMap<string, number>
  /** The sizes of the partitions, at most 30 s old. */
  readonly sizes: SizeCache
  /** Why Kafka could not be asked the last time; the details are those from before. */
  readonly error: unknown
}

/** Milliseconds for which an answer of Kafka is reused. */
const MAX_AGE_MS = 5_000
/** Milliseconds that a caller waits for Kafka at most; then it gets what was known before. */
const QUERY_TIMEOUT_MS = 5_000
/** Milliseconds over which rates are computed. */
const RATE_WINDOW_MS = 60_000
/** Milliseconds between the samples of end offsets: shorter ones would be kept without use. */
const SAMPLE_INTERVAL_MS = 4_000

const NOTHING: TopicDetails = { partitions: [], groups: [], groupsLeftOut: 0 }

/** End offsets by the key of the partition, at a time. */
interface OffsetSample {
  /** In `performance.now()` milliseconds. */
  readonly at: number
  readonly ends: ReadonlyMap<string, number>
}

/** The topics of one cluster: asked for at most once in five seconds. */
class ClusterSnapshot {
  readonly #name: string
  readonly #sizes = new SizeCache()
  #details = NOTHING
  #error: unknown
  /** The samples of the last minute, the oldest first: at most one each four seconds. */
  #samples: OffsetSample[] = []
  #askedAt = Number.NEGATIVE_INFINITY
  #topics = ''
  #query: Promise<void> | undefined

  constructor(name: string) {
    this.#name = name
  }

  /** Asks Kafka where what is known is too old, or is about other topics. */
  refresh(topics: readonly string[], handler: DetailedHandler): Promise<void> {
    const wanted = JSON.stringify(topics)
    const isFresh = performance.now() - this.#askedAt < MAX_AGE_MS && wanted === this.#topics
    if (this.#query || isFresh) return this.#query ?? Promise.resolve()
    this.#askedAt = performance.now()
    this.#topics = wanted
    this.#query = this.#ask(topics, handler).finally(() => {
      this.#query = undefined
    })
    return this.#query
  }

  async #ask(topics: readonly string[], handler: DetailedHandler): Promise<void> {
    try {
      this.#details = await handler.topicDetails(topics)
      this.#error = undefined
    } catch (error) {
      this.#error = error
      return
    }
    this.#sample()
    await this.#sizes.refresh(this.#details.partitions, (partitions) =>
      handler.partitionSizes(partitions),
    )
  }

  get topics(): ClusterTopics {
    const { partitions } = this.#details
    const [first] = this.#samples
    const last = this.#samples.at(-1)
    const seconds = ((last?.at ?? 0) - (first?.at ?? 0)) / 1_000
    const rates = new Map<string, number>()
    for (const partition of seconds > 0 ? partitions : []) {
      const key = partitionKey(partition)
      const [begin, end] = [first?.ends.get(key), last?.ends.get(key)]
      if (begin === undefined || end === undefined) continue
      // A re-created topic begins at 0 again.
      rates.set(key, Math.max(0, end - begin) / seconds)
    }
    return {
      name: this.#name,
      details: this.#details,
      rates,
      sizes: this.#sizes,
      error: this.#error,
    }
  }

  #sample(): void {
    const at = performance.now()
    const last = this.#samples.at(-1)
    if (last && at - last.at < SAMPLE_INTERVAL_MS) return
    const ends = this.#details.partitions.map((each) => [partitionKey(each), each.end] as const)
    this.#samples.push({ at, ends: new Map(ends.filter(([, end]) => end >= 0)) })
    while ((this.#samples[1]?.at ?? at) < at - RATE_WINDOW_MS) this.#samples.shift()
  }
}

/** The topics that handlers read, by cluster. A cluster is forgotten when no handler has it any more. */
export class TopicSnapshots {
  #clusters = new Map<string, ClusterSnapshot>()

  async of(handlers: readonly DetailedHandler[]): Promise<ClusterTopics[]> {
    const byCluster = Map.groupBy(handlers, (handler) => handler.stats().cluster?.name)
    const previous = this.#clusters
    this.#clusters = new Map()
    const queries: Array<Promise<void>> = []
    for (const [name, [first, ...others]] of byCluster) {
      // A route that had no request yet is not connected.
      if (name === undefined || first === undefined) continue
      const all = [first, ...others].flatMap((handler) => handler.stats().topics)
      const snapshot = previous.get(name) ?? new ClusterSnapshot(name)
      this.#clusters.set(name, snapshot)
      queries.push(snapshot.refresh([...new Set(all)].sort(), first))
    }
    await settledWithin(Promise.all(queries), QUERY_TIMEOUT_MS)
    return [...this.#clusters.values()].map(({ topics }) => topics)
  }
}

/** Topics whose settings are cached. Overflow policy: those that were asked for least recently are forgotten. */
const MAX_CACHED_SETTINGS = 1_000
/** Milliseconds for which settings are reused. */
const SETTINGS_MAX_AGE_MS = 30_000

/** The settings of topics: each topic is asked for at most once in half a minute. */
export class SettingsCache {
  readonly #cached = new LruMap<
    string,
    { readonly at: number; readonly found: Promise<readonly TopicSetting[] | undefined> }
  >(MAX_CACHED_SETTINGS)

  /** The settings of a topic; undefined where Kafka does not return them, as to a user without the right. */
  of(
    cluster: string,
    topic: string,
    handler: DetailedHandler,
  ): Promise<readonly TopicSetting[] | undefined> {
    const key = JSON.stringify([cluster, topic])
    const held = this.#cached.get(key)
    if (held && performance.now() - held.at < SETTINGS_MAX_AGE_MS) return held.found
    const found = handler.topicSettings(topic).catch(() => undefined)
    this.#cached.set(key, { at: performance.now(), found })
    return found
  }
}
