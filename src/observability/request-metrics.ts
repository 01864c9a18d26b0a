/** Metrics of requests: counted by route, without the lookup of labels that a library's counters need. */
import { Histogram } from '../core/histogram.ts'
import type { FinishedRequest, RequestObserver } from '../core/request-statistics.ts'
import {
  histogramSamples,
  METRIC_PREFIX,
  type Sample,
  type ScrapedMetric,
  scrapedMetric,
} from './scraped-metric.ts'

/** Values of the label `route`. Overflow policy: further routes are counted together as `(other)`. */
const MAX_ROUTES = 2_000
const OTHER_ROUTES = '(other)'
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

const REQUEST_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60]
const STREAM_SECONDS = [0.1, 1, 10, 60, 300, 900, 3_600, 14_400, 86_400]

/** The requests of one route. */
class RouteRequests {
  readonly durations = new Histogram(REQUEST_SECONDS)
  readonly streams = new Histogram(STREAM_SECONDS)
  readonly #counts = new Map<string, { readonly labels: Sample['labels']; value: number }>()
  readonly #route: string

  constructor(route: string) {
    this.#route = route
  }

  /** Samples by method and status. */
  get counts(): Sample[] {
    return [...this.#counts.values()].map((sample) => ({ ...sample }))
  }

  add({ method: given, status, seconds, isStream }: FinishedRequest): void {
    const method = METHODS.has(given) ? given : 'other'
    const key = `${method} ${status}`
    const sample = this.#counts.get(key)
    if (sample) sample.value++
    else this.#counts.set(key, { labels: { route: this.#route, method, status }, value: 1 })
    const histogram = isStream ? this.streams : this.durations
    histogram.observe(seconds)
  }
}

/** Adds the metrics of requests. @returns Counts the requests. */
export function addRequestMetrics(metrics: ScrapedMetric[]): RequestObserver {
  const routes = new Map<string, RouteRequests>()
  const histogram = (metric: string, help: string, of: 'durations' | 'streams') => {
    const name = METRIC_PREFIX + metric
    return scrapedMetric({ name, help, type: 'histogram' }, () =>
      [...routes].flatMap(([route, requests]) =>
        histogramSamples(name, { route }, requests[of].state()),
      ),
    )
  }
  metrics.push(
    scrapedMetric(
      {
        name: `${METRIC_PREFIX}http_requests_total`,
        help: 'Answered requests; a stream counts when it has ended',
        type: 'counter',
      },
      () => [...routes.values()].flatMap(({ counts }) => counts),
    ),
    histogram(
      'http_request_duration_seconds',
      'Time until a request was answered, without streams',
      'durations',
    ),
    histogram(
      'stream_duration_seconds',
      'Time from the start of a stream to its end, observed at its end',
      'streams',
    ),
  )
  const requestsOf = (name: string): RouteRequests => {
    const known = routes.get(name)
    if (known) return known
    if (name !== OTHER_ROUTES && routes.size >= MAX_ROUTES) return requestsOf(OTHER_ROUTES)
    const requests = new RouteRequests(name)
    routes.set(name, requests)
    return requests
  }
  return (request) => requestsOf(request.route).add(request)
}
