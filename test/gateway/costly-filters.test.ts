/** Filters at their limits of cost, over more records than are looked at in a second, in a real gateway. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { TestKafka } from '../support/kafka.ts'
import { Exposition } from '../support/metrics.ts'
import { Route, range } from '../support/route.ts'
import { SseClient, type StreamedRecord } from '../support/sse.ts'
import { until, within } from '../support/wait.ts'
import { GatewayProcess } from './gateway-process.ts'

const COUNT = 20_000

const fifty = JSON.stringify(range(0, 50))
/** Some 2,000 steps for each record of which it is not true at once. */
const COSTLY = `offset % 1000 == 7 || ${fifty}.all(a, ${fifty}.all(b, a + b >= 0))`

let kafka: TestKafka
let topic: string
let gateway: GatewayProcess
let base: string
/** Keeps the records in the ring buffer: there a filter need not wait for any. */
let live: SseClient
/** Before the first of them. */
let begin: string

beforeAll(async () => {
  kafka = await TestKafka.real()
  topic = await kafka.createTopic()
  const flags = ['--brokers', kafka.bootstrapServers, '--topics', topic]
  const started = await GatewayProcess.listening(flags)
  gateway = started.gateway
  base = started.url
  await until(async () => (await fetch(`${base}/readyz`)).status === 200, 'readiness', 20_000)
  live = await SseClient.open(`${base}/stream?partition=0`)
  begin = live.response.headers.get('kafka-cursor') as string
  for (let written = 0; written < COUNT; written += 5_000) {
    await kafka.produce(
      topic,
      range(0, 5_000).map((n) => ({ partition: n % 4, value: '{"type":"order.placed"}' })),
    )
  }
  await live.until(COUNT / 4)
}, 120_000)

afterAll(async () => {
  await live?.[Symbol.asyncDispose]()
  await gateway?.kill()
  await kafka?.close()
}, 120_000)

/** @param n Makes each expression another one, so that none has answers of the others. */
function urlOf(path: string, n: number, from: Record<string, string>): string {
  const filter = `(${COSTLY}) && offset != -${n}`
  const query = new URLSearchParams({ ...from, filter })
  return `${base}/${path}?${query}`
}

test('other requests are answered while costly filters run, and no filter runs for a client that has left', async () => {
  const clients = new AbortController()
  let answered = 0
  // Bun ends a response that nobody holds.
  const streams: Response[] = []
  for (const n of range(0, 3)) {
    void fetch(urlOf('stream', n, { cursor: begin }), { signal: clients.signal })
      .then((response) => streams.push(response))
      .catch(() => {})
    const url = urlOf('messages', 10 + n, { cursor: begin, max_records: '10000' })
    void fetch(url, { signal: clients.signal })
      .then((response) => response.text())
      .then(() => answered++)
      .catch(() => {})
  }
  const readers = async () => {
    const metrics = await (await within(fetch(`${base}/metrics`), 'an answer of /metrics')).text()
    return new Exposition(metrics).value('hono_kafka_readers') ?? 0
  }
  await until(async () => (await readers()) === 7, 'all of them to read')
  for (const _ of range(0, 10)) {
    const health = await within(fetch(`${base}/healthz`), 'an answer of /healthz')
    expect(health.status).toBe(200)
  }
  // Each of them has a second of work to do, which the process did in one piece before.
  expect(answered).toBe(0)
  clients.abort()
  await until(async () => (await readers()) === 1, 'their reads to end')
}, 120_000)

test('a GET with a costly filter answers page by page, and each record that passes comes once', async () => {
  const found: string[] = []
  let pages = 0
  let from: Record<string, string> = { cursor: begin }
  for (let isDone = false; !isDone; pages++) {
    const url = urlOf('messages', 20, { ...from, format: 'records', timeout: '0' })
    const response = await within(fetch(url), 'a page', 30_000)
    expect(response.status).toBe(200)
    const { records, cursor } = (await response.json()) as {
      records: StreamedRecord[]
      cursor: string
    }
    found.push(...records.map(({ partition, offset }) => `${partition}/${offset}`))
    // An empty page is the end only where its cursor has not moved.
    isDone = cursor === from['cursor']
    from = { cursor }
  }
  const passing = range(0, 4).flatMap((partition) =>
    range(0, COUNT / 4000).map((n) => `${partition}/${1_000 * n + 7}`),
  )
  expect(found.toSorted()).toEqual(passing.toSorted())
  // More than the one that brings all, and the one that finds the end.
  expect(pages).toBeGreaterThan(2)
}, 120_000)

test('a stream whose filter no record passes sends its position at its heartbeats', async () => {
  const options = { topics: [topic], mode: 'server-sent-events', heartbeat: 200 } as const
  await using route = await Route.mount({ kafka, close: async () => {} }, options)
  await using stream = await route.stream({
    start: 'earliest',
    filter: `${COSTLY.replace('7', '-1')} && offset != -30`,
  })
  const isEnd = (cursor = '') => cursor.match(/=5000/g)?.length === 4
  await until(() => isEnd(stream.lastEventId), 'the end', 60_000)
  const before = new Set(stream.cursors.filter((cursor) => !isEnd(cursor)))
  // One of them is where it began.
  expect(before.size).toBeGreaterThan(1)
  expect(stream.records()).toEqual([])
}, 90_000)
