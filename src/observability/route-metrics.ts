/** What handlers tell of themselves, as figures for metrics. */
import type { ProduceStats } from '../http/produce/kafka-produce.ts'
import type { ClusterStats, PartitionRange, RouteStats } from '../http/route/route.ts'
import { lagOf, type Observed, type Offsets } from './partition-offsets.ts'

/** A handler of `kafkaProduce`, as far as it tells of itself. */
interface Writing {
  /** Statistics of the handler. */
  stats(): ProduceStats
}

/** Handlers by the name that their figures bear as `route`. */
export type MeasuredRoutes = Readonly<Record<string, Observed | Writing>>

export type Labels = Readonly<Record<string, string | number>>

export interface Sample {
  readonly labels: Labels
  readonly value: number
}

/** A figure: what it is called, and what it is for all routes. */
interface Figure {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge'
  readonly samples: (state: MetricsState) => Iterable<Sample>
}

/** The figures of all routes; what several of them share is there once. */
export interface MetricsState {
  readonly routes: ReadonlyArray<readonly [name: string, stats: RouteStats]>
  readonly writing: ReadonlyArray<readonly [name: string, stats: ProduceStats]>
  readonly feeds: ReadonlyArray<{ labels: Labels; feed: NonNullable<RouteStats['feed']> }>
  readonly groups: ReadonlyArray<{ labels: Labels; group: RouteStats['groups'][number] }>
  readonly clusters: readonly ClusterStats[]
  /** What partitions hold, by clusters. */
  readonly ranges: ReadonlyMap<string, readonly PartitionRange[]>
}

export async function stateOf(routes: MeasuredRoutes, offsets: Offsets): Promise<MetricsState> {
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
function ofRoute(value: (stats: RouteStats) => number): Figure['samples'] {
  return ({ routes }) =>
    routes.map(([route, stats]) => ({ labels: { route }, value: value(stats) }))
}

/** One sample for each handler that writes. */
function ofWriting(value: (stats: ProduceStats) => number): Figure['samples'] {
  return ({ writing }) =>
    writing.map(([route, stats]) => ({ labels: { route }, value: value(stats) }))
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
function ofFeed(value: (feed: MetricsState['feeds'][number]['feed']) => number): Figure['samples'] {
  return ({ feeds }) => feeds.map(({ labels, feed }) => ({ labels, value: value(feed) }))
}

/** One sample for each membership of a group. */
function ofGroup(
  value: (group: MetricsState['groups'][number]['group']) => number,
): Figure['samples'] {
  return ({ groups }) => groups.map(({ labels, group }) => ({ labels, value: value(group) }))
}

type MeasuredBroker = ClusterStats['brokers'][number]

/** One sample for each broker for which there is a value. */
function ofBroker(value: (broker: MeasuredBroker) => number | undefined): Figure['samples'] {
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

export const FIGURES: readonly Figure[] = [
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
    name: 'answer_bytes',
    help: 'Bytes of answers of single reads that clients have not read yet, and of cached ones',
    type: 'gauge',
    samples: ofRoute(({ answerBytes }) => answerBytes),
  },
  {
    name: 'max_answer_bytes',
    help: 'Bytes that answers of single reads may have in memory',
    type: 'gauge',
    samples: ofRoute(({ maxAnswerBytes }) => maxAnswerBytes),
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
    name: 'uncompressed_answers_total',
    help: 'Answers that were not compressed, because too many were being compressed',
    type: 'counter',
    samples: ofRoute(({ uncompressed }) => uncompressed),
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
    help: 'Reads behind the ring, each with a consumer of its own; those kept for a next page, too',
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
    samples: ofGroup(({ handedBack }) => handedBack),
  },
  {
    name: 'group_uncertain_records_total',
    help: 'Records delivered and not committed when their partition went to another member of the group, which may deliver them again',
    type: 'counter',
    samples: ofGroup(({ uncertain }) => uncertain),
  },
  {
    name: 'group_rebuilt_consumers_total',
    help: 'Consumers of a group given up for another one since they brought nothing although Kafka had more',
    type: 'counter',
    samples: ofGroup(({ rebuilt }) => rebuilt),
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
      clusters.map(({ name, outage }) => ({ labels: { cluster: name }, value: outage ? 0 : 1 })),
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
