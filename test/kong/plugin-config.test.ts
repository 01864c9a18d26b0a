/**
 * The fields of Kong's consuming plugins. The file has more than 400 lines because it has a table of
 * every field with the values that it accepts and refuses.
 */
import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import * as v from 'valibot'
import { kafkaPluginOf } from '../../src/kong/config/kafka-plugins.ts'
import { MASK, maskSecrets, readPluginConfig } from '../../src/kong/config/plugin-config.ts'
import type { KongField } from '../../src/kong/model/field-description.ts'
import { renameKey } from '../../src/kong/model/field-names.ts'
import { type FieldErrors, SchemaViolation } from '../../src/kong/model/schema-violation.ts'
import { optionsSchema, resolveOptions } from '../../src/options/consume-options.ts'
import { kongConsumeSchema } from '../../src/options/kong-schemas.ts'
import type { KafkaConsumeOptions } from '../../src/options/option-types.ts'

const ID = '0b54e1c5-6c39-4d4c-8a3c-0c7bb0a44a6a'
const LEAST = {
  bootstrap_servers: [{ host: 'localhost', port: 9092 }],
  topics: [{ name: 'kong-test' }],
}
const SASL = { strategy: 'sasl', mechanism: 'PLAIN', user: 'u', password: 'p' }

const PLUGIN = { name: 'kafka-consume', id: ID }
const kafkaConsumeField = kafkaPluginOf('kafka-consume')?.field as KongField

function readWhole(config: unknown) {
  const { config: complete, made } = readPluginConfig(config, PLUGIN)
  return { config: complete, options: made.options as KafkaConsumeOptions }
}

function read(config: object) {
  return readWhole({ ...LEAST, ...config })
}

function violation(config: unknown): SchemaViolation {
  try {
    readWhole(config)
  } catch (error) {
    if (error instanceof SchemaViolation) return error
    throw error
  }
  throw new Error(`expected ${JSON.stringify(config)} to be refused`)
}

/** The errors of a configuration, without the fields that Kong puts around them. */
function refusal(config: object): string {
  const { message } = violation({ ...LEAST, ...config })
  return message.replace(/^schema violation \(config\.(.*)\)$/, '$1')
}

/** A document with one field, which may lie deep: `a.b.c`. */
function at(path: string, value: unknown): Record<string, unknown> {
  const [key = '', ...rest] = path.split('.')
  return { [key]: rest.length === 0 ? value : at(rest.join('.'), value) }
}

function valueAt(value: unknown, path: string): unknown {
  return path.split('.').reduce((inner, key) => (inner as Record<string, unknown>)?.[key], value)
}

const CONFLUENT = 'schema_registry.confluent'
const OAUTH = { oauth2: { token_endpoint: 'http://t', client_id: 'a', client_secret: 'b' } }
const registryOf = (authentication: object) => ({
  schema_registry: { confluent: { url: 'http://localhost:8081', authentication } },
})
const REGISTRY = `${CONFLUENT}.authentication`
const OAUTH2 = `${REGISTRY}.oauth2`
const CLIENT = `${REGISTRY}.oauth2_client`
const BEARER = 'authentication.oauthbearer'

/** Every field by its kind; `brokers` and `topics` have tests of their own. */
const FIELDS = {
  boolean: [
    'enforce_latest_offset_reset',
    'authentication.tokenauth',
    `${BEARER}.token_endpoint_tls_verify`,
    'security.ssl',
    'security.ssl_verify',
    `${CONFLUENT}.ssl_verify`,
    `${CLIENT}.keep_alive`,
    `${CLIENT}.ssl_verify`,
    'enable_dlq',
    'error_handling.return_error_message',
  ],
  string: [
    'cluster_name',
    'authentication.user',
    'authentication.password',
    `${BEARER}.token_endpoint_url`,
    `${BEARER}.client_id`,
    `${BEARER}.client_secret`,
    `${CONFLUENT}.url`,
    `${REGISTRY}.basic.username`,
    `${REGISTRY}.basic.password`,
    `${OAUTH2}.token_endpoint`,
    `${OAUTH2}.client_id`,
    `${OAUTH2}.client_secret`,
    `${OAUTH2}.username`,
    `${OAUTH2}.password`,
    `${CLIENT}.http_proxy`,
    `${CLIENT}.http_proxy_authorization`,
    `${CLIENT}.https_proxy`,
    `${CLIENT}.https_proxy_authorization`,
    `${CLIENT}.no_proxy`,
    'dlq_topic',
    'consumer_group.consumer_group_id',
  ],
  strings: [
    `${BEARER}.scopes`,
    `${OAUTH2}.scopes`,
    `${OAUTH2}.audience`,
    'message_by_lua_functions',
  ],
  map: [`${BEARER}.extensions`, `${OAUTH2}.token_headers`, `${OAUTH2}.token_post_args`],
  record: [
    'authentication',
    BEARER,
    'security',
    'schema_registry',
    CONFLUENT,
    REGISTRY,
    `${REGISTRY}.basic`,
    OAUTH2,
    CLIENT,
    'consumer_group',
    'error_handling',
  ],
}

const WORDS: Readonly<Record<string, readonly string[]>> = {
  mode: ['http-get', 'server-sent-events', 'websocket'],
  message_deserializer: ['noop', 'json'],
  auto_offset_reset: ['earliest', 'latest'],
  commit_strategy: ['auto', 'off'],
  'authentication.strategy': ['sasl'],
  'authentication.mechanism': ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'OAUTHBEARER'],
  [`${REGISTRY}.mode`]: ['none', 'basic', 'oauth2'],
  [`${OAUTH2}.grant_type`]: ['client_credentials', 'password'],
  [`${CLIENT}.auth_method`]: [
    'client_secret_basic',
    'client_secret_post',
    'client_secret_jwt',
    'none',
  ],
  [`${CLIENT}.client_secret_jwt_alg`]: ['HS256', 'HS512'],
  'consumer_group.mode': ['random', 'kong_consumer', 'manual'],
}

/** Numbers: their kind, and what they may be. */
const NUMBERS: ReadonlyArray<readonly [path: string, kind: string, min: number, max: number]> = [
  [`${CONFLUENT}.ttl`, 'a number', 0, 3_600],
  [`${CLIENT}.timeout`, 'an integer', 0, 2_147_483_646],
]

/** Fields that others in their record make necessary are given along. */
function siblings(path: string): Record<string, unknown> {
  if (path.startsWith(`${REGISTRY}.basic.`)) {
    return at(`${REGISTRY}.basic`, { username: 'u', password: 'p' })
  }
  return path.startsWith(`${OAUTH2}.`) ? at(OAUTH2, { token_endpoint: 'https://idp.test' }) : {}
}

function merge(a: unknown, b: unknown): unknown {
  if (!isRecord(a) || !isRecord(b)) return b
  const keys = new Set([...Object.keys(a), ...Object.keys(b)])
  return Object.fromEntries(
    [...keys].map((key) => [key, key in b ? merge(a[key], b[key]) : a[key]]),
  )
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function withField(path: string, value: unknown): Record<string, unknown> {
  return merge(siblings(path), at(path, value)) as Record<string, unknown>
}

/** The words for a value that is in order: nothing, or that this does not work yet. */
function complaint(config: object): string {
  try {
    read(config)
    return ''
  } catch (error) {
    return (error as Error).message
  }
}

const COMPLETE = {
  bootstrap_servers: [{ host: 'localhost', port: 9092 }],
  topics: [{ name: 'kong-test', schema_registry: { confluent: null } }],
  mode: 'http-get',
  message_deserializer: 'noop',
  auto_offset_reset: 'latest',
  enforce_latest_offset_reset: false,
  commit_strategy: 'auto',
  cluster_name: null,
  authentication: {
    strategy: null,
    mechanism: null,
    user: null,
    password: null,
    tokenauth: null,
    oauthbearer: null,
  },
  security: { ssl: null, certificate_id: null, ssl_verify: true },
  schema_registry: { confluent: null },
  message_by_lua_functions: null,
  enable_dlq: null,
  dlq_topic: null,
  consumer_group: { mode: 'random', consumer_group_id: null },
  error_handling: { return_error_message: false },
}

describe('a config of kafka-consume', () => {
  test('gets the defaults of Kong 3.15', () => {
    expect(read({}).config).toEqual(COMPLETE)
  })

  test('that is complete is read unchanged', () => {
    for (const given of [{}, { mode: 'server-sent-events', cluster_name: 'eu' }]) {
      const { config } = read(given)
      expect(read(config)).toEqual(read(given))
      expect(read(config).config).toEqual(config)
    }
  })

  test('records within get the defaults of their fields', () => {
    const config = { authentication: { oauthbearer: { client_id: 'c' } } }
    expect(valueAt(read(config).config, BEARER)).toEqual({
      token_endpoint_url: null,
      client_id: 'c',
      client_secret: null,
      scopes: null,
      extensions: null,
      token_endpoint_tls_verify: true,
    })
    const described = JSON.stringify(kafkaConsumeField)
    for (const one of [
      '{"scopes":{"type":"array","elements":{"type":"string"},"required":true,"default":["openid"]}}',
      '{"audience":{"type":"array","elements":{"type":"string"},"required":true,"default":[]}}',
      '"default":"client_credentials"',
    ]) {
      expect(described).toContain(one)
    }
  })

  test('with null for a field is read as without the field', () => {
    const nulls = (value: unknown): unknown =>
      isRecord(value)
        ? Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, nulls(inner)]))
        : null
    const { bootstrap_servers, topics, mode, ...rest } = COMPLETE
    expect(read(nulls(rest) as object).config).toEqual(COMPLETE)
    for (const key of Object.keys(rest)) expect(read({ [key]: null }).config).toEqual(COMPLETE)
  })

  test('without brokers and topics is refused in Kong’s words', () => {
    const { bootstrap_servers, topics } = LEAST
    expect(violation({ bootstrap_servers }).message).toBe(
      'schema violation (config.topics: required field missing)',
    )
    expect(violation({ topics, bootstrap_servers: null }).message).toBe(
      'schema violation (config.bootstrap_servers: required field missing)',
    )
    const { message, fields } = violation({})
    expect(message).toBe(
      '2 schema violations (config.bootstrap_servers: required field missing; config.topics: required field missing)',
    )
    const required = 'required field missing'
    expect(fields).toEqual({ config: { bootstrap_servers: required, topics: required } })
  })

  test.each([[[1]], ['text'], [7], [true]])('%j is refused', (config) => {
    expect(violation(config).fields['config']).toBeDefined()
    if (!Array.isArray(config)) {
      expect(violation(config).message).toBe('schema violation (config: expected a record)')
    }
  })
})

describe('brokers and topics', () => {
  test.each([
    ['kafka.test', 9092, 'kafka.test:9092'],
    ['a_b', 65_535, 'a_b:65535'],
    ['127.0.0.1', 1, '127.0.0.1:1'],
    ['::1', 1, '[::1]:1'],
    ['[::1]', 1, '[::1]:1'],
  ])('%s and %d are %s', (host, port, expected) => {
    const { config, options } = read({ bootstrap_servers: [{ host, port }] })
    expect(options.bootstrapServers).toEqual([expected])
    expect(config['bootstrap_servers']).toEqual([{ host, port }])
    expect(resolveOptions(options).bootstrapServers).toEqual([expected])
  })

  test('a host may be a vault reference, which is resolved later', () => {
    read({ bootstrap_servers: [{ host: '{vault://env/HOST}', port: 1 }] })
    read({ topics: [{ name: '{vault://env/TOPIC}' }] })
  })

  test.each<[config: object, expected: string]>([
    [{ bootstrap_servers: 'a:1' }, 'bootstrap_servers: expected an array'],
    [{ bootstrap_servers: ['a:1'] }, 'bootstrap_servers.1: expected a record'],
    [{ bootstrap_servers: [] }, 'bootstrap_servers: length must be at least 1'],
    [{ bootstrap_servers: [{ port: 1 }] }, 'bootstrap_servers.1.host: required field missing'],
    [{ bootstrap_servers: [{ host: 'a' }] }, 'bootstrap_servers.1.port: required field missing'],
    [
      {
        bootstrap_servers: [
          { host: 'a', port: 1 },
          { host: 5, port: 1 },
        ],
      },
      'bootstrap_servers.2.host: expected a string',
    ],
    [
      { bootstrap_servers: [{ host: '', port: 1 }] },
      'bootstrap_servers.1.host: length must be at least 1',
    ],
    [
      { bootstrap_servers: [{ host: 'a:1', port: 1 }] },
      'bootstrap_servers.1.host: invalid value: a:1',
    ],
    ...[65_536, -1].map((port): [object, string] => [
      { bootstrap_servers: [{ host: 'a', port }] },
      'bootstrap_servers.1.port: value should be between 0 and 65535',
    ]),
    ...['1', 1.5, true].map((port): [object, string] => [
      { bootstrap_servers: [{ host: 'a', port }] },
      'bootstrap_servers.1.port: expected an integer',
    ]),
    [
      { bootstrap_servers: [{ host: 'a', port: 1, tls: true }] },
      'bootstrap_servers.1.tls: unknown field',
    ],
    [{ topics: 'orders' }, 'topics: expected an array'],
    [{ topics: ['orders'] }, 'topics.1: expected a record'],
    [{ topics: [] }, 'topics: length must be at least 1'],
    [{ topics: [{}] }, 'topics.1.name: required field missing'],
    [{ topics: [{ name: 'a' }, { name: null }] }, 'topics.2.name: required field missing'],
    [{ topics: [{ name: 1 }] }, 'topics.1.name: expected a string'],
    [{ topics: [{ name: '' }] }, 'topics.1.name: length must be at least 1'],
    [{ topics: [{ name: 'a b' }] }, 'topics.1.name: invalid value: a b'],
    [{ topics: [{ name: 'a' }, { name: 'a' }] }, 'topics: each topic may be named only once'],
    [
      { topics: [{ name: 'a', schema_registry: 1 }] },
      'topics.1.schema_registry: expected a record',
    ],
    [
      { topics: [{ name: 'a', schema_registry: { confluent: { ttl: -1 } } }] },
      'topics.1.schema_registry.confluent.ttl: value should be between 0 and 3600',
    ],
    [{ topics: [{ name: 'a', topic: 'b' }] }, 'topics.1.topic: unknown field'],
    [
      { message_by_lua_functions: ['return function(m) return m end', 'return nil'] },
      'message_by_lua_functions.2: it must be "return function(message) … end"',
    ],
    [{ enable_dlq: true, dlq_topic: 'a b' }, 'dlq_topic: invalid value: a b'],
    [
      { topics: [{ name: 'a' }], enable_dlq: true, dlq_topic: 'a' },
      'dlq_topic: it must not be one of the topics that are read',
    ],
  ])('%j is refused', (config, expected) => {
    expect(refusal(config)).toBe(expected)
  })
})

describe('the values that each field accepts and refuses', () => {
  const NOT_YET = /not supported yet by this gateway|required field missing|^$/

  test.each(FIELDS.boolean)('%s: boolean', (path) => {
    for (const value of [true, false]) expect(complaint(withField(path, value))).toMatch(NOT_YET)
    for (const value of [1, 'true', [], {}]) {
      expect(refusal(withField(path, value))).toBe(`${path}: expected a boolean`)
    }
  })

  test.each(FIELDS.string)('%s: string', (path) => {
    const text = /url$|endpoint$/.test(path) ? 'http://text' : 'text'
    expect(complaint(withField(path, text))).toMatch(NOT_YET)
    for (const value of [1, true, [], {}]) {
      expect(refusal(withField(path, value))).toBe(`${path}: expected a string`)
    }
    expect(refusal(withField(path, ''))).toBe(`${path}: length must be at least 1`)
  })

  test.each(FIELDS.strings)('%s: array of strings', (path) => {
    expect(complaint(withField(path, ['a', 'b']))).toMatch(NOT_YET)
    expect(complaint(withField(path, []))).toMatch(NOT_YET)
    for (const value of ['a', 1, {}]) {
      expect(refusal(withField(path, value))).toBe(`${path}: expected an array`)
    }
    expect(refusal(withField(path, ['a', 1]))).toBe(`${path}.2: expected a string`)
  })

  test.each(FIELDS.map)('%s: map, whose names are the user’s own', (path) => {
    expect(complaint(withField(path, { some_Name: 'a' }))).toMatch(NOT_YET)
    for (const value of ['a', 1]) {
      expect(refusal(withField(path, value))).toBe(`${path}: expected a map`)
    }
    expect(refusal(withField(path, { some_Name: 1 }))).toBe(`${path}.some_Name: expected a string`)
  })

  test.each(FIELDS.record)('%s: record', (path) => {
    for (const value of ['a', 1, true]) {
      expect(refusal(at(path, value))).toBe(`${path}: expected a record`)
    }
    expect(refusal(withField(`${path}.no_such`, 1))).toContain(`${path}.no_such: unknown field`)
  })

  test.each(Object.entries(WORDS))('%s: one of some words', (path, words) => {
    for (const word of words) expect(complaint(withField(path, word))).toMatch(NOT_YET)
    expect(refusal(withField(path, 'x'))).toBe(`${path}: expected one of: ${words.join(', ')}`)
    expect(refusal(withField(path, words[0]?.toUpperCase().toLowerCase().concat(' ')))).toContain(
      'expected one of',
    )
    for (const value of [1, true, []]) {
      expect(refusal(withField(path, value))).toBe(`${path}: expected a string`)
    }
  })

  test.each(NUMBERS)('%s: %s from %d to %d', (path, kind, min, max) => {
    for (const value of [min, max]) expect(complaint(withField(path, value))).toMatch(NOT_YET)
    for (const value of [min - 1, max + 1]) {
      expect(refusal(withField(path, value))).toBe(
        `${path}: value should be between ${min} and ${max}`,
      )
    }
    expect(refusal(withField(path, '1'))).toBe(`${path}: expected ${kind}`)
  })

  test('other fields: number, UUID, required ones and the longest id', () => {
    expect(complaint(at(`${CLIENT}.http_version`, 1.1))).toMatch(NOT_YET)
    expect(refusal(at(`${CLIENT}.http_version`, '1.1'))).toBe(
      `${CLIENT}.http_version: expected a number`,
    )
    expect(refusal({ security: { certificate_id: 'x' } })).toBe(
      'security.certificate_id: expected a valid UUID',
    )
    expect(refusal({ mode: null })).toBe('mode: required field missing')
    const long = { mode: 'manual', consumer_group_id: 'g'.repeat(256) }
    expect(refusal({ consumer_group: long })).toBe(
      'consumer_group.consumer_group_id: length must be at most 255',
    )
    expect(refusal(at(OAUTH2, {}))).toBe(`${OAUTH2}.token_endpoint: required field missing`)
    expect(refusal(at(`${REGISTRY}.basic`, { username: 'u' }))).toBe(
      `${REGISTRY}.basic.password: required field missing`,
    )
  })

  test('each field of the schema is tested in this group', () => {
    const leaves = (schema: unknown, path: string): string[] => {
      const { wrapped, entries } = schema as { wrapped?: unknown; entries?: object }
      if (wrapped) return leaves(wrapped, path)
      if (!entries) return [path]
      return Object.entries(entries).flatMap(([key, inner]) =>
        leaves(inner, path === '' ? renameKey(key) : `${path}.${renameKey(key)}`),
      )
    }
    const { boolean, string, strings, map } = FIELDS
    const tested = [...boolean, ...string, ...strings, ...map, ...Object.keys(WORDS)]
    const others = ['bootstrap_servers', 'topics', 'security.certificate_id']
    expect(leaves(kongConsumeSchema, '').sort()).toEqual(
      [...tested, ...NUMBERS.map(([path]) => path), ...others, `${CLIENT}.http_version`].sort(),
    )
  })

  test.each(['bootstrapServers', 'messageDeserializer', 'responseFormat', 'heartbeat', 'toString'])(
    '%s is not one of Kong’s names',
    (key) => {
      expect(refusal({ [key]: 'x' })).toBe(`${key}: unknown field`)
    },
  )

  test('all unknown fields are named', () => {
    expect(violation({ ...LEAST, one: 1, authentication: { two: 2, three: 3 } }).fields).toEqual({
      config: {
        one: 'unknown field',
        authentication: { two: 'unknown field', three: 'unknown field' },
      },
    })
  })

  test('names with a meaning in JavaScript are unknown fields like others', () => {
    for (const key of ['__proto__', '_Proto__', 'constructor', 'hasOwnProperty']) {
      const text = `{"authentication":{"${key}":{"user":"x"}}}`
      expect(refusal(JSON.parse(text) as object)).toBe(`authentication.${key}: unknown field`)
    }
    expect(({} as Record<string, unknown>)['user']).toBeUndefined()
  })
})

describe('rules between fields', () => {
  test.each<[config: object, expected: string]>([
    [
      { authentication: { strategy: 'sasl', mechanism: 'PLAIN', user: 'u' } },
      'authentication.password: required field missing',
    ],
    ...['SCRAM-SHA-256', 'SCRAM-SHA-512'].map((mechanism): [object, string] => [
      { authentication: { strategy: 'sasl', mechanism, password: 'p' } },
      'authentication.user: required field missing',
    ]),
    [
      { authentication: { ...SASL, mechanism: null } },
      'authentication.mechanism: required field missing',
    ],
    [
      { consumer_group: { mode: 'manual' } },
      'consumer_group.consumer_group_id: required field missing',
    ],
    [{ enable_dlq: true }, 'dlq_topic: required field missing'],
    [
      { authentication: { strategy: 'sasl', mechanism: 'OAUTHBEARER' } },
      'authentication.oauthbearer: required field missing',
    ],
    ...['token_endpoint_url', 'client_id', 'client_secret'].map((field): [object, string] => [
      {
        authentication: {
          strategy: 'sasl',
          mechanism: 'OAUTHBEARER',
          oauthbearer: {
            token_endpoint_url: 'https://idp/token',
            client_id: 'me',
            client_secret: 's',
            [field]: null,
          },
        },
      },
      `authentication.oauthbearer.${field}: required field missing`,
    ]),
    [
      { authentication: { ...SASL, tokenauth: true } },
      'authentication.tokenauth: Kafka takes delegation tokens by "SCRAM-SHA-256" and "SCRAM-SHA-512" only',
    ],
    [
      { schema_registry: { confluent: {} } },
      'schema_registry.confluent.url: required field missing',
    ],
    [
      { topics: [{ name: 't', schema_registry: { confluent: { ttl: 1 } } }] },
      'topics.1.schema_registry.confluent.url: required field missing',
    ],
    [
      { schema_registry: { confluent: { url: 'localhost:8081' } } },
      'schema_registry.confluent.url: an http or https URL without a user in it is required',
    ],
    [
      { schema_registry: { confluent: { url: 'http://ann:pw@localhost:8081' } } },
      'schema_registry.confluent.url: an http or https URL without a user in it is required',
    ],
    [
      registryOf({ mode: 'basic' }),
      'schema_registry.confluent.authentication.basic: required field missing',
    ],
    [
      registryOf({ mode: 'oauth2' }),
      'schema_registry.confluent.authentication.oauth2: required field missing',
    ],
    [
      registryOf({ mode: 'oauth2', oauth2: { token_endpoint: 'http://t', client_id: 'a' } }),
      'schema_registry.confluent.authentication.oauth2.client_secret: required field missing',
    ],
    [
      registryOf({
        mode: 'oauth2',
        oauth2: { token_endpoint: 'http://t', grant_type: 'password', username: 'a' },
      }),
      'schema_registry.confluent.authentication.oauth2.password: required field missing',
    ],
  ])('%j is refused', (config, expected) => expect(refusal(config)).toBe(expected))

  test('missing and invalid fields are named before those that are not supported yet', () => {
    const config = { enable_dlq: true, dlq_topic: 'x', authentication: { ...SASL, user: null } }
    expect(refusal(config)).toBe('authentication.user: required field missing')
    expect(refusal({ dlq_topic: 'x', commit_strategy: 'x' })).toBe(
      'commit_strategy: expected one of: auto, off',
    )
  })
})

describe('fields that are not supported yet are refused by name, not ignored', () => {
  const cases: ReadonlyArray<readonly [config: object, expected: string]> = [
    [
      registryOf({ mode: 'oauth2', ...OAUTH, oauth2_client: { http_proxy: 'http://p' } }),
      'schema_registry.confluent.authentication.oauth2_client.http_proxy: not supported yet',
    ],
    [
      {
        topics: [
          {
            name: 't',
            ...registryOf({ mode: 'oauth2', ...OAUTH, oauth2_client: { http_version: 2 } }),
          },
        ],
      },
      'topics.1.schema_registry.confluent.authentication.oauth2_client.http_version: not supported yet',
    ],
  ]

  test.each(cases)('in Kong’s documents: %j', (config, expected) => {
    expect(refusal(config)).toBe(`${expected} by this gateway`)
  })

  test.each(cases)('in our own API: %j', (config, expected) => {
    const rename = (value: unknown): unknown => {
      if (Array.isArray(value)) return value.map(rename)
      if (!isRecord(value)) return value
      const renamed = Object.entries(value).map(([key, inner]) => [renameKey(key), rename(inner)])
      return Object.fromEntries(renamed)
    }
    const [path = '', text] = expected.split(': ')
    const ours = path.split('.').map(renameKey).join('.').replace('topics.1', 'topics.0')
    const options = rename({ ...LEAST, ...config }) as Parameters<typeof resolveOptions>[0]
    expect(() => resolveOptions(options)).toThrow(
      `Cannot use these kafkaConsume options: ${ours}: ${text}`,
    )
  })

  test('with values that switch them off are accepted', () => {
    read({ security: { ssl: false, ssl_verify: false }, enable_dlq: false })
    read({ message_by_lua_functions: [], schema_registry: {}, consumer_group: { mode: 'random' } })
  })
})

describe('options', () => {
  test('assign the registries of a document to its topics', () => {
    const own = { confluent: { url: 'https://own', ttl: 60, ssl_verify: false } }
    const { options } = read({
      topics: [{ name: 'one' }, { name: 'two', schema_registry: own }],
      ...registryOf({ mode: 'oauth2', ...OAUTH }),
    })
    const { registries, topics } = resolveOptions(options)
    expect(topics).toEqual(['one', 'two'])
    expect(registries.get('one')).toMatchObject({
      url: 'http://localhost:8081',
      authentication: {
        mode: 'oauth2',
        oauth2: { tokenEndpoint: 'http://t', grantType: 'client_credentials', scopes: ['openid'] },
      },
    })
    expect(registries.get('two')).toMatchObject({ url: 'https://own', ttl: 60, sslVerify: false })
  })

  test('made of a document are options of kafkaConsume', () => {
    const { options } = read({
      bootstrap_servers: [
        { host: 'a', port: 1 },
        { host: 'b', port: 2 },
      ],
      topics: [{ name: 'one' }, { name: 'two' }],
      mode: 'server-sent-events',
      message_deserializer: 'json',
      commit_strategy: 'off',
      cluster_name: 'eu',
      error_handling: { return_error_message: true },
    })
    expect(resolveOptions(options)).toMatchObject({
      bootstrapServers: ['a:1', 'b:2'],
      topics: ['one', 'two'],
      mode: 'server-sent-events',
      messageDeserializer: 'json',
      commitStrategy: 'off',
      clusterName: 'eu',
      errorHandling: { returnErrorMessage: true },
    })
  })

  test.each([
    [{}, 'earliest'],
    [{ auto_offset_reset: 'latest' }, 'earliest'],
    [{ auto_offset_reset: 'earliest', enforce_latest_offset_reset: true }, 'earliest'],
    [{ auto_offset_reset: 'latest', enforce_latest_offset_reset: true }, 'latest'],
    [{ enforce_latest_offset_reset: true }, 'latest'],
  ] as const)('%j begins at the %s, as in Kong; the document keeps what was said', (given, to) => {
    const { config, options } = read(given)
    expect(options.autoOffsetReset).toBe(to)
    expect(config).toMatchObject(given)
    expect(resolveOptions({ bootstrapServers: 'a:1', topics: 't' }).autoOffsetReset).toBe('latest')
  })

  test('have a lasting group for mode random, and the given group for mode manual', () => {
    const ofPlugin = { mode: 'manual', consumerGroupId: `hono-kafka-consume-${ID}` } as const
    expect(read({}).options.consumerGroup).toEqual(ofPlugin)
    const unused = { consumer_group: { consumer_group_id: 'unused' } }
    expect(read(unused).options.consumerGroup).toEqual(ofPlugin)
    const mine = { mode: 'manual', consumer_group_id: 'mine' }
    expect(read({ consumer_group: mine }).options.consumerGroup).toEqual({
      mode: 'manual',
      consumerGroupId: 'mine',
    })
  })

  test('leave out fields that a strategy or a mechanism does not use, which have no effect in Kong', () => {
    const { options, config } = read({
      authentication: { mechanism: 'PLAIN', user: 'u', password: 'p' },
      security: { certificate_id: ID },
    })
    expect(resolveOptions(options)).toMatchObject({ authentication: {}, security: {} })
    expect(config).toMatchObject({ authentication: { user: 'u' }, security: { ssl: null } })
    const oauthbearer = {
      token_endpoint_url: 'https://idp/token',
      client_id: 'me',
      client_secret: 's',
      extensions: { logicalCluster: 'lkc-1' },
    }
    const authentication = { ...SASL, mechanism: 'OAUTHBEARER', oauthbearer }
    expect(resolveOptions(read({ authentication }).options).authentication).toEqual({
      strategy: 'sasl',
      mechanism: 'OAUTHBEARER',
      oauthbearer: {
        tokenEndpointUrl: 'https://idp/token',
        clientId: 'me',
        clientSecret: 's',
        extensions: { logicalCluster: 'lkc-1' },
        tokenEndpointTlsVerify: true,
      },
    })
  })

  test('of kafkaConsume accept Kong’s form of brokers and topics, too', () => {
    const options = {
      bootstrapServers: ['a:1', { host: '::1', port: 2 }],
      topics: ['one', { name: 'two' }],
    }
    expect(resolveOptions(options)).toMatchObject({
      bootstrapServers: ['a:1', '[::1]:2'],
      topics: ['one', 'two'],
    })
    for (const [wrong, says] of [
      [{ bootstrapServers: [{ host: 'a' }] }, 'bootstrapServers.0'],
      [{ bootstrapServers: [{ host: 'a', port: 65_536 }] }, 'from 1 to 65535'],
      [{ bootstrapServers: [{ host: 'a', port: 0 }] }, 'from 1 to 65535'],
      [{ bootstrapServers: [{ host: '{vault://env/A}', port: 1 }] }, 'bootstrapServers.0'],
      [{ topics: [{ name: 'a b' }] }, 'topics.0.name'],
      [{ topics: ['a', { name: 'a' }] }, 'only once'],
    ] as const) {
      const given = { ...options, ...wrong } as Parameters<typeof resolveOptions>[0]
      expect(() => resolveOptions(given)).toThrow(says)
    }
  })

  test('of kafkaConsume and of Kong have equal fields, except the few of one alone', () => {
    const own = new Set(Object.keys(optionsSchema.entries))
    const kongs = Object.keys(kongConsumeSchema.entries)
    expect(kongs.filter((name) => !own.has(name))).toEqual(['enforceLatestOffsetReset'])
  })
})

describe('secrets', () => {
  const masked = (path: string, value: unknown) =>
    valueAt(maskSecrets(at(path, value) as Record<string, unknown>), path)

  test.each([
    'authentication.user',
    'authentication.password',
    `${BEARER}.client_secret`,
    `${REGISTRY}.basic.password`,
    `${OAUTH2}.client_secret`,
    `${OAUTH2}.password`,
    `${CLIENT}.http_proxy_authorization`,
    `${CLIENT}.https_proxy_authorization`,
  ])('%s is not shown', (path) => {
    expect(masked(path, 'hunter2')).toBe(MASK)
    expect(masked(path, '{vault://env/PASSWORD}')).toBe('{vault://env/PASSWORD}')
    expect(masked(path, null)).toBe(null)
  })

  test('values of maps that hold secrets are not shown, other maps are', () => {
    expect(masked(`${OAUTH2}.token_headers`, { a: 'x', b: '{vault://env/B}' })).toEqual({
      a: MASK,
      b: '{vault://env/B}',
    })
    expect(masked(`${BEARER}.extensions`, { a: 'x' })).toEqual({ a: 'x' })
  })

  test('of topics are not shown, and no other field is hidden', () => {
    const confluent = { authentication: { basic: { username: 'u', password: 'p' } } }
    const config = { ...COMPLETE, topics: [{ name: 'password', schema_registry: { confluent } }] }
    const shown = maskSecrets(config)
    expect(JSON.stringify(shown)).toBe(JSON.stringify(config).replace('"p"', `"${MASK}"`))
    expect(maskSecrets(COMPLETE)).toEqual(COMPLETE)
  })
})

describe('the schema that GET /schemas shows', () => {
  test('has every field, in Kong’s names and form', () => {
    const { fields } = { fields: [{ config: kafkaConsumeField }] } as unknown as {
      fields: [{ config: { type: string; required: true; fields: Record<string, object>[] } }]
    }
    const { config } = fields[0]
    expect(config.type).toBe('record')
    expect(config.fields.flatMap((field) => Object.keys(field))).toEqual(Object.keys(COMPLETE))
    expect(Object.assign({}, ...config.fields)).toMatchObject({
      bootstrap_servers: {
        type: 'array',
        required: true,
        len_min: 1,
        elements: {
          type: 'record',
          fields: [
            { host: { type: 'string', required: true } },
            { port: { type: 'integer', required: true, between: [0, 65_535] } },
          ],
        },
      },
      mode: {
        type: 'string',
        required: true,
        default: 'http-get',
        one_of: ['http-get', 'server-sent-events', 'websocket'],
      },
      cluster_name: { type: 'string' },
      authentication: { type: 'record', required: true },
      security: {
        fields: [
          { ssl: { type: 'boolean' } },
          { certificate_id: { type: 'string', uuid: true } },
          { ssl_verify: { type: 'boolean', default: true } },
        ],
      },
    })
    expect(JSON.stringify(config)).toContain(
      '{"password":{"type":"string","encrypted":true,"referenceable":true}}',
    )
  })
})

describe('names of fields', () => {
  test.each([
    ['dlq_topic', 'dlqTopic'],
    ['message_by_lua_functions', 'messageByLuaFunctions'],
    ['oauth2_client', 'oauth2Client'],
    ['mode', 'mode'],
    ['__proto__', '_Proto__'],
  ])('%s is our %s', (kongs, ours) => {
    expect(renameKey(kongs)).toBe(ours)
    expect(renameKey(ours)).toBe(kongs)
  })

  test('any text that is renamed there and back is unchanged, and no two names become one', () => {
    const name = fc.oneof(
      fc.string(),
      fc.string({ unit: fc.constantFrom('_', 'a', 'A', 'z', 'Z', '1', '-', 'é') }),
    )
    fc.assert(fc.property(name, (text) => renameKey(renameKey(text)) === text))
    fc.assert(fc.property(name, name, (a, b) => a === b || renameKey(a) !== renameKey(b)))
  })

  test('every name of the schema becomes Kong’s by the rule', () => {
    const walk = (schema: unknown): void => {
      const { wrapped, item, entries } = schema as {
        wrapped?: unknown
        item?: unknown
        entries?: Record<string, unknown>
      }
      if (wrapped) walk(wrapped)
      if (item) walk(item)
      for (const [name, inner] of Object.entries(entries ?? {})) {
        expect(name).toMatch(/^[a-z][a-zA-Z0-9]*$/)
        expect(renameKey(name)).toMatch(/^[a-z][a-z0-9_]*$/)
        walk(inner)
      }
    }
    walk(kongConsumeSchema)
  })

  test('any document is accepted or refused by field, and an accepted one is read unchanged', () => {
    const names = [...Object.keys(COMPLETE), 'confluent', 'oauthbearer', 'user', '__proto__', 'x']
    const value = fc.letrec((tie) => ({
      any: fc.oneof(
        { maxDepth: 4 },
        fc.constantFrom(null, true, 0, -1, 1.5, '', 'a', 'latest', 'off', '***', 'manual'),
        fc.array(tie('any'), { maxLength: 3 }),
        fc.dictionary(fc.constantFrom(...names), tie('any'), { maxKeys: 4 }),
      ),
    })).any
    const whole = fc.constantFrom(...Object.keys(COMPLETE))
    fc.assert(
      fc.property(fc.dictionary(whole, value, { maxKeys: 3 }), (given) => {
        const config = { ...LEAST, ...given }
        try {
          const first = readWhole(config)
          expect(readWhole(first.config)).toEqual(first)
          expect(v.is(optionsSchema, first.options)).toBe(true)
        } catch (error) {
          if (!(error instanceof SchemaViolation)) throw error
          const { config: errors } = error.fields as { config: FieldErrors }
          expect(Object.keys(errors).length).toBeGreaterThan(0)
          for (const field of Object.keys(errors))
            expect({ ...COMPLETE, ...config }).toHaveProperty([field])
        }
      }),
      { numRuns: 500 },
    )
  })
})
