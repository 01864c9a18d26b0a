/** Registers the metrics of routes in a registry of prom-client. */
import type { Metric, Registry } from 'prom-client'
import type { HistogramState } from '../core/histogram.ts'
import { PartitionOffsets } from './partition-offsets.ts'
import {
  type Labels,
  type MeasuredRoutes,
  type MetricsState,
  ROUTE_METRICS,
  type Sample,
  stateOf,
} from './route-metrics.ts'

export const METRIC_PREFIX = 'hono_kafka_'
/** Milliseconds for which offsets from Kafka are reused. */
const OFFSETS_MAX_AGE_MS = 5_000

/** A metric as a registry uses it: `get` is called at each scrape. */
interface ScrapedMetric {
  readonly name: string
  readonly help: string
  readonly type: string
  readonly aggregator: string
  get(): Promise<object>
}

/**
 * Adds the metrics of routes. They read the routes' statistics at each scrape, where prom-client's own
 * counters would hold values of their own.
 */
export function addRouteMetrics(register: Registry, routes: () => MeasuredRoutes): void {
  const offsets = new PartitionOffsets(OFFSETS_MAX_AGE_MS)
  let state: Promise<MetricsState> | undefined
  // All metrics of one scrape share one state, so that their values are of one moment.
  const now = () => {
    state ??= stateOf(routes(), offsets).finally(() => {
      state = undefined
    })
    return state
  }
  for (const { name, help, type, samples, ofThreads = 'sum' } of ROUTE_METRICS) {
    add(
      register,
      { name: METRIC_PREFIX + name, help, type },
      async () => merged(samples(await now())),
      ofThreads,
    )
  }
  const histogram = (
    name: string,
    help: string,
    states: (state: MetricsState) => ReadonlyArray<readonly [route: string, HistogramState]>,
  ) =>
    add(register, { name, help, type: 'histogram' }, async () =>
      states(await now()).flatMap(([route, state]) => {
        const isEmpty = state.counts.every((count) => count === 0)
        return isEmpty ? [] : buckets(name, { route }, state)
      }),
    )
  histogram(
    `${METRIC_PREFIX}event_latency_seconds`,
    "Time from a record's timestamp to its write to a stream, observed once for each write",
    ({ routes }) => routes.map(([route, { latency }]) => [route, latency]),
  )
  histogram(
    `${METRIC_PREFIX}write_confirmation_seconds`,
    'Time until Kafka had answered for all records of a request to write',
    ({ writing }) => writing.map(([route, { confirmation }]) => [route, confirmation]),
  )
}

function add(
  register: Registry,
  description: { readonly name: string; readonly help: string; readonly type: string },
  values: () => Promise<readonly Sample[]>,
  aggregator: 'sum' | 'max' = 'sum',
): void {
  const metric: ScrapedMetric = {
    ...description,
    aggregator,
    get: async () => ({ ...description, aggregator, values: await values() }),
  }
  register.registerMetric(metric as unknown as Metric)
}

/** Sums samples with equal labels: two ring buffers of the same topics are both in memory. */
function merged(samples: Iterable<Sample>): Sample[] {
  const found = new Map<string, Sample>()
  for (const { labels, value } of samples) {
    const key = JSON.stringify(labels)
    found.set(key, { labels, value: value + (found.get(key)?.value ?? 0) })
  }
  return [...found.values()]
}

function buckets(name: string, labels: Labels, { bounds, counts, sum }: HistogramState) {
  let below = 0
  const cumulative = [...bounds, '+Inf' as const].map((le, index) => {
    below += counts[index] as number
    return { labels: { ...labels, le }, value: below, metricName: `${name}_bucket` }
  })
  return [
    ...cumulative,
    { labels, value: sum, metricName: `${name}_sum` },
    { labels, value: below, metricName: `${name}_count` },
  ]
}
