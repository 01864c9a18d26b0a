import { describe, expect, test } from 'bun:test'
import { SchemaViolation } from '../../src/kong/errors.ts'
import { MASK, maskSecrets, pluginSchema, readPluginConfig } from '../../src/kong/plugin-config.ts'

const ID = '0b54e1c5-6c39-4d4c-8a3c-0c7bb0a44a6a'
const LEAST = {
  bootstrap_servers: [{ host: 'localhost', port: 9092 }],
  topics: [{ name: 'kong-test' }],
}

function read(config: object) {
  return readPluginConfig({ ...LEAST, ...config }, { id: ID })
}

function refusal(config: object): string {
  try {
    readPluginConfig(config, { id: ID })
  } catch (error) {
    if (error instanceof SchemaViolation) return error.message
    throw error
  }
  return 'accepted'
}

describe('a config of kafka-consume', () => {
  test('gets the defaults of Kong 3.15', () => {
    expect(read({}).config).toEqual({
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
    })
  })

  test('that is complete reads as itself', () => {
    const { config } = read({ mode: 'server-sent-events', cluster_name: 'eu' })
    expect(readPluginConfig(config, { id: ID }).config).toEqual(config)
  })

  test('becomes options: brokers, topics, mode, deserializer, errors', () => {
    const { options } = read({
      bootstrap_servers: [
        { host: 'a', port: 1 },
        { host: 'b', port: 2 },
      ],
      topics: [{ name: 'one' }, { name: 'two' }],
      mode: 'server-sent-events',
      message_deserializer: 'json',
      commit_strategy: 'off',
      error_handling: { return_error_message: true },
    })
    expect(options).toMatchObject({
      bootstrapServers: ['a:1', 'b:2'],
      topics: ['one', 'two'],
      mode: 'server-sent-events',
      messageDeserializer: 'json',
      commitStrategy: 'off',
      errorHandling: { returnErrorMessage: true },
    })
  })

  test.each([
    [{}, 'earliest'],
    [{ auto_offset_reset: 'latest' }, 'earliest'],
    [{ auto_offset_reset: 'earliest', enforce_latest_offset_reset: true }, 'earliest'],
    [{ auto_offset_reset: 'latest', enforce_latest_offset_reset: true }, 'latest'],
  ])('%j begins at the %s, as in Kong', (config, expected) => {
    expect(read(config).options.autoOffsetReset).toBe(expected as 'earliest' | 'latest')
  })

  test('names a lasting group after the plugin, or takes the one that is given', () => {
    const random = read({ consumer_group: { consumer_group_id: 'ignored' } })
    expect(random.options.consumerGroup).toEqual({
      mode: 'manual',
      consumerGroupId: `hono-kafka-consume-${ID}`,
    })
    const manual = read({ consumer_group: { mode: 'manual', consumer_group_id: 'mine' } })
    expect(manual.options.consumerGroup).toEqual({ mode: 'manual', consumerGroupId: 'mine' })
  })

  test('without brokers and topics is refused in Kong’s words', () => {
    expect(refusal({ bootstrap_servers: LEAST.bootstrap_servers })).toBe(
      'schema violation (config.topics: required field missing)',
    )
    expect(refusal({})).toBe(
      '2 schema violations (config.bootstrap_servers: required field missing; config.topics: required field missing)',
    )
  })

  test.each<[config: object, problem: string]>([
    [{ bootstrap_servers: 'a:1' }, 'bootstrap_servers: expected an array'],
    [{ bootstrap_servers: [{ port: 1 }] }, 'bootstrap_servers.1.host: required field missing'],
    [{ bootstrap_servers: [{ host: 'a' }] }, 'bootstrap_servers.1.port: required field missing'],
    [
      { bootstrap_servers: [{ host: 'a', port: 65_536 }] },
      'bootstrap_servers.1.port: value should be between 0 and 65535',
    ],
    [
      { bootstrap_servers: [{ host: 'a', port: '1' }] },
      'bootstrap_servers.1.port: expected an integer',
    ],
    [{ topics: [] }, 'topics: length must be at least 1'],
    [{ topics: [{}] }, 'topics.1.name: required field missing'],
    [{ topics: [{ name: 1 }] }, 'topics.1.name: expected a string'],
    [{ mode: null }, 'mode: required field missing'],
    [{ mode: 'x' }, 'mode: expected one of: http-get, server-sent-events, websocket'],
    [{ message_deserializer: 'xml' }, 'message_deserializer: expected one of: noop, json'],
    [{ auto_offset_reset: 'now' }, 'auto_offset_reset: expected one of: earliest, latest'],
    [{ enforce_latest_offset_reset: 1 }, 'enforce_latest_offset_reset: expected a boolean'],
    [{ commit_strategy: 'manual' }, 'commit_strategy: expected one of: auto, off'],
    [{ cluster_name: 1 }, 'cluster_name: expected a string'],
    [{ authentication: { strategy: 'x' } }, 'authentication.strategy: expected one of: sasl'],
    [
      { authentication: { mechanism: 'GSSAPI' } },
      'authentication.mechanism: expected one of: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER',
    ],
    [
      { authentication: { strategy: 'sasl', mechanism: 'PLAIN', user: 'u' } },
      'authentication.password: required field missing',
    ],
    [
      { authentication: { strategy: 'sasl', mechanism: 'SCRAM-SHA-256', password: 'p' } },
      'authentication.user: required field missing',
    ],
    [{ authentication: { tokenauth: 'x' } }, 'authentication.tokenauth: expected a boolean'],
    [{ security: { ssl: 'x' } }, 'security.ssl: expected a boolean'],
    [{ security: { certificate_id: 'x' } }, 'security.certificate_id: expected a valid UUID'],
    [
      { schema_registry: { confluent: { ttl: 3_601 } } },
      'schema_registry.confluent.ttl: value should be between 0 and 3600',
    ],
    [{ message_by_lua_functions: 'f' }, 'message_by_lua_functions: expected an array'],
    [{ enable_dlq: 'x' }, 'enable_dlq: expected a boolean'],
    [
      { consumer_group: { mode: 'x' } },
      'consumer_group.mode: expected one of: random, kong_consumer, manual',
    ],
    [
      { consumer_group: { mode: 'manual' } },
      'consumer_group.consumer_group_id: required field missing',
    ],
    [
      { error_handling: { return_error_message: 1 } },
      'error_handling.return_error_message: expected a boolean',
    ],
    [{ no_such_field: 1 }, 'no_such_field: unknown field'],
  ])('%j is refused', (config, problem) => {
    expect(refusal({ ...LEAST, ...config })).toBe(`schema violation (config.${problem})`)
  })

  test.each<[config: object, problem: string]>([
    [{ mode: 'websocket' }, 'mode: websocket is not supported yet by this gateway'],
    [
      { authentication: { strategy: 'sasl', mechanism: 'PLAIN', user: 'u', password: 'p' } },
      'authentication.strategy: not supported yet by this gateway',
    ],
    [{ security: { ssl: true } }, 'security.ssl: not supported yet by this gateway'],
    [
      { security: { certificate_id: ID } },
      'security.certificate_id: not supported yet by this gateway',
    ],
    [
      { schema_registry: { confluent: { url: 'http://localhost:8081' } } },
      'schema_registry.confluent: not supported yet by this gateway',
    ],
    [
      { topics: [{ name: 't', schema_registry: { confluent: { url: 'http://localhost' } } }] },
      'topics.1.schema_registry.confluent: not supported yet by this gateway',
    ],
    [
      { message_by_lua_functions: ['return nil'] },
      'message_by_lua_functions: not supported yet by this gateway',
    ],
    [{ enable_dlq: true, dlq_topic: 'dead' }, 'enable_dlq: not supported yet by this gateway'],
    [
      { consumer_group: { mode: 'kong_consumer' } },
      'consumer_group.mode: kong_consumer is not supported yet by this gateway',
    ],
  ])('%j is refused by name, not ignored', (config, problem) => {
    expect(refusal({ ...LEAST, ...config })).toBe(`schema violation (config.${problem})`)
  })

  test('is shown without its secrets; references to a vault are none', () => {
    const shown = maskSecrets({
      authentication: { user: 'u', password: '{vault://env/PASSWORD}' },
      topics: [{ name: 'password' }],
      oauthbearer: { client_secret: 's', client_id: 'c' },
    })
    expect(shown).toEqual({
      authentication: { user: MASK, password: '{vault://env/PASSWORD}' },
      topics: [{ name: 'password' }],
      oauthbearer: { client_secret: MASK, client_id: 'c' },
    })
  })

  test('is described with the fields that are checked', () => {
    const text = JSON.stringify(pluginSchema())
    expect(text).toContain('"one_of":["http-get","server-sent-events","websocket"]')
    for (const field of Object.keys(read({}).config)) expect(text).toContain(`"${field}":`)
  })
})
