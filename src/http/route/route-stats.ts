/** The statistics of a route. */
import type { HistogramState } from '../../core/histogram.ts'
import type { FeedStats } from '../../feed/feed-stats.ts'
import type { KafkaConsumeOptions } from '../../options/option-types.ts'
import type { BrokerState, KafkaOutage } from '../../port/kafka.ts'
import type { MembershipStats } from './memberships.ts'
import type { ReadKind, SentTotals } from './route-statistics.ts'

/** Statistics of a handler of `kafkaConsume`, as they are now or since it was made. */
export interface RouteStats {
  /** How records are delivered. */
  readonly mode: NonNullable<KafkaConsumeOptions['mode']>
  /** Whether reads as the group are committed when they were delivered, or by `POST …/offsets` only. */
  readonly commitStrategy: NonNullable<KafkaConsumeOptions['commitStrategy']>
  /** The topics that are read. */
  readonly topics: readonly string[]
  /** Named filters: expressions by name. */
  readonly filters: Readonly<Record<string, string>>
  /** Whether clients get what the option `format` makes of records. */
  readonly hasOwnFormat: boolean
  /** Open streams, and those about to open. */
  readonly subscribers: number
  /** The option `maxSubscribers`. */
  readonly maxSubscribers: number
  /** Bytes of answers of single reads that clients have not read yet, and of those that are cached. */
  readonly answerBytes: number
  /** The option `maxAnswerBytes`, in bytes. */
  readonly maxAnswerBytes: number
  /** Open streams by their form. */
  readonly openStreams: Readonly<Record<StreamForm, number>>
  /** Catch-up reads in progress, each with a consumer of its own. */
  readonly catchUpReads: number
  /** Streams that fell behind the ring buffer and continued by a catch-up read, since the start. */
  readonly fallenBehind: number
  /** Streams closed because their client read or acknowledged nothing for `writeDeadline`, since the start. */
  readonly silent: number
  /** Gaps announced to clients, since the start. */
  readonly gaps: number
  /** Answers sent uncompressed because too many were being compressed, since the start. */
  readonly uncompressed: number
  /** Records and bytes sent, by the way they were read, since the start. */
  readonly sent: Readonly<Record<ReadKind, Readonly<SentTotals>>>
  /** Seconds from a record's timestamp to its write to a stream that was open by then. */
  readonly latency: HistogramState
  /** The Kafka cluster, which routes on it share; `undefined` before the first request. */
  readonly cluster: ClusterStats | undefined
  /** The live consumer that all routes of the topics share; `undefined` before the first request. */
  readonly feed: FeedStats | undefined
  /**
   * This node's memberships of the route's consumer group, or of those of its clients. Routes that
   * read the same group share one.
   */
  readonly groups: readonly GroupStats[]
}

/** The offsets that a partition has now. */
export interface PartitionRange {
  /** The topic of the partition. */
  readonly topic: string
  /** The number of the partition. */
  readonly partition: number
  /** The first offset that Kafka keeps. */
  readonly start: number
  /** The offset after the newest record. */
  readonly end: number
}

/** A Kafka cluster as its clients see it. */
export interface ClusterStats {
  /** `clusterName`, or the bootstrap servers. */
  readonly name: string
  /** The reason why Kafka cannot be reached now; `undefined` while it can. */
  readonly outage: KafkaOutage | undefined
  /** The brokers that connections were made to. */
  readonly brokers: readonly BrokerState[]
}

/** A membership of a consumer group. */
export type GroupStats = MembershipStats

/** Forms in which streams go out. */
export type StreamForm = 'event-stream' | 'ndjson' | 'websocket'
