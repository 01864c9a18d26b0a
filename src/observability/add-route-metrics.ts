/** The figures of routes in a registry of Prometheus's client. */
import type { Metric, Registry } from 'prom-client'
import type { HistogramState } from '../core/histogram.ts'
import { Offsets } from './partition-offsets.ts'
import {
  FIGURES,
  type Labels,
  type MeasuredRoutes,
  type MetricsState,
  type Sample,
  stateOf,
} from './route-metrics.ts'

export const METRIC_PREFIX = 'hono_kafka_'
/** Milliseconds for which offsets are good that Kafka was asked for. */
const FRESH_MS = 5_000

/** A metric as a registry takes it: it asks for this when it is printed. */
interface Printable {
  readonly name: string
  readonly help: string
  readonly type: string
  readonly aggregator: string
  get(): Promise<object>
}

/**
 * Adds what routes count by themselves. The library's own counters hold their values; these only
 * show values that are held elsewhere.
 */
export function addRouteFigures(register: Registry, routes: () => MeasuredRoutes): void {
  const offsets = new Offsets(FRESH_MS)
  let state: Promise<MetricsState> | undefined
  // All figures of one answer are of one moment: they are asked for all at once.
  const now = () => {
    state ??= stateOf(routes(), offsets).finally(() => {
      state = undefined
    })
    return state
  }
  for (const { name, help, type, samples } of FIGURES) {
    add(register, { name: METRIC_PREFIX + name, help, type }, async () =>
      merged(samples(await now())),
    )
  }
  const histogram = (
    name: string,
    help: string,
    states: (state: MetricsState) => ReadonlyArray<readonly [route: string, HistogramState]>,
  ) =>
    add(register, { name, help, type: 'histogram' }, async () =>
      states(await now()).flatMap(([route, state]) => {
        const isNone = state.counts.every((count) => count === 0)
        return isNone ? [] : buckets(name, { route }, state)
      }),
    )
  histogram(
    `${METRIC_PREFIX}event_latency_seconds`,
    "Time from a record's timestamp to its write to a stream, once for each write",
    ({ routes }) => routes.map(([route, { latency }]) => [route, latency]),
  )
  histogram(
    `${METRIC_PREFIX}write_confirmation_seconds`,
    'Time in which Kafka answered for all records of a request',
    ({ writing }) => writing.map(([route, { confirmation }]) => [route, confirmation]),
  )
}

function add(
  register: Registry,
  description: { readonly name: string; readonly help: string; readonly type: string },
  values: () => Promise<readonly Sample[]>,
): void {
  const metric: Printable = {
    ...description,
    aggregator: 'sum',
    get: async () => ({ ...description, aggregator: 'sum', values: await values() }),
  }
  register.registerMetric(metric as unknown as Metric)
}

/** What has the same labels becomes one sample: two rings of the same topics are both in memory. */
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
