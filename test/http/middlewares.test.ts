/** Hono's middlewares that rewrite answers, in front of a route. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { Hono } from 'hono'
import { compress } from 'hono/compress'
import { etag } from 'hono/etag'
import { type KafkaConsumeHandler, kafkaConsume } from '../../src/index.ts'
import { TestKafka } from '../support/kafka.ts'
import { serve, type TestServer } from '../support/server.ts'
import { until, within } from '../support/wait.ts'

let kafka: TestKafka
beforeAll(async () => {
  kafka = await TestKafka.real()
})
afterAll(() => kafka.close())

/** A route that has both in front of it, and a server. */
class Mount implements AsyncDisposable {
  readonly route: KafkaConsumeHandler
  readonly app = new Hono()
  readonly #server: TestServer

  constructor(topic: string, mode: 'server-sent-events' | 'http-get') {
    const { bootstrapServers } = kafka
    this.route = kafkaConsume({
      bootstrapServers,
      topics: [topic],
      mode,
      autoOffsetReset: 'earliest',
    })
    this.app.use(etag())
    this.app.use(compress({ threshold: 1, contentTypeFilter: () => true }))
    this.app.get('/', this.route)
    this.#server = serve(this.app)
  }

  get url(): string {
    return this.#server.url
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.route.close()
    await this.#server.close()
  }
}

describe.each(['text/event-stream', 'application/x-ndjson'])('a stream of %s', (accept) => {
  test('goes through etag and compress record by record, and ends with its client', async () => {
    const topic = await kafka.createTopic(1)
    await kafka.produce(topic, [{ value: 'first' }])
    await using mount = new Mount(topic, 'server-sent-events')
    const abort = new AbortController()
    const headers = { accept, 'accept-encoding': 'gzip' }
    const request = () =>
      within(
        fetch(`${mount.url}/?start=earliest`, { headers, signal: abort.signal }),
        'the head of a stream',
        10_000,
      )
    const [response, other] = [await request(), await request()]
    expect(response.status).toBe(200)
    expect(response.headers.get('content-encoding')).toBeNull()
    expect(response.headers.get('etag')).not.toBe(other.headers.get('etag'))
    const reader = (response.body as ReadableStream<Uint8Array>).getReader()
    const decoder = new TextDecoder()
    let text = ''
    for (const value of ['first', 'second']) {
      if (value !== 'first') await kafka.produce(topic, [{ value }])
      while (!text.includes(`"value":"${value}"`)) {
        const { value: bytes, done } = await within(reader.read(), `the record ${value}`, 10_000)
        if (done) throw new Error(`The stream ended after ${text}`)
        text += decoder.decode(bytes, { stream: true })
      }
    }
    abort.abort()
    await reader.cancel().catch(() => {})
    await other.body?.cancel().catch(() => {})
    await until(() => mount.route.stats().subscribers === 0, 'the streams to end')
  })
})

test('records that etag and compress could have read for a client that left go to the next client', async () => {
  const topic = await kafka.createTopic(1)
  await kafka.produce(
    topic,
    Array.from({ length: 50 }, (_, n) => ({ value: `${n}`.padEnd(10_000, '.') })),
  )
  await using mount = new Mount(topic, 'http-get')
  const request = { headers: { accept: 'application/json', 'accept-encoding': 'gzip' } }
  const query = '/?format=records&timeout=5000'
  // Without a socket: nothing takes the body but what stands in front of the route.
  const left = await mount.app.request(query, request)
  expect(left.status).toBe(200)
  await left.body?.cancel()
  const next = await within(fetch(`${mount.url}${query}`, request), 'the next caller')
  const { records } = (await next.json()) as { records: ReadonlyArray<{ offset: number }> }
  expect(records[0]?.offset).toBe(0)
})

test('an answer from a position keeps its ETag, so that a repeated request is 304', async () => {
  const topic = await kafka.createTopic(1)
  await kafka.produce(topic, [{ value: 'one' }])
  await using mount = new Mount(topic, 'http-get')
  const path = `/?cursor=${encodeURIComponent(`${topic}:0=0`)}`
  const first = await mount.app.request(path)
  expect(first.status).toBe(200)
  const tag = first.headers.get('etag') as string
  const again = await mount.app.request(path, { headers: { 'if-none-match': tag } })
  expect(again.status).toBe(304)
})
