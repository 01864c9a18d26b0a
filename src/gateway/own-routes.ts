import type { Context, Next } from 'hono'
import { requestStatisticsOf } from '../core/request-statistics.ts'
import type { KafkaConsumeOptions } from '../options/option-types.ts'
import type { MakeRoute, ServedRoute } from './routing-table.ts'
import type { KafkaRoute } from './supervisor.ts'

/** The cluster of the gateway's own routes. */
export type OwnCluster = {
  /** `host:port` pairs. */
  readonly brokers: readonly string[]
  readonly topics: readonly string[]
} & Pick<KafkaConsumeOptions, 'authentication' | 'security'>

/** The routes `/messages`, `/stream` and `/socket` of a gateway that has a cluster of its own. */
export class OwnRoutes {
  readonly #handlers: ReadonlyMap<string, KafkaRoute>

  constructor(
    cluster: OwnCluster | undefined,
    groupInstanceId: string | undefined,
    make: MakeRoute,
  ) {
    this.#handlers = cluster ? makeHandlers(cluster, groupInstanceId, make) : new Map()
  }

  served(): ServedRoute[] {
    return [...this.#handlers].map(([path, handler]) => {
      return { name: path, paths: [path], hosts: [], handler }
    })
  }

  /**
   * Answers a request; undefined where it is for another path.
   *
   * @param guard Answers in the route's place where the client may not read.
   */
  handle(
    c: Context,
    next: Next,
    guard: (c: Context) => Promise<Response | undefined> | undefined,
  ): Promise<Response> | undefined {
    const { path } = c.req
    const route = this.#handlers.get(path)
    if (!route) return undefined
    const statistics = requestStatisticsOf(c)
    if (statistics) statistics.route = path
    return answer(c, next, route, guard(c))
  }
}

async function answer(
  c: Context,
  next: Next,
  route: KafkaRoute,
  refusal: Promise<Response | undefined> | undefined,
): Promise<Response> {
  return (await refusal) ?? ((await route(c, next)) as Response)
}

function makeHandlers(
  { brokers, topics, ...connection }: OwnCluster,
  groupInstanceId: string | undefined,
  make: MakeRoute,
): Map<string, KafkaRoute> {
  const cluster = { bootstrapServers: [...brokers], topics: [...topics], ...connection }
  const group = {
    // A new gateway shows the records that the topics hold; the default would show new ones only.
    autoOffsetReset: 'earliest',
    consumerGroup: { mode: 'random', groupInstanceId },
  } as const
  return new Map([
    ['/messages', make({ ...cluster, ...group, mode: 'http-get' })],
    ['/stream', make({ ...cluster, mode: 'server-sent-events' })],
    // Its settings are those of `/messages`, so that both share one member of the group.
    ['/socket', make({ ...cluster, ...group, mode: 'websocket' })],
  ])
}
