import { type Context, Hono, type MiddlewareHandler, type Next } from 'hono'
import { type MakeLimiter, makeLocalLimiter } from '../core/fixed-window-limiter.ts'
import type { MakeGauge } from '../core/gauge.ts'
import { makeLocalLoginCounter } from '../core/local-login-counter.ts'
import type { MakeLoginCounter } from '../core/login-counter.ts'
import { logRequest, observeRequests, requestStatisticsOf } from '../core/request-statistics.ts'
import type { ShareNames } from '../core/shared-names.ts'
import { doAtOnce, type SlicedWork } from '../core/sliced-work.ts'
import { consumeWithin } from '../http/kafka-consume.ts'
import type { RequestLog } from '../http/log/request-log.ts'
import { AnswerBudget } from '../http/response/answer-budget.ts'
import type { SharedLimits } from '../http/route/route.ts'
import { StreamLimit } from '../http/route/stream-limit.ts'
import type { KongSnapshot } from '../kong/model/entities.ts'
import type { Environment, MayShow } from '../kong/model/references.ts'
import { gatewayMetrics, type MetricValues, metricsAnswer } from '../observability/metrics.ts'
import type { MeasuredRoutes } from '../observability/route-metrics.ts'
import { type Status, statusOf } from '../observability/status.ts'
import type { KafkaConsumeOptions } from '../options/option-types.ts'
import { answerError } from './answer-error.ts'
import type { KnownClient } from './auth/clients.ts'
import type { GuardOptions, SharedCounts } from './auth/guard.ts'
import { type SessionOptions, Sessions } from './auth/sessions.ts'
import { healthRoutes, type NotReady } from './health.ts'
import { STANDARD_HTTPS_PORT } from './https.ts'
import { KongRoutes } from './kong-routes.ts'
import { type GuardedLogin, guardedLogin } from './login/login.ts'
import { PagePaths, Pages } from './pages.ts'
import { produceRoute } from './produce-route.ts'
import { refuseRestricted } from './restricted.ts'
import type { AnsweringHandler, MakeRoute, ServedRoute } from './routing-table.ts'
import { Supervisor } from './supervisor.ts'

/** The address of every client where the gateway is not told how to find it. */
const NO_ADDRESS = () => 'unknown'

/** The path of the gateway's own route to write. */
const PRODUCE_PATH = '/produce'

/** The gateway's own routes by their paths: those that are not of Kong's configuration. */
type OwnRoutes = ReadonlyMap<string, ServedRoute>

/** The cluster of the gateway's own routes. */
type OwnCluster = {
  /** `host:port` pairs. */
  readonly brokers: readonly string[]
  readonly topics: readonly string[]
} & Pick<KafkaConsumeOptions, 'authentication' | 'security'>

/** The other threads of the process that serve what this one does. */
export interface OtherThreads extends SharedCounts {
  readonly makeLimiter: MakeLimiter
  readonly makeLoginCounter: MakeLoginCounter
  readonly makeGauge: MakeGauge
  readonly shareNames: ShareNames
  /** The metrics of all threads, in Prometheus's text format. */
  metrics(): Promise<string>
  /** The status of all threads. */
  status(): Promise<Status>
}

/** Settings of a gateway. */
export interface GatewayOptions {
  /** Topics for `/messages`, `/stream` and `/socket` on any host. Default: no such routes. */
  readonly cluster?: OwnCluster
  /** The file of the authorities by which Kong's plugins verify brokers. Default: the system's. */
  readonly kafkaCa?: string | undefined
  /**
   * Kafka's `group.instance.id` of this node; Kong's routes add a suffix that tells members of a
   * group apart. Default: dynamic members.
   */
  readonly groupInstanceId?: string | undefined
  /** Kafka's `group.protocol` of all routes. Default: `classic`. */
  readonly groupProtocol?: 'classic' | 'consumer' | undefined
  /** The port of HTTPS, to which routes for HTTPS alone may redirect. Default: that of URLs without a port. */
  readonly httpsPort?: () => number
  /** The variables that vault references read. Default: none. */
  readonly environment?: Environment
  /**
   * Which variables a vault reference may read into a field that `/status`, metrics, logs and errors
   * show, such as a topic's name. Default: none.
   */
  readonly mayShow?: MayShow
  /** Whether `/metrics` is there. Default: true. */
  readonly metrics?: boolean
  /** Which clients are served, and how much. Health checks are served to everyone. Default: all clients. */
  readonly guard?: GuardOptions | undefined
  /** The sessions of browsers that log in. Default: browsers cannot log in. */
  readonly sessions?: SessionOptions | undefined
  /** The compression of all routes for clients that accept it. Default: that of `kafkaConsume`. */
  readonly compression?: KafkaConsumeOptions['compression']
  /**
   * Which caches may keep full pages of all routes. Default: `public` for the gateway's own routes, and
   * `private` for Kong's, whose plugins may guard them without a name of the client.
   */
  readonly pageCaching?: KafkaConsumeOptions['pageCaching']
  /** Milliseconds for which caches may keep a page of any route. Default: that of `kafkaConsume`. */
  readonly pageMaxAge?: KafkaConsumeOptions['pageMaxAge']
  /** Named filters of all routes: `?filter=@name`. Default: none. */
  readonly filters?: KafkaConsumeOptions['filters']
  /** Finds the address of a request's client. Default: all clients have one address. */
  readonly addressOf?: (c: Context) => string
  /** Open streams of all routes together, at most. Default: only the routes' own limits. */
  readonly maxSubscribers?: number
  /** Handlers that connect to Kafka before their first request. Default: 256. */
  readonly maxEagerStarts?: number
  /** Bytes of answers that clients have not read yet, of all routes together, at most. Default: only the routes' own limits. */
  readonly maxAnswerBytes?: number
  /** Whether `/produce` writes records to the topics of `cluster`. Default: false. */
  readonly produce?: boolean
  /** The path of the console page, or `off`. A route of that path takes precedence. Default: `/`. */
  readonly console?: string
  /** Middleware in front of everything else, such as tracing. Default: none. */
  readonly middleware?: readonly MiddlewareHandler[]
  /** Whether `/openapi.json` and `/docs` are there. Routes of these paths take precedence. Default: true. */
  readonly docs?: boolean
  /** Default: this thread serves alone. */
  readonly threads?: OtherThreads | undefined
}

/** The part of the metrics and of the status that one thread has. */
export interface ThreadReport {
  /** Undefined where metrics are off. */
  readonly metrics: readonly MetricValues[] | undefined
  readonly status: Status
}

/** A gateway: an app to serve, and its start and end. */
export interface Gateway {
  readonly app: Hono
  /**
   * Serves the routes of a snapshot from now on, instead of those of the previous snapshot. Streams
   * of unchanged routes continue.
   *
   * @throws SchemaViolation, and nothing changes.
   */
  apply(snapshot: KongSnapshot): void
  /** The work of {@link apply}, which may rest: other requests are served in between. */
  applyInTurns(snapshot: KongSnapshot): SlicedWork<void>
  /** Serves these clients from now on instead of the previous ones, where the guard requires credentials. */
  replaceClients(clients: readonly KnownClient[]): void
  /** Why requests cannot be served; empty when they can. */
  notReady(): readonly NotReady[]
  /** The metrics and the status of this thread alone. */
  report(): Promise<ThreadReport>
  /**
   * Connects and joins groups; resolves when the first request will be quick. While Kafka cannot be
   * reached it tries again, logs that once, and requests are answered with 503.
   *
   * @throws KafkaConsumeError INTERNAL or INVALID_OPTIONS, for which waiting does not help.
   */
  start(): Promise<void>
  /** Ends streams after their last whole event, commits the delivered records and leaves groups. */
  close(): Promise<void>
}

/**
 * The gateway as an app. A request meets, in this order: the request log and metrics, `middleware`,
 * the health checks, the login, the guard, `/metrics`, the routes of Kong's snapshot, the gateway's own routes
 * (`/messages` gives each record to one client, `/stream` and `/socket` send all records to each
 * client, `/produce` writes), and the pages.
 *
 * @param makeRoute Default: `kafkaConsume`.
 */
export function createGateway(options: GatewayOptions, makeRoute?: MakeRoute): Gateway {
  const { cluster, threads, sessions, addressOf = NO_ADDRESS, docs = true } = options
  const consolePath = options.console ?? '/'
  const make = routeMaker(options, makeRoute)
  const supervisor = new Supervisor(options.maxEagerStarts)
  const own = ownRoutes(options, make)
  for (const { handler } of own.values()) supervisor.add(handler, cluster?.brokers.join(', ') ?? '')
  const pagePaths = new PagePaths(consolePath, docs)
  const kong = kongRoutes(options, make, supervisor, pagePaths)
  const login = guardedLogin({
    guard: options.guard,
    sessions,
    consumers: kong.logins,
    isRoute: (c, method, path) => kong.matches(c, { method, path }),
    addressOf,
    isPage: (c) => kong.isPage(c),
    counts: threads,
  })
  const served = () => [...own.values(), ...kong.served()]
  const measured = () => ({ ...byName(served()), ...logsByName(kong.logs()) })
  const reports = reportsOf(options, served, measured)
  const pages = new Pages({
    paths: pagePaths,
    status: reports.status,
    served,
    console: consolePath,
    docs,
    metrics: reports.metrics !== undefined,
    account: async (c) => c.get('gatewaySession') ?? (await kong.logins.account(c)),
    isLoginOffered: (c) => login.isOffered(c),
  })

  return {
    app: appOf({ options, reports, supervisor, login, kong, own, pages, consolePath }),
    apply: (snapshot) => doAtOnce(kong.apply(snapshot)),
    applyInTurns: (snapshot) => kong.apply(snapshot),
    replaceClients: (clients) => login.replaceClients?.(clients),
    notReady: () => supervisor.notReady(),
    report: reports.report,
    start: () => supervisor.start(),
    // Logs last: streams that end now are logged, too.
    close: () => supervisor.close().finally(() => kong.close()),
  }
}

/** The routes of Kong's snapshot, which is empty at first. */
function kongRoutes(
  options: GatewayOptions,
  make: MakeRoute,
  supervisor: Supervisor,
  pagePaths: PagePaths,
): KongRoutes {
  const { cluster, groupInstanceId, groupProtocol, threads, sessions } = options
  return new KongRoutes({
    make,
    supervisor,
    groupInstanceId,
    groupProtocol,
    environment: options.environment ?? {},
    mayShow: options.mayShow ?? (() => false),
    addressOf: options.addressOf ?? NO_ADDRESS,
    ca: options.kafkaCa,
    brokers: cluster?.brokers,
    httpsPort: options.httpsPort ?? (() => STANDARD_HTTPS_PORT),
    makeLimiter: threads?.makeLimiter ?? makeLocalLimiter,
    makeLoginCounter: threads?.makeLoginCounter ?? makeLocalLoginCounter,
    sessions: sessions && new Sessions('kafka-consumer-session', sessions),
    pagePaths,
  })
}

/** The parts of a gateway between which its app divides requests. */
interface AppParts {
  readonly options: GatewayOptions
  readonly reports: ReturnType<typeof reportsOf>
  readonly supervisor: Supervisor
  readonly login: GuardedLogin
  readonly kong: KongRoutes
  readonly own: OwnRoutes
  readonly pages: Pages
  readonly consolePath: string
}

/** The app: {@link createGateway} says in which order a request meets the parts. */
function appOf({ options, reports, supervisor, login, kong, own, pages, consolePath }: AppParts) {
  const { observers, metrics, status } = reports
  /** The answer of Kong's global plugins, which for a browser may be the page to log in. */
  const guardByKong = (c: Context) =>
    kong.guard(c)?.then(async (refusal) => refusal && ((await login.offer(c, refusal)) ?? refusal))
  const restricted = { status, console: consolePath }
  const pageGuard = async (c: Context) =>
    (await guardByKong(c)) ?? (await refuseRestricted(c, restricted))

  const app = new Hono()
  app.use(observeRequests(observers))
  for (const each of options.middleware ?? []) app.use(each)
  app.route(
    '/',
    healthRoutes(() => supervisor.notReady()),
  )
  app.route('/', login.routes)
  if (login.handle) app.use(login.handle)
  if (metrics) {
    app.get('/metrics', async (c) => (await pageGuard(c)) ?? metricsAnswer(c, await metrics()))
  }
  app.all(
    '*',
    (c, next) =>
      (kong.isEmpty ? undefined : kong.handle(c)) ??
      answerOwn(c, next, own, kong, guardByKong) ??
      pages.handle(c, guardByKong),
  )
  app.onError(answerError)
  return app
}

/** A gateway's reports: those of all threads for clients, and that of this one for the others. */
function reportsOf(
  { metrics: isMeasured, threads }: GatewayOptions,
  served: () => readonly ServedRoute[],
  measured: () => MeasuredRoutes,
) {
  const own = isMeasured === false ? undefined : gatewayMetrics(measured)
  const ownStatus = statusOf(served)
  return {
    observers: own ? [own.observe, logRequest] : [logRequest],
    metrics: own && (threads ? () => threads.metrics() : own.print),
    status: threads ? () => threads.status() : ownStatus,
    report: async (): Promise<ThreadReport> => {
      return { metrics: await own?.values(), status: await ownStatus() }
    },
  }
}

/** Makes handlers that share the gateway's limits of streams and of unread answers. */
function routeMaker(options: GatewayOptions, makeRoute: MakeRoute | undefined): MakeRoute {
  const { compression, pageCaching, pageMaxAge, filters, threads } = options
  const common = { compression, pageCaching, pageMaxAge, filters }
  const { maxSubscribers = Infinity, maxAnswerBytes = Infinity } = options
  const shared: SharedLimits = {
    streams: new StreamLimit(maxSubscribers, threads?.makeGauge('streams')),
    answers: new AnswerBudget(maxAnswerBytes, threads?.makeGauge('answers')),
  }
  const make: MakeRoute =
    makeRoute ??
    ((given, route) => {
      if (!threads) return consumeWithin(shared, given)
      const gauge: MakeGauge = (name) => threads.makeGauge(`${name} of ${route}`)
      const groups: ShareNames = (name, limit, users) =>
        threads.shareNames(`${name} of ${route}`, limit, users)
      return consumeWithin({ ...shared, gauge, groups }, given)
    })
  return (given, name) => make({ ...common, ...given }, name)
}

/** Makes the gateway's own routes; none without a cluster. */
function ownRoutes(options: GatewayOptions, make: MakeRoute): OwnRoutes {
  if (!options.cluster) return new Map()
  const { brokers, topics, ...connection } = options.cluster
  const { groupInstanceId, groupProtocol, guard: { corsOrigins = [] } = {} } = options
  const { pageCaching = 'public' } = options
  const cluster = { bootstrapServers: [...brokers], topics: [...topics], ...connection }
  const group = {
    // A new gateway shows the records that the topics hold; the default would show new ones only.
    autoOffsetReset: 'earliest',
    consumerGroup: { mode: 'random', groupInstanceId, groupProtocol },
  } as const
  const reading: ReadonlyArray<readonly [path: string, options: KafkaConsumeOptions]> = [
    ['/messages', { ...cluster, ...group, pageCaching, mode: 'http-get' }],
    ['/stream', { ...cluster, mode: 'server-sent-events' }],
    // Its settings are those of `/messages`, so that both share one member of the group.
    ['/socket', { ...cluster, ...group, mode: 'websocket' }],
  ]
  const routes = reading.map(([path, options]) => ownRoute(path, make(options, path), true))
  if (options.produce) {
    routes.push(ownRoute(PRODUCE_PATH, produceRoute(cluster, corsOrigins), false))
  }
  return new Map(routes.map((route) => [route.name, route]))
}

function ownRoute(path: string, handler: AnsweringHandler, hasOffsets: boolean): ServedRoute {
  return { name: path, paths: [path], hosts: [], hasOffsets, handler }
}

/** The part of a path by which a route reports offsets. */
const OFFSETS_SUFFIX = /\/offsets$/

function ownRouteAt(path: string, routes: OwnRoutes): ServedRoute | undefined {
  const base = path.replace(OFFSETS_SUFFIX, '')
  const route = routes.get(base)
  return base === path || route?.hasOffsets ? route : undefined
}

/**
 * Answers a request by one of the gateway's own routes; undefined where it is for another path.
 *
 * @param kong Its global plugins log the requests of these routes.
 * @param guard The global plugins that guard these routes.
 */
function answerOwn(
  c: Context,
  next: Next,
  routes: OwnRoutes,
  kong: KongRoutes,
  guard: (c: Context) => Promise<Response | undefined> | undefined,
): Promise<Response> | undefined {
  const route = ownRouteAt(c.req.path, routes)
  if (!route) return undefined
  const statistics = requestStatisticsOf(c)
  if (statistics) statistics.route = route.name
  const answer = () => route.handler(c, next) as Promise<Response>
  if (kong.isEmpty) return answer()
  kong.hideSession(c)
  const refusal = guard(c)
  return kong.logOwn(c, refusal ? refusal.then((refused) => refused ?? answer()) : answer())
}

/** Logs by a name for metrics. */
function logsByName(logs: ReadonlyMap<string, RequestLog>): Record<string, RequestLog> {
  return Object.fromEntries([...logs].map(([id, log]) => [`kafka-log ${id}`, log]))
}

function byName(routes: readonly ServedRoute[]): Record<string, AnsweringHandler> {
  return Object.fromEntries(routes.map(({ name, handler }) => [name, handler]))
}
