/** The API's description: valid, complete, and true of what is served. */
import { describe, expect, test } from 'bun:test'
import { Validator } from '@seriousme/openapi-schema-validator'
import { Hono } from 'hono'
import * as v from 'valibot'
import { ERROR_STATUSES, KafkaConsumeError } from '../../src/core/errors.ts'
import { createGateway } from '../../src/gateway/app.ts'
import { WRITE_NAMES } from '../../src/http/produce/answer-post.ts'
import { parseRead, parseSocket, parseStream } from '../../src/http/request/parameters.ts'
import { kafkaConsume, kafkaProduce } from '../../src/index.ts'
import { readDeclarative } from '../../src/kong/config/declarative.ts'
import { kafkaDocs } from '../../src/observability/openapi/docs.ts'
import { type DescribedRoute, openApi } from '../../src/observability/openapi/openapi.ts'
import { PARAMETERS, SCHEMAS } from '../../src/observability/openapi/schemas.ts'
import { SseClient } from '../support/sse.ts'
import { until } from '../support/wait.ts'
import { GatewayProcess } from './gateway-process.ts'

const MODES = ['http-get', 'server-sent-events', 'websocket', 'auto'] as const

const routes: DescribedRoute[] = [
  ...MODES.map((mode) => ({
    name: mode,
    paths: [`/${mode}`, '~/expression$'],
    hosts: mode === 'auto' ? ['example.org'] : [],
    isPrefix: true,
    handler: {
      stats: () => ({
        mode,
        topics: ['t'],
        commitStrategy: 'off' as const,
        filters: { big: 'value.total > 1000' },
      }),
    },
  })),
  ...['/write', '/auto'].map((path) => ({
    name: path,
    paths: [path],
    hosts: [],
    handler: { stats: () => ({ mode: 'produce' as const, topics: ['t'] }) },
  })),
]

interface Operation {
  readonly operationId: string
  readonly parameters?: ReadonlyArray<{ readonly name: string; readonly in: string }>
  readonly responses: Readonly<Record<string, { readonly content?: Record<string, unknown> }>>
}
const OPERATIONS = ['/healthz', '/readyz', '/metrics', '/status'] as const
const paths = openApi(routes, OPERATIONS)['paths'] as Record<string, Record<string, Operation>>
const get = (path: string) => paths[path]?.['get'] as Operation
const post = (path: string) => paths[path]?.['post'] as Operation

describe('the OpenAPI document', () => {
  test.each([{ of: routes }, { of: [] }])(
    'is valid by the schema of OpenAPI 3.1',
    async ({ of }) => {
      const validator = new Validator()
      const result = await validator.validate({ ...openApi(of, OPERATIONS) })
      expect(result).toEqual({ valid: true })
      expect(validator.version).toBe('3.1')
      // The validator finds what is wrong.
      expect(await new Validator().validate({ openapi: '3.1.0', info: {} })).toMatchObject({
        valid: false,
      })
    },
  )

  test('resolves every reference, and has an id for every operation', () => {
    const document = openApi(routes, OPERATIONS)
    const text = JSON.stringify(document)
    const { schemas } = document['components'] as { schemas: object }
    for (const [, name = ''] of text.matchAll(/#\/components\/schemas\/(\w+)/g)) {
      expect(Object.keys(schemas)).toContain(name)
    }
    const ids = [...text.matchAll(/"operationId":"([^"]+)"/g)].map(([, id]) => id)
    expect(new Set(ids).size).toBe(ids.length)
  })

  test('describes records as JSON, events and lines, and every status with its codes', () => {
    expect(Object.keys(get('/http-get').responses[200]?.content ?? {})).toEqual([
      'application/json',
      'application/x-ndjson',
    ])
    expect(Object.keys(get('/server-sent-events').responses[200]?.content ?? {})).toEqual([
      'text/event-stream',
      'application/x-ndjson',
    ])
    expect(Object.keys(get('/auto').responses[200]?.content ?? {})).toHaveLength(3)
    expect(Object.keys(paths['/http-get/offsets'] ?? {})).toEqual(['get', 'post'])
    expect(Object.keys(paths['/server-sent-events/offsets'] ?? {})).toEqual(['get'])
    const text = JSON.stringify(get('/http-get').responses)
    for (const code of ['INVALID_CURSOR', 'KAFKA_UNAVAILABLE', 'TOO_MANY_CATCH_UP_READS']) {
      expect(text).toContain(code)
    }
    for (const status of new Set(Object.values(ERROR_STATUSES))) {
      expect(JSON.stringify(paths)).toContain(`"${status}":`)
    }
    expect(Object.keys(paths)).not.toContain('~/expression$')
  })

  test.each([
    ['/http-get', [(query: URLSearchParams) => parseRead(query, ['t'])]],
    ['/server-sent-events', [(query: URLSearchParams) => parseStream(query, undefined, ['t'])]],
    [
      '/websocket',
      ['true', 'false'].map((acks) => (query: URLSearchParams) => {
        query.set('acks', acks)
        return parseSocket(query, ['t'])
      }),
    ],
  ] as const)('the parameters of %s are those that are understood', (path, parsers) => {
    const known = parsers.flatMap((parse) => {
      try {
        parse(new URLSearchParams('nothing=1'))
      } catch (error) {
        if (!(error instanceof KafkaConsumeError)) throw error
        return /parameters here are (.*)$/.exec(error.message)?.[1]?.split(', ') ?? []
      }
      return []
    })
    const described = get(path).parameters?.filter((parameter) => parameter.in === 'query')
    expect(new Set(described?.map(({ name }) => name))).toEqual(new Set(known))
  })

  test('describes the named filters of a route where they are used', () => {
    const parameter = get('/http-get').parameters?.find(({ name }) => name === 'filter')
    expect(parameter).toMatchObject({
      description: expect.stringContaining('`@big`: `value.total > 1000`'),
      examples: { big: { value: '@big' } },
    })
  })

  test('describes writing beside reading at the same path', () => {
    for (const path of ['/write', '/auto']) {
      const { responses, parameters } = post(path)
      expect(parameters?.map(({ name }) => name)).toEqual([...WRITE_NAMES])
      const text = JSON.stringify(responses)
      for (const code of ['INVALID_RECORD', 'RECORD_TOO_LARGE', 'TOO_MANY_RECORDS']) {
        expect(text).toContain(code)
      }
    }
    expect(get('/auto').responses[200]).toBeDefined()
    expect(get('/write')).toBeUndefined()
  })

  test('of an app has the routes of the app alone', async () => {
    const [reading, writing] = [routes[0], routes.at(-1)].map((route) => route?.handler)
    if (!reading || !writing) throw new Error('Cannot test: there are no routes')
    const app = new Hono().route(
      '/ops',
      kafkaDocs({ '/orders': [reading, writing], '/orders/offsets': reading }),
    )
    const document = (await (await app.request('/ops/openapi.json')).json()) as {
      paths: Record<string, object>
    }
    expect(Object.keys(document.paths)).toEqual(['/orders', '/orders/offsets'])
    expect(Object.keys(document.paths['/orders'] ?? {})).toEqual(['get', 'head', 'post'])
    expect(Object.keys(document.paths['/orders/offsets'] ?? {})).toEqual(['get', 'post'])
    expect(await new Validator().validate({ ...document })).toEqual({ valid: true })
    expect((await app.request('/ops/docs')).status).toBe(200)
    expect((await app.request('/ops/docs/docs.js')).status).toBe(200)
  })

  test.each(['max_records', 'max_bytes', 'timeout'])(
    'the range of %s is the one that is allowed',
    (name) => {
      const refused = (value: number) => {
        try {
          parseRead(new URLSearchParams([[name, String(value)]]), ['t'])
          return false
        } catch {
          return true
        }
      }
      const schema = PARAMETERS[name]?.schema as v.GenericSchema
      for (const value of [-1, 0, 1, 10_000, 10_001, 60_000, 60_001, 2 ** 24, 2 ** 24 + 1]) {
        expect(refused(value)).toBe(!v.is(schema, value))
      }
    },
  )

  test('is not served where it is switched off', async () => {
    const { app } = createGateway({ docs: false, metrics: false })
    for (const path of ['/docs', '/openapi.json', '/docs/docs.js']) {
      expect((await app.request(path)).status).toBe(404)
    }
  })
})

describe('every path and method that is described is served', () => {
  /** The methods and paths of the description, each with the status of a request that asks nothing of Kafka. */
  async function walk(app: Hono): Promise<string[]> {
    const document = await (await app.request('/openapi.json')).json()
    const { paths } = document as { paths: Record<string, object> }
    const found: string[] = []
    for (const [path, operations] of Object.entries(paths)) {
      for (const method of Object.keys(operations)) {
        const init = method === 'post' ? { method, body: 'not JSON' } : { method }
        const response = await app.request(`${path}?unknown=1`, init)
        // A path with a parameter is served although what this request names does not exist.
        const isServed =
          (
            await response
              .clone()
              .json()
              .catch(() => ({}))
          ).code === 'UNKNOWN_TOPIC'
        const isRefused = [404, 405].includes(response.status) && !isServed
        expect([path, method, isRefused]).toEqual([path, method, false])
        found.push(`${method} ${path}`)
      }
    }
    return found.sort()
  }
  const own = [
    ...['get /messages', 'head /messages', 'get /messages/offsets'],
    ...['get /stream', 'head /stream', 'get /stream/offsets'],
    ...['get /socket', 'get /socket/offsets'],
  ]
  const pages = ['get /status', 'get /topics', 'get /topics/{topic}']
  const health = ['get /healthz', 'get /readyz']
  const cluster = { brokers: ['127.0.0.1:1'], topics: ['t'] }

  test.each([
    [{ cluster }, [...own, ...health, 'get /metrics', ...pages]],
    [{ cluster, metrics: false }, [...own, ...health, ...pages]],
    [{ cluster, console: 'off' }, [...own, ...health, 'get /metrics']],
    [{ cluster, console: '/ui' }, [...own, ...health, 'get /metrics', ...pages]],
  ])('by a gateway with %j', async (options, expected) => {
    const gateway = createGateway(options)
    expect(await walk(gateway.app)).toEqual(expected.sort())
    await gateway.close()
  })

  test('by routes of Kong’s configuration, as their mode, methods and commit strategy allow', async () => {
    const routes = [
      ['commits', '{paths: [/commits]', 'commit_strategy: auto'],
      ['posted', '{paths: [/posted, /also/]', 'commit_strategy: off'],
      ['reads', '{paths: [/reads], methods: [GET]', 'commit_strategy: off'],
      ['posts', '{paths: [/posts], methods: [POST]', 'commit_strategy: off'],
      ['streams', '{paths: [/streams]', 'mode: server-sent-events'],
    ].map(([name, criteria, config]) => {
      const kafka = 'bootstrap_servers: [{host: 127.0.0.1, port: 1}], topics: [{name: t}]'
      const plugins = `[{name: kafka-consume, config: {${kafka}, ${config}}}]`
      return `- ${criteria}, name: ${name}, plugins: ${plugins}}`
    })
    const snapshot = await readDeclarative(
      ['_format_version: "3.0"', 'routes:', ...routes].join('\n'),
      { environment: {}, ignoreUnknown: false },
    )
    const gateway = createGateway({ metrics: false, console: 'off' })
    gateway.apply(snapshot)
    expect(await walk(gateway.app)).toEqual(
      [
        ...health,
        ...['get /commits', 'head /commits', 'get /commits/offsets'],
        ...['get /posted', 'head /posted', 'get /posted/offsets', 'post /posted/offsets'],
        ...['get /also/', 'head /also/', 'get /also/offsets', 'post /also/offsets'],
        ...['get /reads', 'get /reads/offsets', 'post /posts/offsets'],
        ...['get /streams', 'head /streams', 'get /streams/offsets'],
      ].sort(),
    )
    await gateway.close()
  })

  test('by an app, with what it has named', async () => {
    const options = { bootstrapServers: '127.0.0.1:1', topics: ['t'] }
    const committing = kafkaConsume(options)
    const posted = kafkaConsume({ ...options, mode: 'auto', commitStrategy: 'off' })
    const writing = kafkaProduce(options)
    const app = new Hono()
      .get('/committing', committing)
      .get('/posted', posted)
      .post('/posted', writing)
      .get('/both', posted)
      .all('/both/offsets', posted)
    app.route(
      '/',
      kafkaDocs({
        '/committing': committing,
        '/posted': [posted, writing],
        '/both': posted,
        '/both/offsets': posted,
      }),
    )
    expect(await walk(app)).toEqual(
      [
        ...['get /both', 'head /both', 'get /both/offsets', 'post /both/offsets'],
        ...['get /committing', 'head /committing'],
        ...['get /posted', 'head /posted', 'post /posted'],
      ].sort(),
    )
    await Promise.all([committing, posted, writing].map((handler) => handler.close()))
  })
})

test('the answers of a gateway are as the OpenAPI document describes them', async () => {
  const { gateway, url } = await GatewayProcess.listening()
  await using _ = gateway
  await until(async () => (await fetch(`${url}/readyz`)).status === 200, 'readiness', 20_000)
  const json = async (path: string) => (await fetch(url + path)).json()
  const strict = (value: unknown, schema: v.GenericSchema) => {
    // Unknown properties are refused, so that a field that a schema lacks fails the test.
    expect(v.parse(schema, value)).toEqual(value)
  }
  strict(await json('/readyz'), SCHEMAS.Health)
  strict(await json('/status'), SCHEMAS.Status)
  strict(await json('/messages?max_records=2'), SCHEMAS.KongRecords)
  strict(await json('/messages?start=earliest&format=records&max_records=2'), SCHEMAS.Records)
  strict(await json('/messages/offsets'), SCHEMAS.ReportedOffsets)
  strict(await json('/stream/offsets'), SCHEMAS.ReportedOffsets)
  strict(await json('/messages?start=earliest&end=earliest&format=records'), SCHEMAS.Records)
  strict(await json('/messages?max_records=0'), SCHEMAS.Error)
  strict(await json('/nowhere'), SCHEMAS.Error)
  const stream = await SseClient.open(`${url}/stream?start=earliest`)
  await stream.until(1)
  strict(JSON.parse(stream.events[0]?.data ?? ''), SCHEMAS.Record)
  strict(stream.lastEventId, SCHEMAS.Cursor)
  await stream[Symbol.asyncDispose]()
  const document = (await json('/openapi.json')) as { paths: object }
  for (const path of ['/messages', '/stream', '/socket', '/status']) {
    expect(Object.keys(document.paths)).toContain(path)
  }
}, 120_000)
