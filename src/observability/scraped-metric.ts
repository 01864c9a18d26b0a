/** Metrics in the form in which a registry of prom-client asks for them, made without prom-client. */
import type { HistogramState } from '../core/histogram.ts'

/** All names of metrics begin with it. */
export const METRIC_PREFIX = 'hono_kafka_'

export type Labels = Readonly<Record<string, string | number>>

export interface Sample {
  readonly labels: Labels
  readonly value: number
}

/** A metric as a registry uses it: `get` is called at each scrape. */
export interface ScrapedMetric extends MetricDescription {
  readonly aggregator: ThreadAggregator
  get(): Promise<object>
}

/** How the values of several threads become one. */
type ThreadAggregator = 'sum' | 'max' | 'first'

interface MetricDescription {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge' | 'histogram'
}

/**
 * A metric whose values are computed at each scrape.
 *
 * @param aggregator How the values of several threads become one. Default: `sum`.
 */
export function scrapedMetric(
  description: MetricDescription,
  values: () => readonly Sample[] | Promise<readonly Sample[]>,
  aggregator: ThreadAggregator = 'sum',
): ScrapedMetric {
  const { help, type } = description
  return {
    ...description,
    aggregator,
    // A registry of OpenMetrics has changed the name of a counter.
    async get() {
      return { name: this.name, help, type, aggregator, values: await values() }
    },
  }
}

/** The samples of a histogram, whose buckets are cumulative in the text format. */
export function histogramSamples(
  name: string,
  labels: Labels,
  { bounds, counts, sum }: HistogramState,
): Sample[] {
  let below = 0
  const cumulative = [...bounds, '+Inf' as const].map((le, index) => {
    below += counts[index] as number
    return { labels: { ...labels, le }, value: below, metricName: `${name}_bucket` }
  })
  const totals = [
    { labels, value: sum, metricName: `${name}_sum` },
    { labels, value: below, metricName: `${name}_count` },
  ]
  return below === 0 ? [] : [...cumulative, ...totals]
}
