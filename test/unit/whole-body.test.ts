import { describe, expect, test } from 'bun:test'
import { createConnection } from 'node:net'
import { type Context, Hono } from 'hono'
import { type BunRequest, bunRequestOf } from '../../src/http/request/runtime.ts'
import { answerWhole, WHOLE_BODY_BYTES } from '../../src/http/response/whole-body.ts'
import { sleep, stays, until, within } from '../support/wait.ts'
import { settle, ticket } from './fakes.ts'

const LONG = 60_000

function bytes(length: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length }, (_, index) => index % 251)
}

/** An app whose answers are given to Bun's server whole; its middlewares are added before. */
class Server implements AsyncDisposable {
  readonly app = new Hono()
  /** How the delivery of each answer ended. */
  readonly deliveries: string[][] = []
  #server: Bun.Server<undefined> | undefined

  /** @param deadline Milliseconds. */
  start(size: number, deadline = LONG): this {
    this.app.get('*', async (c) => {
      const { delivery, ended } = ticket()
      this.deliveries.push(ended)
      await settle()
      return answerWhole(c, bytes(size), {}, delivery, bunRequestOf(c) as BunRequest, deadline)
    })
    this.#server = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: this.app.fetch })
    return this
  }

  /** Whether all answers are complete, or their connections closed. */
  get isIdle(): boolean {
    return this.#server?.pendingRequests === 0
  }

  get port(): number {
    return this.#server?.port as number
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server?.stop(true)
  }
}

/** A client that reads only by word. */
class Client implements Disposable {
  readonly socket
  readonly #server: Server

  constructor(server: Server) {
    this.#server = server
    this.socket = createConnection(server.port, '127.0.0.1')
    this.socket.pause()
    this.socket.on('error', () => {})
  }

  /** @returns How the delivery ends. */
  async get(): Promise<string[]> {
    const { deliveries } = this.#server
    const count = deliveries.length
    this.socket.write('GET / HTTP/1.1\r\nHost: test\r\n\r\n')
    await until(() => deliveries.length > count, 'the request')
    return deliveries[count] as string[]
  }

  /** Asks until the socket takes no more: the last delivery is open then. */
  async fillSocket(): Promise<string[]> {
    for (;;) {
      const ended = await this.get()
      // The kernel may take the rest a little later, while it makes its buffers larger.
      for (let wait = 0; wait < 30 && ended.length === 0; wait++) await sleep(10)
      if (ended[0] !== 'done') return ended
    }
  }

  [Symbol.dispose](): void {
    this.socket.destroy()
  }
}

describe.each([60 * 1024, 256 * 1024, WHOLE_BODY_BYTES])('a whole body of %d bytes', (size) => {
  test('is done when the socket has taken the bytes, and the client gets all of them', async () => {
    await using server = new Server().start(size)
    const response = await fetch(server.url)
    expect(response.headers.get('content-length')).toBe(String(size))
    expect(Buffer.from(await response.bytes()).equals(bytes(size))).toBe(true)
    await until(() => server.deliveries[0]?.length === 1, 'the end of the delivery')
    expect(server.deliveries).toEqual([['done']])
  })

  test('stays open while the socket is full, and is done when its client reads on', async () => {
    await using server = new Server().start(size)
    using client = new Client(server)
    const ended = await client.fillSocket()
    await stays(() => ended.length === 0, 'the delivery is open', 50)
    client.socket.resume()
    await until(() => ended.length > 0, 'the delivery')
    expect(ended).toEqual(['done'])
  })

  test('is requeued when its client leaves while its socket is full', async () => {
    await using server = new Server().start(size)
    using client = new Client(server)
    const ended = await client.fillSocket()
    client.socket.destroy()
    await until(() => ended.length > 0, 'the end of the delivery')
    expect(ended).toEqual(['requeued'])
  })

  test('is requeued when its client reads nothing for the deadline, and the connection ends', async () => {
    await using server = new Server().start(size, 200)
    using client = new Client(server)
    let isClosed = false
    client.socket.on('close', () => {
      isClosed = true
    })
    const ended = await client.fillSocket()
    // Bun looks for idle connections each four seconds.
    await until(() => ended.length > 0, 'the deadline', 20_000)
    expect(ended).toEqual(['requeued'])
    await until(() => server.isIdle, 'the end of the request', 20_000)
    client.socket.resume()
    await until(() => isClosed, 'the end of the connection', 20_000)
  })
})

describe('a whole body behind a middleware', () => {
  /** A middleware, and how the delivery ends by it. */
  const middlewares: ReadonlyArray<[string, (c: Context) => unknown, 'done' | 'requeued']> = [
    [
      'that answers otherwise',
      (c) => {
        c.res = undefined
        c.res = new Response('other')
      },
      'requeued',
    ],
    [
      'that throws',
      () => {
        throw new Error('The middleware of a test throws')
      },
      'requeued',
    ],
    [
      'that cancels the body and answers otherwise',
      async (c) => {
        await c.res.body?.cancel()
        c.res = undefined
        c.res = new Response('other')
      },
      'requeued',
    ],
    [
      'that sends the body in another response',
      (c) => {
        const { body } = c.res
        c.res = undefined
        c.res = new Response(body, { headers: { 'x-other': 'yes' } })
      },
      'done',
    ],
    [
      'that transforms the body',
      (c) => {
        const { body } = c.res
        c.res = undefined
        c.res = new Response(body?.pipeThrough(new TransformStream<Uint8Array, Uint8Array>()))
      },
      'done',
    ],
    ['that only looks for a body', (c) => c.res.body === null, 'done'],
    ['that sets a header', (c) => c.res.headers.set('x-other', 'yes'), 'done'],
    ['that takes its time', () => Bun.sleep(30), 'done'],
  ]

  test.each(middlewares)('%s', async (_, change, end) => {
    await using server = new Server()
    server.app.onError((_, c) => c.text('an error', 500))
    server.app.use(async (c, next) => {
      await next()
      await change(c)
    })
    server.start(3_000)
    const got = await (await fetch(server.url)).bytes()
    await until(() => server.deliveries[0]?.length === 1, 'the end of the delivery')
    expect(server.deliveries).toEqual([[end]])
    expect(Buffer.from(got).equals(bytes(3_000))).toBe(end === 'done')
  })

  test('that holds it back is requeued when its client leaves meanwhile', async () => {
    const held = Promise.withResolvers<void>()
    await using server = new Server()
    server.app.use(async (_, next) => {
      await next()
      await held.promise
    })
    server.start(3_000)
    using client = new Client(server)
    const ended = await client.get()
    await settle()
    expect(ended).toEqual([])
    client.socket.destroy()
    await until(() => ended.length > 0, 'the end of the delivery')
    held.resolve()
    expect(ended).toEqual(['requeued'])
  })

  test('that never sends it is requeued at the deadline', async () => {
    const held = Promise.withResolvers<void>()
    await using server = new Server()
    server.app.use(async (_, next) => {
      await next()
      await held.promise
    })
    server.start(3_000, 50)
    const answer = fetch(server.url)
    await until(() => server.deliveries[0]?.length === 1, 'the deadline')
    expect(server.deliveries).toEqual([['requeued']])
    held.resolve()
    await within(answer, 'the answer')
  })
})
