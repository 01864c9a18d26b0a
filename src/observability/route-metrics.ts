/**
 * The metrics of handlers: their names, HELP texts and samples, taken from the handlers' statistics.
 * The file has more than 400 lines because it lists all of them.
 */
import type { LogStats } from '../http/log/request-log.ts'
import type { ProduceStats } from '../http/produce/kafka-produce.ts'
import type { ClusterStats, PartitionRange, RouteStats } from '../http/route/route-stats.ts'
import type { UpstreamStats } from '../http/upstream/kafka-upstream.ts'
import { lagOf, type Observed, type PartitionOffsets } from './partition-offsets.ts'
import type { Labels, Sample } from './scraped-metric.ts'

/** Statistics of a handler that writes. */
type WritingStats = ProduceStats | UpstreamStats | LogStats

/** The part of a handler of `kafkaProduce`, `kafkaUpstream` or `kafkaLog` that metrics need. */
interface MeasuredProducer {
  /** Statistics of the handler. */
  stats(): WritingStats
}

/** Handlers by the value of the label `route`. */
export type MeasuredRoutes = Readonly<Record<string, Observed | MeasuredProducer>>

/** A metric of all routes. */
interface RouteMetric {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge'
  /**
   * How the values of several threads become one: `max` where all threads see the same thing, such as
   * a member of a group. Default: `sum`.
   */
  readonly ofThreads?: 'sum' | 'max'
  readonly samples: (state: MetricsState) => Iterable<Sample>
}

/** The statistics of all handlers. Feeds, groups and clusters that several routes share are listed once. */
export interface MetricsState {
  readonly routes: ReadonlyArray<readonly [name: string, stats: RouteStats]>
  readonly writing: ReadonlyArray<readonly [name: string, stats: WritingStats]>
  readonly feeds: ReadonlyArray<{ labels: Labels; feed: NonNullable<RouteStats['feed']> }>
  readonly groups: ReadonlyArray<{ labels: Labels; group: RouteStats['groups'][number] }>
  readonly clusters: readonly ClusterStats[]
  /** The offsets of partitions, by the name of the cluster. */
  readonly ranges: ReadonlyMap<string, readonly PartitionRange[]>
}

export async function stateOf(
  routes: MeasuredRoutes,
  offsets: PartitionOffsets,
): Promise<MetricsState> {
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
  const feeds = new Map<number, MetricsState['feeds'][number]>()
  const clusters = new Map<string, MetricsState['clusters'][number]>()
  const groups = new Map<number, MetricsState['groups'][number]>()
  for (const [, { cluster }] of writing) if (cluster) clusters.set(cluster.name, cluster)
  for (const [, { cluster, feed, groups: found }] of all) {
    if (!cluster) continue
    clusters.set(cluster.name, cluster)
    if (feed) {
      const labels = { cluster: cluster.name, topics: feed.topics.join(',') }
      feeds.set(feed.id, { labels, feed })
    }
    for (const group of found) {
      groups.set(group.member, { labels: { cluster: cluster.name, group: group.id }, group })
    }
  }
  return {
    routes: all,
    writing,
    feeds: [...feeds.values()],
    groups: [...groups.values()],
    clusters: [...clusters.values()],
    ranges,
  }
}

/** One sample for each route. */
function ofRoute(value: (stats: RouteStats) => number): RouteMetric['samples'] {
  return ({ routes }) =>
    routes.map(([route, stats]) => ({ labels: { route }, value: value(stats) }))
}

/** One sample for each handler that writes. */
function ofWriting(value: (stats: WritingStats) => number): RouteMetric['samples'] {
  return ({ writing }) =>
    writing.map(([route, stats]) => ({ labels: { route }, value: value(stats) }))
}

/** One sample for each handler of `kafkaUpstream` and `kafkaLog`, which buffer records. */
function ofBuffering(value: (stats: UpstreamStats | LogStats) => number): RouteMetric['samples'] {
  return ({ writing }) =>
    writing.flatMap(([route, stats]) =>
      'lost' in stats ? [{ labels: { route }, value: value(stats) }] : [],
    )
}

/** One sample for each route and name. */
function ofRouteBy<Name extends string>(
  label: string,
  values: (stats: RouteStats) => Readonly<Record<Name, number>>,
): RouteMetric['samples'] {
  return ({ routes }) =>
    routes.flatMap(([route, stats]) =>
      Object.entries<number>(values(stats)).map(([name, value]) => ({
        labels: { route, [label]: name },
        value,
      })),
    )
}

/** One sample for each set of topics. */
function ofFeed(
  value: (feed: MetricsState['feeds'][number]['feed']) => number,
): RouteMetric['samples'] {
  return ({ feeds }) => feeds.map(({ labels, feed }) => ({ labels, value: value(feed) }))
}

/** One sample for each membership of a group. */
function ofGroup(
  value: (group: MetricsState['groups'][number]['group']) => number,
): RouteMetric['samples'] {
  return ({ groups }) => groups.map(({ labels, group }) => ({ labels, value: value(group) }))
}

type MeasuredBroker = ClusterStats['brokers'][number]

/** One sample for each broker that has a value. */
function ofBroker(value: (broker: MeasuredBroker) => number | undefined): RouteMetric['samples'] {
  return ({ clusters }) =>
    clusters.flatMap(({ name: cluster, brokers }) =>
      brokers.flatMap((broker) => {
        const found = value(broker)
        if (found === undefined) return []
        return [{ labels: { cluster, broker: broker.name }, value: found }]
      }),
    )
}

/** One sample for each partition of each topic, however many routes read it. */
function ofPartition(value: (range: PartitionRange) => number): RouteMetric['samples'] {
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

export const ROUTE_METRICS: readonly RouteMetric[] = [
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
    help: 'Bytes of answers with records, by the way they were read; streams with their heartbeats',
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
    help: 'Streams that are open or about to open',
    type: 'gauge',
    samples: ofRoute(({ subscribers }) => subscribers),
  },
  {
    name: 'max_subscribers',
    help: 'Streams that may be open; a further one is refused',
    type: 'gauge',
    ofThreads: 'max',
    samples: ofRoute(({ maxSubscribers }) => maxSubscribers),
  },
  {
    name: 'answer_bytes',
    help: 'Bytes of answers of single reads that clients have not read yet, and of cached answers',
    type: 'gauge',
    samples: ofRoute(({ answerBytes }) => answerBytes),
  },
  {
    name: 'max_answer_bytes',
    help: 'Bytes that answers of single reads may take in memory',
    type: 'gauge',
    ofThreads: 'max',
    samples: ofRoute(({ maxAnswerBytes }) => maxAnswerBytes),
  },
  {
    name: 'gaps_total',
    help: 'Gaps announced to clients: ranges of offsets that Kafka no longer had',
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
    name: 'uncompressed_answers_total',
    help: 'Answers that were not compressed, because too many were being compressed',
    type: 'counter',
    samples: ofRoute(({ uncompressed }) => uncompressed),
  },
  {
    name: 'fallen_behind_clients_total',
    help: 'Streams that fell behind the ring buffer and continued by a catch-up read',
    type: 'counter',
    samples: ofFeed(({ fallenBehind }) => fallenBehind),
  },
  {
    name: 'failed_records_total',
    help: 'Records that could not be deserialized, transformed or validated, counted at each read',
    type: 'counter',
    samples: ofFeed(({ failed }) => failed),
  },
  {
    name: 'dead_letters_total',
    help: 'Failed records written to the dead letter topic instead of sent to clients',
    type: 'counter',
    samples: ofFeed(({ deadLetters }) => deadLetters),
  },
  {
    name: 'reduced_dead_letters_total',
    help: 'Dead letters written with parts left out, because the topic rejected them',
    type: 'counter',
    samples: ofFeed(({ reducedDeadLetters }) => reducedDeadLetters),
  },
  {
    name: 'readers',
    help: 'Open reads of a set of topics: streams, and single reads from a position',
    type: 'gauge',
    samples: ofFeed(({ readers }) => readers),
  },
  {
    name: 'live_consumers',
    help: 'Live consumers that run: none while only old records are read',
    type: 'gauge',
    ofThreads: 'max',
    samples: ofFeed(({ liveConsumers }) => liveConsumers),
  },
  {
    name: 'ring_bytes',
    help: 'Bytes of records in the ring buffer',
    type: 'gauge',
    ofThreads: 'max',
    samples: ofFeed(({ ringBytes }) => ringBytes),
  },
  {
    name: 'ring_max_bytes',
    help: 'Bytes that the ring buffer may take',
    type: 'gauge',
    ofThreads: 'max',
    samples: ofFeed(({ maxRingBytes }) => maxRingBytes),
  },
  {
    name: 'catch_up_reads',
    help: 'Catch-up reads, each with its own consumer, and those suspended for a next page',
    type: 'gauge',
    samples: ofFeed(({ catchUpReads }) => catchUpReads),
  },
  {
    name: 'max_catch_up_reads',
    help: 'Catch-up reads that may be open',
    type: 'gauge',
    samples: ofFeed(({ maxCatchUpReads }) => maxCatchUpReads),
  },
  {
    name: 'waiting_catch_up_reads',
    help: 'Streams that wait for a catch-up read',
    type: 'gauge',
    samples: ofFeed(({ waiting }) => waiting),
  },
  {
    name: 'rebuilt_consumers_total',
    help: 'Consumers replaced because they stalled: they returned nothing although Kafka had more records',
    type: 'counter',
    samples: ofFeed(({ rebuilt }) => rebuilt),
  },
  {
    name: 'partition_start_offset',
    help: 'First offset that Kafka keeps in a partition',
    type: 'gauge',
    ofThreads: 'max',
    samples: ofPartition(({ start }) => start),
  },
  {
    name: 'partition_end_offset',
    help: 'Offset after the newest record of a partition',
    type: 'gauge',
    ofThreads: 'max',
    samples: ofPartition(({ end }) => end),
  },
  {
    name: 'group_lag_records',
    help: 'Records that a consumer group has not delivered yet, in partitions assigned to this node',
    type: 'gauge',
    ofThreads: 'max',
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
    name: 'group_requeued_records_total',
    help: 'Records of a group that were requeued, because their client disconnected before it had them',
    type: 'counter',
    ofThreads: 'max',
    samples: ofGroup(({ requeued }) => requeued),
  },
  {
    name: 'group_uncertain_records_total',
    help: 'Records delivered but not committed when their partition moved to another member, which may deliver them again',
    type: 'counter',
    ofThreads: 'max',
    samples: ofGroup(({ uncertain }) => uncertain),
  },
  {
    name: 'group_rebuilt_consumers_total',
    help: 'Consumers of a group replaced because they stalled: they returned nothing although Kafka had more records',
    type: 'counter',
    ofThreads: 'max',
    samples: ofGroup(({ rebuilt }) => rebuilt),
  },
  {
    name: 'written_records_total',
    help: 'Records of requests that Kafka has confirmed',
    type: 'counter',
    samples: ofWriting(({ records }) => records),
  },
  {
    name: 'written_bytes_total',
    help: 'Bytes of keys and values of records of requests that Kafka has confirmed',
    type: 'counter',
    samples: ofWriting(({ bytes }) => bytes),
  },
  {
    name: 'write_requests_total',
    help: 'Requests to write, by code: OK, ABORTED where the client disconnected, or the first error',
    type: 'counter',
    samples: ({ writing }) =>
      writing.flatMap(([route, { outcomes }]) =>
        Object.entries(outcomes).map(([code, value]) => ({ labels: { route, code }, value })),
      ),
  },
  {
    name: 'lost_records_total',
    help: 'Records that kafkaUpstream or kafkaLog accepted, and that were not written or not confirmed',
    type: 'counter',
    samples: ofBuffering(({ lost }) => lost),
  },
  {
    name: 'buffered_records',
    help: 'Records that kafkaUpstream or kafkaLog accepted, and that Kafka has not answered for yet',
    type: 'gauge',
    samples: ofBuffering(({ buffered }) => buffered),
  },
  {
    name: 'cluster_up',
    help: '1 while Kafka can be read, else 0',
    type: 'gauge',
    ofThreads: 'max',
    samples: ({ clusters }) =>
      clusters.map(({ name, outage }) => ({ labels: { cluster: name }, value: outage ? 0 : 1 })),
  },
  {
    name: 'broker_up',
    help: '1 while a broker is connected, else 0; brokers that were never connected to are not listed',
    type: 'gauge',
    ofThreads: 'max',
    samples: ofBroker(({ isUp }) => (isUp ? 1 : 0)),
  },
  {
    name: 'broker_rtt_seconds',
    help: "Average round-trip time of requests to a broker in librdkafka's last report",
    type: 'gauge',
    ofThreads: 'max',
    samples: ofBroker(({ roundTrip }) => roundTrip?.average),
  },
  {
    name: 'broker_rtt_p99_seconds',
    help: "99th percentile of the round-trip time of requests to a broker in librdkafka's last report",
    type: 'gauge',
    ofThreads: 'max',
    samples: ofBroker(({ roundTrip }) => roundTrip?.p99),
  },
  {
    name: 'broker_queued_requests',
    help: 'Requests that wait to be sent to a broker',
    type: 'gauge',
    ofThreads: 'max',
    samples: ofBroker(({ queued }) => queued),
  },
  {
    name: 'broker_inflight_requests',
    help: 'Requests to a broker that wait for its answer',
    type: 'gauge',
    ofThreads: 'max',
    samples: ofBroker(({ inFlight }) => inFlight),
  },
  {
    name: 'broker_failed_requests_total',
    help: 'Requests to a broker that failed or were not answered in time',
    type: 'counter',
    ofThreads: 'max',
    samples: ofBroker(({ failed }) => failed),
  },
]
