import type { Handler } from 'hono'
import type { HistogramState } from '../../core/histogram.ts'
import { onUse } from '../../core/on-use.ts'
import { clusterOptions } from '../../options/connection.ts'
import type { KafkaTopics } from '../../options/option-types.ts'
import { resolveProduceOptions } from '../../options/produce-options.ts'
import type { KafkaWriterOptions } from '../../options/typed-options.ts'
import type { SchemasByTopic } from '../../records/topic-schemas.ts'
import type { Connection } from '../route/cluster-registry.ts'
import { LazyLease } from '../route/lazy-lease.ts'
import type { ClusterStats } from '../route/route-stats.ts'
import type { ProduceHandler } from './typed-records.ts'
import { type WriteOutcome, WriteStatistics } from './write-statistics.ts'
import type { WriterControls } from './writer-controls.ts'

/** Statistics of a handler of `kafkaProduce`, as they are now or since it was made. */
export interface ProduceStats {
  /** Distinguishes these statistics from those of a handler that reads. */
  readonly mode: 'produce'
  /** The topics that may be written to. */
  readonly topics: readonly string[]
  /** Records that Kafka has confirmed. */
  readonly records: number
  /** Bytes of the confirmed records' keys and values. */
  readonly bytes: number
  /** Requests by their outcome: `OK`, `ABORTED` if the client disconnected, or the code of their first error. */
  readonly outcomes: Readonly<Partial<Record<WriteOutcome, number>>>
  /** Seconds in which Kafka answered for all records of a request. */
  readonly confirmation: HistogramState
  /** The Kafka cluster; `undefined` before the first request. */
  readonly cluster: ClusterStats | undefined
}

/** The Hono handler that `kafkaProduce` returns. */
export interface KafkaProduceHandler<Handle extends Handler = Handler>
  extends WriterControls<ProduceStats> {
  /** Answers a request. Its type tells `hc` of Hono the body, the answers and the errors. */
  (...request: Parameters<Handle>): ReturnType<Handle>
  /** The schemas of topics that have any, by the topics' names. */
  readonly schemas: SchemasByTopic
}

/**
 * Writes posted records to Kafka topics, and answers when Kafka has confirmed them: the mirror of
 * `kafkaConsume` (`docs/writing.md`).
 *
 * @param options See `KafkaProduceOptions`; `bootstrapServers` and `topics` are required.
 * @throws KafkaConsumeError INVALID_OPTIONS, whose message names each wrong field and what is allowed.
 *
 * @example
 * ```ts
 * import { Hono } from 'hono'
 * import { kafkaProduce } from 'hono-kafka-consume'
 *
 * const orders = kafkaProduce({ bootstrapServers: 'localhost:9092', topics: ['orders'] })
 * const app = new Hono()
 * app.post('/orders', orders)
 *
 * const response = await app.request('/orders', {
 *   method: 'POST',
 *   headers: { 'content-type': 'application/json' },
 *   body: JSON.stringify({ records: [{ key: 'a' }] }),
 * })
 * if (response.status !== 400) throw new Error('a record without a value is refused before Kafka is asked')
 * await orders.close()
 * ```
 */
export function kafkaProduce<const Topics extends KafkaTopics>(
  options: KafkaWriterOptions<Topics>,
): KafkaProduceHandler<ProduceHandler<Topics>> {
  const resolved = resolveProduceOptions(options)
  const statistics = new WriteStatistics()
  const lease = new LazyLease<Connection>('write to Kafka', async () => {
    const { connect } = await import('../route/cluster-registry.ts')
    return connect(clusterOptions(resolved))
  })

  const handler: Handler = onUse(async () => {
    const { answersOf } = await import('./answer-post.ts')
    return answersOf({ options: resolved, statistics, connected: () => lease.take() })
  })

  return Object.assign(handler, {
    start: async () => {
      const { cluster } = await lease.take()
      await cluster.connected()
      await cluster.assertUsable(resolved.topics, 'write')
    },
    outage: () => lease.outage(),
    stats: (): ProduceStats => ({
      mode: 'produce',
      topics: resolved.topics,
      records: statistics.records,
      bytes: statistics.bytes,
      outcomes: statistics.outcomes(),
      confirmation: statistics.confirmation(),
      cluster: lease.clusterStats(),
    }),
    close: () => lease.close(),
    schemas: resolved.schemas,
  })
}
