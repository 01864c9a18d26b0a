/** HTTPS on Node, and where the module of the gateway does not serve it. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { WebSocket } from 'ws'
import { Certificates } from '../support/certificate.ts'
import { Http2Client } from '../support/http2.ts'
import { TestKafka } from '../support/kafka.ts'
import { npmTool } from '../support/npm-tool.ts'
import { freePort } from '../support/port.ts'
import { until, within } from '../support/wait.ts'

const root = join(import.meta.dirname, '../..')
const { PATH = '', HOME = '' } = process.env
const COUNT = 8

let certificates: Certificates
let kafka: TestKafka
let topic: string

beforeAll(async () => {
  certificates = new Certificates()
  certificates.make('localhost')
  certificates.make('renewed')
  kafka = await TestKafka.real()
  topic = await kafka.createTopic()
  await kafka.produce(
    topic,
    Array.from({ length: COUNT }, (_, n) => ({ partition: n % 4, value: `${n}` })),
  )
})

afterAll(async () => {
  await kafka.close()
  certificates[Symbol.dispose]()
})

function start(argv: string[], environment: Record<string, string>) {
  const child = Bun.spawn(argv, {
    cwd: root,
    env: {
      ...{ PATH, HOME, NO_COLOR: '1', HOST: '127.0.0.1', PORT: '0' },
      ...{ KAFKA_BROKERS: kafka.bootstrapServers, KAFKA_TOPICS: topic, ...environment },
    },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const output = { text: '' }
  for (const stream of [child.stdout, child.stderr]) {
    void (async () => {
      for await (const chunk of stream) output.text += new TextDecoder().decode(chunk)
    })()
  }
  return { child, output }
}

test('Node serves HTTP/2, HTTP/1.1 and wss, redirects, and shows a renewed certificate at SIGHUP', async () => {
  const files = ['crt', 'key'].map((type) => certificates.file(`now.${type}`))
  const install = (name: string) => {
    for (const file of files) copyFileSync(file.replace('/now.', `/${name}.`), file)
  }
  install('localhost')
  const [TLS_CERT = '', TLS_KEY = ''] = files
  const HTTPS_PORT = String(await freePort())
  const { child, output } = start([await npmTool('node'), 'src/node.ts'], {
    ...{ TLS_CERT, TLS_KEY, HTTPS_PORT, HTTPS_REDIRECT: 'on', HSTS: '60' },
  })
  try {
    const plain = () => /http:\/\/\S+:\d+/.exec(output.text)?.[0]
    await until(
      () => plain() !== undefined || child.exitCode !== null,
      () => output.text,
      60_000,
    )
    const url = `https://127.0.0.1:${HTTPS_PORT}`
    await using client = await Http2Client.connect(url)
    expect(client.subject).toBe('localhost')
    const stream = client.open('/stream?start=earliest')
    await stream.until(COUNT)
    expect(stream.headers?.['strict-transport-security']).toBe('max-age=60')

    const curl = Bun.spawnSync(['curl', '-sk', '--http1.1', `${url}/messages?start=earliest`])
    expect(JSON.parse(curl.stdout.toString())).toHaveProperty(topic)
    const socket = new WebSocket(`wss://127.0.0.1:${HTTPS_PORT}/socket?start=earliest`, {
      rejectUnauthorized: false,
    })
    let frames = 0
    socket.on('message', () => frames++)
    await until(() => frames > COUNT, 'the records on a WebSocket')
    socket.close()
    const redirected = await fetch(`${plain()}/stream`, { redirect: 'manual' })
    expect(redirected.headers.get('location')).toBe(`${url}/stream`)

    install('renewed')
    child.kill('SIGHUP')
    await until(() => output.text.includes('certificates valid until'), 'the renewal')
    await using again = await Http2Client.connect(url)
    expect(again.subject).toBe('renewed')
    await kafka.produce(topic, [{ partition: 0, value: 'after' }])
    await stream.until(COUNT + 1)
  } finally {
    child.kill('SIGKILL')
    await child.exited
  }
}, 90_000)

test('the module refuses TLS_CERT on Bun and Deno, instead of serving plain HTTP in its place', async () => {
  const [TLS_CERT, TLS_KEY] = ['crt', 'key'].map((type) => certificates.file(`localhost.${type}`))
  for (const argv of [
    [process.execPath, 'src/worker.ts'],
    [await npmTool('deno'), 'serve', '-A', '--port', '0', 'src/worker.ts'],
  ]) {
    const { child, output } = start(argv, { TLS_CERT: TLS_CERT ?? '', TLS_KEY: TLS_KEY ?? '' })
    expect(await within(child.exited, `${argv[0]} to exit`, 60_000)).not.toBe(0)
    await until(
      () => output.text.includes('Cannot start: TLS_CERT is not read here'),
      () => output.text,
    )
  }
}, 90_000)
