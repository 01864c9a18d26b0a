/**
 * `kafkaUpstream` on a real Kafka: what a request becomes, read back by kcat, and what is answered.
 * The file has more than 400 lines because its tests share a handler and its expectations.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { serve } from 'bun'
import { Hono } from 'hono'
import {
  KafkaConsumeError,
  type KafkaUpstreamHandler,
  type KafkaUpstreamOptions,
  kafkaUpstream,
} from '../../src/index.ts'
import { startRegistry, type TestRegistry } from '../../tools/registry/registry.ts'
import { TestKafka } from '../support/kafka.ts'
import { type KcatRecord, produceByKcat, readBack } from '../support/kcat.ts'
import { collectLog, messagesOf } from '../support/log.ts'
import { uniqueName } from '../support/names.ts'
import { register } from '../support/registry.ts'
import { until } from '../support/wait.ts'

setDefaultTimeout(120_000)

const brokers = process.env['TEST_KAFKA_BROKERS'] ?? ''
const logged = collectLog()
let kafka: TestKafka
let registry: TestRegistry
beforeAll(async () => {
  registry = await startRegistry()
  kafka = await TestKafka.real()
}, 240_000)
afterAll(async () => {
  await kafka?.close()
  await registry?.stop()
})

/** A handler on a topic of its own, and requests to it. */
class Upstream implements AsyncDisposable {
  readonly handler: KafkaUpstreamHandler
  readonly topic: string
  readonly #app: Hono

  constructor(topic: string, options: Partial<KafkaUpstreamOptions> = {}) {
    this.topic = topic
    this.handler = kafkaUpstream({ bootstrapServers: brokers, topic, ...options })
    this.#app = new Hono().all('/kafka', this.handler)
  }

  static async on(options: Partial<KafkaUpstreamOptions> = {}, partitions = 1): Promise<Upstream> {
    return new Upstream(await kafka.createTopic(partitions), options)
  }

  async send(query = '', init: RequestInit = {}): Promise<Answer> {
    const response = await this.#app.request(`http://localhost:8000/kafka${query}`, init)
    return [response.status, await response.json()]
  }

  post(body: BodyInit, type?: string, query = '') {
    const headers: Record<string, string> = type === undefined ? {} : { 'content-type': type }
    return this.send(query, { method: 'POST', body, headers })
  }

  read(count: number): Promise<KcatRecord[]> {
    return readBack(brokers, this.topic, count)
  }

  async values(count: number): Promise<unknown[]> {
    return (await this.read(count)).map(({ payload }) => JSON.parse(payload ?? 'null') as unknown)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.handler.close()
  }
}

type Answer = [status: number, body: unknown]

const SENT: Answer = [200, { message: 'message sent' }]
const NOT_SENT: Answer = [502, { message: 'Bad Gateway', error: 'could not send message to topic' }]
const SYNC = { producerAsync: false } as const
const everything = {
  forwardMethod: true,
  forwardUri: true,
  forwardHeaders: true,
  forwardBody: true,
} as const

describe('the message of a request', () => {
  test('is that of Kong’s documentation, with everything on and with the defaults', async () => {
    await using all = await Upstream.on({ ...SYNC, ...everything })
    const headers = { accept: '*/*', host: 'localhost:8000', 'user-agent': 'curl/8.7.1' }
    expect(await all.send('', { headers })).toEqual(SENT)
    expect(await all.values(1)).toEqual([
      {
        method: 'GET',
        uri: '/kafka',
        uri_args: {},
        headers,
        body: '',
        body_args: {},
        body_base64: true,
      },
    ])
    await using least = await Upstream.on(SYNC)
    expect(await least.send()).toEqual(SENT)
    expect(await least.values(1)).toEqual([{ body: '', body_args: {}, body_base64: true }])
  })

  test('has a body as text or base64 by its type, and its arguments where it can be parsed', async () => {
    await using upstream = await Upstream.on({ ...SYNC, forwardUri: true })
    const form = new FormData()
    form.append('one', '1')
    form.append('file', new Blob(['content']), 'a.txt')
    const bodies: ReadonlyArray<
      readonly [body: BodyInit, type: string | undefined, query: string]
    > = [
      ['hello', 'text/plain; charset=utf-8', '?a=1&b=2&b=3'],
      ['<a/>', 'application/soap+xml', ''],
      ['{"n":12345678901234567890,"s":"ä"}', 'application/json', ''],
      ['foo=bar&foo=baz&empty=', 'application/x-www-form-urlencoded', ''],
      [new Uint8Array([0, 255]), 'application/octet-stream', ''],
      [new Uint8Array([65, 255]), 'text/plain', ''],
    ]
    for (const [body, type, query] of bodies)
      expect(await upstream.post(body, type, query)).toEqual(SENT)
    expect(await upstream.post(form)).toEqual(SENT)
    const base64 = (text: string) => Buffer.from(text).toString('base64')
    const none = { uri: '/kafka', uri_args: {} }
    const values = await upstream.values(7)
    const payloads = (await upstream.read(7)).map(({ payload }) => payload)
    expect(values.slice(0, 6)).toEqual([
      { uri: '/kafka', uri_args: { a: '1', b: ['2', '3'] }, body: 'hello', body_args: {} },
      { ...none, body: '<a/>', body_args: {} },
      {
        ...none,
        body: base64('{"n":12345678901234567890,"s":"ä"}'),
        body_args: { n: Number('12345678901234567890'), s: 'ä' },
        body_base64: true,
      },
      {
        ...none,
        body: base64('foo=bar&foo=baz&empty='),
        body_args: { foo: ['bar', 'baz'], empty: '' },
        body_base64: true,
      },
      { ...none, body: 'AP8=', body_args: {}, body_base64: true },
      { ...none, body: 'Qf8=', body_args: {}, body_base64: true },
    ])
    expect(payloads[2]).toContain('"body_args":{"n":12345678901234567890,"s":"ä"}')
    expect(values[6]).toMatchObject({ body_args: { one: '1', file: 'content' }, body_base64: true })
  })

  test('that cannot be made is refused, and nothing is sent', async () => {
    await using upstream = await Upstream.on(SYNC)
    const tooLarge = 'x'.repeat(1024 * 1024 + 1)
    expect(await upstream.post('{"a":', 'application/json')).toEqual([
      400,
      { message: 'Bad Request', error: 'Cannot read the request: its body is not valid JSON' },
    ])
    expect(await upstream.post('x', 'multipart/form-data')).toEqual([
      400,
      {
        message: 'Bad Request',
        error: 'Cannot read the request: its body is not valid multipart/form-data',
      },
    ])
    expect(await upstream.post(tooLarge, 'text/plain')).toEqual([
      413,
      {
        message: 'Payload Too Large',
        error: 'Cannot read the request: the body may have 1048576 bytes',
      },
    ])
    expect(await upstream.post('last')).toEqual(SENT)
    expect(await upstream.values(1)).toHaveLength(1)
  })

  test('of a client that leaves before its body is whole is not sent', async () => {
    await using upstream = await Upstream.on(SYNC)
    const server = serve({ port: 0, fetch: new Hono().all('/kafka', upstream.handler).fetch })
    const socket = await Bun.connect({
      hostname: 'localhost',
      port: server.port ?? 0,
      socket: { data() {} },
    })
    socket.write('POST /kafka HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf')
    await until(() => server.pendingRequests === 1, 'the request to arrive')
    socket.terminate()
    await until(
      () => Object.keys(upstream.handler.stats().outcomes).length === 1,
      () => `the request to end: ${JSON.stringify(upstream.handler.stats())}`,
    )
    expect(upstream.handler.stats().outcomes).toEqual({ ABORTED: 1 })
    expect(upstream.handler.stats().records).toBe(0)
    await server.stop(true)
  })
})

describe('topics and keys', () => {
  test('are named by the query, of those that are allowed', async () => {
    const [own, other] = [await kafka.createTopic(1), await kafka.createTopic(1)]
    await using upstream = new Upstream(own, {
      ...SYNC,
      topicsQueryArg: 'topic-list',
      allowedTopics: [other],
    })
    expect(await upstream.post('default', 'text/plain')).toEqual(SENT)
    expect(await upstream.post('both', 'text/plain', `?topic-list=${own},${other}`)).toEqual(SENT)
    expect(await upstream.post('other', 'text/plain', `?topic-list=${other}`)).toEqual(SENT)
    expect(await upstream.post('none', 'text/plain', `?topic-list=${other},secret`)).toEqual([
      502,
      {
        message: 'Bad Gateway',
        error: 'one or more target topics are not in the allowed topics list',
      },
    ])
    expect(messagesOf(logged).join('\n')).toContain('Cannot write to topic secret')
    const bodies = async (topic: string) =>
      (await readBack(brokers, topic, 2)).map(({ payload }) => JSON.parse(payload ?? '').body)
    expect(await bodies(own)).toEqual(['default', 'both'])
    expect(await bodies(other)).toEqual(['both', 'other'])
  })

  test('a key lies in the partition in which librdkafka’s clients, and Kong, put it', async () => {
    await using upstream = await Upstream.on({ ...SYNC, keyQueryArg: 'id' }, 7)
    const keys = ['a', 'bb', 'key-3', 'ä', '4711', 'x y']
    for (const key of keys) {
      expect(await upstream.post('', undefined, `?id=${encodeURIComponent(key)}`)).toEqual(SENT)
      await produceByKcat(brokers, upstream.topic, key)
    }
    const records = await upstream.read(12)
    for (const key of keys) {
      const partitions = records.filter((record) => record.key === key).map((r) => r.partition)
      expect([key, new Set(partitions).size, partitions.length]).toEqual([key, 1, 2])
    }
    expect(await upstream.post('')).toEqual(SENT)
    expect((await upstream.read(13)).filter(({ key }) => key === null)).toHaveLength(1)
  })
})

describe('record headers', () => {
  const request = {
    'x-request-id': 'r1',
    'x-tenant-id': 't1',
    authorization: 'secret',
    'x-list': 'a, b',
  }

  test.each<[KafkaUpstreamOptions['headers'], readonly string[]]>([
    [{}, []],
    [
      {
        includeHeaders: ['X-Request-ID', 'x-tenant-id'],
        nameMappings: { 'x-request-id': 'trace-id' },
      },
      ['trace-id', 'r1', 'x-tenant-id', 't1'],
    ],
    [
      { forwardAllByDefault: true, excludeHeaders: ['Authorization', 'host'] },
      ['x-list', 'a, b', 'x-request-id', 'r1', 'x-tenant-id', 't1'],
    ],
    [{ includeHeaders: ['x-list'], repeatedHeadersBehavior: 'take_first' }, ['x-list', 'a']],
    [
      { includeHeaders: ['x-list'], repeatedHeadersBehavior: 'concatenate_by_comma' },
      ['x-list', 'a, b'],
    ],
    [{ forwardHttpHeadersAsRecordHeaders: false, forwardAllByDefault: true }, []],
  ])('with %j', async (headers, expected) => {
    await using upstream = await Upstream.on({ ...SYNC, headers })
    expect(await upstream.send('', { headers: request })).toEqual(SENT)
    const [record] = await upstream.read(1)
    expect(record?.headers ?? []).toEqual(expected)
  })
})

describe('Lua functions', () => {
  test('of Kong’s examples change, replace and drop messages', async () => {
    const topic = await kafka.createTopic(1)
    const sending = async (functions: readonly string[], body = 'hello', type = 'text/plain') => {
      await using upstream = new Upstream(topic, {
        ...SYNC,
        ...everything,
        messageByLuaFunctions: functions,
      })
      return upstream.post(body, type)
    }
    expect(await sending(['return function(message) return {a="1", b="2"} end'])).toEqual(SENT)
    expect(await sending(['return function(message) return message.body end'])).toEqual(SENT)
    const json = '{"order":9007199254740993}'
    expect(
      await sending(['return function(message) return message.body end'], json, 'application/json'),
    ).toEqual(SENT)
    expect(await sending(['return function(message) return nil end'])).toEqual([
      200,
      { message: 'message dropped' },
    ])
    expect(await sending(['return function(message) error("at " .. message.body) end'])).toEqual([
      500,
      { message: 'Internal Server Error', error: 'could not send message to topic' },
    ])
    expect(messagesOf(logged).join('\n')).toContain('at hello')
    const values = (await readBack(brokers, topic, 3)).map(({ payload }) => payload)
    expect(values).toEqual(['{"a":"1","b":"2"}', 'hello', json])
  })
})

describe('a schema registry', () => {
  const MESSAGE = {
    type: 'record',
    name: 'message',
    fields: [
      { name: 'body', type: 'string' },
      { name: 'note', type: ['null', 'string'], default: null },
      { name: 'count', type: 'long' },
    ],
  }
  const registryFor = (valueSchema: object, keySchema?: object) => ({
    schemaRegistry: {
      confluent: { url: registry.url, valueSchema, ...(keySchema && { keySchema }) },
    },
  })
  const BODY = { messageByLuaFunctions: ['return function(message) return message.body end'] }

  test('validates and encodes values as Avro, plain or with the names of branches', async () => {
    const subject = uniqueName('upstream')
    const id = await register(registry.url, subject, JSON.stringify(MESSAGE))
    const key = uniqueName('key')
    const keyId = await register(registry.url, key, '"int"')
    await using upstream = await Upstream.on({
      ...SYNC,
      ...BODY,
      ...registryFor({ subjectName: subject, schemaVersion: 'latest' }, { subjectName: key }),
      keyQueryArg: 'key',
    })
    const post = (value: string, query = '?key=7') =>
      upstream.post(value, 'application/json', query)
    expect(await post('{"body":"a","note":"n","count":9007199254740993}')).toEqual(SENT)
    expect(await post('{"body":"a","note":{"string":"n"},"count":1}')).toEqual(SENT)
    expect(await post('{"body":"a","count":2}')).toEqual(SENT)
    const refused = (error: string): Answer => [400, { message: 'Bad Request', error }]
    expect(await post('{"body":1,"count":2}')).toEqual(
      refused('Cannot encode the value: body: a text is expected'),
    )
    expect(await post('{"body":"a"}')).toEqual(
      refused('Cannot encode the value: count: it is missing'),
    )
    expect(await post('{"body":"a","count":1,"more":1}')).toEqual(
      refused('Cannot encode the value: more: the schema has no such field'),
    )
    expect(await post('{"body":"a","count":1}', '?key=seven')).toEqual(
      refused('Cannot encode the key: a whole number of 32 bits is expected'),
    )
    const decoded = await decodedBy(upstream.topic, 3)
    expect(decoded).toEqual([
      { key: 7, value: { body: 'a', note: 'n', count: '9007199254740993' } },
      { key: 7, value: { body: 'a', note: 'n', count: '1' } },
      { key: 7, value: { body: 'a', note: null, count: '2' } },
    ])
    const [first] = await bytesOf(upstream.topic)
    expect([first?.value.readUInt8(0), first?.value.readUInt32BE(1)]).toEqual([0, id])
    expect(first?.key.readUInt32BE(1)).toBe(keyId)
  })

  test('validates by JSON Schema, and sends the JSON as it is', async () => {
    const subject = uniqueName('upstream')
    const schema = { type: 'object', required: ['id'], properties: { id: { type: 'integer' } } }
    const id = await register(registry.url, subject, JSON.stringify(schema), 'JSON')
    await using upstream = await Upstream.on({
      ...SYNC,
      ...BODY,
      ...registryFor({ subjectName: subject, schemaVersion: '1' }),
    })
    expect(await upstream.post('{ "id": 12345678901234567890 }', 'application/json')).toEqual(SENT)
    const [status, body] = await upstream.post('{"id":"x"}', 'application/json')
    expect([status, (body as { error: string }).error]).toEqual([
      400,
      expect.stringMatching(/^Cannot encode the value: id: /),
    ])
    const [record] = await bytesOf(upstream.topic)
    expect(record?.value.readUInt32BE(1)).toBe(id)
    expect(record?.value.subarray(5).toString()).toBe('{ "id": 12345678901234567890 }')
  })

  test('that has no such subject, or is away, is answered as Kafka’s failure', async () => {
    await using unknown = await Upstream.on({ ...SYNC, ...registryFor({ subjectName: 'nowhere' }) })
    expect(await unknown.post('x')).toEqual(NOT_SENT)
    expect(messagesOf(logged).join('\n')).toContain('nowhere')
    await using away = await Upstream.on({
      ...SYNC,
      schemaRegistry: {
        confluent: { url: 'http://127.0.0.1:9', valueSchema: { subjectName: 'x' } },
      },
    })
    expect(await away.post('x')).toEqual(NOT_SENT)
  })

  /** Keys and values as bytes. */
  async function bytesOf(topic: string) {
    const { consume } = await import('../support/raw-records.ts')
    return consume(brokers, topic, 1)
  }

  /** Records as `kafkaConsume` shows them, which decodes by the same registry. */
  async function decodedBy(topic: string, count: number) {
    const { kafkaConsume } = await import('../../src/index.ts')
    const reading = kafkaConsume({
      bootstrapServers: brokers,
      topics: [topic],
      messageDeserializer: 'json',
      schemaRegistry: { confluent: { url: registry.url } },
    })
    const response = await new Hono()
      .get('/', reading)
      .request(`/?start=earliest&format=records&timeout=5000&max_records=${count}`)
    const text = (await response.text()).replaceAll(/"count":(\d+)/g, '"count":"$1"')
    await reading.close()
    const { records } = JSON.parse(text) as { records: Array<{ key: unknown; value: unknown }> }
    return records.map(({ key, value }) => ({ key, value }))
  }
})

describe('what Kafka does not take', () => {
  test('is answered in Kong’s words, with the client’s own where that is wanted', async () => {
    const missing = uniqueName('missing')
    await using quiet = new Upstream(missing, SYNC)
    expect(await quiet.post('x')).toEqual(NOT_SENT)
    await using open = new Upstream(missing, {
      ...SYNC,
      errorHandling: { returnErrorMessage: true },
    })
    expect(await open.post('x')).toEqual([
      502,
      { message: 'Bad Gateway', error: expect.stringMatching(/^(?:Broker|Local): Unknown topic/) },
    ])
    expect(messagesOf(logged).join('\n')).toContain('Unknown topic')
  })

  test('is counted and logged where the request was answered before', async () => {
    const missing = uniqueName('missing')
    await using upstream = new Upstream(missing)
    for (let i = 0; i < 3; i++) expect(await upstream.post('x')).toEqual(SENT)
    expect(upstream.handler.stats()).toMatchObject({ records: 0, buffered: 3, lost: 0 })
    await upstream.handler.close()
    expect(upstream.handler.stats()).toMatchObject({ records: 0, buffered: 0, lost: 3 })
    const lines = messagesOf(logged).filter((line) => line.includes('were lost'))
    const lost = lines.map((line) => Number(/(\d+) records/.exec(line)?.[1]))
    expect(lost.reduce((sum, count) => sum + count, 0)).toBe(3)
    expect(lines.join('\n')).toContain(missing)
    expect(await upstream.post('x')).toEqual(NOT_SENT)
  })
})

describe('the buffer', () => {
  test('is sent at the end, whatever its flush timeout', async () => {
    await using upstream = await Upstream.on({ producerAsyncFlushTimeout: 600_000 })
    for (let i = 0; i < 25; i++) expect(await upstream.post(`${i}`, 'text/plain')).toEqual(SENT)
    expect(upstream.handler.stats()).toMatchObject({ records: 0, buffered: 25 })
    await upstream.handler.close()
    expect(upstream.handler.stats()).toMatchObject({ records: 25, buffered: 0, lost: 0 })
    expect((await upstream.values(25)).map((value) => (value as { body: string }).body)).toEqual(
      Array.from({ length: 25 }, (_, i) => String(i)),
    )
  })

  test('that is full refuses one record more, and takes others later', async () => {
    await using upstream = await Upstream.on({
      producerAsyncFlushTimeout: 600_000,
      producerAsyncBufferingLimitsMessagesInMemory: 5,
    })
    for (let i = 0; i < 5; i++) expect(await upstream.post(`${i}`)).toEqual(SENT)
    expect(await upstream.post('one too many')).toEqual(NOT_SENT)
    expect(upstream.handler.stats()).toMatchObject({
      buffered: 5,
      lost: 0,
      outcomes: { OK: 5, TOO_MANY_RECORDS: 1 },
    })
    await upstream.handler.close()
    expect(upstream.handler.stats()).toMatchObject({ records: 5, lost: 0 })
  })

  test('waits for brokers that are away, for as long as all attempts may take', async () => {
    await using upstream = new Upstream('any', {
      bootstrapServers: '127.0.0.1:9',
      producerRequestRetriesMaxAttempts: 1,
      producerRequestTimeout: 900,
    })
    expect(await upstream.post('x')).toEqual(SENT)
    expect(upstream.handler.stats()).toMatchObject({ buffered: 1, lost: 0 })
    await until(
      () => upstream.handler.stats().lost === 1,
      () => `the record to be given up: ${JSON.stringify(upstream.handler.stats())}`,
      20_000,
    )
    expect(messagesOf(logged).join('\n')).toContain('1 records for any were lost')
  })

  test('without a buffer brokers that are away are told at once', async () => {
    await using upstream = new Upstream('any', { ...SYNC, bootstrapServers: '127.0.0.1:9' })
    await expect(upstream.handler.start()).rejects.toBeInstanceOf(KafkaConsumeError)
    expect(await upstream.post('x')).toEqual(NOT_SENT)
    expect(upstream.handler.outage()).toMatchObject({ code: 'KAFKA_UNAVAILABLE' })
  })

  test.each([-1, 0, 1] as const)('acks %d write the record', async (producerRequestAcks) => {
    await using upstream = await Upstream.on({ ...SYNC, producerRequestAcks })
    expect(await upstream.post('x', 'text/plain')).toEqual(SENT)
    expect(await upstream.values(1)).toEqual([{ body: 'x', body_args: {} }])
  })
})

test('wrong options are refused by name', () => {
  const make = (options: object) => () =>
    kafkaUpstream({ bootstrapServers: 'a:1', topic: 't', ...options } as KafkaUpstreamOptions)
  expect(make({ forwardBody: false })).toThrow(
    'at least one of these attributes must be true: forwardMethod, forwardUri, forwardHeaders, forwardBody',
  )
  expect(make({ producerRequestAcks: 2 })).toThrow('producerRequestAcks: it must be -1 or 0 or 1')
  expect(make({ keepalive: 1 })).toThrow('keepalive: unknown option')
})
