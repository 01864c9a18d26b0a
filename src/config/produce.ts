/** What `kafkaProduce` takes. */
import * as v from 'valibot'
import { authentication, security } from './authentication.ts'
import { brokers, topics } from './cluster.ts'
import { flag, record, text, whole } from './fields.ts'
import { librdkafka } from './librdkafka.ts'
import { resolveBy } from './resolve.ts'
import { rules, unused } from './rules.ts'

const MIB = 1024 * 1024

const produceSchema = v.pipe(
  v.strictObject({
    bootstrapServers: brokers,
    topics: v.pipe(
      topics,
      v.check(
        (topics) => topics.every(({ schemaRegistry }) => schemaRegistry.confluent === undefined),
        'records are written as they come: a schema registry is of no use here',
      ),
    ),
    clusterName: v.optional(text),
    authentication,
    security,
    librdkafka: v.optional(librdkafka),
    acks: v.optional(v.picklist(['all', 'leader'], 'acks must be "all" or "leader"'), 'all'),
    maxRecords: v.optional(whole('records', 1, 10_000), 1_000),
    maxBytes: v.optional(whole('bytes', 1, 64 * MIB), MIB),
    errorHandling: v.optional(record({ returnErrorMessage: v.optional(flag, false) }), {}),
  }),
  rules(),
  unused(),
  v.transform(({ topics, ...options }) => ({
    ...options,
    topics: topics.map(({ name }) => name),
  })),
)

type Input = v.InferInput<typeof produceSchema>

/** What `kafkaProduce` takes: how to reach Kafka is said as for `kafkaConsume`. */
export interface KafkaProduceOptions
  extends Pick<
    Input,
    'bootstrapServers' | 'clusterName' | 'authentication' | 'security' | 'librdkafka'
  > {
  /** The topics that may be written to, at least one. Where there are several, a request says which. */
  readonly topics: Input['topics']
  /**
   * Who has a record when it counts as written. `all`: all replicas that are in sync; a record is
   * written once, whatever Kafka's connections do meanwhile. `leader`: the leader of its partition,
   * which may lose it. Default: `all`.
   */
  readonly acks?: 'all' | 'leader' | undefined
  /** Records of one request, 1 to 10,000. Default: 1,000. */
  readonly maxRecords?: number | undefined
  /** Bytes of one request's body, 1 to 67,108,864. Default: 1,048,576. */
  readonly maxBytes?: number | undefined
  /** `returnErrorMessage` shows the Kafka client's own words to HTTP clients. Default: false. */
  readonly errorHandling?: Input['errorHandling']
}

export type ResolvedProduceOptions = v.InferOutput<typeof produceSchema>

/** @throws KafkaConsumeError INVALID_OPTIONS, whose message names each wrong field and what is allowed. */
export function resolveProduceOptions(options: KafkaProduceOptions): ResolvedProduceOptions {
  return resolveBy(produceSchema, options as Input, 'kafkaProduce')
}
