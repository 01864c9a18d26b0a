/** Kong's quickstart, command for command. */
import { beforeAll, describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { AdminClient } from '@confluentinc/kafka-javascript'
import { readDeclarative } from '../../src/kong/config/declarative.ts'
import { freePorts } from '../../tools/kafka/ports.ts'
import { GatewayProcess } from '../gateway/gateway-process.ts'
import { TestKafka } from '../support/kafka.ts'
import { uniqueName } from '../support/names.ts'
import { withDefaultPorts } from '../support/port.ts'
import type { KongBody } from '../support/route.ts'
import { until, within } from '../support/wait.ts'

const { TEST_KAFKA_BROKERS: brokers } = process.env
const TOPIC = 'kong-test'
const PARTITIONS = 10

const addRoute = `
curl -X POST http://localhost:8001/routes --data "name=kafka-consume" --data "hosts[]=kafka-consume.test"
`
const addPlugin = `
curl -X POST http://localhost:8001/routes/kafka-consume/plugins \\
   --data "name=kafka-consume" \\
   --data "config.bootstrap_servers[1].host=localhost" --data "config.bootstrap_servers[1].port=9092" \\
   --data "config.topics[1].name=kong-test"
`
const consume = `
curl http://localhost:8000/messages --header 'Host: kafka-consume.test'
`
const addStreamRoute = `
curl -X POST http://localhost:8001/routes --data "name=kafka-sse-consume" --data "hosts[]=kafka-sse.test"
`
const addStreamPlugin = `
curl -X POST http://localhost:8001/routes/kafka-sse-consume/plugins \\
   --data "name=kafka-consume" \\
   --data "config.bootstrap_servers[1].host=localhost" --data "config.bootstrap_servers[1].port=9092" \\
   --data "config.topics[1].name=kong-test" --data "config.mode=server-sent-events"
`
const follow = `
curl http://localhost:8000/stream --header 'Host: kafka-sse.test' --header 'Accept: text/event-stream'
`

interface Ports {
  readonly proxy: number
  readonly admin: number
}

const KONG: Ports = { proxy: 8000, admin: 8001 }

/**
 * The only change that is made to the commands: other ports, so that a gateway that runs on this
 * machine is not in the way. The broker's is that of the test's Kafka.
 */
function onPorts(command: string, { proxy, admin }: Ports): string {
  const broker = brokers?.split(',')[0]?.split(':').at(-1) ?? '9092'
  return command
    .replaceAll('localhost:8000', `localhost:${proxy}`)
    .replaceAll('localhost:8001', `localhost:${admin}`)
    .replaceAll('port=9092', `port=${broker}`)
}

function spawn(command: string) {
  // curl keeps output back that does not go to a terminal; `stdbuf` lets it go at once.
  return Bun.spawn(['stdbuf', '-o0', 'bash', '-c', command], {
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'ignore',
    detached: true,
  })
}

async function run(command: string): Promise<unknown> {
  const child = spawn(command)
  const text = await within(new Response(child.stdout).text(), command, 20_000)
  expect(await child.exited).toBe(0)
  try {
    return JSON.parse(text)
  } catch {
    throw new Error(`No JSON: ${text}`)
  }
}

function isFree(port: number): boolean {
  try {
    // Kong's ports are bound on every interface, too.
    Bun.serve({ port, hostname: '0.0.0.0', fetch: () => new Response() }).stop(true)
    return true
  } catch {
    return false
  }
}

async function createTopic(): Promise<void> {
  const admin = AdminClient.create({ 'bootstrap.servers': brokers ?? '' })
  try {
    await new Promise<void>((resolve, reject) => {
      const topic = { topic: TOPIC, num_partitions: PARTITIONS, replication_factor: 1 }
      admin.createTopic(topic, 10_000, (error) => {
        if (error && !/already exists/i.test(error.message)) reject(error)
        else resolve()
      })
    })
  } finally {
    admin.disconnect()
  }
}

async function quickstart(ports: Ports): Promise<void> {
  const real = brokers ?? ''
  const as = (command: string) => onPorts(command, ports)
  const flags = ['--port', String(ports.proxy), '--admin-port', String(ports.admin)]
  await using gateway = GatewayProcess.spawnScript(ports === KONG ? [] : flags)
  await gateway.url()
  const kafka = await TestKafka.connect(real, { autoCreate: false })
  try {
    const mark = uniqueName('quickstart')
    const produce = (kind: string) =>
      kafka.produce(
        TOPIC,
        Array.from({ length: PARTITIONS }, (_, partition) => ({
          partition,
          value: `${mark}-${kind}-${partition}`,
        })),
      )
    const all = (kind: string) =>
      Array.from({ length: PARTITIONS }, (_, n) => `${mark}-${kind}-${n}`)

    expect(await run(as(addRoute))).toMatchObject({
      name: 'kafka-consume',
      hosts: ['kafka-consume.test'],
    })
    expect(await run(as(addPlugin))).toMatchObject({
      name: 'kafka-consume',
      config: { topics: [{ name: TOPIC }], mode: 'http-get', auto_offset_reset: 'latest' },
    })
    await produce('get')
    const found = new Set<string>()
    await until(
      async () => {
        const body = (await run(as(consume))) as KongBody
        const { partitions = {} } = body[TOPIC] ?? {}
        expect(Object.keys(partitions)).toHaveLength(PARTITIONS)
        for (const { records } of Object.values(partitions)) {
          for (const { value } of records) {
            if (!String(value).startsWith(mark)) continue
            expect(found).not.toContain(String(value))
            found.add(String(value))
          }
        }
        return found.size === PARTITIONS
      },
      () => `the records by GET: ${[...found]}`,
      25_000,
    )
    expect([...found].sort()).toEqual(all('get').sort())

    expect(await run(as(addStreamRoute))).toMatchObject({ name: 'kafka-sse-consume' })
    expect(await run(as(addStreamPlugin))).toMatchObject({ config: { mode: 'server-sent-events' } })
    const client = spawn(as(follow))
    let text = ''
    const reading = (async () => {
      const decoder = new TextDecoder()
      for await (const chunk of client.stdout) text += decoder.decode(chunk, { stream: true })
    })()
    await until(
      () => text.startsWith('retry: '),
      () => `the stream to begin: ${text}`,
    )
    await produce('sse')
    const values = () =>
      [...text.matchAll(/^data: (.*)$/gm)]
        .map(([, data = '']) => String((JSON.parse(data) as { value: unknown }).value))
        .filter((value) => value.startsWith(mark))
    await until(
      () => values().length >= PARTITIONS,
      () => `the records by SSE: ${text}`,
    )
    expect(values().sort()).toEqual(all('sse').sort())

    gateway.signal('SIGTERM')
    expect(await gateway.exited()).toBe(0)
    await within(reading, 'the stream to end')
    expect(await client.exited).toBe(0)
    expect(text).toEndWith('\n\n')
  } finally {
    await kafka.close()
  }
}

test('docs/kong.md has these commands, and a file that the gateway reads', async () => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/kong.md'), 'utf8')
  const [file = ''] = [...page.matchAll(/```yaml\n(.*?)```/gs)].map(([, text = '']) => text)
  const { routes, plugins } = await readDeclarative(file, { environment: {}, ignoreUnknown: false })
  expect([routes.length, plugins.length]).toEqual([1, 1])
  for (const command of [addRoute, addPlugin, consume]) expect(page).toContain(command.trim())
})

describe.skipIf(!brokers)("Kong's quickstart", () => {
  beforeAll(createTopic)

  test('works on free ports', async () => {
    const [proxy, admin] = (await freePorts(2)) as [number, number]
    await quickstart({ proxy, admin })
  }, 90_000)

  test.skipIf(!isFree(KONG.proxy) || !isFree(KONG.admin))(
    'works word for word, on its own ports',
    () => withDefaultPorts(() => quickstart(KONG)),
    240_000,
  )
})
