/** Kong's four other plugins for Kafka: each field, its default, and what is refused. */
import { describe, expect, test } from 'bun:test'
import { kafkaPluginOf } from '../../src/kong/config/kafka-plugins.ts'
import { maskSecrets, readPluginConfig } from '../../src/kong/config/plugin-config.ts'
import { partsOf, pluginOptions } from '../../src/kong/config/plugin-options.ts'
import type { KongPlugin } from '../../src/kong/model/entities.ts'
import type { KongField } from '../../src/kong/model/field-description.ts'
import { SchemaViolation } from '../../src/kong/model/schema-violation.ts'

const ID = '0b54e1c5-6c39-4d4c-8a3c-0c7bb0a44a6a'
const NAMES = ['kafka-upstream', 'confluent', 'kafka-log', 'confluent-consume'] as const
type Name = (typeof NAMES)[number]

const REGISTRY_URL = { url: 'http://localhost:8081' }
const AUTHENTICATION = {
  strategy: null,
  mechanism: null,
  user: null,
  password: null,
  tokenauth: null,
  oauthbearer: null,
}
const SOCKET = { timeout: 10_000, keepalive: 60_000, keepalive_enabled: false }
const CLOUD = {
  cluster_api_key: null,
  cluster_api_secret: null,
  oauthbearer: null,
  confluent_cloud_api_key: null,
  confluent_cloud_api_secret: null,
  security: { ssl_verify: true },
}
const CONNECTION = {
  authentication: AUTHENTICATION,
  security: { ssl: null, certificate_id: null, ssl_verify: true },
}
const TARGET = {
  bootstrap_servers: null,
  topic: 'kong-test',
  cluster_name: null,
  ...SOCKET,
  key_query_arg: null,
}
const PRODUCER = {
  producer_request_acks: 1,
  producer_request_timeout: 2_000,
  producer_request_limits_messages_per_request: 200,
  producer_request_limits_bytes_per_request: 1_048_576,
  producer_request_retries_max_attempts: 10,
  producer_request_retries_backoff_timeout: 100,
  producer_async: true,
  producer_async_flush_timeout: 1_000,
  producer_async_buffering_limits_messages_in_memory: 50_000,
  schema_registry: { confluent: null },
}
const UPSTREAM = {
  topics_query_arg: null,
  allowed_topics: null,
  forward_method: false,
  forward_uri: false,
  forward_headers: false,
  forward_body: true,
  headers: {
    forward_http_headers_as_record_headers: true,
    forward_all_by_default: false,
    include_headers: [],
    exclude_headers: [],
    name_mappings: {},
    repeated_headers_behavior: 'retain_duplicates',
  },
  message_by_lua_functions: null,
  error_handling: { return_error_message: false },
}

/** All fields of each plugin with the defaults of Kong 3.15. */
const COMPLETE: Readonly<Record<Name, Record<string, unknown>>> = {
  'kafka-upstream': { ...TARGET, ...CONNECTION, ...PRODUCER, ...UPSTREAM },
  confluent: { ...TARGET, ...CLOUD, ...PRODUCER, ...UPSTREAM },
  'kafka-log': { ...TARGET, ...CONNECTION, ...PRODUCER, custom_fields_by_lua: null },
  'confluent-consume': {
    bootstrap_servers: null,
    topics: [{ name: 'kong-test', schema_registry: { confluent: null } }],
    mode: 'http-get',
    message_deserializer: 'noop',
    auto_offset_reset: 'earliest',
    enforce_latest_offset_reset: false,
    commit_strategy: 'auto',
    cluster_name: null,
    ...SOCKET,
    ...CLOUD,
    schema_registry: { confluent: null },
    message_by_lua_functions: null,
    enable_dlq: null,
    dlq_topic: null,
    consumer_group: { mode: 'random', consumer_group_id: null },
    error_handling: { return_error_message: false },
  },
}

const LEAST: Readonly<Record<Name, Record<string, unknown>>> = {
  'kafka-upstream': { topic: 'kong-test' },
  confluent: { topic: 'kong-test' },
  'kafka-log': { topic: 'kong-test' },
  'confluent-consume': { topics: [{ name: 'kong-test' }] },
}

function read(name: Name, config: object) {
  return readPluginConfig({ ...LEAST[name], ...config }, { name, id: ID })
}

/** Kong's errors of a configuration; empty for a valid one. */
function refusal(name: Name, config: object): string {
  try {
    readPluginConfig(config, { name, id: ID })
    return ''
  } catch (error) {
    if (!(error instanceof SchemaViolation)) throw error
    return error.message.replace(/^schema violation \(config(?:\.|: )(.*)\)$/s, '$1')
  }
}

interface Leaf {
  readonly path: readonly string[]
  readonly field: KongField
}

/** All fields that hold a value of their own, however deep. */
function leaves(field: KongField, path: readonly string[] = []): Leaf[] {
  if (!field.fields) return [{ path, field }]
  return field.fields.flatMap((each) =>
    Object.entries(each).flatMap(([name, inner]) => leaves(inner, [...path, name])),
  )
}

function at(path: readonly string[], value: unknown): Record<string, unknown> {
  const [key = '', ...rest] = path
  return { [key]: rest.length === 0 ? value : at(rest, value) }
}

function valueAt(value: unknown, path: readonly string[]): unknown {
  return path.reduce((inner, key) => (inner as Record<string, unknown>)?.[key], value)
}

const KINDS: Readonly<Record<string, string>> = {
  string: 'a string',
  integer: 'an integer',
  number: 'a number',
  boolean: 'a boolean',
  array: 'an array',
  set: 'a set',
  map: 'a map',
}

function wrongFor(type: string): unknown {
  return type === 'string' ? 5 : 'wrong'
}

describe.each(NAMES)('%s', (name) => {
  const field = kafkaPluginOf(name)?.field as KongField
  const fields = leaves(field)

  test('has each field of Kong 3.15 with its default', () => {
    expect(read(name, {}).config).toEqual(COMPLETE[name])
  })

  test('reads a complete config as itself, and null as nothing', () => {
    const { config } = read(name, {})
    expect(read(name, config).config).toEqual(config)
    for (const key of Object.keys(config)) {
      if (key in LEAST[name] || key === 'mode') continue
      expect(read(name, { [key]: null }).config).toEqual(config)
    }
  })

  test('becomes options that its middleware takes', () => {
    const config = read(name, {}).config
    const key = 'cluster_api_key' in config ? { cluster_api_key: 'k', cluster_api_secret: 's' } : {}
    const complete = read(name, key).config
    const plugin = { id: ID, name, config: complete } as unknown as KongPlugin
    const parts = partsOf(plugin, [], {}, () => false)
    const { options } = pluginOptions(parts, { brokers: ['localhost:9092'] })
    expect(options.bootstrapServers).toEqual(['localhost:9092'])
  })

  test('is accepted with brokers of the port 0, whose outage names the field', () => {
    const bootstrap_servers = [1, 0].map((port) => ({ host: 'a', port }))
    const { config } = read(name, { bootstrap_servers })
    expect(config['bootstrap_servers']).toEqual(bootstrap_servers)
    const plugin = { id: ID, name, config } as unknown as KongPlugin
    const { options } = pluginOptions(partsOf(plugin, [], {}, () => false))
    expect(options.bootstrapServers).toEqual(['a:1', 'bootstrap-servers-of-port-0.invalid:9092'])
  })

  test('requires its topic only', () => {
    const topic = name === 'confluent-consume' ? 'topics' : 'topic'
    expect(refusal(name, {})).toBe(`${topic}: required field missing`)
  })

  test.each(fields.map((leaf) => [leaf.path.join('.'), leaf] as const))(
    'refuses a wrong type of %s, by its name',
    (place, { path, field: { type } }) => {
      const wrong = wrongFor(type)
      const message = refusal(name, { ...LEAST[name], ...at(path, wrong) })
      expect(message).toContain(`${place}: expected ${KINDS[type]}`)
    },
  )

  const words = fields.filter(({ field: { one_of } }) => one_of)
  test.each(words.map((leaf) => [leaf.path.join('.'), leaf] as const))(
    'refuses a value of %s that it does not know',
    (place, { path, field: { one_of = [], type } }) => {
      const wrong = type === 'integer' ? 7 : 'none-of-these'
      const message = refusal(name, { ...LEAST[name], ...at(path, wrong) })
      expect(message).toContain(`${place}: expected one of: ${one_of.join(', ')}`)
    },
  )

  const ranges = fields.filter(({ field: { between } }) => between)
  test.each(ranges.map((leaf) => [leaf.path.join('.'), leaf] as const))(
    'refuses a number beyond the range of %s',
    (place, { path, field: { between = [0, 0] } }) => {
      for (const wrong of [between[0] - 1, between[1] + 1]) {
        expect(refusal(name, { ...LEAST[name], ...at(path, wrong) })).toContain(
          `${place}: value should be between ${between.join(' and ')}`,
        )
      }
    },
  )

  test('refuses a field that it does not have', () => {
    expect(refusal(name, { ...LEAST[name], compression_typ: 'lz4' })).toBe(
      'compression_typ: unknown field',
    )
  })

  test('never shows its secrets', () => {
    const secrets = fields.filter(({ field: { encrypted } }) => encrypted)
    expect(secrets.length).toBeGreaterThan(1)
    for (const { path } of secrets) {
      const shown = maskSecrets(at(path, 'top-secret'))
      expect(valueAt(shown, path)).toBe('***')
    }
  })

  test('describes its defaults for GET /schemas/plugins', () => {
    const { config } = read(name, {})
    for (const {
      path,
      field: { default: fallback },
    } of fields) {
      if (path[0] !== undefined && path[0] in LEAST[name]) continue
      const value = valueAt(config, path)
      if (value !== undefined) expect(value).toEqual(fallback ?? null)
    }
  })
})

describe('fields that depend on each other', () => {
  test('something of the request must be forwarded', () => {
    const none = { topic: 't', forward_body: false }
    for (const name of ['kafka-upstream', 'confluent'] as const) {
      expect(refusal(name, none)).toBe(
        'at least one of these attributes must be true: forward_method, forward_uri, forward_headers, forward_body',
      )
      expect(refusal(name, { ...none, forward_uri: true })).toBe('')
    }
  })

  test.each<[Name, object, string]>([
    ['confluent', { cluster_api_key: 'k' }, 'cluster_api_secret: required field missing'],
    ['confluent', { cluster_api_secret: 's' }, 'cluster_api_key: required field missing'],
    [
      'confluent',
      { oauthbearer: { token_endpoint_url: 'http://t', client_id: 'a' } },
      'oauthbearer.client_secret: required field missing',
    ],
    ['confluent-consume', { cluster_api_key: 'k' }, 'cluster_api_secret: required field missing'],
    [
      'kafka-upstream',
      { authentication: { strategy: 'sasl', mechanism: 'PLAIN', user: 'u' } },
      'authentication.password: required field missing',
    ],
    [
      'kafka-upstream',
      { schema_registry: { confluent: { ssl_verify: true } } },
      'schema_registry.confluent.url: required field missing',
    ],
    [
      'kafka-log',
      {
        schema_registry: { confluent: { ...REGISTRY_URL, value_schema: { schema_version: '1' } } },
      },
      'schema_registry.confluent.value_schema.subject_name: subjectName is required when there is a version',
    ],
    [
      'kafka-log',
      {
        schema_registry: {
          confluent: {
            ...REGISTRY_URL,
            value_schema: { subject_name: 's', schema_version: 'newest' },
          },
        },
      },
      'schema_registry.confluent.value_schema.schema_version: invalid value: newest',
    ],
    [
      'kafka-log',
      { custom_fields_by_lua: { 'a[0]': 'return 1' } },
      'custom_fields_by_lua.a[0]: a name such as "a", "a.b" or "a[1].b" is required, with indexes from 1',
    ],
    [
      'kafka-log',
      { custom_fields_by_lua: { a: 'return (' } },
      'custom_fields_by_lua.a: it is not valid Lua',
    ],
    [
      'kafka-upstream',
      { message_by_lua_functions: ['return 5'] },
      'message_by_lua_functions.1: it must be "return function(message) … end"',
    ],
    ['kafka-upstream', { topic: 'no spaces' }, 'topic: invalid value: no spaces'],
    ['kafka-upstream', { allowed_topics: ['a b'] }, 'allowed_topics.1: invalid value: a b'],
  ])('%s with %j is refused', (name, config, message) => {
    expect(refusal(name, { ...LEAST[name], ...config })).toStartWith(message)
  })

  test('Confluent Cloud is reached by TLS, with a token before a key', () => {
    const key = { cluster_api_key: 'k', cluster_api_secret: 's' }
    const oauthbearer = { token_endpoint_url: 'http://t', client_id: 'a', client_secret: 'b' }
    for (const name of ['confluent', 'confluent-consume'] as const) {
      const options = (config: object) => read(name, config).made.options
      expect(options(key)).toMatchObject({
        authentication: { strategy: 'sasl', mechanism: 'PLAIN', user: 'k', password: 's' },
        security: { ssl: true, sslVerify: true },
      })
      expect(options({ ...key, oauthbearer }).authentication).toMatchObject({
        mechanism: 'OAUTHBEARER',
      })
      expect(options({ security: { ssl_verify: false } })).toMatchObject({
        authentication: {},
        security: { ssl: true, sslVerify: false },
      })
    }
  })
})
