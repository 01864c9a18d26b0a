/** The options by which `kafkaUpstream` and `kafkaLog` write: those of Kong's producers. */
import * as v from 'valibot'
import { authentication, kongAuthentication, kongSecurity, security } from './authentication.ts'
import { brokers, clusterName, optionalKongBrokers, topicName } from './cluster.ts'
import { flag, oneOfNumbers, text, whole } from './fields.ts'
import { librdkafka } from './librdkafka.ts'
import { producerRegistry } from './registry-options.ts'

/** The most that an integer of librdkafka can hold. */
const MAX_INT = 2 ** 31 - 1
const milliseconds = whole('milliseconds', 0, MAX_INT)

const topic = v.pipe(
  topicName,
  v.description('Topic of the records, or of those whose request names none'),
)

const timeout = v.pipe(
  v.optional(milliseconds, 10_000),
  v.description("Milliseconds after which an unanswered request to a broker fails: the socket's"),
)

/** Fields of Kong's connections. Those of the middlewares stay open, so that two have no effect. */
export const kongSocket = {
  timeout,
  keepalive: v.optional(milliseconds, 60_000),
  keepaliveEnabled: v.optional(flag, false),
}

/** Fields of all producers, in an equal form in Kong's plugins and in the middlewares. */
export const producerFields = {
  producerRequestAcks: v.pipe(
    v.optional(oneOfNumbers(-1, 0, 1), 1),
    v.description(
      'When a record counts as written: `-1` once all in-sync replicas have it, and exactly once whatever connections do meanwhile; `1` once the leader of its partition has it; `0` once it is sent',
    ),
  ),
  producerRequestTimeout: v.pipe(
    v.optional(milliseconds, 2_000),
    v.description('Milliseconds in which a broker must answer a Produce request'),
  ),
  producerRequestLimitsMessagesPerRequest: v.pipe(
    v.optional(whole('records', 1, MAX_INT), 200),
    v.description('Records of one Produce request to a partition at most'),
  ),
  producerRequestLimitsBytesPerRequest: v.pipe(
    v.optional(whole('bytes', 1, MAX_INT), 1_048_576),
    v.description(
      'Bytes of one Produce request to a partition at most; a larger record goes alone',
    ),
  ),
  producerRequestRetriesMaxAttempts: v.pipe(
    v.optional(whole('attempts', 0, MAX_INT), 10),
    v.description('How often a Produce request is sent again at most'),
  ),
  producerRequestRetriesBackoffTimeout: v.pipe(
    v.optional(milliseconds, 100),
    v.description('Milliseconds before a Produce request is sent again'),
  ),
  producerAsync: v.pipe(
    v.optional(flag, true),
    v.description(
      'Whether records are buffered, and not waited for. With `false` each is sent at once',
    ),
  ),
  producerAsyncFlushTimeout: v.pipe(
    v.optional(milliseconds, 1_000),
    v.description('Milliseconds for which a buffered record waits for others to be sent with'),
  ),
  producerAsyncBufferingLimitsMessagesInMemory: v.pipe(
    v.optional(whole('records', 1, MAX_INT), 50_000),
    v.description(
      'Records that wait for Kafka at most, and 64 MiB of them; one more is refused, and counted as lost where its request was answered before',
    ),
  ),
  schemaRegistry: v.pipe(
    producerRegistry,
    v.description(
      'Schema registry by which values and keys are validated and encoded, as Avro or by JSON Schema: `{confluent: {url, valueSchema, keySchema}}`',
    ),
  ),
}

/** The name of the parameter that holds the key. */
const keyQueryArg = v.pipe(
  v.optional(text),
  v.description(
    "Name of the query parameter that holds the record's key; without it there is none",
  ),
)

/** The options of how to reach Kafka, which all functions have. */
export const connectionOptions = {
  bootstrapServers: brokers,
  clusterName,
  authentication,
  security,
  librdkafka,
}

/** The options of where to write, and how to connect. */
export const targetOptions = { ...connectionOptions, topic, timeout, keyQueryArg }

/** The fields of Kong's `kafka-upstream` and `kafka-log` about where to write. */
export const kongTarget = {
  bootstrapServers: optionalKongBrokers,
  topic,
  // Kong makes up a random text, which decK takes for a change at each sync.
  clusterName: v.optional(text),
  ...kongSocket,
  keyQueryArg,
}

/** The fields of Kong's plugins about how to connect, but for those of Confluent Cloud. */
export const kongConnection = {
  authentication: kongAuthentication,
  security: kongSecurity,
}
