/** How much of the bodies of requests is read at a time, and what comes beyond it. */
import { expect, test } from 'bun:test'
import { type Context, Hono } from 'hono'
import { asKafkaConsumeError } from '../../src/core/errors.ts'
import { readRequestBody, replaceBody } from '../../src/http/request/request-body.ts'
import { errorResponse } from '../../src/http/response/error-response.ts'
import { within } from '../support/wait.ts'

const MIB = 1024 * 1024
const part = new Uint8Array(MIB)

const read = (maxBytes: number) => async (c: Context) => {
  try {
    const body = await readRequestBody(c, { action: 'write records', maxBytes })
    return c.json(body.length)
  } catch (error) {
    return errorResponse(c, asKafkaConsumeError(error), false)
  }
}
const app = new Hono().post('/large', read(4 * MIB)).post('/', read(MIB))

/** Posts a body, in the form of a request whose length is known, or not. */
async function post(body: Uint8Array<ArrayBuffer>, hasLength: boolean, path = '/') {
  const headers: Record<string, string> = hasLength ? { 'content-length': `${body.length}` } : {}
  const response = await app.request(path, { method: 'POST', headers, body })
  const retryAfter = response.headers.get('retry-after')
  const { code } = (await response.json()) as { code?: string }
  return { status: response.status, code, retryAfter }
}

/** A request whose body arrives in part, and then waits. */
function begin(path: string, bytes: Uint8Array<ArrayBuffer>) {
  const arrived = Promise.withResolvers<void>()
  const end = Promise.withResolvers<void>()
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      controller.enqueue(bytes)
      arrived.resolve()
      await end.promise
      controller.close()
    },
  })
  const response = Promise.resolve(app.request(path, { method: 'POST', body }))
  return { arrived: arrived.promise, end: end.resolve, response }
}

const BUSY = { status: 503, code: 'TOO_MANY_RECORDS', retryAfter: '1' }
const TOO_LARGE = { status: 413, code: 'RECORD_TOO_LARGE', retryAfter: null }

test('bodies of all routes share 64 MiB; beyond it a body is 503, and one beyond its own limit is 413', async () => {
  const others = Array.from({ length: 16 }, () => begin('/large', new Uint8Array(4 * MIB)))
  await within(Promise.all(others.map(({ arrived }) => arrived)), 'the bodies to arrive')
  // The budget counts a part in the turn in which it is read.
  await within(
    (async () => {
      while ((await post(part, true)).status !== 503) await Bun.sleep(5)
    })(),
    'the bodies to be counted',
  )
  for (const hasLength of [true, false]) {
    expect(await post(part, hasLength)).toEqual(BUSY)
    expect(await post(new Uint8Array(1), hasLength)).toEqual(BUSY)
    expect(await post(new Uint8Array(MIB + 1), hasLength)).toEqual(TOO_LARGE)
  }
  for (const { end } of others) end()
  for (const { response } of others) expect(await (await response).json()).toBe(4 * MIB)
  expect(await post(part, false)).toMatchObject({ status: 200 })
})

test('a body that a plugin has read is read again, up to the limit of the route', async () => {
  const again = new Hono()
  again.use(async (c, next) => {
    const body = await readRequestBody(c, { action: 'read the request', maxBytes: 100 })
    replaceBody(c, body.slice(0, 50))
    await next()
  })
  again.post('/10', read(10)).post('/60', read(60))
  const ask = (path: string) => again.request(path, { method: 'POST', body: 'x'.repeat(80) })
  expect(await (await ask('/60')).json()).toBe(50)
  expect((await ask('/10')).status).toBe(413)
})
