/** `socket` of the package's client, on a server of the test's own, which speaks as no route does. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { KafkaStreamError, type SocketOptions, socket } from '../../src/client/index.ts'
import { within } from '../support/wait.ts'

let server: Bun.Server<undefined>
/** The answer to a request that becomes no socket. */
let refusal: ((request: Request) => Response) | undefined
let requests: Array<{ readonly method: string; readonly url: string }> = []
let frames: Array<string | Uint8Array> = []

beforeAll(() => {
  server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch(request, own) {
      // A request object itself is empty once it is answered.
      requests.push({ method: request.method, url: request.url })
      if (refusal) return refusal(request)
      return own.upgrade(request) ? undefined : new Response(null, { status: 426 })
    },
    websocket: {
      open(ws) {
        for (const frame of frames) ws.send(frame)
      },
      message() {},
    },
  })
})
afterAll(() => server.stop(true))
beforeEach(() => {
  refusal = undefined
  requests = []
})

function record(offset: number): string {
  const fields = { topic: 'orders', partition: 0, timestamp: 0, key: null, value: '', headers: {} }
  return JSON.stringify({ ...fields, offset, cursor: `orders:0=${offset + 1}` })
}

test.each<[string, string | Uint8Array]>([
  ['text', 'hello'],
  ['bytes', Uint8Array.of(0, 1)],
])(
  'a frame of %s that is not JSON ends the loop, after the records before it',
  async (_, frame) => {
    frames = [record(0), frame, record(2)]
    const offsets: number[] = []
    const reading = async () => {
      for await (const { offset } of socket(server.url)) offsets.push(offset)
    }
    const error = await within(reading(), 'the end of the loop', 5_000).catch((thrown) => thrown)
    expect(error).toBeInstanceOf(KafkaStreamError)
    expect(error).toMatchObject({ code: 'UNEXPECTED_ANSWER', retryable: false })
    expect(offsets).toEqual([0])
  },
)

test.each(['null', '5', '[]'])(
  'the frame %s, which says nothing, is passed over',
  async (frame) => {
    frames = [frame, record(0)]
    const records = socket(server.url)
    const { value } = await within(records.next(), 'a record', 5_000)
    expect(value).toMatchObject({ offset: 0 })
    await records.return()
  },
)

describe('a handshake that the server refuses', () => {
  test.each([401, 403, 404])('with %i ends the loop with that status', async (status) => {
    refusal = () => new Response(null, { status })
    const records = socket(new URL('/orders?access_token=old', server.url), { acks: true })
    const error = await within(records.next(), 'the end of the loop', 5_000).catch(
      (thrown) => thrown,
    )
    expect(error).toBeInstanceOf(KafkaStreamError)
    expect(error).toMatchObject({ status, retryable: false })
    expect(requests.at(-1)).toEqual({
      method: 'HEAD',
      url: String(new URL('/orders?access_token=old', server.url)),
    })
  })

  const passing = { 'Retry-After': '7' }
  test.each<[string, () => Response, object]>([
    ['503', () => new Response(null, { status: 503, headers: passing }), { status: 503 }],
    ['429', () => new Response(null, { status: 429, headers: passing }), { status: 429 }],
  ])('with %s is tried again after its Retry-After', async (_, answer, expected) => {
    refusal = answer
    const { error, delay } = await firstRetry()
    expect(error).toMatchObject({ ...expected, retryable: true, retryAfter: 7 })
    expect(delay).toBeGreaterThanOrEqual(7_000)
  })

  test.each([200, 405, 426])('is tried again where HEAD is answered with %i', async (status) => {
    refusal = ({ method }) => new Response(null, { status: method === 'HEAD' ? status : 500 })
    expect((await firstRetry()).error).toMatchObject({ code: 'DISCONNECTED', retryable: true })
  })

  test('is tried again where the app opens sockets itself', async () => {
    refusal = () => new Response(null, { status: 401 })
    const connect = (url: URL) => new WebSocket(url)
    expect((await firstRetry({ connect })).error).toMatchObject({ code: 'DISCONNECTED' })
    expect(requests.map(({ method }) => method)).toEqual(['GET'])
  })

  /** The error and the delay that the client announces before its first wait. */
  async function firstRetry(options: SocketOptions = {}) {
    const abort = new AbortController()
    let announced: { readonly error: Error; readonly delay: number } | undefined
    const records = socket(server.url, {
      ...options,
      signal: abort.signal,
      onRetry(error, delay) {
        announced = { error, delay }
        abort.abort(new Error('enough'))
      },
    })
    await expect(within(records.next(), 'a retry', 5_000)).rejects.toThrow('enough')
    if (!announced) throw new Error('The client did not announce a retry')
    return announced
  }
})
