/** `kafkaLog` on a real Kafka: a record for each finished request of an app. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { serve } from 'bun'
import { Hono } from 'hono'
import { streamSSE } from 'hono/streaming'
import { type KafkaLogOptions, kafkaConsume, kafkaLog } from '../../src/index.ts'
import { parseFieldPath } from '../../src/options/field-path.ts'
import { TestKafka } from '../support/kafka.ts'
import { readBack } from '../support/kcat.ts'
import { collectLog, messagesOf } from '../support/log.ts'
import { until } from '../support/wait.ts'

setDefaultTimeout(120_000)

const brokers = process.env['TEST_KAFKA_BROKERS'] ?? ''
const logged = collectLog()
let kafka: TestKafka
beforeAll(async () => {
  kafka = await TestKafka.real()
})
afterAll(() => kafka?.close())

async function logTo(options: Partial<KafkaLogOptions> = {}) {
  const topic = await kafka.createTopic(1)
  return { topic, log: kafkaLog({ bootstrapServers: brokers, topic, ...options }) }
}

async function entriesOf(topic: string, count: number) {
  return (await readBack(brokers, topic, count)).map(({ payload }) => JSON.parse(payload ?? ''))
}

/** Bytes of an answer's first line and headers, as HTTP/1.1 writes them. */
function headBytes(headers: Readonly<Record<string, string>>): number {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  return `HTTP/1.1 200\r\n${lines.join('')}\r\n`.length
}

describe('kafkaLog', () => {
  test('logs a request with fields of the app, without its secrets', async () => {
    const { topic, log } = await logTo({ keyQueryArg: 'id' })
    const app = new Hono().use(log).get('/orders/:id', (c) => {
      c.set('kafkaLogFields', { consumer: { username: 'shop' } })
      return c.text('hello', 201)
    })
    await app.request('http://h/orders/1?id=k&a=1&a=2', {
      headers: { authorization: 'Bearer secret', 'x-a': 'b' },
    })
    await log.close()
    expect(log.stats()).toMatchObject({ mode: 'log', records: 1, lost: 0, buffered: 0 })
    const [entry] = await entriesOf(topic, 1)
    expect(entry).toMatchObject({
      request: {
        id: expect.stringMatching(/^[0-9a-f]{32}$/),
        method: 'GET',
        uri: '/orders/1?id=k&a=1&a=2',
        url: 'http://h/orders/1?id=k&a=1&a=2',
        querystring: { id: 'k', a: ['1', '2'] },
        headers: { authorization: 'REDACTED', 'x-a': 'b' },
      },
      response: { status: 201 },
      consumer: { username: 'shop' },
      source: 'kong',
    })
    expect((await readBack(brokers, topic, 1))[0]?.key).toBe('k')
  })

  test('tells the size of an answer whose length is known', async () => {
    const { topic, log } = await logTo()
    const app = new Hono().use(log).get('/', (c) => c.text('hello', 200, { 'content-length': '5' }))
    await app.request('/')
    await log.close()
    const [{ response }] = await entriesOf(topic, 1)
    expect(response.size).toBe(headBytes(response.headers) + 'hello'.length)
  })

  test('logs a stream of the app when it ends, with its bytes', async () => {
    const { topic, log } = await logTo({ producerAsyncFlushTimeout: 10 })
    const end = Promise.withResolvers<void>()
    const app = new Hono().use(log).get('/', (c) =>
      streamSSE(c, async (stream) => {
        await stream.writeSSE({ data: 'first' })
        await end.promise
        await stream.writeSSE({ data: 'last' })
      }),
    )
    await using server = serve({ port: 0, fetch: app.fetch })
    const response = await fetch(server.url)
    const reader = response.body?.getReader()
    let text = new TextDecoder().decode((await reader?.read())?.value)
    expect(log.stats()).toMatchObject({ records: 0, buffered: 0 })
    end.resolve()
    for (let part = await reader?.read(); part?.value; part = await reader?.read()) {
      text += new TextDecoder().decode(part.value)
    }
    expect(text).toBe('data: first\n\ndata: last\n\n')
    await log.close()
    const [entry] = await entriesOf(topic, 1)
    expect(entry.response.size).toBe(headBytes(entry.response.headers) + text.length)
  })

  test('logs a request whose handler throws', async () => {
    const { topic, log } = await logTo()
    const app = new Hono()
      .use(log)
      .get('/error', () => {
        throw new Error('boom')
      })
      .get('/text', () => {
        throw 'boom'
      })
    app.onError((_, c) => c.text('failed', 503))
    expect((await app.request('/error')).status).toBe(503)
    await expect(Promise.resolve(app.request('/text'))).rejects.toBe('boom')
    await log.close()
    const entries = await entriesOf(topic, 2)
    expect(entries.map(({ request, response }) => [request.uri, response.status])).toEqual([
      ['/error', 503],
      ['/text', 500],
    ])
  })

  test('logs a stream when its client leaves', async () => {
    const { topic, log } = await logTo({ producerAsyncFlushTimeout: 10 })
    const records = await kafka.createTopic(1)
    const reading = kafkaConsume({
      bootstrapServers: brokers,
      topics: [records],
      mode: 'server-sent-events',
    })
    const server = serve({ port: 0, fetch: new Hono().use(log).get('/', reading).fetch })
    const abort = new AbortController()
    const response = await fetch(server.url, { signal: abort.signal })
    const reader = response.body?.getReader()
    await kafka.produce(records, [{ value: 'x'.repeat(1_000) }])
    let bytes = 0
    while (bytes < 1_000) bytes += (await reader?.read())?.value?.length ?? 0
    expect(log.stats()).toMatchObject({ records: 0, buffered: 0 })
    abort.abort()
    await until(() => log.stats().records === 1, 'the entry')
    const [entry] = await entriesOf(topic, 1)
    expect(entry.response.status).toBe(200)
    expect(entry.response.size).toBe(headBytes(entry.response.headers) + bytes)
    await server.stop(true)
    await reading.close()
    await log.close()
  })

  test('does not keep a stream of the app alive after its client has left', async () => {
    const { log } = await logTo()
    let isAborted = false
    const app = new Hono().use(log).get('/', (c) =>
      streamSSE(c, async (stream) => {
        stream.onAbort(() => {
          isAborted = true
        })
        while (!stream.aborted) {
          await stream.writeSSE({ data: 'x' })
          await stream.sleep(20)
        }
      }),
    )
    const server = serve({ port: 0, fetch: app.fetch })
    const abort = new AbortController()
    const response = await fetch(server.url, { signal: abort.signal })
    await response.body?.getReader().read()
    abort.abort()
    await until(() => isAborted, 'the stream to end')
    await server.stop(true)
    await log.close()
  })

  test('sets, nests and removes fields by Lua, and leaves one whose Lua fails', async () => {
    const { topic, log } = await logTo({
      customFieldsByLua: {
        trace: 'return kong.request.get_header("x-trace")',
        'deep.er.field': 'return kong.response.get_status()',
        'dotted\\.name': 'return "dot"',
        'list[2].b': 'return 2',
        latencies: 'return nil',
        'request.id': 'error("boom")',
      },
    })
    const app = new Hono().use(log).get('/', (c) => c.text('x'))
    await app.request('/', { headers: { 'x-trace': 't' } })
    await log.close()
    const [entry] = await entriesOf(topic, 1)
    expect(entry).toMatchObject({
      trace: 't',
      deep: { er: { field: 200 } },
      'dotted.name': 'dot',
      list: [null, { b: 2 }],
      request: { id: expect.any(String) },
    })
    expect(entry).not.toHaveProperty('latencies')
    expect(messagesOf(logged).join('\n')).toContain('boom')
  })

  test('loses the newest entries where the buffer is full, and counts and logs them', async () => {
    const { log } = await logTo({
      producerAsyncFlushTimeout: 600_000,
      producerAsyncBufferingLimitsMessagesInMemory: 3,
    })
    const app = new Hono().use(log).get('/', (c) => c.text('x'))
    for (let i = 0; i < 5; i++) {
      expect((await app.request('/')).status).toBe(200)
      await until(() => log.stats().buffered + log.stats().lost === i + 1, `entry ${i}`)
    }
    expect(log.stats()).toMatchObject({ buffered: 3, lost: 2 })
    await log.close()
    expect(log.stats()).toMatchObject({ records: 3, buffered: 0, lost: 2 })
    expect(messagesOf(logged).join('\n')).toContain('were lost')
  })
})

test('names of fields are paths', () => {
  expect(parseFieldPath('a.b')).toEqual(['a', 'b'])
  expect(parseFieldPath('a\\.b.c')).toEqual(['a.b', 'c'])
  expect(parseFieldPath('a[1].b[2][3]')).toEqual(['a', 1, 'b', 2, 3])
  for (const wrong of ['', 'a.', '.a', 'a[0]', 'a[-1]', 'a[x]', '[1]']) {
    expect([wrong, parseFieldPath(wrong)]).toEqual([wrong, undefined])
  }
})
