/** The pages and data that a client with a scope gets: its own part, and no dead ends. */
import { describe, expect, test } from 'bun:test'
import { createGateway, type GatewayOptions } from '../../src/gateway/app.ts'
import { readClients } from '../../src/gateway/auth/clients.ts'
import type { KafkaRoute } from '../../src/gateway/supervisor.ts'
import type { PartitionRange, RouteStats } from '../../src/http/route/route-stats.ts'
import { readDeclarative } from '../../src/kong/config/declarative.ts'
import type { KafkaConsumeOptions } from '../../src/options/option-types.ts'
import { idleHandler, idleStats } from '../unit/fakes.ts'
import { Cookies, ORIGIN, PAGE, SESSIONS } from './login-client.ts'

const CLIENTS = readClients(
  `
clients:
- {name: ops, key: planted-key-of-the-operator}
- name: shop
  key: planted-key-of-the-shop
  only: {topics: [orders], partitions: [1], keys: [a, b, c, d, e, f, g], filters: ['value.total > 1']}
- {name: nothing, key: planted-key-of-nothing, only: {topics: [absent]}}
`,
  {},
)

const cluster: NonNullable<RouteStats['cluster']> = {
  name: 'c',
  outage: undefined,
  brokers: [
    { name: 'broker-7:1', isUp: true, roundTrip: undefined, queued: 0, inFlight: 0, failed: 0 },
  ],
}
const group = {
  id: 'the-group',
  member: 1,
  partitions: [{ topic: 'orders', partition: 1, end: 9, next: 4 }],
  requeued: 0,
  uncertain: 0,
  rebuilt: 0,
}

/** Routes that tell of their topics, each with two partitions. */
function make({ topics, mode = 'http-get' }: KafkaConsumeOptions): KafkaRoute {
  const names = [topics]
    .flat()
    .map((topic) => String(typeof topic === 'string' ? topic : topic.name))
  const ranges: PartitionRange[] = names.flatMap((topic) =>
    [0, 1].map((partition) => ({ topic, partition, start: 2, end: 9 })),
  )
  const stats = { cluster, topics: names, mode, groups: [group], subscribers: 5 }
  return Object.assign(() => new Response('from Kafka'), {
    start: async () => undefined,
    outage: () => undefined,
    stats: () => ({ ...idleStats(), ...stats }) as RouteStats,
    partitions: async () => ranges,
    topicDetails: idleHandler.topicDetails,
    partitionSizes: idleHandler.partitionSizes,
    topicSettings: idleHandler.topicSettings,
    close: async () => undefined,
  })
}

async function gatewayFor(key: string, rest: GatewayOptions = {}): Promise<Cookies> {
  const own = { brokers: ['k:1'], topics: ['orders', 'payments'] }
  const gateway = createGateway(
    { cluster: own, guard: { clients: CLIENTS }, sessions: SESSIONS, produce: true, ...rest },
    make as never,
  )
  const config = 'config: {bootstrap_servers: [{host: k, port: 1}], topics: [{name: payments}]}'
  gateway.apply(
    await readDeclarative(
      `_format_version: "3.0"\nroutes: [{name: hidden, paths: [/hidden], plugins: [{name: kafka-consume, ${config}}]}]`,
      { environment: {}, ignoreUnknown: false },
    ),
  )
  const browser = new Cookies(gateway, ORIGIN)
  await browser.logIn({ secret: key })
  return browser
}

describe('the status', () => {
  test('has the topics and partitions of the scope, and no groups, brokers and streams of others', async () => {
    const browser = await gatewayFor('planted-key-of-the-shop')
    const { status, text } = await browser.ask('/status')
    expect(status).toBe(200)
    const { routes, clusters, groups } = JSON.parse(text)
    expect(routes.map(({ name, topics }: never) => [name, topics])).toEqual([
      ['/messages', ['orders']],
      ['/stream', ['orders']],
      ['/socket', ['orders']],
    ])
    expect(clusters).toEqual([
      {
        name: 'c',
        brokers: [],
        topics: [{ name: 'orders', partitions: [{ partition: 1, start: 2, end: 9 }] }],
      },
    ])
    expect(groups).toEqual([])
    for (const each of ['payments', 'the-group', 'broker-7', 'streams', 'produce', 'hidden']) {
      expect(text).not.toContain(each)
    }
  })

  test('has nothing for a client that may read no topic of any route', async () => {
    const { text } = await (await gatewayFor('planted-key-of-nothing')).ask('/status')
    expect(JSON.parse(text)).toMatchObject({ routes: [], clusters: [], groups: [] })
  })

  test('is whole for a client without a scope', async () => {
    const { text } = await (await gatewayFor('planted-key-of-the-operator')).ask('/status')
    for (const each of ['payments', 'the-group', 'broker-7', '"streams":5', 'produce', 'hidden']) {
      expect(text).toContain(each)
    }
  })
})

describe('the console', () => {
  test('says what the client may read, and links to nothing that is refused', async () => {
    const { text } = await (await gatewayFor('planted-key-of-the-shop')).ask('/')
    expect(text).toContain(
      'You may read: topic orders · partition 1 · keys a, b, c, d, e and 2 more · records for which value.total &gt; 1',
    )
    expect(text).toContain('id="logout"')
    expect(text).not.toContain('href="/docs')
    expect(text).not.toContain('href="/metrics')
    const whole = await (await gatewayFor('planted-key-of-the-operator')).ask('/')
    expect(whole.text).not.toContain('You may read')
    expect(whole.text).toContain('href="/docs')
  })
})

describe('pages that show all there is', () => {
  test.each(['/docs', '/openapi.json', '/metrics'])(
    '%s is for browsers a page that says what the client may read, with a way on and out',
    async (path) => {
      const browser = await gatewayFor('planted-key-of-the-shop')
      const page = await browser.ask(path, { headers: PAGE })
      expect(page.status).toBe(403)
      expect(page.headers.get('content-type')).toStartWith('text/html')
      expect(page.headers.get('content-security-policy')).toContain("frame-ancestors 'none'")
      expect(page.headers.get('cache-control')).toBe('no-store')
      for (const each of [
        'shop may read a part of the records only',
        '<li>topic orders</li>',
        '<li>records for which value.total &gt; 1</li>',
        'href="/">Open the console',
        '<a href="/messages?start=-100">/messages</a>: orders',
        '<a href="/stream">/stream</a>: orders',
        '<form method="post" action="/logout">',
      ]) {
        expect(page.text).toContain(each)
      }
      expect(page.text).not.toContain('payments')
      const program = await browser.ask(path)
      expect([program.status, JSON.parse(program.text).code]).toEqual([403, 'FORBIDDEN'])
    },
  )

  test('link to no console that is off, and offer no end of a session that there is not', async () => {
    const browser = await gatewayFor('wrong', { console: 'off' })
    const { text } = await browser.ask('/metrics', {
      headers: { ...PAGE, authorization: 'Bearer planted-key-of-the-shop' },
    })
    expect(text).toContain('shop may read a part')
    expect(text).not.toContain('Open the console')
    expect(text).not.toContain('<form')
  })
})
