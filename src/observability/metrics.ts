import type { Context, Handler, MiddlewareHandler } from 'hono'
import {
  AggregatorRegistry,
  Counter,
  collectDefaultMetrics,
  Gauge,
  Histogram,
  Registry,
} from 'prom-client'
import packageJson from '../../package.json' with { type: 'json' }
import {
  type FinishedRequest,
  observeRequests,
  type RequestObserver,
} from '../core/request-statistics.ts'
import { addRouteMetrics, METRIC_PREFIX } from './add-route-metrics.ts'
import type { MeasuredRoutes } from './route-metrics.ts'

/**
 * A `Registry` of the package prom-client, as far as it shows here: an app that has no metrics need
 * not read prom-client's types.
 */
export interface MetricsRegistry {
  /** The media type of the text format. */
  readonly contentType: string
  /** All metrics in the text format. */
  metrics(): Promise<string>
  /** Adds a metric. */
  registerMetric(metric: never): void
}

/** Options of `kafkaMetrics`. */
export interface MetricsOptions {
  /**
   * The `Registry` of prom-client to which the metrics are added. Without it they have a registry of
   * their own, in which metrics of the process are, too.
   */
  readonly registry?: MetricsRegistry | undefined
}

/** The result of `kafkaMetrics`: handlers to mount. */
export interface KafkaMetrics {
  /** Middleware that counts requests and measures them: mount it by `app.use`, in front of the routes. */
  readonly registerMetrics: MiddlewareHandler
  /** Handler that answers with all metrics in Prometheus's text format. */
  readonly printMetrics: Handler
  /** Counts one finished request, for an app that observes its requests without `registerMetrics`. */
  readonly observe: RequestObserver
}

/** Values of the label `route`. Overflow policy: further routes are counted together as `(other)`. */
const MAX_ROUTES = 2_000
const OTHER_ROUTES = '(other)'
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

const REQUEST_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60]
const STREAM_SECONDS = [0.1, 1, 10, 60, 300, 900, 3_600, 14_400, 86_400]

/**
 * Metrics of handlers of `kafkaConsume` and `kafkaProduce`, in Prometheus's text format. docs/operations.md
 * lists their names. They are collected when they are printed: nothing runs in between.
 *
 * @param routes Handlers by the name that they have as the label `route`, or a function that returns
 *   them, called each time that metrics are printed.
 * @returns Handlers to mount.
 *
 * @example
 * ```ts
 * import { Hono } from 'hono'
 * import { kafkaConsume, kafkaMetrics } from 'hono-kafka-consume'
 *
 * const orders = kafkaConsume({ bootstrapServers: 'localhost:9092', topics: ['orders'] })
 * const { registerMetrics, printMetrics } = kafkaMetrics({ '/orders': orders })
 * const app = new Hono().use(registerMetrics).get('/metrics', printMetrics).all('/orders', orders)
 *
 * await app.request('/orders?max_records=0')
 * const text = await (await app.request('/metrics')).text()
 * if (!text.includes('hono_kafka_http_requests_total{route="/orders",method="GET",status="400"} 1')) {
 *   throw new Error('the refused request is counted')
 * }
 * await orders.close()
 * ```
 */
export function kafkaMetrics(
  routes: MeasuredRoutes | (() => MeasuredRoutes),
  { registry }: MetricsOptions = {},
): KafkaMetrics {
  const register = (registry as Registry | undefined) ?? new Registry()
  if (!registry) addProcessMetrics(register)
  const observe = addMetrics(register, typeof routes === 'function' ? routes : () => routes)
  return {
    registerMetrics: observeRequests([observe]),
    printMetrics: async (c) => metricsAnswer(c, await register.metrics(), register.contentType),
    observe,
  }
}

/** The values of one metric, which other threads can be sent. */
export type MetricValues = Awaited<ReturnType<Registry['getMetricsAsJSON']>>[number]

/** The metrics of a gateway, or of one of the threads that serve it. */
interface GatewayMetrics extends Pick<KafkaMetrics, 'observe'> {
  /** All metrics in the text format. */
  print(): Promise<string>
  /** All metrics, for {@link combineMetrics}. */
  values(): Promise<readonly MetricValues[]>
}

export function gatewayMetrics(routes: () => MeasuredRoutes): GatewayMetrics {
  const register = new Registry()
  addProcessMetrics(register)
  return {
    observe: addMetrics(register, routes),
    print: () => register.metrics(),
    values: () => register.getMetricsAsJSON(),
  }
}

/** The metrics of several threads as those of one process, in the text format. */
export function combineMetrics(threads: ReadonlyArray<readonly MetricValues[]>): Promise<string> {
  // prom-client's declarations name its counters; its code takes what `values` gives.
  return AggregatorRegistry.aggregate(threads as never).metrics()
}

/** An answer of metrics in the text format. */
export function metricsAnswer(
  c: Context,
  text: string,
  contentType: string = Registry.PROMETHEUS_CONTENT_TYPE,
): Response {
  c.header('Cache-Control', 'no-store')
  return c.text(text, 200, { 'Content-Type': contentType })
}

/** @returns Counts the requests. */
function addMetrics(register: Registry, routes: () => MeasuredRoutes): RequestObserver {
  addBuildInfo(register)
  addRouteMetrics(register, routes)
  return addRequestMetrics(register)
}

/** Metrics of heap spaces, which only V8 has: other engines would show zeros. */
const ENGINE_SPECIFIC = ['total', 'used', 'available'].map(
  (state) => `nodejs_heap_space_size_${state}_bytes`,
)

/**
 * Gauges with the suffix of counters, which `promtool check metrics` refuses. Each is the sum of a
 * gauge without the suffix.
 */
const MISNAMED = ['handles', 'requests', 'resources'].map((what) => `nodejs_active_${what}_total`)

function addProcessMetrics(register: Registry): void {
  collectDefaultMetrics({ register })
  for (const name of [...ENGINE_SPECIFIC, ...MISNAMED]) register.removeSingleMetric(name)
  for (const metric of register.getMetricsAsArray()) {
    // All threads of a process see its processor time and its memory.
    if (metric.name.startsWith('process_')) combineBy(metric, 'first')
  }
}

/** Chooses how the values of several threads become one. */
function combineBy(metric: object, aggregator: 'first'): void {
  Object.assign(metric, { aggregator })
}

function addBuildInfo(register: Registry): void {
  new Gauge({
    name: `${METRIC_PREFIX}build_info`,
    help: 'Always 1; the version is a label',
    labelNames: ['version'],
    aggregator: 'first',
    registers: [register],
  }).set({ version: packageJson.version }, 1)
}

function addRequestMetrics(register: Registry): RequestObserver {
  const registers = [register]
  const requests = new Counter({
    name: `${METRIC_PREFIX}http_requests_total`,
    help: 'Answered requests; a stream counts when it has ended',
    labelNames: ['route', 'method', 'status'],
    registers,
  })
  const duration = new Histogram({
    name: `${METRIC_PREFIX}http_request_duration_seconds`,
    help: 'Time until a request was answered, without streams',
    labelNames: ['route'],
    buckets: REQUEST_SECONDS,
    registers,
  })
  const streams = new Histogram({
    name: `${METRIC_PREFIX}stream_duration_seconds`,
    help: 'Time from the start of a stream to its end, observed at its end',
    labelNames: ['route'],
    buckets: STREAM_SECONDS,
    registers,
  })
  const known = new Set<string>()
  return ({ method, status, seconds, isStream, ...request }: FinishedRequest) => {
    if (known.size < MAX_ROUTES) known.add(request.route)
    const route = known.has(request.route) ? request.route : OTHER_ROUTES
    requests.inc({ route, method: METHODS.has(method) ? method : 'other', status })
    if (isStream) streams.observe({ route }, seconds)
    else duration.observe({ route }, seconds)
  }
}
