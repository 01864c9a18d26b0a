import * as v from 'valibot'
import { KafkaConsumeError } from '../errors.ts'

const MIB = 1024 * 1024

/** A whole number of a unit within a range, whose message names the range. */
function whole(unit: string, min: number, max: number) {
  const message = `a whole number of ${unit} from ${min} to ${max} is required`
  return v.pipe(
    v.number(message),
    v.integer(message),
    v.minValue(min, message),
    v.maxValue(max, message),
  )
}

const BROKER = /^(?:\[[0-9a-fA-F:.]+\]|[^\s:,/@[\]]+):(\d{1,5})$/
const broker = v.pipe(
  v.string('a broker must be text such as "localhost:9092"'),
  v.trim(),
  v.check((text) => {
    const port = BROKER.exec(text)?.[1]
    return port !== undefined && Number(port) <= 65_535
  }, 'a broker must be "host:port", with a port from 0 to 65535'),
)
const bootstrapServers = v.pipe(
  v.union(
    [
      v.pipe(
        v.string(),
        v.transform((text) => text.split(',')),
      ),
      v.custom<readonly string[]>(Array.isArray),
    ],
    'brokers are required: "host:port,host:port" or an array of them',
  ),
  v.array(broker, 'brokers must be an array of text'),
  v.minLength(1, 'at least one broker is required'),
)

// Kafka's own rule: kafka.common.internals.Topic (legal characters, 249 at most).
const topic = v.pipe(
  v.string('a topic must be text'),
  v.regex(
    /^(?!\.{1,2}$)[a-zA-Z0-9._-]{1,249}$/,
    'a topic must be 1 to 249 of the characters a-z A-Z 0-9 . _ -',
  ),
)
const topics = v.pipe(
  v.union(
    [
      v.pipe(
        v.string(),
        v.transform((text) => text.split(',').map((name) => name.trim())),
      ),
      v.custom<readonly string[]>(Array.isArray),
    ],
    'topics are required: an array of names, or "name,name"',
  ),
  v.array(topic, 'topics must be an array of text'),
  v.minLength(1, 'at least one topic is required'),
  v.maxLength(100, 'at most 100 topics are allowed'),
  v.check((names) => new Set(names).size === names.length, 'each topic may be named only once'),
)

const consumerGroup = v.optional(
  v.variant(
    'mode',
    [
      v.strictObject({ mode: v.literal('random') }),
      v.strictObject({
        mode: v.literal('manual'),
        consumerGroupId: v.pipe(
          v.string('consumerGroupId is required when the mode is "manual"'),
          v.minLength(1, 'consumerGroupId must not be empty'),
          v.maxLength(255, 'consumerGroupId must have at most 255 characters'),
        ),
      }),
    ],
    'mode must be "random" or "manual"',
  ),
  { mode: 'random' },
)

/**
 * The one source of `kafkaConsume`'s types, defaults and validation messages. Each field's
 * description is what the README's table says of it.
 */
export const optionsSchema = v.strictObject({
  bootstrapServers: v.pipe(
    bootstrapServers,
    v.description('The brokers to ask first: `"host:port,host:port"` or an array'),
  ),
  topics: v.pipe(topics, v.description('The topics to read, in this order')),
  mode: v.pipe(
    v.optional(
      v.picklist(
        ['http-get', 'server-sent-events', 'auto'],
        'mode must be "http-get", "server-sent-events" or "auto"',
      ),
      'http-get',
    ),
    v.description('How records are delivered; `auto` chooses by the `Accept` header'),
  ),
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
  consumerGroup: v.pipe(
    consumerGroup,
    v.description(
      'The group of reads without a position: `random` derives a lasting id from brokers and topics, `manual` takes `consumerGroupId`',
    ),
  ),
  responseFormat: v.pipe(
    v.optional(
      v.picklist(['kong', 'records'], 'responseFormat must be "kong" or "records"'),
      'kong',
    ),
    v.description('The JSON of a GET: by topic and partition as Kong does, or a flat list'),
  ),
  errorHandling: v.pipe(
    v.optional(
      v.strictObject({
        returnErrorMessage: v.optional(
          v.boolean('returnErrorMessage must be true or false'),
          false,
        ),
      }),
      {},
    ),
    v.description("`returnErrorMessage` shows the Kafka client's own words to HTTP clients"),
  ),
  heartbeat: v.pipe(
    v.optional(whole('milliseconds', 100, 3_600_000), 8_000),
    v.description('Milliseconds of silence on a stream after which a comment is sent'),
  ),
  writeDeadline: v.pipe(
    v.optional(whole('milliseconds', 100, 3_600_000), 60_000),
    v.description('Milliseconds for which a client may read nothing before its stream is closed'),
  ),
  ringBytes: v.pipe(
    v.optional(whole('bytes', 64 * 1024, 4096 * MIB), 64 * MIB),
    v.description('Bytes of the newest records that all streams share; Kafka holds the rest'),
  ),
  maxSubscribers: v.pipe(
    v.optional(whole('streams', 1, 1_000_000), 20_000),
    v.description('Open streams at most; one more is refused with 503'),
  ),
  maxReplays: v.pipe(
    v.optional(whole('replays', 1, 48), 16),
    v.description(
      'Reads behind the ring at a time, each with its own consumer; one more is refused with 503',
    ),
  ),
})

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
  const result = v.safeParse(optionsSchema, options)
  if (result.success) return result.output
  const problems = result.issues.map((issue) => {
    const path = v.getDotPath(issue)
    const unknown = issue.type === 'strict_object' && issue.expected === 'never'
    return unknown ? `${path}: unknown option` : `${path ?? 'options'}: ${issue.message}`
  })
  throw new KafkaConsumeError(
    'INVALID_OPTIONS',
    `Cannot use these kafkaConsume options: ${problems.join('; ')}`,
  )
}
