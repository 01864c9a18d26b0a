import { expect } from 'bun:test'
import { TestKafka } from '../support/kafka.ts'
import { sendRaw } from '../support/raw.ts'
import type { FlatBody } from '../support/route.ts'
import { SocketClient } from '../support/socket.ts'
import { SseClient } from '../support/sse.ts'
import { until, within } from '../support/wait.ts'

const { PATH = '', HOME = '' } = process.env
const COUNT = 8

/** Runs the gateway by a command, reads a topic from it in every way that it has, and ends it while a stream is open. */
export async function expectServes(argv: readonly string[], cwd: string): Promise<void> {
  const kafka = await TestKafka.real()
  const topic = await kafka.createTopic()
  await kafka.produce(
    topic,
    Array.from({ length: COUNT }, (_, n) => ({
      partition: n % 4,
      value: new Uint8Array([0xff, n]),
    })),
  )
  const child = Bun.spawn([...argv], {
    cwd,
    env: {
      ...{ PATH, HOME, NO_COLOR: '1', HOST: '127.0.0.1', PORT: '0' },
      ...{ KAFKA_BROKERS: kafka.bootstrapServers, KAFKA_TOPICS: topic },
    },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  })
  let said = ''
  for (const output of [child.stdout, child.stderr]) {
    void (async () => {
      for await (const chunk of output) said += new TextDecoder().decode(chunk)
    })()
  }
  try {
    const port = () => /http:\/\/\S+?:(\d+)/.exec(said)?.[1]
    await until(
      () => port() !== undefined || child.exitCode !== null,
      () => `an address in: ${said}`,
      60_000,
    )
    if (port() === undefined) throw new Error(`${argv.join(' ')} ended: ${said}`)
    const url = `http://127.0.0.1:${port()}`
    await expectReads(url)
    const stream = await within(fetch(`${url}/stream?start=earliest`), 'a stream')
    await within((stream.body as ReadableStream).getReader().read(), 'its first event')
    child.kill('SIGTERM')
    await within(child.exited, 'its end at SIGTERM', 9_000)
    expect(said).not.toMatch(/ (ERROR|WARNING) |Warning:/)
  } finally {
    child.kill('SIGKILL')
    await child.exited
    await kafka.close()
  }
}

async function expectReads(url: string): Promise<void> {
  const flat = async (path: string) => {
    const response = await within(fetch(`${url}${path}`), path, 40_000)
    expect([path, response.status]).toEqual([path, 200])
    return ((await response.json()) as FlatBody).records
  }
  await using stream = await SseClient.open(`${url}/stream?start=earliest`)
  await using socket = await SocketClient.open(`${url}/socket?start=earliest`)
  await Promise.all([stream.until(COUNT), socket.until(COUNT)])
  const fromStart = await flat('/messages?start=earliest&format=records')
  const asGroup: unknown[] = []
  while (asGroup.length < COUNT) {
    const records = await flat('/messages?format=records')
    expect(records).not.toBeEmpty()
    asGroup.push(...records)
  }
  const sorted = (records: readonly unknown[]) => records.map((one) => JSON.stringify(one)).sort()
  for (const records of [socket.withoutCursors(), fromStart, asGroup]) {
    expect(sorted(records)).toEqual(sorted(stream.records()))
  }
  for (const page of [
    '/',
    '/console/console.js',
    '/docs',
    '/docs/scalar.js',
    '/openapi.json',
    '/metrics',
  ]) {
    expect([page, (await fetch(`${url}${page}`)).status]).toEqual([page, 200])
  }
  for (const health of [
    'GET /healthz HTTP/1.0\n\n',
    // The request of `curl --http2`, which asks for an upgrade.
    'GET /healthz HTTP/1.1\nHost: x\nConnection: Upgrade, HTTP2-Settings\nUpgrade: h2c\nHTTP2-Settings: AAMAAABk\n\n',
  ]) {
    expect([health, await sendRaw(url, health)]).toEqual([
      health,
      expect.stringMatching(/^HTTP\/1\.\d 200 /),
    ])
  }
}
