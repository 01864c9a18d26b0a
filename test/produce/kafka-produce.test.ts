import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { Hono } from 'hono'
import * as v from 'valibot'
import { kafkaSide } from '../../kafka/index.ts'
import {
  KafkaConsumeError,
  type KafkaProduceHandler,
  type KafkaProduceOptions,
  kafkaConsume,
  kafkaMetrics,
  kafkaProduce,
} from '../../src/index.ts'
import { SCHEMAS } from '../../src/observability/openapi/schemas.ts'
import { TestKafka } from '../support/kafka.ts'
import { Exposition } from '../support/metrics.ts'
import { uniqueName } from '../support/names.ts'
import { serve, type TestServer } from '../support/server.ts'
import { until, within } from '../support/wait.ts'

const JSON_TYPE = { 'content-type': 'application/json' }

/** A handler on a real port, and a reader beside it. */
class Producing implements AsyncDisposable {
  readonly topics: readonly string[]
  readonly handler: KafkaProduceHandler
  readonly #consume: ReturnType<typeof kafkaConsume>
  readonly #server: TestServer

  constructor(kafka: TestKafka, topics: string[], options: Partial<KafkaProduceOptions> = {}) {
    const { bootstrapServers } = kafka
    this.topics = topics
    this.handler = kafkaProduce({ bootstrapServers, topics, ...options })
    this.#consume = kafkaConsume({ bootstrapServers, topics, responseFormat: 'records' })
    this.#server = serve(new Hono().all('/records', this.handler).get('/read', this.#consume), 0)
  }

  post(
    body: string | Uint8Array,
    headers: Record<string, string> = {},
    query = '',
  ): Promise<Response> {
    const url = `${this.#server.url}/records${query}`
    return within(
      fetch(url, { method: 'POST', body: body as string, headers }),
      `an answer of ${url}`,
      25_000,
    )
  }

  records(...records: object[]): Promise<Response> {
    return this.post(JSON.stringify({ records }), JSON_TYPE)
  }

  get url(): string {
    return `${this.#server.url}/records`
  }

  async read(): Promise<Array<Record<string, unknown>>> {
    const response = await fetch(`${this.#server.url}/read?start=earliest`)
    return ((await response.json()) as { records: Array<Record<string, unknown>> }).records
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await within(Promise.all([this.handler.close(), this.#consume.close()]), 'closing', 15_000)
    await this.#server.close()
  }
}

function describeProducing(
  name: string,
  start: () => Promise<{ kafka: TestKafka; close(): Promise<void> }>,
) {
  describe(`kafkaProduce, with ${name}`, () => {
    let setup: Awaited<ReturnType<typeof start>>
    beforeAll(async () => {
      setup = await start()
    })
    afterAll(() => setup?.close())
    const producing = async (options: Partial<KafkaProduceOptions> = {}) =>
      new Producing(setup.kafka, [await setup.kafka.createTopic()], options)

    test('records of JSON are written with all their fields, and the answer names their offsets', async () => {
      await using route = await producing()
      const [topic] = route.topics
      const response = await route.post(
        `{"records":[
          {"partition":2,"timestamp":1787305085262,"key":"k","value":{"n":1.10,"id":12345678901234567890},"headers":{"a":"1","b":["x","ż"]}},
          {"partition":2,"value":"text"},
          {"partition":2,"key":"k","value":null},
          {"partition":2,"key":"AP8=","value":"/w==","headers":{"h":"gA=="},"encoding":{"key":"base64","value":"base64","headers":{"h":"base64"}}},
          {"partition":2,"value":"odd","headers":{"__proto__":"p","constructor":"c","toString":["gA==",null],"none":null,"empty":"","a\\u0000b":"\\u0000"},"encoding":{"headers":{"toString":"base64"}}}
        ]}`,
        JSON_TYPE,
      )
      expect([response.status, await response.json()]).toEqual([
        200,
        { records: [0, 1, 2, 3, 4].map((offset) => ({ topic, partition: 2, offset })) },
      ])
      const read = await route.read()
      expect(read).toMatchObject([
        {
          offset: 0,
          timestamp: 1_787_305_085_262,
          key: 'k',
          value: '{"n":1.10,"id":12345678901234567890}',
          headers: { a: '1', b: ['x', 'ż'] },
        },
        { offset: 1, key: null, value: 'text', headers: {} },
        { offset: 2, key: 'k', value: null },
        { offset: 3, key: 'AP8=', value: '/w==', headers: { h: 'gA==' } },
        { offset: 4, value: 'odd' },
      ])
      expect(JSON.stringify(read[4]?.['headers'])).toBe(
        '{"__proto__":"p","constructor":"c","toString":["gA==",null],"none":null,"empty":"","a\\u0000b":"\\u0000"}',
      )
      // A record of an answer can be written unchanged.
      const again = await route.records(...read)
      expect(again.status).toBe(200)
      // A read ends where the live consumer is, which may not have the newest records yet.
      let both: typeof read = []
      await until(async () => {
        both = await route.read()
        return both.length === 10
      }, 'all records')
      expect(both.slice(5).map(({ offset, ...rest }) => rest)).toEqual(
        read.map(({ offset, ...rest }) => rest),
      )
    })

    test('records as lines of JSON are written, and keep their order within a key', async () => {
      await using route = await producing()
      const lines = Array.from({ length: 500 }, (_, n) =>
        JSON.stringify({ key: 'same', value: `${n}` }),
      )
      const response = await route.post(`${lines.join('\n')}\n\n`, {
        'content-type': 'application/x-ndjson',
      })
      expect(response.status).toBe(200)
      const { records } = (await response.json()) as { records: Array<{ partition: number }> }
      expect(new Set(records.map(({ partition }) => partition)).size).toBe(1)
      expect((await route.read()).map(({ value }) => value)).toEqual(lines.map((_, n) => `${n}`))
    })

    test('any other body is one value, with key and partition of the query and headers of the request', async () => {
      await using route = await producing()
      const bytes = Uint8Array.from([0, 255, 1])
      const answers = [
        await route.post(bytes, { 'kafka-header-trace': 'abc' }, '?key=k&partition=3'),
        await route.post(
          '{"a":1}',
          { 'content-type': 'application/x-www-form-urlencoded' },
          '?partition=3',
        ),
        await route.post('', { 'content-type': 'text/plain' }, '?partition=3'),
      ]
      for (const answer of answers) expect(answer.status).toBe(200)
      expect(await route.read()).toMatchObject([
        {
          partition: 3,
          key: 'k',
          value: 'AP8B',
          encoding: { value: 'base64' },
          headers: { trace: 'abc' },
        },
        { partition: 3, key: null, value: '{"a":1}', headers: {} },
        { partition: 3, value: '' },
      ])
    })

    test('a request with neither a body nor a Content-Type writes nothing', async () => {
      await using route = await producing()
      const curl = Bun.spawn(['curl', '-s', '-w', '%{http_code}', '-X', 'POST', route.url])
      const refusal = /there is no body; .* needs a Content-Type","code":"INVALID_RECORD"}400$/
      expect(await new Response(curl.stdout).text()).toMatch(refusal)
      expect(await route.read()).toEqual([])
    })

    test('with several topics a request says to which it writes', async () => {
      const { kafka } = setup
      await using route = new Producing(
        kafka,
        [await kafka.createTopic(), await kafka.createTopic()],
        { acks: 'leader' },
      )
      const [first, second] = route.topics as [string, string]
      expect((await route.post('x', {}, `?topic=${first}`)).status).toBe(200)
      expect((await route.records({ topic: second, value: 'y' })).status).toBe(200)
      const read = await route.read()
      expect(read.map(({ topic, value }) => [topic, value]).sort()).toEqual(
        [
          [first, 'x'],
          [second, 'y'],
        ].sort(),
      )
      for (const refused of [
        await route.post('x'),
        await route.post('x', {}, '?topic=other'),
        await route.records({ value: 'y' }),
        await route.records({ topic: 'other', value: 'y' }),
      ]) {
        expect(refused.status).toBe(400)
        expect(((await refused.json()) as { message: string }).message).toContain(second)
      }
    })

    test('each record has its result, and the answer is an error if one of them failed', async () => {
      await using route = await producing()
      const [topic] = route.topics
      const response = await route.records(
        { partition: 0, value: 'good' },
        { partition: 99, value: 'bad' },
        { partition: 0, value: 'good' },
      )
      expect(response.status).toBe(404)
      expect(await response.json()).toEqual({
        message:
          'Cannot write 1 of 3 records: the topic has no such partition, or does not exist any more',
        code: 'UNKNOWN_TOPIC',
        records: [
          { topic, partition: 0, offset: 0 },
          {
            failure: {
              message:
                'Cannot write to Kafka: the topic has no such partition, or does not exist any more',
              code: 'UNKNOWN_TOPIC',
            },
          },
          { topic, partition: 0, offset: 1 },
        ],
      })
    })

    test('counts what Kafka has confirmed, how requests ended, and how long it took', async () => {
      await using route = await producing({ maxRecords: 3 })
      const { printMetrics } = kafkaMetrics({ '/records': route.handler })
      const app = new Hono().get('/metrics', printMetrics)
      const scrape = async () => new Exposition(await (await app.request('/metrics')).text())
      expect((await scrape()).value('hono_kafka_written_records_total')).toBe(0)
      await route.records({ key: 'ab', value: 'cde' }, { value: null })
      await route.records({ value: 'good' }, { partition: 99, value: 'bad' })
      await route.records({ key: 'no value' })
      await route.records(...Array(4).fill({ value: 'a' }))
      const metrics = await scrape()
      const at = { route: '/records' }
      expect(metrics.value('hono_kafka_written_records_total', at)).toBe(3)
      expect(metrics.value('hono_kafka_written_bytes_total', at)).toBe(9)
      for (const code of ['OK', 'UNKNOWN_TOPIC', 'INVALID_RECORD', 'RECORD_TOO_LARGE']) {
        expect([code, metrics.value('hono_kafka_write_requests_total', { ...at, code })]).toEqual([
          code,
          1,
        ])
      }
      expect(metrics.value('hono_kafka_write_confirmation_seconds_count', at)).toBe(2)
      expect(metrics.value('hono_kafka_cluster_up')).toBe(1)
    })

    test('bodies and answers are as the OpenAPI document describes them', async () => {
      await using route = await producing()
      const strict = (value: unknown, schema: v.GenericSchema) =>
        expect(v.parse(schema, value)).toEqual(value)
      const taken = { key: 'k', value: { any: 'thing' }, headers: { a: ['b'] }, partition: 1 }
      strict(taken, SCHEMAS.NewRecord)
      strict(await (await route.records(taken)).json(), SCHEMAS.Written)
      const some = await route.records({ value: 'good' }, { partition: 99, value: 'bad' })
      strict(await some.json(), SCHEMAS.NotWritten)
      strict(await (await route.records()).json(), SCHEMAS.NotWritten)
    })

    test('an invalid request is refused before any record is written', async () => {
      await using route = await producing({ maxRecords: 3, maxBytes: 2_000 })
      const json = (body: string) => route.post(body, JSON_TYPE)
      const cases: ReadonlyArray<readonly [Response, number, string]> = [
        [await json('{'), 400, 'the body is not valid JSON'],
        [await json('[]'), 400, 'the body must be {"records":[…'.slice(0, 20)],
        [await json('{"records":[]}'), 400, 'the body has no records'],
        [await json('{"records":[1]}'), 400, 'record 1 is not an object'],
        [await route.records({ value: 'a' }, { key: 'k' }), 400, 'record 2 has no value'],
        [await route.records({ value: 'a', extra: 1 }), 400, 'a field "extra"'],
        [await route.records({ value: 'a', partition: -1 }), 400, 'the partition of record 1'],
        [await route.records({ value: 'a', partition: '1' }), 400, 'the partition of record 1'],
        [await route.records({ value: 'a', timestamp: 2 ** 53 }), 400, 'from 1 to 2^53-1'],
        [await route.records({ value: 'a', timestamp: 0 }), 400, 'the timestamp of record 1'],
        [await route.records({ value: 'a', headers: { a: 1 } }), 400, 'the headers of record 1'],
        [await route.records({ value: '?', encoding: { value: 'base64' } }), 400, 'the value of'],
        [await route.records({ value: 'a', encoding: { value: 'hex' } }), 400, 'the value of'],
        [await route.records(...Array(4).fill({ value: 'a' })), 413, 'may have 3'],
        [await route.records({ value: 'x'.repeat(2_000) }), 413, 'may have 2000 bytes'],
        [
          await route.post('{"value":1}\nnonsense', { 'content-type': 'application/x-ndjson' }),
          400,
          'line 2',
        ],
        [await route.post(Uint8Array.from([0xff]), JSON_TYPE), 400, 'the body is not valid UTF-8'],
        [await route.post('x', { 'content-encoding': 'gzip' }), 400, 'compressed'],
        [await route.post('x', {}, '?partition=2147483648'), 400, '2147483647'],
        [await route.post('x', {}, '?acks=0'), 400, '"acks"'],
        [await route.post('x', {}, '?key=a&key=b'), 400, '"key"'],
      ]
      for (const [response, status, words] of cases) {
        const { message } = (await response.json()) as { message: string }
        expect([response.status, message]).toEqual([status, expect.stringContaining(words)])
      }
      const get = await fetch(route.url)
      expect([get.status, get.headers.get('allow')]).toEqual([405, 'POST'])
      expect(await route.read()).toEqual([])
    })

    test('a streamed body is read only up to its limit', async () => {
      await using route = await producing({ maxBytes: 100_000 })
      let sent = 0
      const body = new ReadableStream<Uint8Array>({
        async pull(controller) {
          sent += 10_000
          if (sent > 50_000_000) controller.close()
          else controller.enqueue(new Uint8Array(10_000))
          // The pace of a client, which gives the server time to refuse.
          await Bun.sleep(1)
        },
      })
      const response = await within(
        fetch(route.url, { method: 'POST', body }).catch(() => undefined),
        'an answer',
        20_000,
      )
      if (response) expect(response.status).toBe(413)
      expect(sent).toBeLessThan(50_000_000)
      expect(await route.read()).toEqual([])
    })
  })
}

describeProducing('a real Kafka', async () => {
  const kafka = await TestKafka.connect(process.env['TEST_KAFKA_BROKERS'] as string, {
    autoCreate: false,
  })
  return { kafka, close: () => kafka.close() }
})

describeProducing('the embedded broker', async () => {
  const broker = await kafkaSide.startEmbeddedBroker({
    topic: uniqueName('embedded'),
    records: 0,
    recordsPerSecond: 0,
  })
  const kafka = await TestKafka.connect(broker.bootstrapServers.join(','), { autoCreate: true })
  const close = async () => {
    await kafka.close()
    await broker.close()
  }
  return { kafka, close }
})

describe('kafkaProduce', () => {
  test('reports that Kafka cannot be reached, or that the server is shutting down', async () => {
    const handler = kafkaProduce({ bootstrapServers: '127.0.0.1:1', topics: ['t'] })
    const app = new Hono().post('/', handler)
    const away = await app.request('/', { method: 'POST', body: 'x' })
    expect(away.status).toBe(503)
    expect(await away.json()).toMatchObject({ code: 'KAFKA_UNAVAILABLE', retryable: true })
    await within(handler.close(), 'the handler to close', 15_000)
    const ending = await app.request('/', { method: 'POST', body: 'x' })
    expect(await ending.json()).toMatchObject({ code: 'SHUTTING_DOWN' })
  })

  test('counts a client that left as aborted, and not as a server error', async () => {
    const handler = kafkaProduce({ bootstrapServers: '127.0.0.1:1', topics: ['t'] })
    const app = new Hono().post('/', handler)
    const signal = AbortSignal.abort()
    const answer = await app.request('/', { method: 'POST', body: 'x', signal })
    expect(answer.status).toBe(499)
    expect(handler.stats()).toMatchObject({ records: 0, outcomes: { ABORTED: 1 } })
    await within(handler.close(), 'the handler to close', 15_000)
  })

  test.each<[object, string]>([
    [{ topics: [] }, 'topics: at least one topic'],
    [{ acks: 'none' }, 'acks: acks must be "all" or "leader"'],
    [{ maxRecords: 0 }, 'maxRecords: a whole number of records from 1 to 10000'],
    [{ maxBytes: 2 ** 30 }, 'maxBytes'],
    [{ mode: 'http-get' }, 'mode: unknown option'],
    [{ authentication: { strategy: 'sasl' } }, 'mechanism is required'],
    [
      { topics: [{ name: 't', schemaRegistry: { confluent: { url: 'http://r' } } }] },
      'schema registry',
    ],
  ])('refuses options by name: %j', (options, words) => {
    const make = () =>
      kafkaProduce({ bootstrapServers: 'a:1', topics: ['t'], ...options } as KafkaProduceOptions)
    expect(make).toThrow(KafkaConsumeError)
    expect(make).toThrow('Cannot use these kafkaProduce options: ')
    expect(make).toThrow(words)
  })
})
