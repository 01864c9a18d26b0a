import * as v from 'valibot'
import type { FormatRecord } from '../records/format.ts'
import { schemasByTopic } from '../records/topic-schemas.ts'
import type { Transform } from '../records/transform.ts'
import { authentication, security } from './authentication.ts'
import { brokers, clusterName, type Topic, topicName, topics } from './cluster.ts'
import { errorHandling } from './error-handling.ts'
import { flag, groupProtocol, instanceId, list, record, whole } from './fields.ts'
import { librdkafka } from './librdkafka.ts'
import { luaFunction } from './lua-syntax.ts'
import { namedFilters } from './named-filters.ts'
import type { KafkaConsumeOptions } from './option-types.ts'
import { type RegistryOptions, schemaRegistry } from './registry-options.ts'
import { resolveBy } from './resolve.ts'
import { rules, unused } from './rules.ts'

const MIB = 1024 * 1024

export const MODES = ['http-get', 'server-sent-events', 'websocket'] as const

/** The formats that a client can choose for records that come one by one. */
export const STREAM_FORMATS = ['records', 'value', 'cloudevents'] as const

const group = {
  mode: v.pipe(
    v.optional(
      v.picklist(
        ['random', 'kong_consumer', 'manual'],
        'mode must be "random", "kong_consumer" or "manual"',
      ),
      'random',
    ),
    v.description(
      'Where the id of the group comes from: `random` derives a lasting one from brokers and topics, `manual` takes `consumerGroupId`, `kong_consumer` takes the name of the client (`c.var.kafkaClient`)',
    ),
  ),
  consumerGroupId: v.pipe(
    v.optional(
      v.pipe(
        v.string('consumerGroupId must be text'),
        v.minLength(1, 'consumerGroupId must not be empty'),
        v.maxLength(255, 'consumerGroupId must have at most 255 characters'),
      ),
    ),
    v.description('Id of the group. Required with `mode: "manual"`'),
  ),
}

const DESERIALIZERS = v.picklist(['noop', 'json'], 'messageDeserializer must be "noop" or "json"')

/** Fields that Kong's plugin has, too, in an equal form. */
export const consumeFields = {
  messageDeserializer: v.optional(DESERIALIZERS, 'noop'),
  autoOffsetReset: v.pipe(
    v.optional(
      v.picklist(['earliest', 'latest'], 'autoOffsetReset must be "earliest" or "latest"'),
      'latest',
    ),
    v.description(
      'Where a consumer group without committed offsets starts: `earliest` at the oldest record that Kafka keeps, `latest` at the end',
    ),
  ),
  commitStrategy: v.pipe(
    v.optional(v.picklist(['auto', 'off'], 'commitStrategy must be "auto" or "off"'), 'auto'),
    v.description(
      '`auto` commits records once they were delivered; `off` commits only what clients post to `…/offsets`, or handlers commit by `commit()`',
    ),
  ),
  clusterName,
  schemaRegistry: v.pipe(
    schemaRegistry,
    v.description(
      "Schema registry of keys and values: `{confluent: {url, …}}`, one with Confluent's API. A topic may have its own",
    ),
  ),
  messageByLuaFunctions: v.pipe(
    v.optional(list(luaFunction)),
    v.description(
      'Lua functions, `return function(message) … end`, called in turn with each record: each returns the record, changed or not, or nil to drop it',
    ),
  ),
  enableDlq: v.pipe(
    v.optional(flag),
    v.description(
      'Whether records that cannot be deserialized, transformed or validated go to `dlqTopic` instead of to clients',
    ),
  ),
  dlqTopic: v.pipe(
    v.optional(topicName),
    v.description(
      'Topic of the dead letters. It must exist, and must not be one of `topics`. Required with `enableDlq`',
    ),
  ),
  consumerGroup: v.pipe(
    v.optional(record(group), { mode: 'random' }),
    v.description(
      'The consumer group of reads without a position: `random` derives a lasting id from brokers and topics, `manual` takes `consumerGroupId`, `kong_consumer` takes the name of the client (`c.var.kafkaClient`)',
    ),
  ),
  errorHandling,
}

/**
 * The one source of `kafkaConsume`'s types, defaults, docstrings and validation messages: each
 * field's description is in the README's table and in `option-types.ts`, which is generated.
 */
export const optionsSchema = v.pipe(
  v.strictObject({
    bootstrapServers: brokers,
    topics: v.pipe(
      topics,
      v.description(
        'Topics to read, 1 to 100, in this order: `"name,name"`, an array of names or of `{name, schema, key, headers, schemaRegistry}`, or an object with the schema of each topic',
      ),
    ),
    mode: v.pipe(
      v.optional(
        v.picklist(
          [...MODES, 'auto'],
          'mode must be "http-get", "server-sent-events", "websocket" or "auto"',
        ),
        'http-get',
      ),
      v.description(
        'How records are delivered: `http-get` as one answer to each GET, `server-sent-events` or `websocket` as a stream; `auto` chooses by the `Accept` and `Upgrade` headers',
      ),
    ),
    ...consumeFields,
    messageDeserializer: v.pipe(
      v.optional(DESERIALIZERS),
      v.description(
        'How values are delivered: `noop` as strings, `json` as parsed JSON. Default: `json` where a topic has a `schema`, else `noop`',
      ),
    ),
    consumerGroup: v.pipe(
      v.optional(
        v.pipe(
          record({
            ...group,
            groupInstanceId: v.pipe(
              v.optional(instanceId(249)),
              v.description(
                "Kafka's `group.instance.id`: makes this process a static member, which keeps its partitions while it restarts. Each process needs one of its own",
              ),
            ),
            groupProtocol: v.pipe(
              v.optional(groupProtocol),
              v.description(
                "Kafka's `group.protocol`, the protocol by which members join: `consumer` needs Kafka 4. A group then answers at once, also where it is new, and the brokers decide after how long a silent member has left. Default: `classic`",
              ),
            ),
          }),
          v.title('ConsumerGroupOptions'),
          v.description('The consumer group of reads without a position.'),
        ),
        { mode: 'random' },
      ),
      v.description(
        'The consumer group of reads without a position: `random` derives a lasting id from brokers and topics, `manual` takes `consumerGroupId`, `kong_consumer` takes the name of the client (`c.var.kafkaClient`). `groupInstanceId` makes this process a static member, which keeps its partitions while it restarts',
      ),
    ),
    authentication,
    security,
    librdkafka,
    responseFormat: v.pipe(
      v.optional(
        v.picklist(
          ['kong', ...STREAM_FORMATS],
          'responseFormat must be "kong", "records", "value" or "cloudevents"',
        ),
        'kong',
      ),
      v.description(
        'Form of answers: `kong` has records by topic and partition (streams: as `records`), `records` is a flat list, `value` has values alone, `cloudevents` has CloudEvents. Clients can ask for another by the parameter `format`',
      ),
    ),
    format: v.pipe(
      v.optional(
        v.custom<FormatRecord>(
          (given) => typeof given === 'function',
          'format must be a function of a record',
        ),
      ),
      v.title('FormatRecord'),
      v.description(
        'Called with each record, it returns the JSON that clients get instead of `responseFormat`; they cannot ask for another',
      ),
    ),
    transform: v.pipe(
      v.optional(
        v.custom<Transform>(
          (given) => typeof given === 'function',
          'transform must be a function of a record',
        ),
      ),
      v.title('Transform'),
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
        'The compression for clients that accept it: none (`off`), of answers of single reads (`answers`), or of streams as well (`all`)',
      ),
    ),
    filters: v.pipe(
      v.optional(namedFilters),
      v.description(
        'Filters by name, each an expression of CEL, that clients use by `?filter=@name`: `{ big: "value.total > 1000" }`, 100 at most',
      ),
    ),
    pageCaching: v.pipe(
      v.optional(
        v.picklist(
          ['off', 'private', 'public'],
          'pageCaching must be "off", "private" or "public"',
        ),
        'private',
      ),
      v.description(
        'Which caches may keep full pages from a cursor: none (`off`), those of clients (`private`), or proxies as well (`public`), except for clients with credentials',
      ),
    ),
    pageMaxAge: v.pipe(
      v.optional(whole('milliseconds', 1_000, 365 * 86_400_000), 3_600_000),
      v.description(
        'Milliseconds for which caches may keep a page. They may have its records for so long after Kafka has deleted them; for compacted topics it must not exceed `delete.retention.ms`',
      ),
    ),
    heartbeat: v.pipe(
      v.optional(whole('milliseconds', 100, 3_600_000), 8_000),
      v.description('Milliseconds of silence on a stream after which a heartbeat is sent'),
    ),
    writeDeadline: v.pipe(
      v.optional(whole('milliseconds', 100, 3_600_000), 60_000),
      v.description('Milliseconds for which a client may read nothing until its stream is closed'),
    ),
    maxStreamAge: v.pipe(
      v.optional(whole('milliseconds', 1_000, 30 * 86_400_000)),
      v.description(
        'Milliseconds after which a stream ends, after a whole event and up to a fifth sooner at random, so that its client resumes on any node; without it streams do not end',
      ),
    ),
    ringBytes: v.pipe(
      v.optional(whole('bytes', 64 * 1024, 4096 * MIB), 64 * MIB),
      v.description(
        'Bytes of the ring buffer: the newest records, which all streams of the topics share. Older ones are read from Kafka',
      ),
    ),
    maxSubscribers: v.pipe(
      v.optional(whole('streams', 1, 1_000_000), 20_000),
      v.description('Open streams at most; one more is refused with 503 `TOO_MANY_SUBSCRIBERS`'),
    ),
    maxAnswerBytes: v.pipe(
      v.optional(whole('bytes', MIB, 65_536 * MIB), 128 * MIB),
      v.description(
        'Bytes of answers to single reads that clients have not read yet, at most. Answers become shorter as less is left; one that does not fit is refused with 503 `TOO_MANY_ANSWERS`',
      ),
    ),
    maxCatchUpReads: v.pipe(
      v.optional(whole('catch-up reads', 1, 48), 16),
      v.description(
        'Concurrent catch-up reads, of records older than the ring buffer, each with its own consumer; one more is refused with 503 `TOO_MANY_CATCH_UP_READS`',
      ),
    ),
    maxGroups: v.pipe(
      v.optional(whole('groups', 1, 1_000), 64),
      v.description(
        'Concurrent consumer groups of clients (`kong_consumer`), each with its own consumer; for one more the least recently used idle one is closed, else it is refused with 503 `TOO_MANY_GROUPS`',
      ),
    ),
  }),
  rules(),
  unused(),
  v.transform(({ topics, schemaRegistry, messageDeserializer, ...options }) => ({
    ...options,
    messageDeserializer: messageDeserializer ?? deserializerOf(topics),
    topics: topics.map(({ name }) => name),
    registries: registriesOf(topics, schemaRegistry.confluent),
    schemas: schemasByTopic(topics),
  })),
)

/** Schemas are of what values mean, which is JSON in most topics. */
function deserializerOf(topics: readonly Topic[]): 'json' | 'noop' {
  return topics.some(({ schema }) => schema !== undefined) ? 'json' : 'noop'
}

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

/** The options of `kafkaConsume` with every default filled in. */
export type ResolvedOptions = v.InferOutput<typeof optionsSchema> & {
  /** Whether records stay as they are beside what their schemas return. Default: clients get that, as JSON. */
  readonly schemasOnlyCheck?: boolean
}

/**
 * Checks options and fills in the defaults.
 *
 * @throws KafkaConsumeError INVALID_OPTIONS, whose message names each wrong field and what is allowed.
 */
export function resolveOptions(options: KafkaConsumeOptions): ResolvedOptions {
  return resolveBy(optionsSchema, options, 'kafkaConsume')
}
