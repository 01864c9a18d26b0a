import type { Context, Handler, MiddlewareHandler } from 'hono'
import type { Counter, Gauge, Registry } from 'prom-client'
import packageJson from '../../package.json' with { type: 'json' }
import { loadOnce } from '../core/on-use.ts'
import { observeRequests, type RequestObserver } from '../core/request-statistics.ts'
import { addRouteMetrics } from './add-route-metrics.ts'
import { assertHandlers } from './assert-handlers.ts'
import { addRequestMetrics } from './request-metrics.ts'
import type { MeasuredRoutes } from './route-metrics.ts'
import { METRIC_PREFIX, type ScrapedMetric, scrapedMetric } from './scraped-metric.ts'

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

/** The media type of Prometheus's text format. */
const TEXT_FORMAT = 'text/plain; version=0.0.4; charset=utf-8'

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

/**
 * Metrics of handlers of `kafkaConsume` and `kafkaProduce`, in Prometheus's text format. docs/operations.md
 * lists their names. They are collected when they are printed. Nothing runs before they are printed for the
 * first time; then prom-client samples the delay of the event loop 50 times a second, unless there is a
 * `registry`.
 *
 * @param routes Handlers by the name that they have as the label `route`, or a function that returns
 *   them, called each time that metrics are printed.
 * @returns Handlers to mount.
 * @throws KafkaConsumeError INVALID_OPTIONS where a handler is not one of this package's.
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
  if (typeof routes !== 'function') assertHandlers('kafkaMetrics', routes, 'stats')
  const { metrics, observe } = metricsOf(typeof routes === 'function' ? routes : () => routes)
  const shared = registry && addTo(registry, metrics)
  const own = processRegistry(metrics)
  return {
    registerMetrics: observeRequests([observe]),
    printMetrics: async (c) => {
      const found = shared ?? (await own())
      return metricsAnswer(c, await found.metrics(), found.contentType)
    },
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
  const { metrics, observe } = metricsOf(routes)
  const registry = processRegistry(metrics)
  return {
    observe,
    print: async () => (await registry()).metrics(),
    values: async () => (await registry()).getMetricsAsJSON(),
  }
}

/** The metrics of several threads as those of one process, in the text format. */
export async function combineMetrics(
  threads: ReadonlyArray<readonly MetricValues[]>,
): Promise<string> {
  return (await aggregate(threads)).metrics()
}

/** The sums of the counters and histograms of several threads, without metrics of the present. */
export async function sumOfCounters(
  threads: ReadonlyArray<readonly MetricValues[]>,
): Promise<readonly MetricValues[]> {
  return (await aggregate(threads.map((metrics) => metrics.filter(isSummed)))).getMetricsAsJSON()
}

function isSummed({ type, aggregator }: MetricValues): boolean {
  // prom-client names types by numbers in its declarations, and by words in its code.
  const isCounted = ['counter', 'histogram'].includes(String(type))
  return isCounted && aggregator === 'sum'
}

async function aggregate(threads: ReadonlyArray<readonly MetricValues[]>): Promise<Registry> {
  const { AggregatorRegistry } = await import('prom-client')
  // prom-client's declarations name its counters; its code takes what `values` gives.
  return AggregatorRegistry.aggregate(threads as never)
}

/** An answer of metrics in the text format. */
export function metricsAnswer(c: Context, text: string, contentType = TEXT_FORMAT): Response {
  c.header('Cache-Control', 'no-store')
  return c.text(text, 200, { 'Content-Type': contentType })
}

/** The metrics of routes and requests. They are values of our own, so that counting needs no library. */
function metricsOf(routes: () => MeasuredRoutes) {
  const metrics = [buildInfo()]
  addRouteMetrics(metrics, routes)
  return { metrics, observe: addRequestMetrics(metrics) }
}

function addTo<R extends MetricsRegistry>(registry: R, metrics: readonly ScrapedMetric[]): R {
  for (const metric of metrics) registry.registerMetric(metric as never)
  return registry
}

/**
 * A registry with the metrics of the process besides these. prom-client is loaded with the first scrape: it
 * wakes its thread for each sample of the event loop's delay, which nobody would read before.
 */
function processRegistry(metrics: readonly ScrapedMetric[]): () => Promise<Registry> {
  return loadOnce(() => collectProcess(metrics))
}

async function collectProcess(metrics: readonly ScrapedMetric[]): Promise<Registry> {
  const { collectDefaultMetrics, Registry } = await import('prom-client')
  const register = new Registry()
  const earlier = process.cpuUsage()
  collectDefaultMetrics({ register, eventLoopMonitoringPrecision: DELAY_SAMPLE_MS })
  // prom-client counts processor time from here on.
  addSeconds(register, 'process_cpu_user_seconds_total', earlier.user)
  addSeconds(register, 'process_cpu_system_seconds_total', earlier.system)
  addSeconds(register, 'process_cpu_seconds_total', earlier.user + earlier.system)
  for (const name of [...ENGINE_SPECIFIC, ...MISNAMED]) register.removeSingleMetric(name)
  for (const metric of register.getMetricsAsArray()) {
    // All threads of a process see its processor time and its memory.
    if (metric.name.startsWith('process_')) Object.assign(metric, { aggregator: 'first' })
  }
  showMissingSamples(register)
  return addTo(register, metrics)
}

/**
 * Shows the delays of the event loop as 0 where prom-client has no sample of them. It forgets its samples with
 * each scrape: a scrape that follows before the next sample would show a lowest delay of 292 years, and a mean
 * that is not a number.
 */
function showMissingSamples(register: Registry): void {
  for (const name of ['min', 'mean', 'max', 'stddev', 'p50', 'p90', 'p99']) {
    const delay = register.getSingleMetric(`nodejs_eventloop_lag_${name}_seconds`) as Gauge
    const set = delay.set.bind(delay)
    const setDelay = (labels: Record<string, string>, seconds: number) =>
      set(labels, seconds < NO_SAMPLE_SECONDS ? seconds : 0)
    Object.assign(delay, { set: setDelay })
  }
}

/** More than any delay. */
const NO_SAMPLE_SECONDS = 1e9

function addSeconds(register: Registry, name: string, microseconds: number): void {
  const counter = register.getSingleMetric(name) as Counter
  counter.inc(microseconds / 1e6)
}

/** Milliseconds between two samples of the event loop's delay, each of which wakes the thread. */
const DELAY_SAMPLE_MS = 20

/** Metrics of heap spaces, which only V8 has: other engines would show zeros. */
const ENGINE_SPECIFIC = ['total', 'used', 'available'].map(
  (state) => `nodejs_heap_space_size_${state}_bytes`,
)

/**
 * Gauges with the suffix of counters, which `promtool check metrics` refuses. Each is the sum of a
 * gauge without the suffix.
 */
const MISNAMED = ['handles', 'requests', 'resources'].map((what) => `nodejs_active_${what}_total`)

function buildInfo(): ScrapedMetric {
  const name = `${METRIC_PREFIX}build_info`
  const help = 'Always 1; the version is a label'
  const samples = [{ labels: { version: packageJson.version }, value: 1 }]
  return scrapedMetric({ name, help, type: 'gauge' }, () => samples, 'first')
}
