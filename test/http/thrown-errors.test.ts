/** Errors that reach the error handler of an app. */
import { expect, test } from 'bun:test'
import { Hono } from 'hono'
import { HTTPException } from 'hono/http-exception'
import { answerError } from '../../src/gateway/answer-error.ts'
import { KafkaConsumeError, kafkaReader } from '../../src/index.ts'
import { collectLog, messagesOf } from '../support/log.ts'

const logged = collectLog()

const busy = () =>
  new KafkaConsumeError('TOO_MANY_RECORDS', 'Cannot read the request: too many arrive at a time', {
    retryAfter: 7,
    detail: 'words of the client',
  })

test('an error answers as a route would, and keeps the client’s own words back', async () => {
  const response = busy().getResponse()
  expect(response.status).toBe(503)
  expect(response.headers.get('retry-after')).toBe('7')
  expect(await response.json()).toEqual({
    message: 'Cannot read the request: too many arrive at a time',
    code: 'TOO_MANY_RECORDS',
    retryable: true,
  })
})

test('the answer to an error has the headers that middlewares in front have set', async () => {
  const app = new Hono()
  app.use(async (c, next) => {
    c.header('X-Request-Id', '1')
    await next()
  })
  app.get('/', () => {
    throw busy()
  })
  const response = await app.request('/')
  expect([response.status, response.headers.get('x-request-id')]).toEqual([503, '1'])
})

test('the gateway answers an error that a plugin throws with its time to retry', async () => {
  const app = new Hono().get('/', () => {
    throw busy()
  })
  const response = await app.onError(answerError).request('/')
  expect([response.status, response.headers.get('retry-after')]).toEqual([503, '7'])
  expect(await response.json()).toMatchObject({ code: 'TOO_MANY_RECORDS', retryable: true })
})

test('an unexpected error of a handler behind kafkaReader is logged with its cause, unless its client has left', async () => {
  const reader = kafkaReader({ bootstrapServers: '127.0.0.1:1', topics: ['orders'] })
  const app = new Hono()
  app.use(reader)
  app.get('/unexpected', () => {
    throw new KafkaConsumeError('INTERNAL', 'Cannot run Lua functions: their state did not start', {
      cause: new Error('no memory'),
    })
  })
  app.get('/expected', () => {
    throw busy()
  })
  app.get('/other', () => {
    throw new HTTPException(500)
  })
  const statuses = []
  for (const path of ['/unexpected', '/expected', '/other']) {
    statuses.push((await app.request(path)).status)
  }
  await app.request('/unexpected', { signal: AbortSignal.abort() })
  expect(statuses).toEqual([500, 503, 500])
  expect(messagesOf(logged)).toEqual(['Cannot answer GET /unexpected: Error: no memory'])
  await reader.close()
})
