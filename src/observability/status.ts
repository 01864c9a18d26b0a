/** `GET /status`: the routes of a gateway and the state of Kafka, as JSON for programs and the console page. */
import type { Handler } from 'hono'
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

/**
 * Answers with the routes, their topics, the clusters and the groups, as docs/operations.md lists
 * them. Kafka is asked for offsets at most once a second for each set of topics, whatever the
 * number of requests.
 *
 * @param routes Returns the routes; called at each request.
 */
export function statusHandler(routes: () => readonly StatusRoute[]): Handler {
  const offsets = new PartitionOffsets(OFFSETS_MAX_AGE_MS)
  return async (c) => {
    c.header('Cache-Control', 'no-store')
    const every = routes()
    const all = every.flatMap(({ handler }) =>
      'partitions' in handler ? [{ handler, stats: handler.stats() }] : [],
    )
    const found = await offsets.of(all)
    return c.json({
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
    })
  }
}

/**
 * `GET /status` for an app of your own: its routes, their topics, the clusters with offsets and
 * brokers, and the groups with their lag, as JSON. The page of `kafkaConsole` reads it. Kafka is asked
 * for offsets at most once a second for each set of topics, whatever the number of requests.
 *
 * @param handlers Handlers of `kafkaConsume` by the paths at which they are mounted.
 * @returns A handler to mount by `app.get`.
 *
 * @example
 * ```ts
 * import { Hono } from 'hono'
 * import { kafkaConsume, kafkaStatus } from 'hono-kafka-consume'
 *
 * const orders = kafkaConsume({ bootstrapServers: 'localhost:9092', topics: ['orders'] })
 * const app = new Hono().all('/orders', orders).get('/status', kafkaStatus({ '/orders': orders }))
 *
 * const { routes } = await (await app.request('/status')).json()
 * if (routes[0].topics[0] !== 'orders') throw new Error('the route is listed with its topics')
 * await orders.close()
 * ```
 */
export function kafkaStatus(handlers: Readonly<Record<string, Observed>>): Handler {
  return statusHandler(() =>
    Object.entries(handlers).map(([path, handler]) => {
      return { name: path, paths: [path], hosts: [], handler }
    }),
  )
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
