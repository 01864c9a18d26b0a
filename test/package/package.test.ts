import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { AppProcess } from '../support/app-process.ts'
import { TestKafka } from '../support/kafka.ts'
import { npmTool } from '../support/npm-tool.ts'
import { PackedApp } from '../support/packed.ts'
import { run } from '../support/run-program.ts'
import { until, within } from '../support/wait.ts'

// Where the addon is not in the cache it is compiled, on a machine that may be busy.
setDefaultTimeout(600_000)

const root = join(import.meta.dirname, '../..')
const bun = process.execPath

const LUA = 'return function(message) message.value = "Lua: " .. message.value; return message end'

/** The first app of the README, for a topic. */
function readmeApp(bootstrapServers: string, topic: string): string {
  const [, code = ''] = /## In a Hono app.*?```ts\n(.*?)```/s.exec(
    readFileSync(join(root, 'README.md'), 'utf8'),
  ) as RegExpExecArray
  expect(code).toContain("'localhost:9092'")
  const adapted = code
    .replace("'localhost:9092'", JSON.stringify(bootstrapServers))
    .replace("['orders']", JSON.stringify([topic]))
  expect(adapted).toContain('\nexport default app\n')
  return adapted
}

describe('the package', () => {
  let packed: PackedApp
  let app = ''
  beforeAll(async () => {
    packed = await PackedApp.install('hono')
    app = packed.folder
  }, 600_000)
  afterAll(() => packed?.[Symbol.dispose]())

  test('describes its content: publint and attw find nothing', async () => {
    const said = await run([await npmTool('publint'), packed.tarball, '--strict'], app)
    expect(said).toContain('All good')
    await run([await npmTool('attw'), '--profile', 'esm-only', packed.tarball], app)
  })

  test('npm installs it without a warning', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'npm-'))
    writeFileSync(join(folder, 'package.json'), '{"name": "app", "type": "module"}')
    const path = `${dirname(await npmTool('node22'))}:${process.env['PATH']}`
    const argv = ['npm', 'install', '--dry-run', '--ignore-scripts', 'hono', packed.tarball]
    const env = { ...process.env, PATH: path }
    const npm = Bun.spawn(argv, { cwd: folder, env, stdin: 'ignore', stderr: 'pipe' })
    const said = await new Response(npm.stderr).text()
    expect(said).not.toContain('warn')
    expect([await npm.exited, said]).toEqual([0, expect.any(String)])
    rmSync(folder, { recursive: true })
  })

  test('has its main entry in a few files, with what is used later in others', async () => {
    const program = `await import('hono-kafka-consume')
      console.log(Object.keys(require.cache).filter((file) => file.includes('/hono-kafka-consume/')).join())`
    const files = (await run([bun, '--eval', program], app)).trim().split(',')
    expect(files.length).toBeWithin(2, 10)
    const later = [
      'answer-request',
      'answer-post',
      'cluster-registry',
      'openapi',
      'avro',
      'protobuf',
    ]
    expect(files.filter((file) => later.some((name) => file.endsWith(`/${name}.js`)))).toEqual([])
    const chunks = readdirSync(join(app, 'node_modules/hono-kafka-consume/chunks'))
    for (const name of later) expect(chunks).toContain(`${name}.js`)
  })

  test("client/react begins with 'use client', which server components need, and no other module does", () => {
    const folder = join(app, 'node_modules/hono-kafka-consume')
    const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    const isForClients = (file: string) =>
      /\.js$/.test(file) && /^['"]use client['"]/.test(readFileSync(join(folder, file), 'utf8'))
    expect(files.filter(isForClients)).toEqual(['src/client/react.js'])
  })

  test("runs the README's app in an empty folder", async () => {
    const kafka = await TestKafka.real()
    const topic = await kafka.createTopic()
    await kafka.produce(topic, [{ partition: 0, value: 'hello' }])
    writeFileSync(join(app, 'index.ts'), readmeApp(kafka.bootstrapServers, topic))
    await using server = await AppProcess.start([bun, 'index.ts'], app)
    const { url } = server
    try {
      const get = await within(fetch(`${url}/orders`), 'records', 30_000)
      expect(await get.json()).toMatchObject({
        [topic]: { partitions: { 0: { records: [{ value: 'hello' }] } } },
      })
      // Longer than Bun's idle timeout, which the app leaves as it is.
      const quiet = fetch(`${url}/orders?timeout=15000`)
      const live = await within(fetch(`${url}/orders/live?start=earliest`), 'a stream', 30_000)
      const reader = (live.body as ReadableStream<Uint8Array>).getReader()
      let stream = ''
      while (!stream.includes('"value":"hello"')) {
        const { value } = await within(reader.read(), 'the record on a stream')
        stream += new TextDecoder().decode(value)
      }
      await reader.cancel()
      expect((await within(quiet, 'an empty answer', 30_000)).status).toBe(200)
    } finally {
      await kafka.close()
    }
  })

  test("the README's app works bundled and compiled by Bun, with node_modules beside it", async () => {
    const kafka = await TestKafka.real()
    const topic = await kafka.createTopic()
    await kafka.produce(topic, [{ partition: 0, value: 'hello' }])
    writeFileSync(join(app, 'bundled.ts'), readmeApp(kafka.bootstrapServers, topic))
    await run([bun, 'build', '--target', 'bun', 'bundled.ts', '--outdir', 'bundle'], app)
    const compile = [bun, 'build', '--compile', 'bundled.ts', '--outfile']
    await run([...compile, 'compiled', '--compile-autoload-package-json'], app)
    await run([...compile, 'unread'], app)
    try {
      for (const command of [[bun, 'bundle/bundled.js'], ['./compiled']]) {
        await using server = await AppProcess.start(command, app)
        const group = await within(fetch(`${server.url}/orders`), 'records', 30_000)
        expect(await group.json()).toMatchObject({
          [topic]: { partitions: { 0: { records: [{ value: 'hello' }] } } },
        })
        const read = fetch(`${server.url}/orders?start=earliest&format=value`)
        expect(await (await within(read, 'records', 30_000)).json()).toContain('hello')
        await kafka.produce(topic, [{ partition: 0, value: 'hello' }])
      }
      await using unread = await AppProcess.start(['./unread'], app)
      const body = await (await within(fetch(`${unread.url}/orders`), 'an error', 30_000)).text()
      expect(body).toContain('Compile it with --compile-autoload-package-json')
      // Far from the packages, where a set-up alone does not help.
      const alone = mkdtempSync(join(tmpdir(), 'alone-'))
      cpSync(join(app, 'compiled'), join(alone, 'compiled'))
      cpSync(join(app, 'bundle'), join(alone, 'bundle'), { recursive: true })
      for (const command of [['./compiled'], [bun, 'bundle/bundled.js']]) {
        await using server = await AppProcess.start(command, alone)
        const refused = await within(fetch(`${server.url}/orders`), 'an error', 30_000)
        expect(await refused.json()).toMatchObject({
          code: 'INTERNAL',
          message: expect.stringMatching(
            /must be installed in the folder of this bundle or program, or above: .*`, then restart$/,
          ),
        })
        await until(
          () => server.stderr.includes(' ERROR   http: Cannot answer GET /orders'),
          () => `the line about it in: ${server.stderr}`,
        )
      }
      rmSync(alone, { recursive: true })
    } finally {
      await kafka.close()
    }
  })

  test('Lua functions, filters and pages work in a bundle and in a compiled program, which evaluate the app once', async () => {
    const kafka = await TestKafka.real()
    const topic = await kafka.createTopic()
    await kafka.produce(topic, [{ partition: 0, value: 'hello' }])
    const options = {
      bootstrapServers: kafka.bootstrapServers,
      topics: [topic],
      messageByLuaFunctions: [LUA],
      filters: { hello: 'value.matches("hel+o")' },
    }
    writeFileSync(
      join(app, 'lua.ts'),
      `import { Hono } from 'hono'
import { kafkaConsole, kafkaConsume, kafkaDocs } from 'hono-kafka-consume'
const read = kafkaConsume(${JSON.stringify(options)})
console.error('evaluated')
export default new Hono()
  .get('/records', read)
  .route('/', kafkaConsole())
  .route('/', kafkaDocs({ '/records': read }))
`,
    )
    await run([bun, 'build', '--target', 'bun', 'lua.ts', '--outdir', 'lua'], app)
    const compile = [bun, 'build', '--compile', '--compile-autoload-package-json', 'lua.ts']
    await run([...compile, '--outfile', 'lua-compiled'], app)
    try {
      for (const command of [[bun, 'lua/lua.js'], ['./lua-compiled']]) {
        await using server = await AppProcess.start(command, app)
        const read = fetch(`${server.url}/records?start=earliest&filter=@hello&format=value`)
        expect(await (await within(read, 'records', 60_000)).json()).toEqual(['Lua: hello'])
        for (const file of ['console/lit/lit-html.js', 'console/uplot.css', 'docs/scalar.js']) {
          expect((await fetch(`${server.url}/${file}`)).status).toBe(200)
        }
        expect(server.stderr.split('evaluated')).toHaveLength(2)
      }
    } finally {
      await kafka.close()
    }
  })

  test('the gateway serves by several threads where it is installed, bundled or compiled', async () => {
    const kafka = await TestKafka.real()
    const topic = await kafka.createTopic()
    await kafka.produce(topic, [{ partition: 0, value: 'hello' }])
    const program = 'node_modules/hono-kafka-consume/src/server.js'
    await run([bun, 'build', '--target', 'bun', program, '--outfile', 'gateway.js'], app)
    const compile = [bun, 'build', '--compile', '--compile-autoload-package-json', program]
    await run([...compile, '--outfile', 'gateway'], app)
    const flags = ['--brokers', kafka.bootstrapServers, '--topics', topic, '--workers', '2']
    try {
      for (const command of [[bun, program], [bun, 'gateway.js'], ['./gateway']]) {
        const argv = [...command, ...flags, '--port', '0', '--admin-port', 'off']
        await using server = await AppProcess.start(argv, app)
        const ready = async () => (await fetch(`${server.url}/readyz`)).status === 200
        await until(ready, () => `the gateway: ${server.stdout}${server.stderr}`, 60_000)
        expect(server.stderr).toContain('2 threads serve, and one owns Kafka')
        const read = fetch(`${server.url}/messages?start=earliest&format=value`)
        expect(await (await within(read, 'records', 60_000)).json()).toEqual(['hello'])
      }
    } finally {
      await kafka.close()
    }
  })

  test('serves an app by several threads', async () => {
    const kafka = await TestKafka.real()
    const topic = await kafka.createTopic()
    await kafka.produce(topic, [{ partition: 0, value: 'hello' }])
    writeFileSync(join(app, 'threads-app.ts'), readmeApp(kafka.bootstrapServers, topic))
    writeFileSync(
      join(app, 'threads.ts'),
      `import { serveThreads } from 'hono-kafka-consume/threads'
const module = new URL('./threads-app.ts', import.meta.url)
const { port } = await serveThreads({ module, workers: 2 })
console.log('http://localhost:' + port)
`,
    )
    try {
      await using server = await AppProcess.start([bun, 'threads.ts'], app)
      const page = await within(fetch(`${server.url}/orders?start=earliest`), 'a page', 60_000)
      expect(await page.json()).toMatchObject({
        [topic]: { partitions: { 0: { records: [{ value: 'hello' }] } } },
      })
    } finally {
      await kafka.close()
    }
  })

  test('gives its types to an app, and its Kafka side by itself', async () => {
    writeFileSync(
      join(app, 'typed.ts'),
      `import { kafkaConsume, type KafkaConsumeOptions } from 'hono-kafka-consume'
import { kafkaSide } from 'hono-kafka-consume/kafka'
const options: KafkaConsumeOptions = { bootstrapServers: 'localhost:1', topics: ['t'] }
// @ts-expect-error: it is an unknown option
kafkaConsume({ ...options, unheard: 1 } satisfies KafkaConsumeOptions)
const broker = await kafkaSide.startEmbeddedBroker({ topic: 't', records: 1, recordsPerSecond: 0 })
const records: number = broker.bootstrapServers.length
console.log('brokers', records)
process.exit()
`
        .replace('kafkaConsume({ ...options', 'try { kafkaConsume({ ...options')
        .replace('satisfies KafkaConsumeOptions)', 'satisfies KafkaConsumeOptions) } catch {}'),
    )
    const flags = ['--noEmit', '--strict', '--skipLibCheck', '--module', 'preserve']
    const types = ['--target', 'esnext', '--types', join(root, 'node_modules/@types/bun')]
    await run([join(root, 'node_modules/.bin/tsc'), ...flags, ...types, 'typed.ts'], app)
    expect(await run([bun, 'typed.ts'], app)).toContain('brokers 1')
  })

  test('has a client that runs on Bun, Deno and Node', async () => {
    const record = { topic: 't', partition: 0, offset: 0, key: null, value: 'hello' }
    const answer = `data: ${JSON.stringify(record)}\nid: t:0=1\n\n`
    const headers = { 'Content-Type': 'text/event-stream' }
    using server = Bun.serve({ port: 0, fetch: () => new Response(answer, { headers }) })
    writeFileSync(
      join(app, 'client.mjs'),
      `import { stream } from 'hono-kafka-consume/client'
for await (const { value, cursor } of stream('${server.url}')) {
  console.log(value, cursor)
  break
}
`,
    )
    const deno = [await npmTool('deno'), 'run', '-A']
    for (const command of [[bun], deno, [await npmTool('node22')], [await npmTool('node20')]]) {
      expect(await run([...command, 'client.mjs'], app)).toContain('hello t:0=1')
    }
  })

  test('a handler whose first request came at the limit of open files answers the next one, on Bun, Deno and Node', async () => {
    writeFileSync(
      join(app, 'limit.mjs'),
      `import { closeSync, openSync } from 'node:fs'
import { Hono } from 'hono'
import { kafkaConsume, kafkaProduce, kafkaReader, kafkaStatus, kafkaTopics } from 'hono-kafka-consume'
const cluster = { bootstrapServers: 'localhost:1', topics: ['t'] }
const app = new Hono()
  .get('/read', kafkaConsume(cluster))
  .get('/lent', kafkaReader(cluster), (c) => c.text('lent'))
  .post('/write', kafkaProduce(cluster))
  .get('/status', kafkaStatus({}))
  .route('/topics', kafkaTopics({}))
const requests = [['/read?max_records=0'], ['/lent'], ['/write', { method: 'POST' }], ['/status'], ['/topics']]
const statuses = async () => {
  const answers = []
  for (const request of requests) answers.push((await app.request(...request)).status)
  return answers.join(' ')
}
const open = []
try {
  for (;;) open.push(openSync('/dev/null'))
} catch {}
const [first, second] = [await statuses(), await statuses()]
for (const file of open) closeSync(file)
console.log(first, '|', second, '|', await statuses())
process.exit()
`,
    )
    const deno = [await npmTool('deno'), 'run', '-A']
    const nodes = [[await npmTool('node22')], [await npmTool('node24')], [await npmTool('node')]]
    for (const command of [[bun], deno, ...nodes]) {
      const argv = ['sh', '-c', 'ulimit -n 200 && exec "$@"', 'sh', ...command, 'limit.mjs']
      const child = Bun.spawn(argv, { cwd: app, stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' })
      const [out, errors] = await Promise.all([
        new Response(child.stdout).text(),
        new Response(child.stderr).text(),
      ])
      const failed = '500 500 500 500 500'
      expect(out, errors).toBe(`${failed} | ${failed} | 400 200 400 200 200\n`)
      expect(errors).toContain('Cannot load what answers requests')
    }
  }, 120_000)

  test('brings the files that its pages load', async () => {
    writeFileSync(
      join(app, 'pages.ts'),
      `import { Hono } from 'hono'
import { kafkaConsole, kafkaDocs } from 'hono-kafka-consume'
const app = new Hono().route('/', kafkaConsole()).route('/', kafkaDocs({}))
for (const page of ['/', '/docs']) {
  const html = await (await app.request(page)).text()
  for (const [, file] of html.matchAll(/(?:src|href)="((?:console|docs)\\/[^"]+)"/g)) {
    console.log(file, (await app.request('/' + file)).status)
  }
}
`,
    )
    const said = (await run([bun, 'pages.ts'], app)).trim().split('\n')
    expect(said).toContain('console/lit/lit-html.js 200')
    expect(said).toContain('docs/scalar.js 200')
    for (const line of said) expect(line).toEndWith(' 200')
  })

  test('has a command that explains itself and serves', async () => {
    const command = [bun, 'x', 'hono-kafka-consume']
    expect(await run([...command, '--help'], app)).toContain('setup')
    const help = await run([...command, 'server', '--help'], app)
    expect(help).toStartWith('Usage: bunx hono-kafka-consume server [options]')
    expect(help).toContain('--brokers')
    expect(await run([...command, 'setup', '--help'], app)).toStartWith(
      'Usage: bunx hono-kafka-consume setup [options]',
    )
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      version: string
    }
    expect((await run([...command, '--version'], app)).trim()).toBe(version)
    await expect(run([...command, 'sing'], app)).rejects.toThrow('Cannot run "sing"')
  })

  test('sets up where no other package is installed, such as Hono', async () => {
    const alone = mkdtempSync(join(tmpdir(), 'alone-'))
    cpSync(join(app, 'node_modules/hono-kafka-consume'), alone, { recursive: true })
    const command = [bun, '--no-install', 'package/bin.js']
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
    expect((await run([...command, '--version'], alone)).trim()).toBe(version)
    expect(await run([...command, 'setup', '--help'], alone)).toStartWith('Usage: ')
    // The set-up itself ends only at the Kafka client, which it compiles.
    await expect(run([...command, 'setup'], alone)).rejects.toThrow(
      'Cannot find the package @confluentinc/kafka-javascript: it is not installed',
    )
    rmSync(alone, { recursive: true })
  })
})
