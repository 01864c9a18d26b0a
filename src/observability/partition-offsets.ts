import { settledWithin } from '../core/deadline.ts'
import type { PartitionRange, RouteStats } from '../http/route/route-stats.ts'
import type { PartitionPosition } from '../port/kafka.ts'

/** The part of a handler of `kafkaConsume` that metrics and `/status` need. */
export interface Observed {
  /** Statistics of the route. */
  stats(): RouteStats
  /** The offsets of each partition of its topics. */
  partitions(): Promise<readonly PartitionRange[]>
}

/** A handler with its present statistics. */
export interface ObservedStats {
  readonly handler: Observed
  readonly stats: RouteStats
}

/**
 * Records of a partition that a group has not delivered yet; undefined while that is not known. A
 * member fetches nothing while no client polls, and so does not see new records: the end offset that
 * Kafka reports counts, too.
 */
export function lagOf(
  { topic, partition, next, end }: PartitionPosition,
  ranges: readonly PartitionRange[] = [],
): number | undefined {
  const range = ranges.find((one) => one.topic === topic && one.partition === partition)
  const last = Math.max(end, range?.end ?? -1)
  return next < 0 || last < 0 ? undefined : Math.max(0, last - next)
}

/** Milliseconds that a caller waits for Kafka at most; then it gets the offsets known before. */
const QUERY_TIMEOUT_MS = 1_500

/** The offsets of one set of topics, with the query for them if one is open. */
interface CachedRanges {
  readonly cluster: string
  ranges: readonly PartitionRange[]
  queriedAt: number
  query: Promise<void> | undefined
}

/**
 * The offsets of partitions, cached for each set of topics: however many callers there are, Kafka is
 * asked at most once in `maxAge`. A set is forgotten when no route has it any more.
 */
export class PartitionOffsets {
  readonly #maxAge: number
  #cache = new Map<string, CachedRanges>()

  /** @param maxAge Milliseconds for which offsets are reused. */
  constructor(maxAge: number) {
    this.#maxAge = maxAge
  }

  /** The offsets of all partitions that routes read, by the name of the cluster. */
  async of(routes: readonly ObservedStats[]): Promise<Map<string, PartitionRange[]>> {
    const queries = this.#refresh(routes)
    await settledWithin(Promise.all(queries), QUERY_TIMEOUT_MS)
    const found = new Map<string, PartitionRange[]>()
    for (const { cluster, ranges } of this.#cache.values()) {
      found.set(cluster, [...(found.get(cluster) ?? []), ...ranges])
    }
    return found
  }

  #refresh(routes: readonly ObservedStats[]): Array<Promise<void>> {
    const previous = this.#cache
    this.#cache = new Map()
    const queries: Array<Promise<void>> = []
    for (const { handler, stats } of routes) {
      if (!stats.cluster) continue
      const cluster = stats.cluster.name
      const key = JSON.stringify([cluster, stats.topics])
      if (this.#cache.has(key)) continue
      const cached = previous.get(key) ?? {
        cluster,
        ranges: [],
        queriedAt: Number.NEGATIVE_INFINITY,
        query: undefined,
      }
      this.#cache.set(key, cached)
      queries.push(this.#query(cached, handler))
    }
    return queries
  }

  /** Starts a query where none is open and the offsets are too old. A failed query leaves them as they are. */
  #query(cached: CachedRanges, handler: Observed): Promise<void> {
    if (cached.query) return cached.query
    if (performance.now() - cached.queriedAt < this.#maxAge) return Promise.resolve()
    cached.queriedAt = performance.now()
    cached.query = handler
      .partitions()
      .then(
        (ranges) => {
          cached.ranges = ranges
        },
        () => undefined,
      )
      .finally(() => {
        cached.query = undefined
      })
    return cached.query
  }
}
