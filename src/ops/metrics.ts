import type { Handler, MiddlewareHandler } from 'hono'
import {
  Counter,
  collectDefaultMetrics,
  Gauge,
  Histogram,
  type Metric,
  Registry,
} from 'prom-client'
import packageJson from '../../package.json' with { type: 'json' }
import type { ProduceStats } from '../plugin/kafka-produce.ts'
import type { ClusterStats, PartitionRange, RouteStats } from '../plugin/route.ts'
import type { HistogramState } from './histogram.ts'
import { lagOf, type Observed, Offsets } from './offsets.ts'
import { type FinishedRequest, observeRequests, type RequestObserver } from './requests.ts'

/** A handler of `kafkaProduce`, as far as it tells of itself. */
interface Writing {
  stats(): ProduceStats
}

/** Handlers by the name that their figures bear as `route`. */
export type MeasuredRoutes = Readonly<Record<string, Observed | Writing>>

/** How metrics are made. */
export interface MetricsOptions {
  /**
   * The registry of prom-client to add them to. Default: one of their own, with metrics of the
   * process beside them.
   */
  readonly registry?: Registry
}

/** Two handlers, to be mounted. */
export interface KafkaMetrics {
  /** Counts requests and measures them; it goes in front of the routes, by `app.use`. */
  readonly registerMetrics: MiddlewareHandler
  /** Answers with all metrics in Prometheus's text format. */
  readonly printMetrics: Handler
  /** The same as `registerMetrics` does, for who observes requests already. */
  readonly observe: RequestObserver
}

const PREFIX = 'hono_kafka_'
/** Milliseconds for which offsets are good that Kafka was asked for. */
const FRESH_MS = 5_000
/** Routes that have figures of their own; those after them are counted as one. */
const MAX_ROUTES = 2_000
const OTHER_ROUTES = '(other)'
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

const REQUEST_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60]
const STREAM_SECONDS = [0.1, 1, 10, 60, 300, 900, 3_600, 14_400, 86_400]

/**
 * Metrics of handlers of `kafkaConsume` and `kafkaProduce`, in Prometheus's text format. Their names are listed in
 * docs/protocol.md. They are read off when they are asked for: nothing runs in between.
 *
 * @param routes The handlers by their names; a function is asked each time.
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
  const register = registry ?? new Registry()
  if (!registry) collectDefaultMetrics({ register })
  addBuild(register)
  addStats(register, typeof routes === 'function' ? routes : () => routes)
  const observe = addRequests(register)
  return {
    registerMetrics: observeRequests([observe]),
    printMetrics: async (c) => {
      c.header('Cache-Control', 'no-store')
      return c.text(await register.metrics(), 200, { 'Content-Type': register.contentType })
    },
    observe,
  }
}

function addBuild(register: Registry): void {
  new Gauge({
    name: `${PREFIX}build_info`,
    help: 'Always 1; the version is a label',
    labelNames: ['version'],
    registers: [register],
  }).set({ version: packageJson.version }, 1)
}

function addRequests(register: Registry): RequestObserver {
  const registers = [register]
  const requests = new Counter({
    name: `${PREFIX}http_requests_total`,
    help: 'Requests that were answered; a stream counts when it has ended',
    labelNames: ['route', 'method', 'status'],
    registers,
  })
  const duration = new Histogram({
    name: `${PREFIX}http_request_duration_seconds`,
    help: 'Time until a request was answered, streams left out',
    labelNames: ['route'],
    buckets: REQUEST_SECONDS,
    registers,
  })
  const streams = new Histogram({
    name: `${PREFIX}stream_duration_seconds`,
    help: 'Time from the beginning of a stream to its end, measured at its end',
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

type Labels = Readonly<Record<string, string | number>>

interface Sample {
  readonly labels: Labels
  readonly value: number
}

/** A figure: what it is called, and what it is for all routes. */
interface Figure {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge'
  readonly samples: (state: State) => Iterable<Sample>
}

/** The figures of all routes; what several of them share is there once. */
interface State {
  readonly routes: ReadonlyArray<readonly [name: string, stats: RouteStats]>
  readonly writing: ReadonlyArray<readonly [name: string, stats: ProduceStats]>
  readonly feeds: ReadonlyArray<{ labels: Labels; feed: NonNullable<RouteStats['feed']> }>
  readonly groups: ReadonlyArray<{ labels: Labels; group: RouteStats['groups'][number] }>
  readonly clusters: readonly ClusterStats[]
  /** What partitions hold, by clusters. */
  readonly ranges: ReadonlyMap<string, readonly PartitionRange[]>
}

async function stateOf(routes: MeasuredRoutes, offsets: Offsets): Promise<State> {
  const reading = Object.entries(routes).flatMap(([name, handler]) =>
    'partitions' in handler ? [[name, handler] as const] : [],
  )
  const ranges = await offsets.of(
    reading.map(([, handler]) => ({ handler, stats: handler.stats() })),
  )
  const all = reading.map(([name, handler]) => [name, handler.stats()] as const)
  const writing = Object.entries(routes).flatMap(([name, handler]) =>
    'partitions' in handler ? [] : [[name, handler.stats()] as const],
  )
  const feeds = new Map<number, State['feeds'][number]>()
  const clusters = new Map<string, State['clusters'][number]>()
  const groups: Array<State['groups'][number]> = []
  for (const [, { cluster }] of writing) if (cluster) clusters.set(cluster.name, cluster)
  for (const [, { cluster, feed, groups: found }] of all) {
    if (!cluster) continue
    clusters.set(cluster.name, cluster)
    if (feed) {
      const labels = { cluster: cluster.name, topics: feed.topics.join(',') }
      feeds.set(feed.id, { labels, feed })
    }
    for (const group of found)
      groups.push({ labels: { cluster: cluster.name, group: group.id }, group })
  }
  return {
    routes: all,
    writing,
    feeds: [...feeds.values()],
    groups,
    clusters: [...clusters.values()],
    ranges,
  }
}

/** One sample for each route. */
function ofRoute(value: (stats: RouteStats) => number): Figure['samples'] {
  return ({ routes }) =>
    routes.map(([route, stats]) => ({ labels: { route }, value: value(stats) }))
}

/** One sample for each handler that writes. */
function ofWriting(value: (stats: ProduceStats) => number): Figure['samples'] {
  return ({ writing }) =>
    writing.map(([route, stats]) => ({ labels: { route }, value: value(stats) }))
}

function sumOf<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((sum, item) => sum + value(item), 0)
}

/** Several samples for each route. */
function ofRouteBy<Name extends string>(
  label: string,
  values: (stats: RouteStats) => Readonly<Record<Name, number>>,
): Figure['samples'] {
  return ({ routes }) =>
    routes.flatMap(([route, stats]) =>
      Object.entries<number>(values(stats)).map(([name, value]) => ({
        labels: { route, [label]: name },
        value,
      })),
    )
}

/** One sample for each set of topics. */
function ofFeed(value: (feed: State['feeds'][number]['feed']) => number): Figure['samples'] {
  return ({ feeds }) => feeds.map(({ labels, feed }) => ({ labels, value: value(feed) }))
}

type Broker = ClusterStats['brokers'][number]

/** One sample for each broker for which there is a value. */
function ofBroker(value: (broker: Broker) => number | undefined): Figure['samples'] {
  return ({ clusters }) =>
    clusters.flatMap(({ name: cluster, brokers }) =>
      brokers.flatMap((broker) => {
        const found = value(broker)
        if (found === undefined) return []
        return [{ labels: { cluster, broker: broker.name }, value: found }]
      }),
    )
}

/** One sample for each partition of each topic, though several routes may have it. */
function ofPartition(value: (range: PartitionRange) => number): Figure['samples'] {
  return ({ ranges }) => {
    const found = new Map<string, Sample>()
    for (const [cluster, all] of ranges) {
      for (const range of all) {
        const labels = { cluster, topic: range.topic, partition: range.partition }
        found.set(JSON.stringify(labels), { labels, value: value(range) })
      }
    }
    return found.values()
  }
}

const FIGURES: readonly Figure[] = [
  {
    name: 'records_total',
    help: 'Records put into answers, by the way they were read',
    type: 'counter',
    samples: ofRouteBy('kind', ({ sent: { stream, read, group } }) => ({
      stream: stream.records,
      read: read.records,
      group: group.records,
    })),
  },
  {
    name: 'sent_bytes_total',
    help: 'Bytes of answers with records, by the way they were read; of streams with heartbeats',
    type: 'counter',
    samples: ofRouteBy('kind', ({ sent: { stream, read, group } }) => ({
      stream: stream.bytes,
      read: read.bytes,
      group: group.bytes,
    })),
  },
  {
    name: 'open_streams',
    help: 'Streams that are open',
    type: 'gauge',
    samples: ofRouteBy('form', ({ openStreams }) => openStreams),
  },
  {
    name: 'subscribers',
    help: 'Streams that are open or about to be',
    type: 'gauge',
    samples: ofRoute(({ subscribers }) => subscribers),
  },
  {
    name: 'max_subscribers',
    help: 'Streams that may be open; one more is refused',
    type: 'gauge',
    samples: ofRoute(({ maxSubscribers }) => maxSubscribers),
  },
  {
    name: 'gaps_total',
    help: 'Gaps announced: offsets that Kafka no longer had',
    type: 'counter',
    samples: ofRoute(({ gaps }) => gaps),
  },
  {
    name: 'silent_clients_total',
    help: 'Streams closed because their client read nothing for too long',
    type: 'counter',
    samples: ofRoute(({ silent }) => silent),
  },
  {
    name: 'fallen_behind_clients_total',
    help: 'Streams that were slower than the ring and went on from Kafka',
    type: 'counter',
    samples: ofFeed(({ fallenBehind }) => fallenBehind),
  },
  {
    name: 'failed_records_total',
    help: 'Records that could not be deserialized or transformed, at each reading of them',
    type: 'counter',
    samples: ofFeed(({ failed }) => failed),
  },
  {
    name: 'dead_letters_total',
    help: 'Those of them that went to the dead letter topic instead of to clients',
    type: 'counter',
    samples: ofFeed(({ deadLetters }) => deadLetters),
  },
  {
    name: 'reduced_dead_letters_total',
    help: 'Those of these that went without all that they had, since the topic did not take it',
    type: 'counter',
    samples: ofFeed(({ reducedDeadLetters }) => reducedDeadLetters),
  },
  {
    name: 'readers',
    help: 'Readers of a set of topics: streams, and single reads from a position',
    type: 'gauge',
    samples: ofFeed(({ readers }) => readers),
  },
  {
    name: 'ring_bytes',
    help: 'Bytes of the newest records that readers share',
    type: 'gauge',
    samples: ofFeed(({ ringBytes }) => ringBytes),
  },
  {
    name: 'ring_max_bytes',
    help: 'Bytes that the newest records may take',
    type: 'gauge',
    samples: ofFeed(({ maxRingBytes }) => maxRingBytes),
  },
  {
    name: 'replays',
    help: 'Reads behind the ring, each with a consumer of its own',
    type: 'gauge',
    samples: ofFeed(({ replays }) => replays),
  },
  {
    name: 'max_replays',
    help: 'Reads behind the ring that there may be',
    type: 'gauge',
    samples: ofFeed(({ maxReplays }) => maxReplays),
  },
  {
    name: 'waiting_replays',
    help: 'Streams that wait to read behind the ring',
    type: 'gauge',
    samples: ofFeed(({ waiting }) => waiting),
  },
  {
    name: 'rebuilt_consumers_total',
    help: 'Consumers given up for another one since they brought nothing although Kafka had more',
    type: 'counter',
    samples: ofFeed(({ rebuilt }) => rebuilt),
  },
  {
    name: 'partition_start_offset',
    help: 'The first offset that Kafka keeps, of the topics of routes',
    type: 'gauge',
    samples: ofPartition(({ start }) => start),
  },
  {
    name: 'partition_end_offset',
    help: 'The offset after the newest record, of the topics of routes',
    type: 'gauge',
    samples: ofPartition(({ end }) => end),
  },
  {
    name: 'group_lag_records',
    help: 'Records that a consumer group has not delivered yet, of partitions that this node reads',
    type: 'gauge',
    samples: ({ groups, ranges }) =>
      groups.flatMap(({ labels, group }) =>
        group.partitions.flatMap((at) => {
          const lag = lagOf(at, ranges.get(String(labels['cluster'])))
          if (lag === undefined) return []
          return [{ labels: { ...labels, topic: at.topic, partition: at.partition }, value: lag }]
        }),
      ),
  },
  {
    name: 'group_handed_back_records_total',
    help: 'Records of a group that went to another caller, since the first one went away',
    type: 'counter',
    samples: ofRoute(({ groups }) => sumOf(groups, ({ handedBack }) => handedBack)),
  },
  {
    name: 'group_uncertain_records_total',
    help: 'Records delivered and not committed when their partition went to another member of the group, which may deliver them again',
    type: 'counter',
    samples: ofRoute(({ groups }) => sumOf(groups, ({ uncertain }) => uncertain)),
  },
  {
    name: 'group_rebuilt_consumers_total',
    help: 'Consumers of a group given up for another one since they brought nothing although Kafka had more',
    type: 'counter',
    samples: ofRoute(({ groups }) => sumOf(groups, ({ rebuilt }) => rebuilt)),
  },
  {
    name: 'written_records_total',
    help: 'Records that were posted and that Kafka has confirmed',
    type: 'counter',
    samples: ofWriting(({ records }) => records),
  },
  {
    name: 'written_bytes_total',
    help: 'Bytes of their keys and values',
    type: 'counter',
    samples: ofWriting(({ bytes }) => bytes),
  },
  {
    name: 'write_requests_total',
    help: 'Requests to write by their end: OK, ABORTED where the client left, or the code of their first error',
    type: 'counter',
    samples: ({ writing }) =>
      writing.flatMap(([route, { outcomes }]) =>
        Object.entries(outcomes).map(([code, value]) => ({ labels: { route, code }, value })),
      ),
  },
  {
    name: 'cluster_up',
    help: 'Whether Kafka can be read: 1, or 0',
    type: 'gauge',
    samples: ({ clusters }) =>
      clusters.map(({ name, problem }) => ({ labels: { cluster: name }, value: problem ? 0 : 1 })),
  },
  {
    name: 'broker_up',
    help: 'Whether a broker is connected: 1, or 0; of those that were spoken to',
    type: 'gauge',
    samples: ofBroker(({ isUp }) => (isUp ? 1 : 0)),
  },
  {
    name: 'broker_rtt_seconds',
    help: "Time from a request to a broker to its answer, on average over librdkafka's last report",
    type: 'gauge',
    samples: ofBroker(({ roundTrip }) => roundTrip?.average),
  },
  {
    name: 'broker_rtt_p99_seconds',
    help: 'The same, at worst but for 1 in 100',
    type: 'gauge',
    samples: ofBroker(({ roundTrip }) => roundTrip?.p99),
  },
  {
    name: 'broker_queued_requests',
    help: 'Requests that wait to be sent to a broker',
    type: 'gauge',
    samples: ofBroker(({ queued }) => queued),
  },
  {
    name: 'broker_inflight_requests',
    help: 'Requests that wait for an answer of a broker',
    type: 'gauge',
    samples: ofBroker(({ inFlight }) => inFlight),
  },
  {
    name: 'broker_failed_requests_total',
    help: 'Requests to a broker that failed or were not answered in time',
    type: 'counter',
    samples: ofBroker(({ failed }) => failed),
  },
]

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
function addStats(register: Registry, routes: () => MeasuredRoutes): void {
  const offsets = new Offsets(FRESH_MS)
  let state: Promise<State> | undefined
  // All figures of one answer are of one moment: they are asked for all at once.
  const now = () => {
    state ??= stateOf(routes(), offsets).finally(() => {
      state = undefined
    })
    return state
  }
  for (const { name, help, type, samples } of FIGURES) {
    add(register, { name: PREFIX + name, help, type }, async () => merged(samples(await now())))
  }
  const histogram = (
    name: string,
    help: string,
    states: (state: State) => ReadonlyArray<readonly [route: string, HistogramState]>,
  ) =>
    add(register, { name, help, type: 'histogram' }, async () =>
      states(await now()).flatMap(([route, state]) => {
        const isNone = state.counts.every((count) => count === 0)
        return isNone ? [] : buckets(name, { route }, state)
      }),
    )
  histogram(
    `${PREFIX}event_latency_seconds`,
    "Time from a record's timestamp to its write to a stream, once for each write",
    ({ routes }) => routes.map(([route, { latency }]) => [route, latency]),
  )
  histogram(
    `${PREFIX}write_confirmation_seconds`,
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
