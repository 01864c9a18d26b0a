/** Metrics of requests, made of their counts when they are asked for. */
import { RequestCounts, type RequestObserver } from '../core/request-statistics.ts'
import {
  histogramSamples,
  METRIC_PREFIX,
  type ScrapedMetric,
  scrapedMetric,
} from './scraped-metric.ts'

/** Adds the metrics of requests. @returns Counts the requests. */
export function addRequestMetrics(metrics: ScrapedMetric[]): RequestObserver {
  const counts = new RequestCounts()
  const histogram = (metric: string, help: string, of: 'durations' | 'streams') => {
    const name = METRIC_PREFIX + metric
    return scrapedMetric({ name, help, type: 'histogram' }, () =>
      [...counts.routes].flatMap(([route, requests]) =>
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
      () =>
        [...counts.routes].flatMap(([route, { answers }]) =>
          answers.map(({ method, status, count }) => {
            return { labels: { route, method, status }, value: count }
          }),
        ),
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
  return counts.observer
}
