import { getLogger } from '@logtape/logtape'
import { type Context, Hono, type MiddlewareHandler } from 'hono'
import { asKafkaConsumeError, KafkaConsumeError } from '../core/errors.ts'
import { LOG_ROOT, logRequest } from '../core/log.ts'
import { observeRequests } from '../core/request-observer.ts'
import { requestStatisticsOf } from '../core/request-statistics.ts'
import { consumeWithin } from '../http/kafka-consume.ts'
import { clientOf, isRestricted, type KafkaClient } from '../http/request/client.ts'
import { AnswerBudget } from '../http/response/answer-budget.ts'
import { StreamLimit } from '../http/route/stream-limit.ts'
import type { KongSnapshot } from '../kong/model/entities.ts'
import type { Environment, MayShow } from '../kong/model/references.ts'
import { kafkaMetrics } from '../observability/metrics.ts'
import { docsRoutes } from '../observability/openapi/docs.ts'
import type { OperationPath } from '../observability/openapi/openapi.ts'
import { statusHandler } from '../observability/status.ts'
import type { KafkaConsumeOptions } from '../options/option-types.ts'
import type { KnownClient } from './auth/clients.ts'
import { type GuardOptions, guard } from './auth/guard.ts'
import { kafkaConsole } from './console/console.ts'
import { healthRoutes, type NotReady } from './health.ts'
import { KongRoutes, type MakeRoute, type ServedRoute } from './kong-routes.ts'
import { type KafkaRoute, Supervisor } from './supervisor.ts'

const log = getLogger([LOG_ROOT, 'gateway'])

/** What a gateway serves by itself, beside the snapshots that it is given. */
export interface GatewayOptions {
  /** Topics for `/messages`, `/stream` and `/socket` on any host. Default: none of them is there. */
  readonly cluster?: {
    /** `host:port` pairs. */
    readonly brokers: readonly string[]
    readonly topics: readonly string[]
  } & Pick<KafkaConsumeOptions, 'authentication' | 'security'>
  /** The file of the authorities that Kong's plugins verify brokers by. Default: the system's. */
  readonly kafkaCa?: string | undefined
  /**
   * Kafka's `group.instance.id` of this node; Kong's routes add to it what tells members of a group
   * apart. Default: dynamic members.
   */
  readonly groupInstanceId?: string | undefined
  /** Where vault references lead. Default: nowhere. */
  readonly environment?: Environment
  /**
   * Which variables a vault reference may read in a field that `/status`, metrics, logs and errors
   * show, such as a topic's name. Default: none.
   */
  readonly mayShow?: MayShow
  /** Whether `/metrics` is there. Default: true. */
  readonly metrics?: boolean
  /** Who is served, and how much. Default: everyone. Health is everybody's. */
  readonly guard?: GuardOptions | undefined
  /** What all routes compress where a client asks for it; see `kafkaConsume`. Default: as it has it. */
  readonly compression?: KafkaConsumeOptions['compression']
  /** Finds the address that a request came from. Default: all come from one. */
  readonly addressOf?: (c: Context) => string
  /** Open streams of all routes together. Default: no limit but those of the routes. */
  readonly maxSubscribers?: number
  /** Bytes of answers that clients have not read yet, of all routes together. Default: as for streams. */
  readonly maxAnswerBytes?: number
  /** Where the console page is, or `off`; routes go before it. Default: `/`. */
  readonly console?: string
  /** What goes in front of everything, as what traces requests. Default: nothing. */
  readonly middleware?: readonly MiddlewareHandler[]
  /** Whether `/openapi.json` and `/docs` are there; routes go before them. Default: true. */
  readonly docs?: boolean
}

/** A gateway: an app to serve, and its life. */
export interface Gateway {
  readonly app: Hono
  /**
   * Serves the routes of a snapshot from now on, instead of those of the one before. Streams of
   * routes that stay as they are go on.
   *
   * @throws SchemaViolation, and nothing changes.
   */
  apply(snapshot: KongSnapshot): void
  /** Lets other clients in from now on, where the guard asks for any. */
  replaceClients(clients: readonly KnownClient[]): void
  /** Why requests cannot be served; empty when they can. */
  notReady(): readonly NotReady[]
  /**
   * Connects and joins groups; resolves when the first request will be quick. While Kafka can't be
   * reached it goes on trying, says so once in the log, and requests are answered with 503.
   *
   * @throws KafkaConsumeError INTERNAL or INVALID_OPTIONS, for which waiting does not help.
   */
  start(): Promise<void>
  /** Ends streams after their last whole event, commits what was delivered and leaves groups. */
  close(): Promise<void>
}

/**
 * The gateway. Its own are `/healthz` and `/readyz`, which tell an orchestrator how it is, and
 * `/metrics`; then come the routes of a snapshot; then, with a cluster, `/messages`, which hands
 * each record to one caller, and `/stream` and `/socket`, which show all of them to everyone.
 *
 * @param makeRoute Default: `kafkaConsume`.
 */
export function createGateway(
  {
    cluster,
    kafkaCa,
    groupInstanceId,
    environment = {},
    mayShow = () => false,
    metrics = true,
    guard: access,
    compression,
    addressOf = () => 'unknown',
    maxSubscribers = Infinity,
    maxAnswerBytes = Infinity,
    console: page = '/',
    docs = true,
    middleware = [],
  }: GatewayOptions,
  makeRoute?: MakeRoute,
): Gateway {
  const shared = {
    places: new StreamLimit(maxSubscribers),
    answers: new AnswerBudget(maxAnswerBytes),
  }
  const makeAny = makeRoute ?? ((options) => consumeWithin(shared, options))
  const make: MakeRoute = (options) => makeAny({ compression, ...options })
  const lives = new Supervisor()
  const proxy = new KongRoutes({
    make,
    lives,
    groupInstanceId,
    environment,
    mayShow,
    addressOf,
    ca: kafkaCa,
  })
  const own = cluster ? ownRoutes(cluster, groupInstanceId, make) : {}
  for (const route of Object.values(own)) lives.add(route, cluster?.brokers.join(', ') ?? '')

  const served = () => [...servedOf(own), ...proxy.served()]
  const figures = metrics ? kafkaMetrics(() => byName(served())) : undefined
  const pages = new Hono<{ Bindings: { kafkaClient: KafkaClient } }>({ strict: false })
  pages.use((c, next) => {
    c.set('kafkaClient', c.env.kafkaClient)
    return next()
  })
  const operations: OperationPath[] = ['/healthz', '/readyz']
  if (figures) operations.push('/metrics')
  if (page !== 'off') operations.push('/status')
  if (docs) pages.route('/', docsRoutes(served, operations))
  if (page !== 'off') {
    pages.get('/status', statusHandler(served))
    pages.route(page, kafkaConsole({ docs: docs ? '/docs' : undefined }))
  }

  const app = new Hono()
  app.use(observeRequests(figures ? [figures.observe, logRequest] : [logRequest]))
  for (const one of middleware) app.use(one)
  app.route(
    '/',
    healthRoutes(() => lives.notReady()),
  )
  const door = access && guard(access, addressOf)
  if (door) app.use(door.handle)
  const refusal = async (c: Context) => (await proxy.guard(c)) ?? refuseBound(c)
  if (figures) {
    app.get('/metrics', async (c, next) => (await refusal(c)) ?? figures.printMetrics(c, next))
  }
  app.all('*', async (c, next) => {
    const answer = proxy.handle(c)
    if (answer) return answer
    const route = Object.hasOwn(own, c.req.path) ? own[c.req.path] : undefined
    const exchange = requestStatisticsOf(c)
    if (!route) {
      const response = await pages.fetch(c.req.raw, { kafkaClient: clientOf(c) })
      if (response.status === 404) return response
      if (exchange) exchange.route = '(console)'
      return (await refusal(c)) ?? response
    }
    if (exchange) exchange.route = c.req.path
    return (await proxy.guard(c)) ?? route(c, next)
  })
  pages.notFound((c) => c.json({ message: 'no Route matched with those values' }, 404))
  app.onError((thrown, c) => {
    const { status, code, message, cause } = asKafkaConsumeError(thrown)
    log.error('Cannot answer {method} {path}: {cause}', {
      method: c.req.method,
      path: c.req.path,
      cause: cause ?? thrown,
    })
    return c.json({ message, code }, status)
  })
  return {
    app,
    apply: (snapshot) => proxy.apply(snapshot),
    replaceClients: (clients) => door?.replaceClients(clients),
    notReady: () => lives.notReady(),
    start: () => lives.start(),
    close: () => lives.close(),
  }
}

/** Who may see a part of the records only is not shown what there is in all. */
function refuseBound(c: Context): Response | undefined {
  if (!isRestricted(clientOf(c))) return undefined
  const message = 'Cannot show this: the client may see a part of the records only'
  const { status, code } = new KafkaConsumeError('FORBIDDEN', message)
  return c.json({ message, code }, status)
}

function servedOf(own: Record<string, KafkaRoute>): ServedRoute[] {
  return Object.entries(own).map(([path, handler]) => {
    return { name: path, paths: [path], hosts: [], handler }
  })
}

function byName(routes: readonly ServedRoute[]): Record<string, KafkaRoute> {
  return Object.fromEntries(routes.map(({ name, handler }) => [name, handler]))
}

function ownRoutes(
  { brokers, topics, ...connection }: NonNullable<GatewayOptions['cluster']>,
  groupInstanceId: string | undefined,
  make: MakeRoute,
): Record<string, ReturnType<MakeRoute>> {
  const cluster = { bootstrapServers: [...brokers], topics: [...topics], ...connection }
  const group = {
    // A new gateway shows what is in the topics; the default would show nothing until more comes.
    autoOffsetReset: 'earliest',
    consumerGroup: { mode: 'random', groupInstanceId },
  } as const
  return {
    '/messages': make({ ...cluster, ...group, mode: 'http-get' }),
    '/stream': make({ ...cluster, mode: 'server-sent-events' }),
    // The group of `/messages`, with the same settings: they are one member.
    '/socket': make({ ...cluster, ...group, mode: 'websocket' }),
  }
}
