/** The console page and its data, as the gateway serves them: without a browser, without Kafka. */
import { describe, expect, test } from 'bun:test'
import { KafkaConsumeError } from '../../src/core/errors.ts'
import { createGateway, type GatewayOptions } from '../../src/gateway/app.ts'
import type { KafkaRoute } from '../../src/gateway/supervisor.ts'
import type { PartitionRange, RouteStats } from '../../src/http/route/route-stats.ts'
import { readDeclarative } from '../../src/kong/config/declarative.ts'
import { idleHandler, idleStats } from '../unit/fakes.ts'

const options: GatewayOptions = { cluster: { brokers: ['a:1'], topics: ['t'] } }

const cluster = {
  name: 'c',
  outage: undefined,
  brokers: [{ name: 'a:1/1', isUp: true, roundTrip: undefined, queued: 0, inFlight: 0, failed: 0 }],
}
const ranges = [{ topic: 't', partition: 0, start: 2, end: 9 }]

/** A maker of handlers that tell this of themselves. */
function telling(
  stats: Partial<RouteStats>,
  partitions: () => Promise<readonly PartitionRange[]> = async () => ranges,
) {
  return (): KafkaRoute =>
    Object.assign(() => new Response('from Kafka'), {
      start: async () => undefined,
      outage: () => undefined,
      stats: () => ({ ...idleStats(), ...stats }),
      partitions,
      topicDetails: idleHandler.topicDetails,
      partitionSizes: idleHandler.partitionSizes,
      topicSettings: idleHandler.topicSettings,
      close: async () => undefined,
    })
}

/** An import of a module, static or not, with its specifier. Comments name types by `import('…')`, too. */
const IMPORT =
  /(?:^import .*|^\} |^export .*)from ?'([^']+)'|(?:from|import)"([^"]+)"|=> import\('([^']+)'\)/gm

describe('the console page', () => {
  test('is at / and loads nothing but its own files', async () => {
    const { app } = createGateway(options, telling({}))
    const response = await app.request('/')
    expect(response.status).toBe(200)
    const policy = response.headers.get('content-security-policy') ?? ''
    expect(policy).toContain("default-src 'none'")
    expect(policy).toContain("script-src 'self'")
    expect(policy).not.toContain('unsafe')
    expect(response.headers.get('x-content-type-options')).toBe('nosniff')
    const text = await response.text()
    expect(text).not.toMatch(/<script(?! src| type="importmap" nonce)|<style| style=| on\w+=/)
    const files = [...text.matchAll(/(?:src|href)="(console\/[^"]+)"/g)].map(([, path]) => path)
    expect(files.length).toBeGreaterThan(5)
    for (const path of files) {
      const file = await app.request(`/${path}`)
      expect(file.status).toBe(200)
      const tag = file.headers.get('etag') ?? ''
      const again = await app.request(`/${path}`, { headers: { 'if-none-match': tag } })
      expect(again.status).toBe(304)
    }
  })

  test('serves each module that a script imports, by the page’s import map', async () => {
    const { app } = createGateway(options, telling({}))
    const text = await (await app.request('/')).text()
    const { imports } = JSON.parse(/importmap"[^>]*>(.*?)<\/script>/.exec(text)?.[1] ?? '')
    const modules = new Set(['console/console.js'])
    for (const module of modules) {
      const response = await app.request(`/${module}`)
      expect(`${module} ${response.status}`).toBe(`${module} 200`)
      for (const found of (await response.text()).matchAll(IMPORT)) {
        const name = found[1] ?? found[2] ?? found[3] ?? ''
        const at = imports[name] ?? new URL(name, `http://page/${module}`)
        modules.add(new URL(at, 'http://page/').pathname.slice(1))
      }
    }
    expect([...modules]).toContain('console/lit/lit-html.js')
    expect([...modules]).toContain('console/gateway/charts.js')
  })

  test.each([
    '/console/',
    '/console/nothing.js',
    '/console/..%2fconsole.ts',
    '/console/constructor',
  ])('%s is not one of its files', async (path) => {
    const response = await createGateway(options, telling({})).app.request(path)
    expect(response.status).toBe(404)
    expect(await response.json()).toEqual({ message: 'no Route matched with those values' })
  })

  test('is served at another path with and without a slash, and not at all when it is off', async () => {
    const { app } = createGateway({ ...options, console: '/ops/console' }, telling({}))
    expect((await app.request('/')).status).toBe(404)
    for (const path of ['/ops/console', '/ops/console/']) {
      const [, file = ''] =
        /src="([^"]+console\.js)"/.exec(await (await app.request(path)).text()) ?? []
      const { pathname } = new URL(file, `http://h${path}`)
      expect(pathname).toBe('/ops/console/console/console.js')
      expect((await app.request(pathname)).status).toBe(200)
    }

    const without = createGateway({ ...options, console: 'off' }, telling({})).app
    for (const path of ['/', '/status', '/console/console.js']) {
      expect((await without.request(path)).status).toBe(404)
    }
  })

  test('gives way to a route of the same path', async () => {
    const gateway = createGateway({}, telling({}))
    const config = 'config: {bootstrap_servers: [{host: k, port: 1}], topics: [{name: t}]}'
    const document = `_format_version: "3.0"
routes:
- {name: all, paths: [/], plugins: [{name: kafka-consume, ${config}}]}`
    gateway.apply(await readDeclarative(document, { environment: {}, ignoreUnknown: false }))
    for (const path of ['/', '/status', '/console/console.js']) {
      expect(await (await gateway.app.request(path)).text()).toBe('from Kafka')
    }
    expect((await gateway.app.request('/metrics')).status).toBe(200)
  })
})

describe('the status', () => {
  test('lists routes, topics, brokers and groups, and each once that several routes share', async () => {
    const next = { topic: 't', partition: 0, end: 5, next: 4 }
    const figures = { requeued: 0, uncertain: 0, rebuilt: 0 }
    const groups = [{ id: 'g', member: 1, partitions: [next], ...figures }]
    const { app } = createGateway(options, telling({ cluster, groups, subscribers: 3 }))
    const status = (await (await app.request('/status')).json()) as Record<string, unknown[]>
    expect(status['routes']).toHaveLength(3)
    expect(status['routes']?.[0]).toEqual({
      name: '/messages',
      paths: ['/messages'],
      hosts: [],
      mode: 'http-get',
      topics: ['t'],
      filters: {},
      cluster: 'c',
      streams: 3,
      groups: ['g'],
    })
    expect(status['clusters']).toEqual([
      {
        name: 'c',
        brokers: [{ name: 'a:1/1', up: true }],
        topics: [{ name: 't', partitions: [{ partition: 0, start: 2, end: 9 }] }],
      },
    ])
    // Counted from the end that Kafka tells, not from that of the last fetch.
    expect(status['groups']).toEqual([
      { id: 'g', cluster: 'c', partitions: [{ topic: 't', partition: 0, lag: 5 }] },
    ])
  })

  test('queries Kafka once for many concurrent requests', async () => {
    let asked = 0
    const make = telling({ cluster }, async () => {
      asked++
      return ranges
    })
    const { app } = createGateway(options, make)
    await Promise.all(Array.from({ length: 20 }, () => app.request('/status')))
    expect(asked).toBe(1)
  })

  test('does not wait for a Kafka that does not answer, and reports an error without its inner message', async () => {
    const outage = {
      code: 'KAFKA_UNAVAILABLE',
      message: 'Cannot read from Kafka: all brokers are down',
      detail: 'secret',
      since: Date.UTC(2026, 0, 2),
    } as const
    const never = telling({ cluster: { ...cluster, outage } }, () => new Promise(() => undefined))
    const response = await createGateway(options, never).app.request('/status')
    const text = await response.text()
    expect(JSON.parse(text).clusters[0]).toMatchObject({
      outage: { code: outage.code, message: outage.message, since: '2026-01-02T00:00:00.000Z' },
      topics: [],
    })
    expect(text).not.toContain('secret')

    const refusing = telling({ cluster }, () =>
      Promise.reject(new KafkaConsumeError('KAFKA_TIMEOUT', 'Cannot read')),
    )
    expect((await createGateway(options, refusing).app.request('/status')).status).toBe(200)
  })
})
