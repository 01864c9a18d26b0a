/**
 * This package's client and clients of other authors read a topic to its end by their own way of coming back, through proxies
 * that cut their connections, other authors' proxies, and gateways that are killed: each record comes
 * once. The short form has the clients of npm and nginx; `bun run test:field` has all.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { provideChromium } from '../support/chromium.ts'
import { TestKafka } from '../support/kafka.ts'
import { sendRaw } from '../support/raw.ts'
import { isLong, sized } from './support/form.ts'
import { FieldGateway } from './support/gateway.ts'
import type { Command } from './support/installed.ts'
import { PageOrigin } from './support/page-client.ts'
import { SEED } from './support/random.ts'
import {
  acknowledgingReader,
  chromiumReaders,
  type Origin,
  provide,
  readersOf,
} from './support/readers.ts'
import { FieldTopic, MANY_PARTITIONS, readAll } from './support/reading.ts'
import { type ProxyKind, ReverseProxy } from './support/reverse-proxy.ts'

const LIMIT = sized(180_000, 600_000)
const ORIGINS = sized<readonly Origin[]>(
  ['this package', 'npm'],
  ['this package', 'npm', 'PyPI', 'Go'],
)
const PROXIES = sized<readonly ProxyKind[]>(['nginx'], ['nginx', 'haproxy', 'caddy'])

/** Proxies that pass on WebSockets only when they are configured to. */
const WITHOUT_SOCKETS: ReadonlySet<ProxyKind> = new Set(['nginx'])

/** The short form's tests wait for clients that wait: all of them at once take no longer than one. */
const field = isLong ? test : test.concurrent

let kafka: TestKafka
const commands = new Map<Origin, Command>()

beforeAll(async () => {
  console.log(`FIELD_SEED=${SEED} repeats what this run does to connections`)
  kafka = await TestKafka.real()
  for (const origin of ORIGINS) commands.set(origin, await provide(origin))
  if (isLong) await provideChromium()
}, 600_000)
afterAll(() => kafka?.close())

function commandOf(origin: Origin): Command {
  const command = commands.get(origin)
  if (!command) throw new Error(`Cannot run clients of ${origin}: they are not installed`)
  return command
}

function gatewayOf(topic: FieldTopic, ...flags: string[]): Promise<FieldGateway> {
  const { bootstrapServers } = kafka
  return FieldGateway.start('--brokers', bootstrapServers, '--topics', topic.name, ...flags)
}

/** The id of a topic's first record in a stream. */
async function idOfFirstRecord(port: number): Promise<string | undefined> {
  const abort = new AbortController()
  const url = `http://127.0.0.1:${port}/stream?start=earliest`
  const { body } = await fetch(url, { signal: abort.signal })
  const record = /^data: \{"topic".*\nid: (.*)\n/m
  let text = ''
  for await (const part of body as ReadableStream<Uint8Array>) {
    text += new TextDecoder().decode(part, { stream: true })
    if (record.test(text)) break
  }
  abort.abort()
  return record.exec(text)?.[1]
}

type Reading = Parameters<typeof readAll>[0]

async function expectEachOnce(reading: Reading): Promise<void> {
  const tallies = await readAll(reading)
  console.table(tallies)
  for (const { name, fault } of reading.readers) {
    const { received, lost, doubled, disordered } = tallies[name] ?? {}
    const within = (count = Number.NaN, most = 0) => count <= most
    expect({ name, received, lost, doubled, disordered }).toSatisfy(
      () => within(lost, fault?.lost) && within(doubled, fault?.doubled) && disordered === 0,
    )
  }
}

describe.each([...ORIGINS])('clients of %s get each record once', (origin) => {
  field(
    'from a gateway that is killed',
    async () => {
      const topic = await FieldTopic.create(kafka)
      await using gateway = await gatewayOf(topic)
      const readers = readersOf(origin, commandOf(origin), true)
      await expectEachOnce({ topic, readers, port: gateway.port, victim: gateway })
    },
    LIMIT,
  )

  field(
    'by compact ids, from a gateway that is killed',
    async () => {
      const topic = await FieldTopic.create(kafka, MANY_PARTITIONS)
      await using gateway = await gatewayOf(topic)
      expect(await idOfFirstRecord(gateway.port)).toStartWith('~')
      const readers = readersOf(origin, commandOf(origin), true)
      await expectEachOnce({ topic, readers, port: gateway.port, victim: gateway })
    },
    LIMIT,
  )

  field.each([...PROXIES])(
    'through %s as it is installed',
    async (kind) => {
      const topic = await FieldTopic.create(kafka)
      await using gateway = await gatewayOf(topic)
      await using proxy = await ReverseProxy.start(kind, gateway.port)
      const readers = readersOf(origin, commandOf(origin), !WITHOUT_SOCKETS.has(kind))
      await expectEachOnce({ topic, readers, port: proxy.port })
    },
    LIMIT,
  )
})

field.each([['npm', 'ws-acks'] as const, ['this package', 'socket-acks'] as const])(
  'a group that acknowledges by WebSocket loses no record, from a gateway that is killed: %s',
  async (origin, program) => {
    const topic = await FieldTopic.create(kafka)
    const folder = mkdtempSync(join(tmpdir(), 'field-'))
    await using cleanUp = new AsyncDisposableStack()
    cleanUp.defer(() => rmSync(folder, { recursive: true }))
    const config = join(folder, 'kong.json')
    const [host, port] = kafka.bootstrapServers.split(':')
    const plugin = {
      name: 'kafka-consume',
      config: {
        bootstrap_servers: [{ host, port: Number(port) }],
        topics: [{ name: topic.name }],
        mode: 'websocket',
        consumer_group: { mode: 'manual', consumer_group_id: topic.name },
      },
    }
    const routes = [{ name: 'socket', paths: ['/socket'], plugins: [plugin] }]
    writeFileSync(config, JSON.stringify({ _format_version: '3.0', routes }))
    // A static member: the one that was killed would keep its partitions for 10 s.
    const flags = ['--config', config, '--group-instance-id', topic.name]
    await using gateway = await FieldGateway.start(...flags)
    const readers = [acknowledgingReader(commandOf(origin)(program))]
    await expectEachOnce({ topic, readers, port: gateway.port, victim: gateway })
  },
  LIMIT,
)

test.if(isLong)(
  'Chromium gets each record once, by EventSource and by stream, on pages of another origin',
  async () => {
    using page = new PageOrigin()
    const topic = await FieldTopic.create(kafka)
    await using gateway = await gatewayOf(topic, '--cors-origins', page.origin)
    const readers = chromiumReaders(page.origin)
    await expectEachOnce({ topic, readers, port: gateway.port, victim: gateway })
  },
  LIMIT,
)

test('a WebSocket through nginx in its default configuration is refused, and told which headers it lacks', async () => {
  const topic = await FieldTopic.create(kafka)
  await using gateway = await gatewayOf(topic)
  await using proxy = await ReverseProxy.start('nginx', gateway.port)
  const handshake = `GET /socket HTTP/1.1
Host: nginx.test
Connection: Upgrade
Upgrade: websocket
Sec-WebSocket-Version: 13
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==

`
  const answer = await sendRaw(`http://127.0.0.1:${proxy.port}`, handshake)
  expect(answer).toStartWith('HTTP/1.1 426 ')
  expect(answer).toContain('UPGRADE_REQUIRED')
}, 120_000)
