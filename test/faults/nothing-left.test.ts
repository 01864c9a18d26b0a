/** Connections that come and go in every way leave nothing behind. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { connect } from 'node:net'
import { GatewayProcess } from '../gateway/gateway-process.ts'
import { TestKafka } from '../support/kafka.ts'
import { range } from '../support/route.ts'
import { sleep, until } from '../support/wait.ts'
import { sized } from './support/form.ts'
import { Recorder } from './support/recorder.ts'
import { report } from './support/report.ts'
import { TIMERS_COUNTED, type Usage, usageOf } from './support/usage.ts'

const CONNECTS = sized(800, 5_000)
/** Until the runtime's pools have the size that they keep; a short run ends before that. */
const WARM_UP = sized(300, 4_000)
const AT_ONCE = 40
/**
 * The allowed differences: consumers of catch-up reads, which stay for the next one, and memory in
 * MiB.
 */
const MARGIN = { files: 20, timers: 10, threads: sized(60, 20), memory: sized(250, 64) }
const NAMES = ['files', 'threads', 'timers', 'memory'] as const
const LIMIT = sized(120_000, 900_000)

let kafka: TestKafka
beforeAll(async () => {
  kafka = await TestKafka.real()
})
afterAll(() => kafka.close())

const SOCKET =
  'Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\n'

/** The requests of clients that leave: complete, cut in half, or empty. */
const REQUESTS: readonly string[] = [
  '',
  'GET /stream HTTP/1.1\r\nHost: x\r\nAcc',
  'GET /stream HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n',
  'GET /stream?start=earliest HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n',
  'GET /stream?start=earliest&key=nobody HTTP/1.1\r\nHost: x\r\n\r\n',
  'GET /stream HTTP/1.1\r\nHost: x\r\nAccept: application/x-ndjson\r\n\r\n',
  'GET /messages?start=latest&timeout=20000 HTTP/1.1\r\nHost: x\r\n\r\n',
  'GET /messages?start=earliest&max_records=10000 HTTP/1.1\r\nHost: x\r\n\r\n',
  'GET /messages?timeout=2000 HTTP/1.1\r\nHost: x\r\n\r\n',
  'GET /messages?max_records=0 HTTP/1.1\r\nHost: x\r\n\r\n',
  'POST /stream HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc',
  `GET /socket HTTP/1.1\r\nHost: x\r\n${SOCKET}\r\n`,
  `GET /socket?start=earliest HTTP/1.1\r\nHost: x\r\n${SOCKET}\r\n`,
]

/** One connection, left by FIN or RST at once, after a while, or after the first bytes. */
async function comeAndGo(port: number, n: number): Promise<void> {
  const socket = connect({ host: '127.0.0.1', port })
  const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()))
  const heard = new Promise<void>((resolve) => socket.once('data', () => resolve()))
  socket.on('error', () => {})
  await new Promise<void>((resolve) => socket.once('connect', resolve))
  socket.write(REQUESTS[n % REQUESTS.length] as string)
  const patience = Math.floor(n / REQUESTS.length) % 3
  if (patience === 1) await sleep(Math.random() * 100)
  if (patience === 2) await Promise.race([heard, sleep(500)])
  if (Math.random() < 0.5) socket.destroy()
  else socket.resetAndDestroy()
  await closed
}

async function comeAndGoAll(port: number, count: number): Promise<void> {
  let next = 0
  await Promise.all(
    range(0, AT_ONCE).map(async () => {
      while (next < count) await comeAndGo(port, next++)
    }),
  )
}

test(
  'thousands of connects and aborts of every kind leave nothing behind',
  async () => {
    const topic = await kafka.createTopic()
    const value = 'x'.repeat(1_000)
    await kafka.produce(
      topic,
      range(0, 4_000).map((n) => ({ partition: n % 4, value })),
    )
    const flags = ['--brokers', kafka.bootstrapServers, '--topics', topic, '--admin-port', 'off']
    const { gateway, url } = await GatewayProcess.listening(flags, TIMERS_COUNTED)
    await using _ = gateway
    const port = Number(new URL(url).port)
    // One that stays: what is shared is there before and after.
    using stays = new Recorder(`${url}/stream`)
    await stays.untilOpened()

    // The one stream that stays open.
    const expected = {
      open_streams: 1,
      subscribers: 1,
      readers: 1,
      catch_up_reads: 0,
      waiting_catch_up_reads: 0,
    }
    const open = async () => {
      const text = await (await fetch(`${url}/metrics`)).text()
      return Object.fromEntries(
        Object.keys(expected).map((name) => {
          const samples = text.matchAll(new RegExp(`^hono_kafka_${name}{.*} (\\d+)$`, 'gm'))
          return [name, [...samples].reduce((sum, [, count]) => sum + Number(count), 0)]
        }),
      )
    }
    const settled = async () => {
      await until(
        async () => Bun.deepEquals(await open(), expected),
        'all streams but one to end',
        40_000,
      ).catch(async () => expect(await open()).toEqual(expected))
      Bun.gc(true)
      // Timers and sockets of connections that have ended go within two seconds.
      await sleep(2_500)
      return usageOf(gateway)
    }
    const isNear = (usage: Usage, before: Usage) =>
      NAMES.every((name) => usage[name] <= before[name] + MARGIN[name])
    await comeAndGoAll(port, WARM_UP)
    const before = await settled()
    await comeAndGoAll(port, CONNECTS)
    let after = await settled()
    // The runtime's own threads go when they have been idle for a while, later on a busy machine.
    for (let rounds = 0; rounds < 8 && !isNear(after, before); rounds++) after = await settled()
    report(`${CONNECTS} connects and aborts`, {
      'files before': before.files,
      'files after': after.files,
      'threads before': before.threads,
      'threads after': after.threads,
      'timers before': before.timers,
      'timers after': after.timers,
      'MiB before': Math.round(before.memory),
      'MiB after': Math.round(after.memory),
    })
    for (const name of NAMES) {
      expect([name, after[name]]).toEqual([name, expect.any(Number)])
      expect(after[name]).toBeLessThanOrEqual(before[name] + MARGIN[name])
    }
    const [{ offset } = { offset: -1 }] = await kafka.produce(topic, [{ value: 'last' }])
    await stays.until(1)
    expect(stays.offsets(0)).toEqual([offset])
  },
  LIMIT,
)
