/** The metrics of routes, as a registry scrapes them. */
import type { HistogramState } from '../core/histogram.ts'
import { PartitionOffsets } from './partition-offsets.ts'
import { type MeasuredRoutes, type MetricsState, ROUTE_METRICS, stateOf } from './route-metrics.ts'
import {
  histogramSamples,
  METRIC_PREFIX,
  type Sample,
  type ScrapedMetric,
  scrapedMetric,
} from './scraped-metric.ts'

/** Milliseconds for which offsets from Kafka are reused. */
const OFFSETS_MAX_AGE_MS = 5_000

/**
 * Adds the metrics of routes. They read the routes' statistics at each scrape, where prom-client's own
 * counters would hold values of their own.
 */
export function addRouteMetrics(metrics: ScrapedMetric[], routes: () => MeasuredRoutes): void {
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
    metrics.push(
      scrapedMetric(
        { name: METRIC_PREFIX + name, help, type },
        async () => merged(samples(await now())),
        ofThreads,
      ),
    )
  }
  const histogram = (
    name: string,
    help: string,
    states: (state: MetricsState) => ReadonlyArray<readonly [route: string, HistogramState]>,
  ) =>
    metrics.push(
      scrapedMetric({ name, help, type: 'histogram' }, async () =>
        states(await now()).flatMap(([route, state]) => histogramSamples(name, { route }, state)),
      ),
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

/** Sums samples with equal labels: two ring buffers of the same topics are both in memory. */
function merged(samples: Iterable<Sample>): Sample[] {
  const found = new Map<string, Sample>()
  for (const { labels, value } of samples) {
    const key = JSON.stringify(labels)
    found.set(key, { labels, value: value + (found.get(key)?.value ?? 0) })
  }
  return [...found.values()]
}
