import { describe, expect, test } from 'bun:test'
import * as v from 'valibot'
import { KafkaConsumeError } from '../../src/core/errors.ts'
import { kafkaReader } from '../../src/http/kafka-reader.ts'
import { kafkaDocs, kafkaMetrics, kafkaStatus, kafkaTopics } from '../../src/index.ts'
import {
  optionsSchema,
  type ResolvedOptions,
  resolveOptions,
} from '../../src/options/consume-options.ts'
import type { KafkaConsumeOptions } from '../../src/options/option-types.ts'

const PEM = '-----BEGIN CERTIFICATE-----'
const SASL = {
  strategy: 'sasl',
  mechanism: 'SCRAM-SHA-512',
  user: 'u',
  password: 'not-to-be-shown',
}
const REQUIRED = { bootstrapServers: 'localhost:9092', topics: ['orders'] }

const DEFAULTS: Omit<ResolvedOptions, keyof typeof REQUIRED> = {
  mode: 'http-get',
  messageDeserializer: 'noop',
  autoOffsetReset: 'latest',
  commitStrategy: 'auto',
  authentication: {},
  security: { sslVerify: true },
  registries: new Map(),
  schemas: new Map(),
  consumerGroup: { mode: 'random' },
  responseFormat: 'kong',
  errorHandling: { returnErrorMessage: false },
  compression: 'answers',
  pageCaching: 'private',
  pageMaxAge: 3_600_000,
  heartbeat: 8_000,
  writeDeadline: 60_000,
  ringBytes: 64 * 1024 * 1024,
  maxSubscribers: 20_000,
  maxAnswerBytes: 128 * 1024 * 1024,
  maxCatchUpReads: 16,
  maxGroups: 64,
}

function resolve(options: object): ResolvedOptions {
  return resolveOptions({ ...REQUIRED, ...options } as KafkaConsumeOptions)
}

function refusal(options: unknown): string {
  try {
    resolveOptions(options as KafkaConsumeOptions)
  } catch (error) {
    if (!(error instanceof KafkaConsumeError)) throw error
    expect(error.code).toBe('INVALID_OPTIONS')
    expect(error.message).toStartWith('Cannot use these kafkaConsume options: ')
    return error.message
  }
  throw new Error(`expected ${JSON.stringify(options)} to be refused`)
}

describe('options', () => {
  test('every option but brokers and topics has its default', () => {
    expect(resolve({})).toEqual({
      bootstrapServers: ['localhost:9092'],
      topics: ['orders'],
      ...DEFAULTS,
    })
    const absent = [
      'clusterName',
      'messageByLuaFunctions',
      'enableDlq',
      'dlqTopic',
      'format',
      'transform',
      'librdkafka',
      'filters',
      'maxStreamAge',
    ]
    const { registries: _, schemas: __, ...defaults } = DEFAULTS
    expect(Object.keys(optionsSchema.entries).sort()).toEqual(
      [...Object.keys(REQUIRED), ...Object.keys(defaults), ...absent, 'schemaRegistry'].sort(),
    )
    expect(resolve({ errorHandling: {} }).errorHandling).toEqual({ returnErrorMessage: false })
  })

  test('dead letters need a topic of their own', () => {
    expect(resolve({ enableDlq: true, dlqTopic: 'dead' })).toMatchObject({ dlqTopic: 'dead' })
    expect(refusal({ ...REQUIRED, enableDlq: true })).toContain(
      'dlqTopic is required when enableDlq is true',
    )
    expect(refusal({ ...REQUIRED, enableDlq: true, dlqTopic: 'orders' })).toContain(
      'dlqTopic: it must not be one of the topics that are read',
    )
    expect(refusal({ ...REQUIRED, enableDlq: true, dlqTopic: 'a b' })).toContain('dlqTopic')
  })

  test.each(['', 'a b'])('what is wrong with the topic %p is said once', (name) => {
    expect(refusal({ ...REQUIRED, topics: [name] }).match(/1 to 249/g)).toHaveLength(1)
  })

  test('errors name the function that was given the options', () => {
    expect(() => kafkaReader({ bootstrapServers: 'a:1', topics: [] })).toThrow(
      'Cannot use these kafkaReader options: topics: at least one topic is required',
    )
  })

  test('kafkaReader refuses options of answers, beside its other errors', () => {
    const reader = { bootstrapServers: 'a:1', topics: ['t'] }
    const options = { ...reader, heartbeat: 1_000, mode: 'auto', maxCatchUpReads: 0 }
    const why =
      'kafkaReader has no such option, since the handlers behind it answer; kafkaConsume has it'
    expect(() => kafkaReader(options)).toThrow(
      `Cannot use these kafkaReader options: mode: ${why}; heartbeat: ${why}; maxCatchUpReads: a whole number of catch-up reads from 1 to 48 is required`,
    )
    const absent = { ...reader, mode: undefined, enableDlq: false }
    expect(() => kafkaReader(absent)).not.toThrow()
    const wrong = undefined as unknown as typeof reader
    expect(() => kafkaReader(wrong)).toThrow(
      'Cannot use these kafkaReader options: an object is required',
    )
  })

  test.each([undefined, null, 5, 'orders'])(
    'options that are not an object, %p, are refused as such',
    (wrong) => {
      expect(refusal(wrong)).toBe('Cannot use these kafkaConsume options: an object is required')
    },
  )

  test('pages refuse what is not a handler when they are made, and name its path', () => {
    const pages = { kafkaDocs, kafkaMetrics, kafkaStatus, kafkaTopics }
    for (const [name, make] of Object.entries(pages) as [
      string,
      (handlers: unknown) => unknown,
    ][]) {
      const start = `Cannot use these ${name} handlers: `
      for (const wrong of [5, undefined, () => undefined]) {
        expect(() => make({ '/orders': wrong })).toThrow(`${start}/orders: a handler that has `)
      }
      expect(() => make(undefined)).toThrow(`${start}an object with a handler for each path`)
    }
  })

  test('kafkaReader refuses dead letters without their topic', () => {
    const options = { bootstrapServers: 'a:1', topics: ['t'], enableDlq: true }
    expect(() => kafkaReader(options)).toThrow(
      'Cannot use these kafkaReader options: dlqTopic: dlqTopic is required when enableDlq is true',
    )
  })

  test.each([
    ['localhost:9092', ['localhost:9092']],
    ['a:1, b:65535 ', ['a:1', 'b:65535']],
    [
      ['a:1', ' b:2'],
      ['a:1', 'b:2'],
    ],
    ['[::1]:9092', ['[::1]:9092']],
  ])('brokers may be %p', (bootstrapServers, expected) => {
    expect(resolve({ bootstrapServers }).bootstrapServers).toEqual(expected)
  })

  test('topics may be text or an array, and keep their order', () => {
    expect(resolve({ topics: 'b, a' }).topics).toEqual(['b', 'a'])
    expect(resolve({ topics: ['b', 'a'] }).topics).toEqual(['b', 'a'])
  })

  test('topics may have schemas, whose values are JSON unless something else is said', () => {
    const schema = v.object({ n: v.number() })
    const byName = resolve({ topics: { a: schema, b: schema } })
    expect(byName.topics).toEqual(['a', 'b'])
    expect(byName.schemas.get('b')?.value).toBe(schema)
    expect(byName.messageDeserializer).toBe('json')
    const asText = resolve({ topics: { a: v.string() }, messageDeserializer: 'noop' })
    expect(asText.messageDeserializer).toBe('noop')
    const ofKeys = resolve({ topics: ['a', { name: 'b', key: v.string(), headers: schema }] })
    expect([...ofKeys.schemas.keys()]).toEqual(['b'])
    expect(ofKeys.schemas.get('b')).toMatchObject({ key: { kind: 'schema' }, headers: schema })
    expect(ofKeys.messageDeserializer).toBe('noop')
  })

  const refused: ReadonlyArray<readonly [object, ...string[]]> = [
    [{ bootstrapServers: undefined }, 'bootstrapServers', 'host:port'],
    [{ bootstrapServers: '' }, 'bootstrapServers.0', 'host:port'],
    [{ bootstrapServers: [] }, 'bootstrapServers', 'at least one broker'],
    [{ bootstrapServers: ['a:1', 'b'] }, 'bootstrapServers.1', 'host:port'],
    [{ bootstrapServers: 'a:65536' }, 'bootstrapServers.0', '65535'],
    [{ bootstrapServers: 'a:1,b:0' }, 'bootstrapServers.1', 'from 1 to 65535'],
    [{ bootstrapServers: 'http://a:1' }, 'bootstrapServers.0', 'host:port'],
    [{ bootstrapServers: [1] }, 'bootstrapServers.0', 'text'],
    [{ bootstrapServers: 9092 }, 'bootstrapServers', 'host:port'],
    [{ topics: undefined }, 'topics', 'required'],
    [{ topics: [] }, 'topics', 'at least one topic'],
    [{ transform: 'x' }, 'transform', 'a function'],
    [{ filters: { big: 'value.total >' } }, 'filters.big', 'cannot use the expression'],
    [{ filters: { big: '1 + 1' } }, 'filters.big', 'true or false'],
    [{ filters: { 'a b': 'true' } }, 'filters', 'letters, digits'],
    [{ filters: { big: 1 } }, 'filters.big', 'an expression'],
    [{ filters: 'value.total > 1' }, 'filters', 'an object'],
    [
      { filters: Object.fromEntries(Array.from({ length: 101 }, (_, n) => [`f${n}`, 'true'])) },
      'filters',
      'at most 100',
    ],
    [{ pageCaching: 'shared' }, 'pageCaching', '"private"'],
    [{ pageMaxAge: 10 }, 'pageMaxAge', 'milliseconds'],
    [{ topics: '' }, 'topics.0', '1 to 249'],
    [{ topics: ['ok', 'not ok'] }, 'topics.1', 'a-z'],
    [{ topics: ['..'] }, 'topics.0', 'a topic must be'],
    [{ topics: ['x'.repeat(250)] }, 'topics.0', '249'],
    [{ topics: ['a', 'a'] }, 'topics', 'only once'],
    [{ topics: Array.from({ length: 101 }, (_, i) => `t${i}`) }, 'topics', 'at most 100'],
    [{ topics: [7] }, 'topics.0', 'text'],
    [{ topics: {} }, 'topics', 'at least one topic'],
    [{ topics: v.string() }, 'topics', 'an object with a schema for each topic'],
    [{ topics: { orders: { total: 'number' } } }, 'topics.0.schema', 'Standard Schema'],
    [{ topics: { 'or ders': v.string() } }, 'topics.0', 'a-z'],
    [{ topics: [{ name: 'a', key: 'string' }] }, 'topics.0.key', 'Standard Schema'],
    [{ topics: [{ name: 'a', value: v.string() }] }, 'topics.0.value', 'topics'],
    [{ mode: 'sse' }, 'mode', '"http-get", "server-sent-events", "websocket" or "auto"'],
    [{ messageDeserializer: 'avro' }, 'messageDeserializer', '"noop" or "json"'],
    [{ autoOffsetReset: 'none' }, 'autoOffsetReset', '"earliest" or "latest"'],
    [{ consumerGroup: { mode: 'own' } }, 'consumerGroup.mode', '"kong_consumer" or "manual"'],
    [{ consumerGroup: { mode: 'manual' } }, 'consumerGroup', 'consumerGroupId'],
    [
      { consumerGroup: { mode: 'manual', consumerGroupId: '' } },
      'consumerGroup.consumerGroupId',
      'empty',
    ],
    [
      { consumerGroup: { mode: 'manual', consumerGroupId: 'g'.repeat(256) } },
      'consumerGroup.consumerGroupId',
      '255',
    ],
    [
      { consumerGroup: { mode: 'random', consumerGroupId: 'g' } },
      'consumerGroup.consumerGroupId: ',
      'when the mode is "manual" only',
    ],
    [{ responseFormat: 'flat' }, 'responseFormat', '"kong", "records", "value" or "cloudevents"'],
    [{ format: 'records' }, 'format', 'a function'],
    [
      { authentication: { user: 'u', password: 'not-to-be-shown' } },
      'authentication.user: user is of use when',
      'authentication.password: password is of use when',
    ],
    [
      { authentication: { ...SASL, oauthbearer: {} } },
      'authentication.oauthbearer: oauthbearer is of use when the mechanism is "OAUTHBEARER" only',
    ],
    [
      { authentication: { strategy: 'sasl', mechanism: 'OAUTHBEARER', oauthbearer: {} } },
      'authentication.oauthbearer.tokenEndpointUrl: ',
      'authentication.oauthbearer.clientId: ',
      'authentication.oauthbearer.clientSecret: ',
    ],
    [
      {
        authentication: {
          strategy: 'sasl',
          mechanism: 'OAUTHBEARER',
          oauthbearer: {
            tokenEndpointUrl: 'ftp://idp',
            clientId: 'me',
            clientSecret: 'not-to-be-shown',
            extensions: { auth: 'x' },
          },
        },
      },
      'authentication.oauthbearer.tokenEndpointUrl: an http or https URL is required',
      'authentication.oauthbearer.extensions: names of letters only',
    ],
    [
      { authentication: { ...SASL, mechanism: 'PLAIN', tokenauth: true } },
      'authentication.tokenauth: Kafka takes delegation tokens by "SCRAM-SHA-256" and',
    ],
    [{ authentication: { tokenauth: true } }, 'authentication.tokenauth: tokenauth is of use when'],
    [{ librdkafka: { 'sasl.scram.tokenauth': true } }, 'is set by authentication'],
    [
      { security: { ca: PEM } },
      'security.ca: ca is of use when ssl is true, or with the mechanism "OAUTHBEARER", only',
    ],
    [{ security: { ssl: true, key: PEM } }, 'security.certificate: certificate is required when'],
    [{ security: { ssl: true, ca: '/etc/ca.pem' } }, 'security.ca', 'a file is given as {file'],
    [{ security: { ssl: true, ca: { path: 'x' } } }, 'security.ca', '{file: "path"}'],
    [{ security: { ssl: true, certificateId: 'x' } }, 'security.certificateId: unknown option'],
    [{ topic: ['t'] }, 'topic: unknown option (did you mean topics?)'],
    [{ librdkafka: { 'bootstrap.servers': 'x:1' } }, '"bootstrap.servers" is set by bootstrap'],
    [{ librdkafka: { 'group.id': 'x' } }, '"group.id" is set by consumerGroup'],
    [{ librdkafka: { 'enable.auto.commit': true } }, 'is set by commitStrategy'],
    [{ librdkafka: { 'sasl.password': 'not-to-be-shown' } }, 'is set by authentication'],
    [{ librdkafka: { 'ssl.key.pem': 'not-to-be-shown' } }, 'is set by security.certificate and'],
    [{ librdkafka: { 'security.protocol': 'ssl' } }, 'is set by security.ssl'],
    [{ librdkafka: { rebalance_cb: true } }, '"rebalance_cb" cannot be set'],
    [{ librdkafka: { 'isolation.level': 'read_uncommitted' } }, '"isolation.level" cannot be set'],
    [
      { librdkafka: { 'fetch.min.bytes': () => 1 } },
      'librdkafka.fetch.min.bytes',
      'text, a number',
    ],
    [{ librdkafka: 'x' }, 'librdkafka', 'an object is required'],
    [
      { errorHandling: { returnErrorMessage: 'yes' } },
      'errorHandling.returnErrorMessage',
      'true or false',
    ],
    [{ errorHandling: { show: true } }, 'errorHandling.show: unknown option'],
    [{ heartbeat: 99 }, 'heartbeat', 'from 100 to 3600000'],
    [{ heartbeat: 1.5e9 }, 'heartbeat', 'milliseconds'],
    [{ writeDeadline: 100.5 }, 'writeDeadline', 'a whole number of milliseconds'],
    [{ writeDeadline: '60000' }, 'writeDeadline', 'from 100 to 3600000'],
    [{ ringBytes: 65_535 }, 'ringBytes', 'from 65536 to 4294967296'],
    [{ ringBytes: Number.NaN }, 'ringBytes', 'bytes'],
    [{ maxSubscribers: 0 }, 'maxSubscribers', 'from 1 to 1000000'],
    [{ maxAnswerBytes: 1 }, 'maxAnswerBytes', 'from 1048576 to 68719476736'],
    [{ maxCatchUpReads: 49 }, 'maxCatchUpReads', 'from 1 to 48'],
    [{ heartBeat: 1_000 }, 'heartBeat: unknown option'],
    [{ bootstrap_servers: 'a:1' }, 'bootstrap_servers: unknown option'],
  ]

  test.each(refused)('%j is refused by an error that names the field', (options, ...words) => {
    const message = refusal({ ...REQUIRED, ...options })
    for (const word of words) expect(message).toContain(word)
    expect(message).not.toContain('not-to-be-shown')
  })

  test('all invalid options are named at once', () => {
    const message = refusal({ ...REQUIRED, mode: 'x', heartbeat: 1, typo: true })
    for (const name of ['mode: ', 'heartbeat: ', 'typo: unknown option']) {
      expect(message).toContain(name)
    }
  })

  test.each([[undefined], [null], ['localhost:9092'], [7], [[]]])(
    '%p in place of options is refused with an error',
    (options) => {
      refusal(options)
    },
  )

  test('numbers at the ends of their ranges are accepted', () => {
    for (const at of [100, 3_600_000]) {
      expect(resolve({ heartbeat: at, writeDeadline: at })).toMatchObject({ heartbeat: at })
    }
    expect(
      resolve({ ringBytes: 65_536, maxSubscribers: 1, maxCatchUpReads: 1 }).maxCatchUpReads,
    ).toBe(1)
    expect(resolve({ ringBytes: 4_294_967_296, maxCatchUpReads: 48 }).maxCatchUpReads).toBe(48)
  })
})
