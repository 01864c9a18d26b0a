/**
 * Kong's own examples of the five plugins for Kafka, with the fields and values of its documentation:
 * https://developer.konghq.com/plugins/kafka-upstream/examples/ and so on. Kong shows each as a file of
 * decK and as a request to the Admin API, with variables for what the reader has.
 */
import type { SecureListener } from '../../tools/kafka/secure-listeners.ts'

/** An example, and how it is tried. */
export interface Example {
  readonly plugin:
    | 'kafka-upstream'
    | 'confluent'
    | 'kafka-log'
    | 'kafka-consume'
    | 'confluent-consume'
  readonly title: string
  /** The text of `config`, in YAML. */
  readonly config: string
  /** The listener that it is for. Default: the one without authentication. */
  readonly listener?: SecureListener
  /** Arguments of curl. Default: a GET. */
  readonly request?: string
  /** A part of the record that a plugin writes, or of the value that a plugin reads. */
  readonly expected?: object | string
  /** The record's headers. */
  readonly headers?: readonly string[]
  /** The group that a plugin reads as, where its name is given. */
  readonly group?: string
}

/** The name in place of a value of the reader's. decK reads its variables under names with `DECK_`. */
function variable(name: string): string {
  return `\${{ env "DECK_${name}" }}`
}

const topic = `topic: ${variable('KAFKA_TOPIC')}`
const host = (name = variable('BOOTSTRAP_SERVER_HOST')) => `
bootstrap_servers:
- host: ${name}
  port: 9092`

const tls = `${topic}
security:
  ssl: true`
const mtls = `${tls}
  certificate_id: 38fbf6a1-1c58-4dea-a391-85abf1b92f13`
const oauthbearer = `oauthbearer:
  token_endpoint_url: ${variable('TOKEN_ENDPOINT_URL')}
  client_id: ${variable('CLIENT_ID')}
  client_secret: ${variable('CLIENT_SECRET')}`
const saslToken = `authentication:
  strategy: sasl
  mechanism: OAUTHBEARER
  ${oauthbearer.replaceAll('\n', '\n  ')}`
const login = (mechanism: string) => `${topic}
authentication:
  strategy: sasl
  mechanism: ${mechanism}
  user: ariel
  password: my-password`
const delegated = `${topic}
authentication:
  strategy: sasl
  mechanism: SCRAM-SHA-256
  user: ${variable('TOKEN_ID')}
  password: ${variable('TOKEN_HMAC')}
  tokenauth: true`
const registry = `schema_registry:
  confluent:
    url: ${variable('REGISTRY_URL')}
    authentication:
      mode: basic
      basic:
        username: user
        password: password`
const encoded = (subject: string) => `${registry}
    value_schema:
      subject_name: ${subject}
      schema_version: latest`
const everything = `forward_method: true
forward_uri: true
forward_headers: true
forward_body: true`
const allowed = `headers:
  forward_http_headers_as_record_headers: true
  forward_all_by_default: false
  include_headers:
  - x-request-id
  - x-tenant-id
  - x-correlation-id
  name_mappings:
    x-request-id: trace-id
    x-tenant-id: tenant
  repeated_headers_behavior: concatenate_by_comma`
const blocked = `headers:
  forward_http_headers_as_record_headers: true
  forward_all_by_default: true
  exclude_headers:
  - authorization
  - cookie
  repeated_headers_behavior: retain_duplicates`
const clusterKey = `cluster_api_key: ${variable('CONFLUENT_CLUSTER_API_KEY')}
cluster_api_secret: ${variable('CONFLUENT_CLUSTER_API_SECRET')}`
const apiKey = `cluster_api_key: ${variable('API_KEY')}
cluster_api_secret: ${variable('API_SECRET')}`
const bodyAlone = `message_by_lua_functions:
- 'return function(message) return message.body end'`

const BODY = { body: '', body_args: {}, body_base64: true }
const GET = {
  ...BODY,
  method: 'GET',
  uri: '/kafka',
  uri_args: {},
  headers: { accept: '*/*', host: 'h', 'user-agent': 'test' },
}
const AS_TEST = `-A test -H 'Host: h'`
const allowedHeaders = {
  request: `-H 'x-request-id: r' -H 'x-tenant-id: t' -H 'x-other: o'`,
  expected: BODY,
  headers: ['trace-id', 'r', 'tenant', 't'],
}
const blockedHeaders = {
  request: `${AS_TEST} -H 'authorization: s' -H 'cookie: s' -H 'x-a: b'`,
  expected: BODY,
  headers: ['accept', '*/*', 'host', 'h', 'user-agent', 'test', 'x-a', 'b'],
}
const JSON_REQUEST = `-H 'Content-Type: application/json' --data '{"name":"kong"}'`

/** The plugins that write the request itself. */
const upstream = (title: string, config: string, more: Partial<Example> = {}): Example => ({
  plugin: 'kafka-upstream',
  expected: BODY,
  ...more,
  title,
  config,
})
const confluent = (title: string, config: string, more: Partial<Example> = {}): Example => ({
  ...upstream(title, config, more),
  plugin: 'confluent',
  listener: 'SASL_SSL',
})
const log = (title: string, config: string, listener?: SecureListener): Example => ({
  plugin: 'kafka-log',
  title,
  config,
  ...(listener && { listener }),
  expected: { response: { status: 503 }, route: { name: 'example' } },
})

const reading = `${host()}
topics:
- name: ${variable('KAFKA_TOPIC')}
mode: `
/** Functions with the effect of Kong's two, which are longer. */
const filter = `message_by_lua_functions:
- |
  return function(message)
    local record = message
    if type(record) ~= "table" then record = { value = message } end
    local value = record.value
    if value == nil or value == "" then return nil end
    return record
  end`
const transform = `message_by_lua_functions:
- |
  return function(message)
    local cjson = require("cjson.safe")
    local record = message
    if type(record) ~= "table" then record = { value = message } end
    if type(record.value) == "string" then record.decoded = cjson.decode(record.value) end
    record.processed_by_lua = true
    return record
  end`
const groups = {
  byConsumer: `${reading}http-get
consumer_group:
  mode: kong_consumer`,
  fixed: `${reading}http-get
consumer_group:
  mode: manual
  consumer_group_id: ${variable('CONSUMER_GROUP_ID')}`,
}

function consume(title: string, config: string, more: Partial<Example> = {}): Example {
  return { plugin: 'kafka-consume', ...more, title, config }
}
function cloudConsume(title: string, config: string, more: Partial<Example> = {}): Example {
  return { ...more, plugin: 'confluent-consume', listener: 'SASL_SSL', title, config }
}

/** The groups that the examples name, of a consumer and of the reader's choice. */
export const GROUPS = { consumer: 'alex', fixed: 'allowed-example' } as const

export const examples: readonly Example[] = [
  upstream('Enable the Kafka Upstream plugin', topic),
  upstream(
    'Return a fixed table',
    `${topic}${host('localhost')}
message_by_lua_functions:
- 'return function(message) return {a="1", b="2"} end'`,
    { expected: { a: '1', b: '2' } },
  ),
  upstream(
    'Unmodified message',
    `${topic}${host('localhost')}
${everything}
message_by_lua_functions:
- 'return function(message) return message end'`,
    { request: AS_TEST, expected: GET },
  ),
  upstream(
    'Inject consumer info and redact sensitive request headers',
    `${topic}${host('localhost')}
${everything}
message_by_lua_functions:
- 'return function(message) message.consumer = kong.client.get_consumer(); return message end'
- 'return function(message) local headers = message and message.headers; local apikey = headers and headers.apikey; if apikey then headers.apikey = "[REDACTED]" end; return message end'`,
    {
      request: `${AS_TEST} -H 'apikey: secret'`,
      expected: { ...GET, headers: { ...GET.headers, apikey: '[REDACTED]' } },
    },
  ),
  upstream(
    'Send messages to multiple topics',
    `${topic}${host('localhost')}
topics_query_arg: "topic-list"
allowed_topics:
- "my-topic"
- "topic1"
- "topic2"`,
    { request: `'?topic-list=my-topic,topic1'` },
  ),
  upstream(
    'Forward HTTP headers as Kafka record headers (allowlist mode)',
    `${topic}\n${allowed}`,
    allowedHeaders,
  ),
  upstream(
    'Forward HTTP headers as Kafka record headers (blocklist mode)',
    `${topic}\n${blocked}`,
    blockedHeaders,
  ),
  upstream(
    'Confluent Schema Registry',
    `${topic}${host()}
${encoded('kong-value')}
${bodyAlone}`,
    { request: JSON_REQUEST, expected: { name: 'kong' } },
  ),
  upstream('Enable TLS', tls, { listener: 'SSL' }),
  upstream('Enable mutual TLS (mTLS)', mtls, { listener: 'SSL' }),
  upstream('Plain authentication', login('PLAIN'), { listener: 'SASL_PLAINTEXT' }),
  upstream('SCRAM-SHA-256 authentication', login('SCRAM-SHA-256'), { listener: 'SASL_PLAINTEXT' }),
  upstream('SCRAM-SHA-512 authentication', login('SCRAM-SHA-512'), { listener: 'SASL_PLAINTEXT' }),
  upstream('SASL/OAUTHBEARER authentication', `${topic}\n${saslToken}`, {
    listener: 'SASL_PLAINTEXT',
  }),
  upstream('Delegated tokens authentication', delegated, { listener: 'SASL_PLAINTEXT' }),

  confluent(
    'Disable asynchronous events',
    `${host('example.com')}
producer_async: false
topic: kong-test
${clusterKey}`,
  ),
  confluent('SASL/OAUTHBEARER authentication', `${topic}${host()}\n${oauthbearer}`),
  confluent(
    'Forward HTTP headers as Kafka record headers (allowlist mode)',
    `${topic}\n${clusterKey}\n${allowed}`,
    allowedHeaders,
  ),
  confluent(
    'Forward HTTP headers as Kafka record headers (blocklist mode)',
    `${topic}\n${clusterKey}\n${blocked}`,
    blockedHeaders,
  ),
  confluent(
    'Confluent Schema Registry',
    `${topic}${host()}
${encoded('kong-value')}
${clusterKey}
${bodyAlone}`,
    { request: JSON_REQUEST, expected: { name: 'kong' } },
  ),

  log('Confluent Schema Registry', `${topic}${host()}\n${encoded('kong-logs-value')}`),
  log('Enable TLS', tls, 'SSL'),
  log('Enable mTLS', mtls, 'SSL'),
  log('Plain authentication', login('PLAIN'), 'SASL_PLAINTEXT'),
  log('SCRAM-SHA-256 authentication', login('SCRAM-SHA-256'), 'SASL_PLAINTEXT'),
  log('SCRAM-SHA-512 authentication', login('SCRAM-SHA-512'), 'SASL_PLAINTEXT'),
  log('SASL/OAUTHBEARER authentication', `${topic}\n${saslToken}`, 'SASL_PLAINTEXT'),
  log('Delegated tokens authentication', delegated, 'SASL_PLAINTEXT'),

  consume('HTTP GET', `${reading}http-get`),
  consume('Server-sent events', `${reading}server-sent-events`),
  consume('Fixed consumer group ID', groups.fixed, { group: GROUPS.fixed }),
  consume('Consumer group ID per Kong Gateway Consumer', groups.byConsumer, {
    group: GROUPS.consumer,
  }),
  consume('Filter messages with Lua custom filter code', `${reading}server-sent-events\n${filter}`),
  consume(
    'Transform messages with Lua custom filter code',
    `${reading}server-sent-events\n${transform}`,
  ),
  consume('Confluent Schema Registry', `${reading}http-get\n${registry}`),
  consume('SASL/OAUTHBEARER authentication', `${reading}http-get\n${saslToken}`, {
    listener: 'SASL_PLAINTEXT',
  }),

  cloudConsume('HTTP GET', `${reading}http-get\n${apiKey}`),
  cloudConsume('Server-sent events', `${reading}server-sent-events\n${apiKey}`),
  cloudConsume('Websocket mode', `${reading}websocket\n${apiKey}`),
  cloudConsume('Fixed consumer group ID', `${groups.fixed}\n${apiKey}`, { group: GROUPS.fixed }),
  cloudConsume('Consumer group ID per Kong Gateway Consumer', `${groups.byConsumer}\n${apiKey}`, {
    group: GROUPS.consumer,
  }),
  cloudConsume(
    'Filter messages with Lua custom filter code',
    `${reading}server-sent-events\n${filter}\n${apiKey}`,
  ),
  cloudConsume(
    'Transform messages with Lua custom filter code',
    `${reading}server-sent-events\n${transform}\n${apiKey}`,
  ),
  cloudConsume('Confluent Schema Registry', `${reading}http-get\n${apiKey}\n${registry}`),
  cloudConsume(
    'Confluent Schema Registry with OAuth2',
    `${reading}http-get
${apiKey}
schema_registry:
  confluent:
    url: ${variable('REGISTRY_URL')}
    authentication:
      mode: oauth2
      oauth2:
        token_endpoint: https://example.com/oauth2/token
        client_id: ${variable('CLIENT_ID')}
        client_secret: ${variable('CLIENT_SECRET')}
      oauth2_client:
        auth_method: client_secret_post`,
  ),
  cloudConsume('SASL/OAUTHBEARER authentication', `${reading}http-get\n${oauthbearer}`),
]
