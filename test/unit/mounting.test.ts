import { afterAll, describe, expect, test } from 'bun:test'
import { type Handler, Hono, type MiddlewareHandler } from 'hono'
import {
  KafkaConsumeError,
  type KafkaReaderEnv,
  kafkaConsume,
  kafkaReader,
} from '../../src/index.ts'

// No broker listens there, and none is asked: these answers come before Kafka is needed.
const options = { bootstrapServers: '127.0.0.1:1', topics: ['t'] } as const
const kafka = kafkaConsume({ ...options, mode: 'auto' })
const reader = kafkaReader(options)
afterAll(async () => {
  await Promise.all([kafka.close(), reader.close()])
})

/** `answers` if `kafkaConsume` answers, `lends` if the handler behind has a reader. */
async function roleIn(app: Hono<KafkaReaderEnv>, path = '/orders'): Promise<string> {
  // A handler that reads the query refuses a limit of 0.
  const response = await app.request(`${path}?max_records=0`)
  const body = await response.text()
  if (response.status === 400 && body.includes('max_records')) return 'answers'
  if (response.status === 500 && body.includes('kafkaReader')) return 'refuses'
  if (response.status === 200 && body === 'reader') return 'lends'
  return `${response.status}: ${body}`
}

function app(): Hono<KafkaReaderEnv> {
  return new Hono<KafkaReaderEnv>()
}

const behind: Handler<KafkaReaderEnv> = (c) =>
  c.text((c.var as Partial<KafkaReaderEnv['Variables']>).kafka ? 'reader' : 'no reader')

describe('kafkaConsume answers', () => {
  test.each<[string, () => Hono<KafkaReaderEnv>]>([
    ['app.get', () => app().get('/orders', kafka)],
    ['app.all', () => app().all('/orders', kafka)],
    ['app.on', () => app().on(['GET', 'POST'], '/orders', kafka)],
    ['app.use without a wildcard', () => app().use('/orders', kafka)],
    ['a parameter in the path', () => app().get('/:name', kafka)],
    ['a sub-app', () => app().route('/', app().get('/orders', kafka))],
    [
      'middleware before it',
      () =>
        app()
          .use('*', (_, next) => next())
          .get('/orders', kafka),
    ],
    ['kafkaReader before it', () => app().use(reader).get('/orders', kafka)],
    ['a wildcard fallback after it', () => app().get('/orders', kafka).get('*', behind)],
    ['a wildcard middleware after it', () => app().get('/orders', kafka).use('*', behind)],
    ['another method after it', () => app().get('/orders', kafka).post('/orders', behind)],
    ['another path after it', () => app().get('/orders', kafka).get('/others', behind)],
    ['a wildcard with nothing behind it', () => app().get('/*', kafka)],
    ['a wildcard with a wider one behind it', () => app().get('/orders/*', kafka).get('*', behind)],
  ])('%s', async (_, make) => {
    expect(await roleIn(make())).toBe('answers')
  })

  test('any method but GET and HEAD is refused', async () => {
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']) {
      const response = await app().all('/orders', kafka).request('/orders', { method })
      expect(response.status).toBe(405)
      expect(response.headers.get('allow')).toBe('GET, HEAD')
    }
  })
})

/** Ways to put something in front of the handler `behind`. */
const inFront: ReadonlyArray<[string, (handler: MiddlewareHandler) => Hono<KafkaReaderEnv>]> = [
  ['app.get with a following handler', (handler) => app().get('/orders', handler, behind)],
  ['app.all with a following handler', (handler) => app().all('/orders', handler, behind)],
  ['app.use on a wildcard', (handler) => app().use('*', handler).get('/orders', behind)],
  ['app.use on everything', (handler) => app().use(handler).get('/orders', behind)],
  ['app.use on one path', (handler) => app().use('/orders', handler).get('/orders', behind)],
  [
    'app.use in a sub-app',
    (handler) => app().route('/', app().use('*', handler).get('/orders', behind)),
  ],
  [
    'app.use in front of a sub-app',
    (handler) => app().use('*', handler).route('/', app().get('/orders', behind)),
  ],
]

describe('kafkaReader provides c.var.kafka to the handler behind it', () => {
  test.each([...inFront])('%s', async (_, make) => {
    expect(await roleIn(make(reader))).toBe('lends')
  })

  test('in a sub-app with a base path', async () => {
    const sub = app().use('/*', reader).get('/orders', behind)
    expect(await roleIn(app().route('/api', sub), '/api/orders')).toBe('lends')
  })

  test('it never answers: a path without a handler is a 404 of the app', async () => {
    const alone = app().use('/api/*', reader).get('/api/orders', behind)
    expect((await alone.request('/api/other')).status).toBe(404)
    expect((await app().get('/orders', reader).request('/orders')).status).toBe(404)
  })

  test('a fallback that is mounted later changes nothing', async () => {
    const fallback = app()
      .use('/orders', reader)
      .get('/orders', behind)
      .get('*', (c) => c.text('fallback'))
    expect(await roleIn(fallback)).toBe('lends')
  })
})

describe('kafkaConsume in front of a handler that it would hide fails with an error that names kafkaReader', () => {
  test.each([...inFront])('%s', async (_, make) => {
    expect(await roleIn(make(kafka))).toBe('refuses')
  })

  test('in a sub-app with a base path', async () => {
    const sub = app().use('/*', kafka).get('/orders', behind)
    expect(await roleIn(app().route('/api', sub), '/api/orders')).toBe('refuses')
    const alone = app().get('/orders', kafka)
    expect(await roleIn(app().route('/api', alone), '/api/orders')).toBe('answers')
  })
})

test('kafkaConsume and kafkaReader refuse wrong options when they are called, not at a request', () => {
  const options = { bootstrapServers: 'nowhere', topics: ['t'] }
  for (const make of [() => kafkaConsume(options), () => kafkaReader(options)]) {
    expect(make).toThrow(KafkaConsumeError)
  }
})

test('kafkaConsume that is closed before its first request answers 503', async () => {
  const handler = kafkaConsume({ bootstrapServers: '127.0.0.1:1', topics: ['t'] })
  await handler.close()
  await handler.close()
  const response = await new Hono().get('/orders', handler).request('/orders')
  expect(response.status).toBe(503)
  expect(response.headers.get('retry-after')).toBe('2')
  expect(await response.json()).toMatchObject({ code: 'SHUTTING_DOWN', retryable: true })
})

test('a request has one reader: a second one is refused, whose records would not have the types of the first', async () => {
  const other = kafkaReader({ ...options, topics: ['others'] })
  const app = new Hono<KafkaReaderEnv>()
    .get('/two', reader, other, (c) => c.text('two'))
    .get('/twice', reader, reader, (c) => c.text('twice'))
  const refused = await app.request('/two')
  expect([refused.status, await refused.json()]).toEqual([
    500,
    {
      message:
        'Cannot lend c.var.kafka: another kafkaReader has lent it to this request; give one kafkaReader the topics of both',
      code: 'INVALID_OPTIONS',
    },
  ])
  expect(await (await app.request('/twice')).text()).toBe('twice')
  await other.close()
})
