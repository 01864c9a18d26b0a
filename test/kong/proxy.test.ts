import { beforeEach, describe, expect, test } from 'bun:test'
import { KafkaConsumeError } from '../../src/core/errors.ts'
import { createGateway, type Gateway } from '../../src/gateway/app.ts'
import type { KafkaRoute } from '../../src/gateway/supervisor.ts'
import { readDeclarative } from '../../src/kong/config/declarative.ts'
import type { KongSnapshot } from '../../src/kong/model/entities.ts'
import { SchemaViolation } from '../../src/kong/model/schema-violation.ts'
import type { KafkaConsumeOptions } from '../../src/options/option-types.ts'
import { until } from '../support/wait.ts'
import { idleHandler } from '../unit/fakes.ts'

/** A handler that says which it is. */
interface Made {
  readonly options: KafkaConsumeOptions
  starts: number
  closes: number
}

const made: Made[] = []
/** Which handler sees no Kafka, and which has a topic that Kafka does not have. */
let failing: string | undefined
let missing: string | undefined

function make(options: KafkaConsumeOptions): KafkaRoute {
  const it: Made = { options, starts: 0, closes: 0 }
  made.push(it)
  const name = String(made.indexOf(it))
  return Object.assign(() => new Response(name), {
    start: async () => {
      it.starts++
      if (name === missing) throw new KafkaConsumeError('UNKNOWN_TOPIC', 'Cannot read topic')
    },
    outage: () =>
      failing === name
        ? { code: 'KAFKA_UNAVAILABLE' as const, message: 'Cannot read', detail: '', since: 1 }
        : undefined,
    ...idleHandler,
    close: async () => {
      it.closes++
    },
  })
}

function plugin(topic: string, rest = ''): string {
  return `{name: kafka-consume, config: {bootstrap_servers: [{host: k, port: 1}], topics: [{name: ${topic}}]}${rest}}`
}

function read(text: string, environment: Record<string, string> = {}): Promise<KongSnapshot> {
  const options = { environment, ignoreUnknown: false }
  return readDeclarative(`_format_version: "3.0"\n${text}`, options)
}

async function served(text: string): Promise<Gateway> {
  const gateway = createGateway({ console: 'off' }, make)
  gateway.apply(await read(text))
  return gateway
}

/** The topic of the handler that answers, or the status of another answer. */
async function topic(gateway: Gateway, url: string, init: RequestInit = {}): Promise<string> {
  const host = new URL(url).host
  const response = await gateway.app.request(url, { ...init, headers: { host, ...init.headers } })
  if (response.status !== 200) return String(response.status)
  const { topics } = made[Number(await response.text())]?.options ?? {}
  return String([topics].flat().map((topic) => (typeof topic === 'object' ? topic.name : topic)))
}

beforeEach(() => {
  made.length = 0
  failing = undefined
  missing = undefined
})

describe('a request by Kong’s configuration', () => {
  test('goes to its route, even at a path of the gateway’s own routes', async () => {
    const gateway = await served(`
routes:
- {hosts: [a.test], plugins: [${plugin('a')}]}
- {paths: ['~/o/\\d+$'], plugins: [${plugin('o')}]}
- {hosts: ['*.wild.test'], plugins: [${plugin('w')}]}
plugins: [${plugin('global')}]`)
    expect(await topic(gateway, 'http://a.test/messages')).toBe('a')
    expect(await topic(gateway, 'http://a.test/any?x=/o/1')).toBe('a')
    expect(await topic(gateway, 'http://b.test/o/12')).toBe('o')
    expect(await topic(gateway, 'http://x.y.wild.test/')).toBe('w')
    expect(await topic(gateway, 'http://wild.test/')).toBe('404')
    const none = await gateway.app.request('http://b.test/messages')
    expect(none.status).toBe(404)
    expect(await none.json()).toEqual({ message: 'no Route matched with those values' })
    expect((await gateway.app.request('http://a.test/healthz')).status).toBe(200)
  })

  test('is served by the most specific plugin', async () => {
    const gateway = await served(`
services:
- name: s
  url: http://k
  plugins: [${plugin('service')}]
  routes:
  - {name: own, hosts: [own], plugins: [${plugin('route')}]}
  - {name: both, hosts: [both], plugins: [${plugin('route')}, ]}
  - {hosts: [inherited]}
routes:
- {hosts: [other]}
plugins:
- ${plugin('global')}
- ${plugin('both', ', route: both, service: s')}`)
    expect(await topic(gateway, 'http://own/')).toBe('route')
    expect(await topic(gateway, 'http://both/')).toBe('both')
    expect(await topic(gateway, 'http://inherited/')).toBe('service')
    expect(await topic(gateway, 'http://other/')).toBe('global')
  })

  test('to a route without a plugin, or with a disabled plugin, is 503', async () => {
    const gateway = await served(`
routes:
- {hosts: [none]}
- {hosts: [off], plugins: [${plugin('a', ', enabled: false')}]}
- {hosts: [tcp], plugins: [${plugin('a', ', protocols: [grpc]')}]}`)
    for (const host of ['none', 'off', 'tcp']) {
      const response = await gateway.app.request(`http://${host}/`)
      expect(response.status).toBe(503)
      expect(await response.json()).toMatchObject({
        message: expect.stringContaining('no kafka-consume plugin'),
      })
    }
  })

  test('to a route of a disabled service finds no route', async () => {
    const gateway = await served(
      `services: [{name: s, url: 'http://k', enabled: false, routes: [{hosts: [a]}]}]`,
    )
    expect(await topic(gateway, 'http://a/')).toBe('404')
  })

  test('without TLS to a route for https only is answered that it needs https', async () => {
    const gateway = await served(
      `routes: [{hosts: [a], protocols: [https], plugins: [${plugin('a')}]}]`,
    )
    const response = await gateway.app.request('http://a/')
    expect(response.status).toBe(426)
    expect(response.headers.get('upgrade')).toBe('TLS/1.2, HTTP/1.1')
    expect(await topic(gateway, 'https://a/')).toBe('a')
  })

  test('reaches the demo’s routes only if no route of Kong matches', async () => {
    const gateway = createGateway({ cluster: { brokers: ['k:1'], topics: ['demo'] } }, make)
    expect(await topic(gateway, 'http://any/messages')).toBe('demo')
    gateway.apply(await read(`routes: [{hosts: [a], plugins: [${plugin('a')}]}]`))
    expect(await topic(gateway, 'http://a/messages')).toBe('a')
    expect(await topic(gateway, 'http://any/messages')).toBe('demo')
    gateway.apply(await read('routes: []'))
    expect(await topic(gateway, 'http://a/messages')).toBe('demo')
  })
})

describe('a new snapshot', () => {
  const first = `
routes:
- {name: a, hosts: [a], plugins: [${plugin('a')}]}
- {name: b, hosts: [b], plugins: [${plugin('b')}]}`

  test('keeps the handlers of unchanged plugins, and closes the others', async () => {
    const gateway = await served(first)
    await gateway.start()
    expect(made.map(({ starts, closes }) => [starts, closes])).toEqual([
      [1, 0],
      [1, 0],
    ])
    gateway.apply(await read(first.replace('name: b}', 'name: c}')))
    expect(await topic(gateway, 'http://a/')).toBe('a')
    expect(await topic(gateway, 'http://b/')).toBe('c')
    await until(() => made[2]?.starts === 1, 'the new handler to start')
    expect(made.map(({ starts, closes }) => [starts, closes])).toEqual([
      [1, 0],
      [1, 1],
      [1, 0],
    ])
    for (let run = 0; run < 100; run++)
      gateway.apply(await read(first.replace('name: b}', 'name: c}')))
    expect(made).toHaveLength(3)
    gateway.apply(await read('routes: []'))
    await until(() => made.every(({ closes }) => closes === 1), 'all handlers to be ended, once')
    await gateway.close()
    expect(made.map(({ closes }) => closes)).toEqual([1, 1, 1])
  })

  test('that moves a route to other hosts drops none of its streams', async () => {
    const gateway = await served(first)
    gateway.apply(await read(first.replace('hosts: [b]', 'hosts: [c]')))
    expect(await topic(gateway, 'http://c/')).toBe('b')
    expect(await topic(gateway, 'http://b/')).toBe('404')
    expect(made.map(({ closes }) => closes)).toEqual([0, 0])
  })

  test('that cannot be served changes nothing', async () => {
    const gateway = await served(first)
    const snapshot = await read(first.replace('[b]', '[c]'))
    const [route] = snapshot.routes
    if (!route) throw new Error('no route')
    const broken = { ...snapshot, routes: [...snapshot.routes, { ...route, paths: ['~/('] }] }
    expect(() => gateway.apply(broken)).toThrow(SchemaViolation)
    expect(await topic(gateway, 'http://b/')).toBe('b')
    expect(await topic(gateway, 'http://c/')).toBe('404')
    expect(made.map(({ closes }) => closes)).toEqual([0, 0])
  })

  test('counts for the gateway’s readiness', async () => {
    const gateway = await served(first)
    expect((await gateway.app.request('/readyz')).status).toBe(503)
    await gateway.start()
    expect((await gateway.app.request('/readyz')).status).toBe(200)
    failing = '1'
    expect((await gateway.app.request('/readyz')).status).toBe(503)
    gateway.apply(await read(first.split('\n').slice(0, 3).join('\n')))
    expect((await gateway.app.request('/readyz')).status).toBe(200)
    await gateway.close()
    expect(made.map(({ closes }) => closes)).toEqual([1, 1])
  })

  test('of a node with an instance id has one static member for routes of one group and topic', async () => {
    const gateway = createGateway({ groupInstanceId: 'node-1', console: 'off' }, make)
    const routes = ['a', 'b'].map((name) => `{name: ${name}, paths: ["/${name}"]}`)
    const other = `{name: c, paths: ["/c"], plugins: [${plugin('u')}]}`
    gateway.apply(await read(`plugins: [${plugin('t')}]\nroutes: [${routes}, ${other}]`))
    const [a, b, c] = made.map(({ options }) => options.consumerGroup?.groupInstanceId ?? '')
    expect(a).toBe(b as string)
    expect(c).not.toBe(a as string)
    for (const id of [a, c]) expect(id).toMatch(/^node-1\.[0-9a-f]{8}$/)
  })

  test('with a topic that Kafka does not have makes the gateway unready only if it has no other route', async () => {
    missing = '1'
    const gateway = await served(first)
    const started = gateway.start()
    await until(async () => (await gateway.app.request('/readyz')).status === 200, 'readiness')
    gateway.apply(await read(`routes: [{name: b, hosts: [b], plugins: [${plugin('b')}]}]`))
    const response = await gateway.app.request('/readyz')
    expect(response.status).toBe(503)
    expect(await response.json()).toMatchObject({ reasons: [{ code: 'UNKNOWN_TOPIC' }] })
    await gateway.close()
    await started
  })
})

describe('vault references', () => {
  const text = `routes: [{hosts: [a], plugins: [${plugin('t').replace('host: k', 'host: "{vault://env/broker}"')}]}]`

  test('are resolved when a handler is created, and again for a new snapshot', async () => {
    const environment = { BROKER: 'one' }
    const gateway = createGateway({ environment, mayShow: () => true }, make)
    const snapshot = await read(text, environment)
    gateway.apply(snapshot)
    environment.BROKER = 'two'
    gateway.apply(snapshot)
    const brokers = made.map(({ options }) => String(options.bootstrapServers))
    expect(brokers).toEqual(['one:1', 'two:1'])
    await until(() => made[0]?.closes === 1, 'the former handler to be ended')
    expect(made[1]?.closes).toBe(0)
  })

  test('that cannot be resolved are refused', async () => {
    const gateway = createGateway({ environment: {}, mayShow: () => true }, make)
    const snapshot = await read(text, { BROKER: 'x' })
    expect(() => gateway.apply(snapshot)).toThrow('environment variable BROKER is not set')
  })

  test.each([
    ['cluster_name', plugin('t').replace('config: {', 'config: {cluster_name: REFERENCE, ')],
    ['topics', plugin('REFERENCE')],
    ['bootstrap_servers', plugin('t').replace('host: k', 'host: REFERENCE')],
  ])('read a secret nowhere that is shown: %s', async (field, config) => {
    const environment = { SECRET: 'planted-secret', HOST: 'h' }
    const mayShow = (variable: string) => variable === 'HOST'
    const snapshotOf = (variable: string) => {
      const reference = `"{vault://env/${variable}}"`
      const text = `routes: [{hosts: [a], plugins: [${config.replace('REFERENCE', reference)}]}]`
      return read(text, environment)
    }
    const gateway = createGateway({ environment, mayShow }, make)
    gateway.apply(await snapshotOf('HOST'))
    const secret = await snapshotOf('SECRET')
    expect(() => gateway.apply(secret)).toThrow(`config.${field}`)
    expect(() => gateway.apply(secret)).toThrow('this field is shown')
    expect(() => gateway.apply(secret)).not.toThrow('planted')
  })

  test('may read any variable into a field for a secret', async () => {
    const authentication =
      'authentication: {strategy: sasl, mechanism: PLAIN, user: u, password: "{vault://env/SECRET}"}'
    const config = plugin('t').replace('config: {', `config: {${authentication}, `)
    const environment = { SECRET: 'planted-secret' }
    const gateway = createGateway({ environment }, make)
    gateway.apply(await read(`routes: [{hosts: [a], plugins: [${config}]}]`, environment))
    expect(made.at(-1)?.options.authentication?.password).toBe('planted-secret')
  })
})
