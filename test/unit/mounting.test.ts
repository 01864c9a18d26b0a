import { describe, expect, test } from 'bun:test'
import { type Handler, Hono } from 'hono'
import { type KafkaConsumeEnv, KafkaConsumeError, kafkaConsume } from '../../src/index.ts'

// Nobody listens there, and nobody is asked: what is looked at comes before Kafka.
const kafka = kafkaConsume({ bootstrapServers: '127.0.0.1:1', topics: ['t'], mode: 'auto' })

/** `answers` where the handler answers by itself, `passes` where it leaves that to the next one. */
async function roleIn(app: Hono<KafkaConsumeEnv>, path = '/orders'): Promise<string> {
  // A limit of 0 is refused by whoever reads the query.
  const response = await app.request(`${path}?max_records=0`)
  const body = await response.text()
  if (response.status === 400 && body.includes('max_records')) return 'answers'
  if (response.status === 200 && body === 'reader') return 'passes'
  return `${response.status}: ${body}`
}

function app(): Hono<KafkaConsumeEnv> {
  return new Hono<KafkaConsumeEnv>()
}

const behind: Handler<KafkaConsumeEnv> = (c) =>
  c.text((c.var as Partial<KafkaConsumeEnv['Variables']>).kafka ? 'reader' : 'no reader')

describe('kafkaConsume mounted as a handler answers by itself', () => {
  test.each<[string, () => Hono<KafkaConsumeEnv>]>([
    ['app.get', () => app().get('/orders', kafka)],
    ['app.all', () => app().all('/orders', kafka)],
    ['app.on', () => app().on(['GET', 'POST'], '/orders', kafka)],
    ['app.use without a wildcard and a follower', () => app().use('/orders', kafka)],
    ['a parameter in the path', () => app().get('/:name', kafka)],
    ['a sub-app', () => app().route('/', app().get('/orders', kafka))],
    [
      'middleware before it',
      () =>
        app()
          .use('*', (_, next) => next())
          .get('/orders', kafka),
    ],
    ['a wildcard fallback after it', () => app().get('/orders', kafka).get('*', behind)],
    ['a wildcard middleware after it', () => app().get('/orders', kafka).use('*', behind)],
    ['another method after it', () => app().get('/orders', kafka).post('/orders', behind)],
    ['another path after it', () => app().get('/orders', kafka).get('/others', behind)],
    ['a wildcard with nothing behind it', () => app().get('/*', kafka)],
  ])('%s', async (_, make) => {
    expect(await roleIn(make())).toBe('answers')
  })

  test('HEAD takes no records: it is refused as any method but GET', async () => {
    for (const method of ['HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']) {
      const response = await app().all('/orders', kafka).request('/orders', { method })
      expect(response.status).toBe(405)
      expect(response.headers.get('allow')).toBe('GET')
    }
  })
})

describe('kafkaConsume followed by a handler is a middleware', () => {
  test.each<[string, () => Hono<KafkaConsumeEnv>]>([
    ['app.get with a following handler', () => app().get('/orders', kafka, behind)],
    ['app.all with a following handler', () => app().all('/orders', kafka, behind)],
    ['app.use on a wildcard', () => app().use('*', kafka).get('/orders', behind)],
    ['app.use on everything', () => app().use(kafka).get('/orders', behind)],
    ['app.use on the same path', () => app().use('/orders', kafka).get('/orders', behind)],
    ['in a sub-app', () => app().route('/', app().use('*', kafka).get('/orders', behind))],
    ['in front of a sub-app', () => app().use('*', kafka).route('/', app().get('/orders', behind))],
  ])('%s', async (_, make) => {
    expect(await roleIn(make())).toBe('passes')
  })

  test('in a sub-app with a base path', async () => {
    const sub = app().use('/*', kafka).get('/orders', behind)
    expect(await roleIn(app().route('/api', sub), '/api/orders')).toBe('passes')
    const alone = app().get('/orders', kafka)
    expect(await roleIn(app().route('/api', alone), '/api/orders')).toBe('answers')
  })

  test('and a path that only the wildcard matches is a 404 of the app, not of Kafka', async () => {
    const other = app().use('/api/*', kafka).get('/api/orders', behind)
    expect((await other.request('/other')).status).toBe(404)
  })
})

test('kafkaConsume refuses wrong options when it is called, not at a request', () => {
  expect(() => kafkaConsume({ bootstrapServers: 'nowhere', topics: ['t'] })).toThrow(
    KafkaConsumeError,
  )
})

test('kafkaConsume that is closed before its first request answers 503 from then on', async () => {
  const handler = kafkaConsume({ bootstrapServers: '127.0.0.1:1', topics: ['t'] })
  await handler.close()
  await handler.close()
  const response = await new Hono().get('/orders', handler).request('/orders')
  expect(response.status).toBe(503)
  expect(response.headers.get('retry-after')).toBe('2')
  expect(await response.json()).toMatchObject({ code: 'SHUTTING_DOWN', retryable: true })
})
