/** The options of `kafkaProduce`. */
import * as v from 'valibot'
import { schemasByTopic } from '../records/topic-schemas.ts'
import { authentication, security } from './authentication.ts'
import { brokers, clusterName, topics } from './cluster.ts'
import { errorHandling } from './error-handling.ts'
import { whole } from './fields.ts'
import { librdkafka } from './librdkafka.ts'
import type { KafkaProduceOptions } from './option-types.ts'
import { resolveBy } from './resolve.ts'
import { rules, unused } from './rules.ts'

const MIB = 1024 * 1024

/** The one source of `kafkaProduce`'s types, defaults, docstrings (`option-types.ts`) and messages. */
export const produceSchema = v.pipe(
  v.strictObject({
    bootstrapServers: brokers,
    topics: v.pipe(
      topics,
      v.check(
        (topics) => topics.every(({ schemaRegistry }) => schemaRegistry.confluent === undefined),
        'records are written as they come: a schema registry is of no use here',
      ),
      v.description(
        'Topics that may be written to, 1 to 100: `"name,name"`, an array of names or of `{name, schema, key, headers}`, or an object with the schema of each topic. If there are several, a request names one by the parameter `topic` or in each record',
      ),
    ),
    clusterName,
    authentication,
    security,
    librdkafka,
    acks: v.pipe(
      v.optional(v.picklist(['all', 'leader'], 'acks must be "all" or "leader"'), 'all'),
      v.description(
        'When a record counts as written: with `all` once all in-sync replicas have it, and exactly once whatever connections do meanwhile; with `leader` once the leader of its partition has it, which may lose it',
      ),
    ),
    maxRecords: v.pipe(
      v.optional(whole('records', 1, 10_000), 1_000),
      v.description('Records of one request at most; more are refused with 413 `RECORD_TOO_LARGE`'),
    ),
    maxBytes: v.pipe(
      v.optional(whole('bytes', 1, 64 * MIB), MIB),
      v.description(
        "Bytes of one request's body at most; more are refused with 413 `RECORD_TOO_LARGE`",
      ),
    ),
    errorHandling,
  }),
  rules(),
  unused(),
  v.transform(({ topics, ...options }) => ({
    ...options,
    topics: topics.map(({ name }) => name),
    schemas: schemasByTopic(topics),
  })),
)

/** The options of `kafkaProduce` with every default filled in. */
export type ResolvedProduceOptions = v.InferOutput<typeof produceSchema>

/** @throws KafkaConsumeError INVALID_OPTIONS, whose message names each wrong field and what is allowed. */
export function resolveProduceOptions(options: KafkaProduceOptions): ResolvedProduceOptions {
  return resolveBy(produceSchema, options, 'kafkaProduce')
}
