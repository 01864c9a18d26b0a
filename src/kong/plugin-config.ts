/** `config` of Kong's `kafka-consume`: its fields, defaults and messages, and what they are to us. */
import * as v from 'valibot'
import type { KafkaConsumeOptions } from '../config/options.ts'
import { describeFields } from './describe.ts'
import { type FieldErrors, SchemaViolation } from './errors.ts'
import { fieldErrors } from './field-errors.ts'
import * as f from './fields.ts'

/** What stands for a secret in answers. */
export const MASK = '***'

/** Names of fields that hold secrets, wherever they stand. */
const SECRETS = new Set(['user', 'password', 'client_secret'])

/** A vault's reference is looked up when the plugin is served. */
const brokerHost = v.pipe(
  f.string,
  v.check(
    (text) => /^\{vault:\/\/[^{}]+\}$/.test(text) || v.is(f.host, text),
    ({ input }) => `invalid value: ${input}`,
  ),
)

const registry = v.nullish(
  f.record({
    confluent: f.optional(
      f.record({
        url: f.optional(f.string),
        ttl: f.optional(
          v.pipe(
            v.number('expected a number'),
            v.minValue(0, 'value should be between 0 and 3600'),
            v.maxValue(3_600, 'value should be between 0 and 3600'),
          ),
        ),
        ssl_verify: v.optional(f.boolean, true),
        authentication: v.nullish(
          f.record({
            mode: v.optional(f.oneOf('none', 'basic', 'oauth2'), 'none'),
            basic: f.optional(f.record({ username: f.string, password: f.string })),
            oauth2: f.optional(
              f.record({
                token_endpoint: f.string,
                grant_type: v.optional(
                  f.oneOf('client_credentials', 'password'),
                  'client_credentials',
                ),
                client_id: f.optional(f.string),
                client_secret: f.optional(f.string),
                username: f.optional(f.string),
                password: f.optional(f.string),
                scopes: v.optional(f.array(f.string), ['openid']),
                audience: v.optional(f.array(f.string), []),
              }),
            ),
          }),
          {},
        ),
      }),
    ),
  }),
  {},
)

/** The source of defaults and messages, and of `GET /schemas/plugins/kafka-consume`. */
const configSchema = f.record({
  bootstrap_servers: f.array(f.record({ host: brokerHost, port: f.integer(0, 65_535) })),
  topics: v.pipe(
    f.array(f.record({ name: f.string, schema_registry: registry })),
    v.minLength(1, 'length must be at least 1'),
  ),
  mode: v.optional(f.oneOf('http-get', 'server-sent-events', 'websocket'), 'http-get'),
  message_deserializer: v.optional(f.oneOf('noop', 'json'), 'noop'),
  auto_offset_reset: v.optional(f.oneOf('earliest', 'latest'), 'latest'),
  enforce_latest_offset_reset: v.optional(f.boolean, false),
  commit_strategy: v.optional(f.oneOf('auto', 'off'), 'auto'),
  cluster_name: f.optional(f.string),
  authentication: v.nullish(
    f.record({
      strategy: f.optional(f.oneOf('sasl')),
      mechanism: f.optional(f.oneOf('PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'OAUTHBEARER')),
      user: f.optional(f.string),
      password: f.optional(f.string),
      tokenauth: f.optional(f.boolean),
      oauthbearer: f.optional(
        f.record({
          token_endpoint_url: f.optional(f.string),
          token_endpoint_tls_verify: v.optional(f.boolean, true),
          client_id: f.optional(f.string),
          client_secret: f.optional(f.string),
          scopes: f.optional(f.array(f.string)),
          extensions: f.optional(v.record(f.string, f.string, 'expected a map')),
        }),
      ),
    }),
    {},
  ),
  security: v.nullish(
    f.record({
      ssl: f.optional(f.boolean),
      certificate_id: f.optional(f.uuid),
      ssl_verify: v.optional(f.boolean, true),
    }),
    {},
  ),
  schema_registry: registry,
  message_by_lua_functions: f.optional(f.array(f.string)),
  enable_dlq: f.optional(f.boolean),
  dlq_topic: f.optional(f.string),
  consumer_group: v.nullish(
    f.record({
      mode: v.optional(f.oneOf('random', 'kong_consumer', 'manual'), 'random'),
      consumer_group_id: f.optional(f.string),
    }),
    {},
  ),
  error_handling: v.nullish(f.record({ return_error_message: v.optional(f.boolean, false) }), {}),
})

type Config = v.InferOutput<typeof configSchema>

/**
 * Checks a plugin's `config` and fills in Kong's defaults.
 *
 * @param plugin Its id names the consumer group of `consumer_group.mode` `random`.
 * @returns `config` complete and in Kong's names, and what `kafkaConsume` takes.
 * @throws SchemaViolation with fields under `config`: what Kong would refuse, or what this gateway
 *   does not serve yet.
 */
export function readPluginConfig(
  config: unknown,
  plugin: { readonly id: string },
): { config: Record<string, unknown>; options: KafkaConsumeOptions } {
  const result = v.safeParse(configSchema, config)
  if (!result.success) throw new SchemaViolation({ config: fieldErrors(result.issues) })
  const problems = merge(missing(result.output), unserved(result.output))
  if (Object.keys(problems).length > 0) throw new SchemaViolation({ config: problems })
  return { config: result.output, options: optionsOf(result.output, plugin.id) }
}

/** What `GET /schemas/plugins/kafka-consume` answers. */
export function pluginSchema(): object {
  const fields = describeFields(configSchema)
  return { fields: [{ config: { type: 'record', required: true, fields } }] }
}

/** A configuration as it may be shown. References to a vault are no secrets. */
export function maskSecrets(config: Record<string, unknown>): Record<string, unknown> {
  return JSON.parse(
    JSON.stringify(config, (name, value) =>
      SECRETS.has(name) && typeof value === 'string' && !value.startsWith('{vault://')
        ? MASK
        : value,
    ),
  )
}

/** Fields that others make necessary. */
function missing({ authentication, consumer_group, enable_dlq, dlq_topic }: Config): FieldErrors {
  const required = 'required field missing'
  const problems: Record<string, FieldErrors | string> = {}
  if (authentication.strategy === 'sasl') {
    const { mechanism, user, password } = authentication
    const fields: Record<string, string> = {}
    if (mechanism === null) fields['mechanism'] = required
    if (mechanism !== 'OAUTHBEARER') {
      if (user === null) fields['user'] = required
      if (password === null) fields['password'] = required
    }
    if (Object.keys(fields).length > 0) problems['authentication'] = fields
  }
  if (consumer_group.mode === 'manual' && !consumer_group.consumer_group_id) {
    problems['consumer_group'] = { consumer_group_id: required }
  }
  if (enable_dlq && !dlq_topic) problems['dlq_topic'] = required
  return problems
}

/** Fields that would change what happens, and that nothing here acts on yet. */
function unserved(config: Config): FieldErrors {
  const later = 'not supported yet by this gateway'
  const { authentication, security, consumer_group } = config
  const problems: Record<string, FieldErrors | string> = {}
  if (config.mode === 'websocket') problems['mode'] = `websocket is ${later}`
  if (authentication.strategy !== null) problems['authentication'] = { strategy: later }
  const tls: Record<string, string> = {}
  if (security.ssl) tls['ssl'] = later
  if (security.certificate_id !== null) tls['certificate_id'] = later
  if (Object.keys(tls).length > 0) problems['security'] = tls
  if (config.schema_registry.confluent) problems['schema_registry'] = { confluent: later }
  const topics: Record<string, FieldErrors> = {}
  config.topics.forEach(({ schema_registry }, index) => {
    if (schema_registry.confluent) {
      topics[String(index + 1)] = { schema_registry: { confluent: later } }
    }
  })
  if (Object.keys(topics).length > 0) problems['topics'] = topics
  if (config.message_by_lua_functions?.length) problems['message_by_lua_functions'] = later
  if (config.enable_dlq) problems['enable_dlq'] = later
  if (consumer_group.mode === 'kong_consumer') {
    problems['consumer_group'] = { mode: `kong_consumer is ${later}` }
  }
  return problems
}

/** What is missing goes first: it is to be mended either way. */
function merge(first: FieldErrors, second: FieldErrors): FieldErrors {
  return { ...second, ...first }
}

function optionsOf(config: Config, id: string): KafkaConsumeOptions {
  const { mode, auto_offset_reset, enforce_latest_offset_reset, consumer_group } = config
  return {
    bootstrapServers: config.bootstrap_servers.map(({ host, port }) => `${host}:${port}`),
    topics: config.topics.map(({ name }) => name),
    mode: mode as 'http-get' | 'server-sent-events',
    messageDeserializer: config.message_deserializer,
    commitStrategy: config.commit_strategy,
    // In Kong `latest` is the end only when it is enforced.
    autoOffsetReset:
      auto_offset_reset === 'latest' && enforce_latest_offset_reset ? 'latest' : 'earliest',
    consumerGroup: {
      mode: 'manual',
      consumerGroupId:
        (consumer_group.mode === 'manual' && consumer_group.consumer_group_id) ||
        `hono-kafka-consume-${id}`,
    },
    errorHandling: { returnErrorMessage: config.error_handling.return_error_message },
  }
}
