/** Pages behind the cache of nginx, and in the cache of Chromium. */
import { afterAll, beforeAll, expect, spyOn, test } from 'bun:test'
import { Hono } from 'hono'
import { Feed } from '../../src/feed/feed.ts'
import { kafkaConsume } from '../../src/index.ts'
import { linkTo } from '../contract/page-caching.ts'
import { ReverseProxy } from '../field/support/reverse-proxy.ts'
import { Browser } from '../support/chromium.ts'
import { TestKafka } from '../support/kafka.ts'
import { type FlatBody, range } from '../support/route.ts'
import { serve, type TestServer } from '../support/server.ts'
import { until, within } from '../support/wait.ts'

const CLIENTS = 1_000

let kafka: TestKafka
let topic: string

beforeAll(async () => {
  kafka = await TestKafka.real()
  topic = await kafka.createTopic()
  await kafka.produce(
    topic,
    range(0, 400).map((n) => ({ partition: n % 4, value: `v${n}` })),
  )
}, 120_000)
afterAll(() => kafka?.close())

/** A server that counts the requests for pages that reach it. */
async function serveCounted() {
  const orders = kafkaConsume({
    bootstrapServers: kafka.bootstrapServers,
    topics: [topic],
    pageCaching: 'public',
  })
  const asked: string[] = []
  const app = new Hono()
  app.use('/orders', async (c, next) => {
    asked.push(c.req.method === 'GET' && c.req.header('If-None-Match') ? 'validation' : 'page')
    await next()
  })
  app.get('/', (c) => c.html('<!doctype html><title>pages</title>'))
  app.all('/orders', orders)
  const server = serve(app)
  return { server, orders, asked }
}

/** The path and query of a full page that caches may keep, once topic ids are known. */
async function keptPage(server: TestServer): Promise<string> {
  let link = ''
  await until(async () => {
    const first = await fetch(`${server.url}/orders?start=earliest&format=records&max_records=100`)
    await first.text()
    link = linkTo(first, 'next')
    return link.includes('version=')
  }, 'topic ids to be known')
  const { pathname, search } = new URL(link)
  return pathname + search
}

test('a thousand clients behind the cache of nginx cost one read of Kafka', async () => {
  const { server, orders, asked } = await serveCounted()
  await using _ = server
  const page = await keptPage(server)
  await using proxy = await ReverseProxy.start('nginx', server.port, true)
  asked.length = 0
  const before = orders.stats().sent.read.records
  const bodies = new Set<string>()
  const ask = async () => {
    const response = await fetch(`http://127.0.0.1:${proxy.port}${page}`)
    expect(response.status).toBe(200)
    bodies.add(await response.text())
  }
  for (let sent = 0; sent < CLIENTS; sent += 100) {
    await within(Promise.all(range(0, 100).map(ask)), '100 answers of nginx', 30_000)
  }
  expect(bodies.size).toBe(1)
  expect((JSON.parse([...bodies][0] as string) as FlatBody).records).toHaveLength(100)
  expect(asked).toEqual(['page'])
  expect(orders.stats().sent.read.records - before).toBe(100)
  await orders.close()
}, 120_000)

test('clients that ask for one page at one time cost one read of Kafka, also those that come late', async () => {
  const { server, orders } = await serveCounted()
  await using _ = server
  const page = await keptPage(server)
  const reads = spyOn(Feed.prototype, 'subscribe')
  try {
    const bodies = new Set<string>()
    const ask = async () => {
      const response = await fetch(`${server.url}${page}`)
      expect(response.status).toBe(200)
      bodies.add(await response.text())
    }
    // A first answer is there before the last requests are sent: `fetch` has some 256 connections.
    await within(Promise.all(range(0, CLIENTS / 2).map(ask)), 'the answers', 30_000)
    await ask()
    expect(bodies.size).toBe(1)
    expect(reads.mock.calls.length).toBe(1)
  } finally {
    reads.mockRestore()
    await orders.close()
  }
}, 120_000)

test('a topic that is re-created gives its pages other addresses, also while nobody follows it', async () => {
  const changing = await kafka.createTopic()
  const records = range(0, 40).map((n) => ({ partition: n % 4, value: `v${n}` }))
  await kafka.produce(changing, records)
  const orders = kafkaConsume({ bootstrapServers: kafka.bootstrapServers, topics: [changing] })
  await using server = serve(new Hono().all('/orders', orders))
  const versionNow = async () => {
    const query = 'start=earliest&format=records&max_records=10'
    const response = await fetch(`${server.url}/orders?${query}`)
    await response.text()
    return /version=(\w+)/.exec(response.headers.get('link') ?? '')?.[1]
  }
  await until(async () => (await versionNow()) !== undefined, 'topic ids to be known')
  const before = await versionNow()
  await kafka.recreateTopic(changing)
  await kafka.produce(changing, records)
  await until(
    async () => {
      const now = await versionNow()
      return now !== undefined && now !== before
    },
    'another version',
    20_000,
  )
  await orders.close()
}, 120_000)

test('nginx keeps no page whose address names no version', async () => {
  const { server, orders, asked } = await serveCounted()
  await using _ = server
  const page = (await keptPage(server)).replace(/&version=\w+/, '')
  await using proxy = await ReverseProxy.start('nginx', server.port, true)
  asked.length = 0
  const before = orders.stats().sent.read.records
  for (let n = 0; n < 5; n++) {
    const response = await fetch(`http://127.0.0.1:${proxy.port}${page}`)
    expect(response.status).toBe(200)
    expect(((await response.json()) as FlatBody).records).toHaveLength(100)
  }
  expect(asked.length).toBe(5)
  expect(orders.stats().sent.read.records - before).toBe(500)
  await orders.close()
}, 120_000)

test('a browser reads a page once, and validates one without a version', async () => {
  const { server, orders, asked } = await serveCounted()
  await using _ = server
  const page = await keptPage(server)
  await using chromium = await Browser.start()
  await chromium.page.goto(`${server.url}/`)
  asked.length = 0
  const readTwice = (address: string) => `(async () => {
    const counts = []
    for (let n = 0; n < 2; n++) {
      const { records } = await (await fetch(${JSON.stringify(address)})).json()
      counts.push(records.length)
    }
    return counts
  })()`
  expect(await chromium.page.evaluate(readTwice(page))).toEqual([100, 100])
  expect(asked).toEqual(['page'])
  asked.length = 0
  const plain = page.replace(/&version=\w+/, '')
  expect(await chromium.page.evaluate(readTwice(plain))).toEqual([100, 100])
  expect(asked).toEqual(['page', 'validation'])
  await orders.close()
}, 120_000)
