import * as v from 'valibot'

import { type FormatRecord, STREAM_FORMATS } from '../record/format.ts'

import type { Transform } from '../record/transform.ts'

import { authentication, kongAuthentication, kongSecurity, security } from './authentication.ts'
import { brokers, kongBrokers, kongTopics, type Topic, topicName, topics } from './cluster.ts'
import { flag, instanceId, list, oneOf, record, text, whole } from './fields.ts'
import { librdkafka } from './librdkafka.ts'
import { luaMistake } from './lua.ts'
import { type RegistryOptions, schemaRegistry } from './registry.ts'
import { resolveBy } from './resolve.ts'
import { rules, unused } from './rules.ts'

const MIB = 1024 * 1024

const MODES = ['http-get', 'server-sent-events', 'websocket'] as const

const group = {
  mode: v.optional(
    v.picklist(
      ['random', 'kong_consumer', 'manual'],
      'mode must be "random", "kong_consumer" or "manual"',
    ),
    'random',
  ),
  consumerGroupId: v.optional(
    v.pipe(
      v.string('consumerGroupId must be text'),
      v.minLength(1, 'consumerGroupId must not be empty'),
      v.maxLength(255, 'consumerGroupId must have at most 255 characters'),
    ),
  ),
}

const luaFunction = v.pipe(
  text,
  v.rawCheck(({ dataset, addIssue }) => {
    const mistake = dataset.typed ? luaMistake(dataset.value) : undefined
    if (mistake !== undefined) addIssue({ message: mistake })
  }),
)

/** Fields that Kong has too, in the same form. */
const shared = {
  messageDeserializer: v.pipe(
    v.optional(
      v.picklist(['noop', 'json'], 'messageDeserializer must be "noop" or "json"'),
      'noop',
    ),
    v.description('`noop`: a value is a string; `json`: a value is parsed JSON'),
  ),
  autoOffsetReset: v.pipe(
    v.optional(
      v.picklist(['earliest', 'latest'], 'autoOffsetReset must be "earliest" or "latest"'),
      'latest',
    ),
    v.description('Where a group without committed offsets begins; `latest` is the end'),
  ),
  commitStrategy: v.pipe(
    v.optional(v.picklist(['auto', 'off'], 'commitStrategy must be "auto" or "off"'), 'auto'),
    v.description(
      '`auto` commits what was delivered; `off` commits only what is posted to `…/offsets`',
    ),
  ),
  clusterName: v.pipe(
    v.optional(text),
    v.description(
      'A name for the cluster: routes share connections where brokers and this name are the same, and logs show it',
    ),
  ),
  schemaRegistry: v.pipe(
    schemaRegistry,
    v.description(
      'Where the schemas of keys and values are: `{confluent: {url, …}}`, a registry of Confluent’s API. A topic may have its own',
    ),
  ),
  messageByLuaFunctions: v.pipe(
    v.optional(list(luaFunction)),
    v.description(
      'Lua functions, `return function(message) … end`, that change each message in turn, or leave it out by returning nil',
    ),
  ),
  enableDlq: v.pipe(
    v.optional(flag),
    v.description(
      'Whether records that cannot be deserialized or transformed go to `dlqTopic` instead of to clients',
    ),
  ),
  dlqTopic: v.pipe(
    v.optional(topicName),
    v.description('The topic of dead letters; it must exist'),
  ),
  consumerGroup: v.pipe(
    v.optional(record(group), { mode: 'random' }),
    v.description(
      'The group of reads without a position: `random` derives a lasting id from brokers and topics, `manual` takes `consumerGroupId`, `kong_consumer` the name of the client (`c.var.kafkaClient`)',
    ),
  ),
  errorHandling: v.pipe(
    v.optional(
      record({
        returnErrorMessage: v.optional(
          v.boolean('returnErrorMessage must be true or false'),
          false,
        ),
      }),
      {},
    ),
    v.description("`returnErrorMessage` shows the Kafka client's own words to HTTP clients"),
  ),
}

// Kong shows its fields in this order.
const { messageDeserializer, autoOffsetReset, commitStrategy, clusterName, ...others } = shared

/**
 * What Kong's `kafka-consume` takes, by our names: of the same fields as {@link optionsSchema},
 * with the forms and the values that Kong knows, and no others.
 */
export const kongSchema = v.pipe(
  record({
    bootstrapServers: kongBrokers,
    topics: kongTopics,
    // Kong has a default for it and yet refuses null.
    mode: v.pipe(v.optional(oneOf(...MODES), 'http-get'), v.metadata({ required: true })),
    messageDeserializer,
    autoOffsetReset,
    enforceLatestOffsetReset: v.optional(flag, false),
    commitStrategy,
    clusterName,
    authentication: kongAuthentication,
    security: kongSecurity,
    ...others,
  }),
  rules(),
)

/**
 * The one source of `kafkaConsume`'s types, defaults and validation messages. Each field's
 * description is what the README's table says of it.
 */
export const optionsSchema = v.pipe(
  v.strictObject({
    bootstrapServers: v.pipe(
      brokers,
      v.description(
        'The brokers to ask first: `"host:port,host:port"`, or an array of them or of `{host, port}`',
      ),
    ),
    topics: v.pipe(
      topics,
      v.description('The topics to read, in this order: names, or `{name, schemaRegistry}`'),
    ),
    mode: v.pipe(
      v.optional(
        v.picklist(
          [...MODES, 'auto'],
          'mode must be "http-get", "server-sent-events", "websocket" or "auto"',
        ),
        'http-get',
      ),
      v.description('How records are delivered; `auto` chooses by the `Accept` header'),
    ),
    ...shared,
    consumerGroup: v.pipe(
      v.optional(record({ ...group, groupInstanceId: v.optional(instanceId(249)) }), {
        mode: 'random',
      }),
      v.description(
        'The group of reads without a position: `random` derives a lasting id from brokers and topics, `manual` takes `consumerGroupId`, `kong_consumer` the name of the client (`c.var.kafkaClient`). `groupInstanceId` makes this process a static member, which keeps its partitions while it is started again',
      ),
    ),
    authentication: v.pipe(
      authentication,
      v.description(
        'SASL: `strategy: "sasl"` and a `mechanism`, with `user` and `password` (text, or `{file}`; those of a delegation token with `tokenauth: true`), or `oauthbearer` with `tokenEndpointUrl`, `clientId`, `clientSecret`, `scopes`, `extensions`',
      ),
    ),
    security: v.pipe(
      security,
      v.description(
        'TLS: `ssl: true`, verified by `ca` or the system’s authorities unless `sslVerify` is false; `certificate` and `key` are ours. Each is PEM text, or `{file}`',
      ),
    ),
    librdkafka: v.pipe(
      v.optional(librdkafka),
      v.description(
        'Further properties of librdkafka by name; those that other options set are refused',
      ),
    ),
    responseFormat: v.pipe(
      v.optional(
        v.picklist(
          ['kong', ...STREAM_FORMATS],
          'responseFormat must be "kong", "records", "value" or "cloudevents"',
        ),
        'kong',
      ),
      v.description(
        'What clients are shown: records by topic and partition as Kong does (on streams as `records`), a flat list of them, only their values, or CloudEvents; clients can ask for another by `format`',
      ),
    ),
    format: v.pipe(
      v.optional(
        v.custom<FormatRecord>(
          (given) => typeof given === 'function',
          'format must be a function of a record',
        ),
      ),
      v.description(
        'Called with each record, it returns the JSON that clients are shown instead; they cannot ask for another',
      ),
    ),
    transform: v.pipe(
      v.optional(
        v.custom<Transform>(
          (given) => typeof given === 'function',
          'transform must be a function of a record',
        ),
      ),
      v.description(
        'Called with each record on its way to clients: returns it, changed or not, or `null` to drop it',
      ),
    ),
    compression: v.pipe(
      v.optional(
        v.picklist(['off', 'answers', 'all'], 'compression must be "off", "answers" or "all"'),
        'answers',
      ),
      v.description(
        'What is compressed when a client asks for it: nothing, the answers of single reads, or streams as well',
      ),
    ),
    heartbeat: v.pipe(
      v.optional(whole('milliseconds', 100, 3_600_000), 8_000),
      v.description('Milliseconds of silence on a stream after which a comment is sent'),
    ),
    writeDeadline: v.pipe(
      v.optional(whole('milliseconds', 100, 3_600_000), 60_000),
      v.description('Milliseconds for which a client may read nothing before its stream is closed'),
    ),
    maxStreamAge: v.pipe(
      v.optional(whole('milliseconds', 1_000, 30 * 86_400_000)),
      v.description(
        'Milliseconds after which a stream ends, after a whole event and up to a fifth sooner by chance: its client resumes, on any node',
      ),
    ),
    ringBytes: v.pipe(
      v.optional(whole('bytes', 64 * 1024, 4096 * MIB), 64 * MIB),
      v.description('Bytes of the newest records that all streams share; Kafka holds the rest'),
    ),
    maxSubscribers: v.pipe(
      v.optional(whole('streams', 1, 1_000_000), 20_000),
      v.description('Open streams at most; one more is refused with 503'),
    ),
    maxAnswerBytes: v.pipe(
      v.optional(whole('bytes', MIB, 65_536 * MIB), 128 * MIB),
      v.description(
        'Bytes of answers of single reads in memory at most, until their clients have read them; as less is left answers become shorter, and one that does not fit is refused with 503',
      ),
    ),
    maxReplays: v.pipe(
      v.optional(whole('replays', 1, 48), 16),
      v.description(
        'Reads behind the ring at a time, each with its own consumer; one more is refused with 503',
      ),
    ),
    maxGroups: v.pipe(
      v.optional(whole('groups', 1, 1_000), 64),
      v.description(
        'Clients that read as groups of their own at a time (`kong_consumer`), each with its own consumer; one that rests makes room, else one more is refused with 503',
      ),
    ),
  }),
  rules(),
  unused(),
  v.transform(({ topics, schemaRegistry, ...options }) => ({
    ...options,
    topics: topics.map(({ name }) => name),
    registries: registriesOf(topics, schemaRegistry.confluent),
  })),
)

/** The registry of each topic that has one: its own, or the route's. */
function registriesOf(
  topics: readonly Topic[],
  common: RegistryOptions | undefined,
): ReadonlyMap<string, RegistryOptions> {
  return new Map(
    topics.flatMap(({ name, schemaRegistry }) => {
      const registry = schemaRegistry.confluent ?? common
      return registry ? [[name, registry] as const] : []
    }),
  )
}

/** What `kafkaConsume` takes. */
export type KafkaConsumeOptions = v.InferInput<typeof optionsSchema>
/** The same, with every default filled in. */
export type ResolvedOptions = v.InferOutput<typeof optionsSchema>

/**
 * Checks options and fills in the defaults.
 *
 * @throws KafkaConsumeError INVALID_OPTIONS, whose message names each wrong field and what is allowed.
 */
export function resolveOptions(options: KafkaConsumeOptions): ResolvedOptions {
  return resolveBy(optionsSchema, options, 'kafkaConsume')
}
