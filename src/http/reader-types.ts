/** The types of `c.var.kafka`, which reads Kafka in a handler. */
import type { Context } from 'hono'
import type { Gap } from '../port/kafka.ts'
import type { AnyRecord, ConsumedRecord } from '../records/consumed-record.ts'

/**
 * `AbortSignal`, by way of Hono's request: these types need no DOM library beyond what Hono's own need.
 */
type RequestSignal = Context['req']['raw']['signal']

/** How much to read at once, and how long to wait for a first record. */
export interface ReadLimits {
  /**
   * Records at most: a whole number from 1 to 10000.
   *
   * @default 500
   */
  readonly maxRecords?: number
  /**
   * Bytes of the records at most, a whole number from 1 to 16777216; the first record may be larger.
   *
   * @default 1048576 (1 MiB)
   */
  readonly maxBytes?: number
  /**
   * Milliseconds to wait for a first record. 0 or less does not wait. `Infinity` and other long times count
   * as 24 days, since a longer timer overflows. A process that has not read before also waits until it has
   * reached Kafka.
   *
   * @default 1000
   */
  readonly timeout?: number
  /**
   * Ends the waiting: a poll then gets no records, and a read those that it has. Default: the signal of
   * the request, which aborts when its client leaves; a poll then throws, which ends the handler.
   */
  readonly signal?: RequestSignal
}

/** Where to read from: a cursor that an earlier read gave, or the start named. */
export interface ReadFrom {
  /**
   * The oldest record that Kafka keeps, the end, or the first record at or after a time in
   * milliseconds since 1970. A cursor takes precedence.
   *
   * @default 'latest'
   */
  readonly start?: 'earliest' | 'latest' | number
  /** A cursor of an earlier read or record: reading continues exactly there. */
  readonly cursor?: string
}

/** The start of a stream, and its end. */
export interface StreamFrom extends ReadFrom {
  /** Ends the stream. Default: the signal of the request, which aborts when its client leaves. */
  readonly signal?: RequestSignal
  /** Called for offsets that Kafka no longer has. Default: they are logged. */
  readonly onGap?: (gap: Gap) => void
}

/** The result of `poll`: records that the consumer group gave to this handler. */
export interface PolledRecords<Received extends AnyRecord = ConsumedRecord> {
  /** In the order of each partition; empty when the timeout ran out or `signal` has aborted. */
  readonly records: readonly Received[]
  /** Offsets that the group has missed since the poll before. */
  readonly gaps: readonly Gap[]
  /**
   * Commits the records now. With `commitStrategy: 'auto'` that happens when the handler has
   * returned.
   */
  commit(): void
  /** Requeues the records: the next client gets them, and nothing is committed. */
  requeue(): void
}

/** The result of `read`. */
export interface ReadRecords<Received extends AnyRecord = ConsumedRecord> {
  /** In the order of each partition; empty when the timeout ran out. */
  readonly records: readonly Received[]
  /** Offsets that Kafka does not have any more. */
  readonly gaps: readonly Gap[]
  /** The position after the records: the next read continues there. */
  readonly cursor: string
}

/** A record of `stream`, with the position after it. */
export type StreamedRecord<Received extends AnyRecord = ConsumedRecord> = Received & StreamPosition

/** Where a stream is. */
export interface StreamPosition {
  /** The position after the record: a stream from there continues with the next one. */
  readonly cursor: string
}

/**
 * Reads Kafka for one request: `c.var.kafka` of handlers behind `kafkaReader`.
 *
 * Its methods throw a `KafkaConsumeError`: KAFKA_UNAVAILABLE and KAFKA_TIMEOUT while Kafka is away,
 * FORBIDDEN for what the client may not read, INVALID_PARAMETER for parameters that are unknown or out of
 * their range, INVALID_CURSOR, and others that docs/protocol.md lists. A handler may let them through: Hono's
 * default error handler answers with them.
 *
 * @example
 * ```ts
 * import { Hono } from 'hono'
 * import { type KafkaReaderEnv, kafkaReader } from 'hono-kafka-consume'
 * import { kafkaSide } from 'hono-kafka-consume/kafka'
 *
 * // A broker within the process, with a few records; yours is elsewhere.
 * const broker = await kafkaSide.startEmbeddedBroker({ topic: 'orders', records: 3, recordsPerSecond: 0 })
 * const orders = kafkaReader({ bootstrapServers: broker.bootstrapServers, topics: ['orders'] })
 * const app = new Hono<KafkaReaderEnv>()
 * app.get('/count', orders, async (c) => {
 *   const { records, cursor } = await c.var.kafka.read({ start: 'earliest', maxRecords: 2 })
 *   for await (const record of c.var.kafka.stream({ cursor })) {
 *     return c.json({ count: records.length, next: record.offset })
 *   }
 *   return c.body(null, 204)
 * })
 *
 * const { count } = await (await app.request('/count')).json()
 * if (count !== 2) throw new Error('two records are read, and the third one is streamed')
 * await orders.close()
 * await broker.close()
 * ```
 */
export interface KafkaReader<Received extends AnyRecord = ConsumedRecord> {
  /**
   * Polls records as the consumer group. They are committed when the handler has returned, or earlier
   * by `commit`. They go to the next client after `requeue`, or when the handler throws. With
   * `commitStrategy: 'off'` only `commit` commits them.
   *
   * A poll that waits when the handler ends gets no records, and a later one throws. To wait for
   * something else at once, abort `signal` instead of leaving the poll: until the handler ends, a poll
   * takes records that are committed with the others.
   *
   * @throws KafkaConsumeError
   */
  poll(limits?: ReadLimits): Promise<PolledRecords<Received>>
  /**
   * Reads once from a position, without a group. If expressions restrict the client's scope, a read
   * ends when they have run for 1 s, perhaps without a record.
   *
   * @throws KafkaConsumeError
   */
  read(from?: ReadFrom & ReadLimits): Promise<ReadRecords<Received>>
  /**
   * Streams records from a position, without a group, until the signal or the loop ends it. The end of
   * the handler does not, since its answer may be a stream that goes on: a handler that calls `next`
   * instead of a loop ends the stream by `signal`.
   *
   * @throws KafkaConsumeError
   */
  stream(from?: StreamFrom): AsyncIterableIterator<StreamedRecord<Received>>
}
