/** An app that several threads serve by `serveThreads`. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type ServeThreadsOptions, serveThreads } from '../../src/threads.ts'
import { GatewayProcess } from '../gateway/gateway-process.ts'
import { TestKafka } from '../support/kafka.ts'
import { until } from '../support/wait.ts'

const RECORDS = 200
const MAX_STREAMS = 6
const root = join(import.meta.dirname, '..', '..')
const folder = mkdtempSync(join(tmpdir(), 'serve-threads-'))

setDefaultTimeout(90_000)

let kafka: TestKafka
beforeAll(async () => {
  kafka = await TestKafka.real()
})
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true })
  await kafka?.close()
})

function moduleOf(name: string, code: string): URL {
  const path = join(folder, name)
  writeFileSync(path, code)
  return pathToFileURL(path)
}

/** A connection of its own may reach another thread than the one before. */
function get(url: string): Promise<Response> {
  return fetch(url, { headers: { connection: 'close' } })
}

async function errorOf(options: ServeThreadsOptions): Promise<string> {
  return serveThreads(options).then(
    async (server) => {
      await server.close()
      return 'no error'
    },
    ({ message }: Error) => message,
  )
}

describe('the example', () => {
  test('gives each record to one client, counts streams of all threads, and ends in good order', async () => {
    const topic = await kafka.createTopic(4)
    await kafka.produce(
      topic,
      Array.from({ length: RECORDS }, (_, n) => ({ partition: n % 4, value: `${n}` })),
    )
    await using app = GatewayProcess.spawnCommand(
      [process.execPath, join(root, 'examples', 'threads.ts')],
      { KAFKA_BROKERS: kafka.bootstrapServers, KAFKA_TOPICS: topic, PORT: '0' },
      root,
    )
    const url = (await app.url()).replace('localhost', '127.0.0.1')
    const got: string[] = []
    await until(async () => {
      const answer = await get(`${url}/orders?max_records=10&timeout=1000`)
      const { records } = (await answer.json()) as { records: ReadonlyArray<{ value: string }> }
      got.push(...records.map(({ value }) => value))
      return new Set(got).size === RECORDS
    }, 'all records')
    expect(got).toHaveLength(RECORDS)

    const answers: Response[] = []
    for (let n = 0; n < MAX_STREAMS; n++) answers.push(await get(`${url}/orders/live`))
    expect(answers.map(({ status }) => status)).toEqual(Array(MAX_STREAMS).fill(200))
    for (let n = 0; n < 2 * MAX_STREAMS; n++) {
      expect((await get(`${url}/orders/live`)).status).toBe(503)
    }

    app.signal('SIGTERM')
    const bodies = await Promise.all(answers.map((answer) => answer.text()))
    for (const body of bodies) expect(body).toEndWith('\n\n')
    expect(await app.exited(15_000)).toBe(0)
  })
})

describe('serveThreads', () => {
  test('lends a reader of the group, whose records are those of the thread that owns Kafka', async () => {
    const topic = await kafka.createTopic(1)
    await kafka.produce(topic, [{ partition: 0, value: 'first' }])
    const options = {
      bootstrapServers: kafka.bootstrapServers,
      topics: [topic],
      autoOffsetReset: 'earliest',
    }
    const module = moduleOf(
      'reader.ts',
      `import { Hono } from ${JSON.stringify(import.meta.resolve('hono'))}
      import { kafkaReader } from ${JSON.stringify(join(root, 'src', 'index.ts'))}
      export default new Hono()
        .use(kafkaReader(${JSON.stringify(options)}))
        .get('/', async (c) => {
          const { records } = await c.var.kafka.poll({ timeout: 5_000 })
          return c.json(records.map(({ value }) => value))
        })`,
    )
    const server = await serveThreads({ module, workers: 2, hostname: '127.0.0.1' })
    try {
      await until(
        async () => (await (await get(`http://127.0.0.1:${server.port}/`)).text()) === '["first"]',
        'the record',
        30_000,
      )
    } finally {
      await server.close()
    }
  })

  test('passes sockets and functions of the module on, and replaces a thread that ends by an error', async () => {
    const server = await serveThreads({
      module: moduleOf(
        'own.ts',
        `export default {
          fetch(request: Request, server: Bun.Server<undefined>) {
            const { pathname } = new URL(request.url)
            if (pathname === '/socket' && server.upgrade(request)) return undefined
            if (pathname === '/fail') setTimeout(() => { throw new Error('planted') })
            return new Response(pathname)
          },
          websocket: { message: (socket: Bun.ServerWebSocket, text: string) => socket.send(text + '!') },
        }`,
      ),
      workers: 2,
      hostname: '127.0.0.1',
    })
    const url = `http://127.0.0.1:${server.port}`
    try {
      expect(await (await get(`${url}/one`)).text()).toBe('/one')
      const { promise, resolve, reject } = Promise.withResolvers<unknown>()
      const socket = new WebSocket(`${url.replace('http', 'ws')}/socket`)
      socket.onopen = () => socket.send('hello')
      socket.onmessage = ({ data }) => resolve(data)
      socket.onerror = () => reject(new Error('no socket'))
      expect(await promise).toBe('hello!')
      socket.close()
      for (let n = 0; n < 4; n++) await get(`${url}/fail`).catch(() => undefined)
      await until(
        async () => {
          const answers = await Promise.all(
            Array.from({ length: 12 }, () => get(`${url}/again`).catch(() => undefined)),
          )
          return answers.every((answer) => answer?.status === 200)
        },
        'all threads to serve again',
        30_000,
      )
    } finally {
      await server.close()
    }
    // Another process may have the port by now, so that an answer alone says nothing.
    const text = await get(`${url}/one`).then(
      (answer) => answer.text(),
      () => undefined,
    )
    expect(text).not.toBe('/one')
  })

  test('says why a module cannot be served', async () => {
    const none = moduleOf('none.ts', 'export const app = 1')
    expect(await errorOf({ module: none, workers: 2 })).toBe(
      `Cannot serve ${none}: its default export must be an app, or an object with "fetch"`,
    )
    const broken = moduleOf('broken.ts', "throw new Error('planted')")
    expect(await errorOf({ module: broken, workers: 2 })).toContain('planted')
  })

  test.each([
    ['waits for ever at its top level', 'await new Promise(() => {})'],
    ['is in an endless loop', 'for (;;) {}'],
  ])('ends the threads of a module that %s, and names it', async (_, code) => {
    const module = moduleOf(`never-${code.length}.ts`, `${code}\nexport default {}`)
    expect(await errorOf({ module, workers: 2, startTimeout: 3_000 })).toStartWith(
      `Cannot serve ${module}: thread 0 has not begun within 3 s`,
    )
  })

  test('replaces a thread that does not begin until one does, and names the module in the log', async () => {
    const flag = join(folder, 'late')
    const module = moduleOf(
      'late.ts',
      `import { existsSync } from 'node:fs'
      import { threadId } from 'node:worker_threads'
      if (existsSync(${JSON.stringify(flag)})) await new Promise(() => {})
      export default {
        fetch(request: Request) {
          if (request.url.endsWith('/fail')) setTimeout(() => { throw new Error('planted') })
          return new Response(String(threadId))
        },
      }`,
    )
    const program = moduleOf(
      'late-threads.ts',
      `import { serveThreads } from ${JSON.stringify(join(root, 'src', 'threads.ts'))}
      const module = new URL('./late.ts', import.meta.url)
      const server = await serveThreads({ module, workers: 2, hostname: '127.0.0.1', startTimeout: 3_000 })
      console.log('http://127.0.0.1:' + server.port)`,
    )
    await using app = GatewayProcess.spawnCommand([process.execPath, program.pathname], {}, root)
    const url = await app.url()
    const seen = new Set<string>()
    const ask = async () => {
      const answer = await get(url).catch(() => undefined)
      if (answer) seen.add(await answer.text())
      return seen.size
    }
    await until(async () => (await ask()) === 2, 'both threads to answer')
    writeFileSync(flag, '')
    await get(`${url}/fail`).catch(() => undefined)
    await until(
      () => app.logged(`Cannot serve ${module}: thread`) >= 2,
      () => `a thread that does not begin to be ended twice: ${app.stderr.slice(-500)}`,
      60_000,
    )
    rmSync(flag)
    await until(
      async () => (await ask()) === 3,
      () => `the thread to be replaced: ${app.stderr.slice(-500)}`,
      60_000,
    )
  })

  test.each<[Partial<Record<keyof ServeThreadsOptions, unknown>>, string]>([
    [{ module: './app.ts' }, 'module: a URL is required'],
    [{ workers: 0 }, 'workers: a whole number from 1 to 64, or "auto", is required'],
    [{ workers: 1.5 }, 'workers: a whole number from 1 to 64, or "auto", is required'],
    [{ workers: '2' }, 'workers: a whole number from 1 to 64, or "auto", is required'],
    [{ port: 65_536 }, 'port: a whole number from 0 to 65535 is required'],
    [{ hostname: '' }, 'hostname: it must not be empty'],
    [{ startTimeout: 999 }, 'startTimeout: a whole number from 1000 to 3600000 is required'],
  ])('refuses the options %j: %s', async (options, message) => {
    const module = pathToFileURL(join(folder, 'app.ts'))
    const error = await errorOf({ module, ...options } as ServeThreadsOptions)
    expect(error).toStartWith('Cannot use these serveThreads options: ')
    expect(error).toContain(message)
  })

  test('refuses a port that another process listens on', async () => {
    const other = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Response() })
    const { port } = other
    const module = pathToFileURL(join(folder, 'app.ts'))
    expect(await errorOf({ module, port, hostname: '127.0.0.1' })).toBe(
      `Cannot listen on port ${port}: another process does, choose another with the option port`,
    )
    await other.stop(true)
  })
})
