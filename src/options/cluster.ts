/** The options of brokers and topics, as text and in Kong's form. */
import * as v from 'valibot'
import {
  isStandardSchema,
  type SchemaOfTopic,
  type StandardSchema,
} from '../records/standard-schema.ts'
import { list, record, text } from './fields.ts'
import { schemaRegistry } from './registry-options.ts'

const HOST = String.raw`[^\s:,/@[\]]+`
const IPV6 = '[0-9a-fA-F]*(?::[0-9a-fA-F.]*){2,}'
const BROKER = new RegExp(String.raw`^(?:\[${IPV6}\]|${HOST}):(\d{1,5})$`)
// Kafka's own rule: kafka.common.internals.Topic (legal characters, 249 at most).
const TOPIC = String.raw`(?!\.{1,2}$)[a-zA-Z0-9._-]{1,249}`
/** A vault reference in place of a value in Kong's documents. The value is checked again when it is resolved. */
const REFERENCE = String.raw`\{vault://[^{}]+\}`

const TOPIC_FORM = 'a topic must be 1 to 249 of the characters a-z A-Z 0-9 . _ -'

const brokerText = v.pipe(
  v.string('a broker must be text such as "localhost:9092"'),
  v.trim(),
  v.check((text) => {
    const port = BROKER.exec(text)?.[1]
    return port !== undefined && Number(port) >= 1 && Number(port) <= 65_535
  }, 'a broker must be "host:port", with a port from 1 to 65535'),
)

const host = v.pipe(
  v.string('a host must be text'),
  v.minLength(1, 'a host must not be empty'),
  v.regex(
    new RegExp(String.raw`^(?:\[${IPV6}\]|${IPV6}|${HOST}|${REFERENCE})$`),
    'a host must be a name or an IP address',
  ),
  v.description('Name or IP address of the broker'),
)

function brokerRecordOf(lowestPort: number) {
  const error = `a port must be a whole number from ${lowestPort} to 65535`
  const port = v.pipe(
    v.number(error),
    v.integer(error),
    v.minValue(lowestPort, error),
    v.maxValue(65_535, error),
    v.description('TCP port of the broker'),
  )
  return v.pipe(
    record({ host, port }),
    v.title('BrokerAddress'),
    v.description('Where a broker listens.'),
  )
}

const brokerRecord = brokerRecordOf(1)

const isIpv6 = new RegExp(`^${IPV6}$`)

function textOf(broker: string | v.InferOutput<typeof brokerRecord>): string {
  if (typeof broker === 'string') return broker
  const { host, port } = broker
  return `${isIpv6.test(host) ? `[${host}]` : host}:${port}`
}

const topicText = v.pipe(
  v.string('a topic must be text'),
  v.regex(new RegExp(`^${TOPIC}$`), TOPIC_FORM),
)

/** A topic's name, or a vault reference to it. */
export const topicName = v.pipe(
  v.string('a topic must be text'),
  v.minLength(1, TOPIC_FORM),
  v.regex(new RegExp(`^(?:${TOPIC}|${REFERENCE})$`), TOPIC_FORM),
)

/** The fields of a topic that Kong has, too. */
const kongTopic = {
  name: v.pipe(topicName, v.description('Name of the topic')),
  schemaRegistry: v.pipe(
    schemaRegistry,
    v.description('Schema registry of this topic, instead of that of the route'),
  ),
}

const standardSchema = v.pipe(
  v.custom<StandardSchema>(
    isStandardSchema,
    'a schema of valibot, zod 4, arktype or another library of Standard Schema is required',
  ),
  v.title('StandardSchema'),
)

const topicRecord = v.pipe(
  record({
    ...kongTopic,
    schema: v.pipe(
      v.optional(standardSchema),
      v.description(
        'Schema of the values, of any library that implements Standard Schema. It types them, validates them, and its output takes their place',
      ),
    ),
    key: v.pipe(
      v.optional(standardSchema),
      v.description('Schema of the keys, which are texts, or `null` where a record has none'),
    ),
    headers: v.pipe(
      v.optional(standardSchema),
      v.description('Schema of the headers, an object of texts, arrays of texts, or `null`'),
    ),
  }),
  v.title('TopicOptions'),
  v.description('A topic with options of its own.'),
)

/** A topic, with a schema registry and schemas of its own if it has any. */
export type Topic = v.InferOutput<typeof topicRecord>

/** A list of brokers in a given form. */
function brokersOf<T extends v.GenericSchema<unknown, string>>(element: T) {
  return v.pipe(list(element), v.minLength(1, 'at least one broker is required'))
}

/** A list of topics in a given form. */
function topicsOf<T extends v.GenericSchema<unknown, Pick<Topic, 'name' | 'schemaRegistry'>>>(
  element: T,
) {
  return v.pipe(
    list(element),
    v.minLength(1, 'at least one topic is required'),
    v.maxLength(100, 'at most 100 topics are allowed'),
    v.check(
      (given) => new Set(given.map(({ name }) => name)).size === given.length,
      'each topic may be named only once',
    ),
  )
}

// Kong accepts the port 0.
const kongBroker = v.pipe(
  brokerRecordOf(0),
  v.transform((broker) => textOf(broker)),
)
/** Brokers in Kong's form: `{host, port}`. */
export const kongBrokers = brokersOf(kongBroker)
/** Brokers in Kong's form, for plugins that Kong accepts without any. */
export const optionalKongBrokers = v.optional(list(kongBroker))
/** Topics in Kong's form: `{name, schema_registry}`. */
export const kongTopics = topicsOf(record(kongTopic))

export const brokers = v.pipe(
  v.union(
    [
      v.pipe(
        v.string(),
        v.transform((text) => text.split(',')),
      ),
      v.custom<ReadonlyArray<string | v.InferInput<typeof brokerRecord>>>(Array.isArray),
    ],
    'brokers are required: "host:port,host:port" or an array of them',
  ),
  brokersOf(
    v.pipe(
      v.union(
        [brokerText, brokerRecord],
        'a broker must be text such as "localhost:9092", or {host, port}',
      ),
      v.transform((broker) => textOf(broker)),
      brokerText,
    ),
  ),
  v.description(
    'Brokers to connect to first: `"host:port,host:port"`, or an array of such texts or of `{host, port}`. They name the other brokers',
  ),
)

export const clusterName = v.pipe(
  v.optional(text),
  v.description(
    'Name of the Kafka cluster in logs, metrics and `stats()`; without it they show the brokers. Routes share connections where this, brokers, `authentication`, `security` and `librdkafka` are equal',
  ),
)

/** Topics that are the fields of an object, each with the schema of its values. */
const topicMap = v.pipe(
  v.custom<SchemaOfTopic>(isTopicMap),
  v.title('SchemaOfTopic'),
  v.transform((schemas) => Object.entries(schemas).map(([name, schema]) => ({ name, schema }))),
)

function isTopicMap(given: unknown): boolean {
  return isObject(given) && !isStandardSchema(given)
}

function isObject(given: unknown): boolean {
  return typeof given === 'object' && given !== null && !Array.isArray(given)
}

export const topics = v.pipe(
  v.union(
    [
      v.pipe(
        v.string(),
        v.transform((text) => text.split(',').map((name) => name.trim())),
      ),
      v.custom<ReadonlyArray<string | v.InferInput<typeof topicRecord>>>(Array.isArray),
      topicMap,
    ],
    'topics are required: an array of names, "name,name", or an object with a schema for each topic',
  ),
  v.title('KafkaTopics'),
  v.description('Topics, whose schemas give their records types.'),
  topicsOf(
    v.pipe(
      v.union(
        [
          v.pipe(
            v.string(),
            v.transform((name) => ({ name })),
          ),
          v.custom<v.InferInput<typeof topicRecord>>(isObject),
        ],
        'a topic must be text, or {name, schema}',
      ),
      topicRecord,
      // Only Kong's configuration may refer to a vault.
      v.check(({ name }) => v.is(topicText, name) || !v.is(topicName, name), TOPIC_FORM),
    ),
  ),
)
