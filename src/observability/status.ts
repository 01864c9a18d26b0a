/** The status of a process: its routes and the state of Kafka, for programs and the console page. */
import packageJson from '../../package.json' with { type: 'json' }
import type { ProduceStats } from '../http/produce/kafka-produce.ts'
import type { PartitionRange, RouteStats } from '../http/route/route-stats.ts'
import type { UpstreamStats } from '../http/upstream/kafka-upstream.ts'
import { lagOf, type Observed, PartitionOffsets } from './partition-offsets.ts'

/** A route that `/status` lists. */
export interface StatusRoute {
  readonly name: string
  /** The paths of the route: prefixes, or regular expressions that begin with `~`. */
  readonly paths: readonly string[]
  /** The hosts of the route; empty for any host. */
  readonly hosts: readonly string[]
  readonly handler: Observed | WritingHandler
}

/** The part of a handler of `kafkaUpstream` or `kafkaProduce` that `/status` needs. */
interface WritingHandler {
  stats(): UpstreamStats | ProduceStats
}

/** Milliseconds for which offsets from Kafka are reused. */
const OFFSETS_MAX_AGE_MS = 1_000

/** The routes of a gateway and the state of Kafka. */
export interface Status {
  readonly version: string
  readonly routes: ReadonlyArray<{
    readonly name: string
    readonly paths: readonly string[]
    readonly hosts: readonly string[]
    readonly mode: string
    readonly topics: readonly string[]
    /** Whether a function of the app makes what clients get of records. */
    readonly hasOwnFormat?: boolean
    readonly cluster: string | undefined
    /** Open streams. Absent for clients with a scope. */
    readonly streams?: number
    readonly groups: readonly string[]
  }>
  readonly clusters: ReadonlyArray<{
    readonly name: string
    readonly outage?: ReturnType<typeof describe>
    readonly brokers: ReadonlyArray<{ readonly name: string; readonly up: boolean }>
    readonly topics: ReturnType<typeof topicsOf>
  }>
  readonly groups: ReadonlyArray<{
    readonly id: string
    readonly cluster: string | undefined
    readonly partitions: ReadonlyArray<{
      readonly topic: string
      readonly partition: number
      readonly lag?: number
    }>
  }>
}

/**
 * The status of routes: their topics, the clusters and the groups, as docs/operations.md lists
 * them. Kafka is asked for offsets at most once a second for each set of topics, whatever the
 * number of calls.
 *
 * @param routes Returns the routes; called each time.
 */
export function statusOf(routes: () => readonly StatusRoute[]): () => Promise<Status> {
  const offsets = new PartitionOffsets(OFFSETS_MAX_AGE_MS)
  return async () => {
    const every = routes()
    const all = every.flatMap(({ handler }) =>
      'partitions' in handler ? [{ handler, stats: handler.stats() }] : [],
    )
    const found = await offsets.of(all)
    return {
      version: packageJson.version,
      routes: every.map(({ name, paths, hosts, handler }) => {
        const stats = handler.stats()
        return {
          name,
          paths,
          hosts,
          mode: stats.mode,
          topics: stats.topics,
          ...('filters' in stats ? { filters: stats.filters } : {}),
          ...('hasOwnFormat' in stats && stats.hasOwnFormat ? { hasOwnFormat: true } : {}),
          cluster: stats.cluster?.name,
          streams: 'subscribers' in stats ? stats.subscribers : 0,
          groups: 'groups' in stats ? stats.groups.map(({ id }) => id) : [],
        }
      }),
      clusters: clustersOf(every.map(({ handler }) => handler.stats())).map((cluster) => ({
        name: cluster.name,
        ...(cluster.outage ? { outage: describe(cluster.outage) } : {}),
        brokers: cluster.brokers.map(({ name, isUp }) => ({ name, up: isUp })),
        topics: topicsOf(found.get(cluster.name) ?? []),
      })),
      groups: membersOf(all.map(({ stats }) => stats)).map(({ id, cluster, partitions }) => ({
        id,
        cluster,
        partitions: partitions.map((at) => {
          const lag = lagOf(at, found.get(cluster ?? ''))
          return {
            topic: at.topic,
            partition: at.partition,
            ...(lag === undefined ? {} : { lag }),
          }
        }),
      })),
    }
  }
}

/**
 * The status of a process of several threads. Each has the routes and knows all of their clusters and
 * groups that it uses; streams are open in one of them.
 */
export function combineStatus(threads: readonly Status[]): Status {
  const [first] = threads as readonly [Status]
  const routes = first.routes.map((route) => {
    const same = threads.flatMap((thread) =>
      thread.routes.filter(({ name }) => name === route.name),
    )
    return {
      ...route,
      cluster: same.find(({ cluster }) => cluster !== undefined)?.cluster,
      streams: same.reduce((sum, { streams = 0 }) => sum + streams, 0),
      groups: [...new Set(same.flatMap(({ groups }) => groups))],
    }
  })
  const clusters = new Map(
    threads.flatMap((thread) => thread.clusters.map((cluster) => [cluster.name, cluster])),
  )
  return {
    version: first.version,
    routes,
    clusters: [...clusters.values()],
    groups: membershipsOf(threads),
  }
}

/** The memberships of each group, as the thread sees them that uses most of them. */
function membershipsOf(threads: readonly Status[]): Status['groups'] {
  const found = new Map<string, Status['groups']>()
  for (const { groups } of threads) {
    const byGroup = Map.groupBy(groups, ({ cluster, id }) => JSON.stringify([cluster, id]))
    for (const [key, memberships] of byGroup) {
      if (memberships.length > (found.get(key)?.length ?? 0)) found.set(key, memberships)
    }
  }
  return [...found.values()].flat()
}

/** The clusters of all routes, each once. */
function clustersOf(all: ReadonlyArray<RouteStats | UpstreamStats | ProduceStats>) {
  return [
    ...new Map(all.flatMap(({ cluster }) => (cluster ? [[cluster.name, cluster]] : []))).values(),
  ]
}

/** The group memberships of all routes, each once. */
function membersOf(all: readonly RouteStats[]) {
  return [
    ...new Map(
      all.flatMap(({ groups, cluster }) =>
        groups.map((group) => [group.member, { ...group, cluster: cluster?.name }] as const),
      ),
    ).values(),
  ]
}

function describe({ code, message, since }: NonNullable<RouteStats['cluster']>['outage'] & {}) {
  return { code, message, since: new Date(since).toISOString() }
}

function topicsOf(ranges: readonly PartitionRange[]) {
  const topics = new Map<string, Map<number, { partition: number; start: number; end: number }>>()
  for (const { topic, partition, start, end } of ranges) {
    const partitions = topics.get(topic) ?? new Map()
    topics.set(topic, partitions.set(partition, { partition, start, end }))
  }
  return [...topics]
    .map(([name, partitions]) => ({ name, partitions: [...partitions.values()] }))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}
