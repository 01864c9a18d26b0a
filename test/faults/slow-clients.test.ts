/** Slow, stopped and half-open clients next to fast ones: nobody loses anything, and memory stays bounded. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { Hono } from 'hono'
import { kafkaConsume } from '../../src/index.ts'
import { GatewayProcess } from '../gateway/gateway-process.ts'
import { TestKafka } from '../support/kafka.ts'
import { RawClient } from '../support/raw.ts'
import { range } from '../support/route.ts'
import type { StreamedRecord } from '../support/sse.ts'
import { sleep, until } from '../support/wait.ts'
import { sized } from './support/form.ts'
import { RawStream } from './support/raw-stream.ts'
import { report } from './support/report.ts'
import { memoryOf } from './support/usage.ts'

const MIB = 1024 * 1024
const FAST = 5
const SLOW = sized(3, 10)
const STOPPED = sized(12, 40)
const RECORDS = sized(3_000, 12_000)
const VALUE = 'x'.repeat(10_000)
/** The MiB by which a gateway may grow: the ring buffer (64), consumers of catch-up reads, and 1 for each client that stopped reading. */
const GROWTH = 64 + 250 + STOPPED
/** The MiB below which a gateway of one cluster stays (docs/delivery.md). */
const GATEWAY_MIB = 1_000
const LIMIT = sized(120_000, 600_000)

let kafka: TestKafka
beforeAll(async () => {
  kafka = await TestKafka.real()
})
afterAll(() => kafka.close())

async function write(topic: string, from: number, to: number): Promise<void> {
  await kafka.produce(
    topic,
    range(from, to).map(() => ({ partition: 0, value: VALUE })),
  )
}

/** The offsets of a stream's text, of which the last frame may be cut off. */
function offsetsOf(body: string): number[] {
  return body
    .slice(0, body.lastIndexOf('\n\n') + 1)
    .split('\n')
    .filter((line) => line.startsWith('data: {"topic"'))
    .map((line) => (JSON.parse(line.slice(6)) as StreamedRecord).offset)
}

test(
  'slow and stopped clients hold up nobody, and lose nothing',
  async () => {
    const topic = await kafka.createTopic(1)
    const flags = ['--brokers', kafka.bootstrapServers, '--topics', topic, '--admin-port', 'off']
    const { gateway, url } = await GatewayProcess.listening(flags)
    await using _ = gateway
    const stream = `${url}/stream?start=earliest`
    const accept = { accept: 'text/event-stream' }
    await using stack = new AsyncDisposableStack()
    const slow: RawClient[] = []
    const stopped: RawClient[] = []
    for (const _ of range(0, SLOW)) slow.push(stack.use(await RawClient.open(stream, accept)))
    // To a server, one that is half-open is the same: it takes nothing, and says nothing.
    for (const _ of range(0, STOPPED)) stopped.push(stack.use(await RawClient.open(stream, accept)))
    const counts = range(0, FAST).map(() => ({ received: 0, wrong: 0 }))
    const fast = counts.map(
      (count) =>
        new RawStream(stream, undefined, ({ offset }) => {
          if (offset !== count.received) count.wrong++
          count.received++
        }),
    )
    for (const each of fast) stack.defer(() => each.end())
    const open = /^hono_kafka_open_streams{route="\/stream",form="event-stream"} (\d+)$/m
    await until(
      async () => {
        const metrics = await (await fetch(`${url}/metrics`)).text()
        return Number(open.exec(metrics)?.[1]) === SLOW + STOPPED + FAST
      },
      'all streams to be open',
      30_000,
    )
    await write(topic, 0, 1)
    await until(() => counts.every(({ received }) => received === 1), 'the fast to follow', 30_000)
    const before = memoryOf(gateway.pid)
    let peak = before
    const began = performance.now()
    for (let at = 1; at < RECORDS; at += 200) {
      await write(topic, at, Math.min(RECORDS, at + 200))
      peak = Math.max(peak, memoryOf(gateway.pid))
      // About 1 KB/s: what a socket takes at once is more, so seldom.
      const reader = slow[((at / 200) % SLOW) | 0]
      reader?.resume()
      await sleep(1)
      reader?.pause()
    }
    await until(
      () => counts.every(({ received }) => received === RECORDS),
      () => `the fast to have ${RECORDS} records: ${JSON.stringify(counts)}`,
      60_000,
    )
    const seconds = (performance.now() - began) / 1_000
    peak = Math.max(peak, memoryOf(gateway.pid))
    expect(counts).toEqual(counts.map(() => ({ received: RECORDS, wrong: 0 })))
    const behind = [...slow, ...stopped].filter(({ received }) => received < RECORDS * 10_000)
    expect(behind.length).toBeGreaterThanOrEqual(STOPPED)
    expect(peak - before).toBeLessThan(GROWTH)

    // Clients that read again get the rest, one after another.
    const resumed = [...slow.slice(0, 3), ...stopped.slice(0, 3)]
    for (const client of resumed) {
      client.resume()
      await until(
        () => client.received > RECORDS * 10_000,
        () => `the rest of a slow client, which has ${client.received} bytes`,
        60_000,
      )
      await until(() => offsetsOf(client.body().toString()).length === RECORDS, 'its last record')
      expect(offsetsOf(client.body().toString())).toEqual(range(0, RECORDS))
      await client[Symbol.asyncDispose]()
    }
    report(`${SLOW} slow and ${STOPPED} stopped clients beside ${FAST} fast ones`, {
      sent: RECORDS,
      'received by each fast one': RECORDS,
      'records a second': Math.round(RECORDS / seconds),
      'received by each of the slow that went on': RECORDS,
      lost: 0,
      doubled: 0,
      'MiB before': Math.round(before),
      'MiB at most': Math.round(peak),
    })
  },
  LIMIT,
)

test(
  'a thousand clients that stop reading cost bounded memory',
  async () => {
    // Without sockets: what is held for a client is all there is, and no kernel takes any of it.
    const STREAMS = sized(250, 1_000)
    const topic = await kafka.createTopic(1)
    const handler = kafkaConsume({
      bootstrapServers: kafka.bootstrapServers,
      topics: [topic],
      mode: 'server-sent-events',
      ringBytes: 4 * MIB,
    })
    const app = new Hono().get('/', handler)
    const memory = () => {
      Bun.gc(true)
      return process.memoryUsage().rss / MIB
    }
    try {
      const responses: Response[] = []
      const open = async () => {
        const response = await app.request('/', { headers: { accept: 'text/event-stream' } })
        expect(response.status).toBe(200)
        responses.push(response)
      }
      await open()
      const before = memory()
      let written = 0
      // They stop one after the other, each at another chunk of large records.
      for (let at = 1; at < STREAMS; at++) {
        await open()
        await write(topic, written, written + 20)
        written += 20
        // Not all at the same instant.
        if (at % 50 === 0) await sleep(100)
      }
      // Time for what is written to them to pile up, if nothing bounds it.
      await sleep(2_500)
      const after = memory()
      report(`${STREAMS} clients that stop reading`, {
        'MiB written': Math.round((written * VALUE.length) / MIB),
        'MiB before': Math.round(before),
        'MiB after': Math.round(after),
      })
      // At most 1 MiB each, by what a stalled stream may hold; those at one place share it.
      expect(after - before).toBeLessThan(150 + STREAMS)
      for (const response of responses) await response.body?.cancel()
      await until(() => handler.stats().subscribers === 0, 'all streams to end')
    } finally {
      await handler.close()
    }
  },
  LIMIT,
)

test.each(['start=earliest&', ''])(
  '64 clients that ask for 16 MiB at once and read nothing cost bounded memory: /messages?%s…',
  async (query) => {
    const topic = await kafka.createTopic(4)
    const mebibytes = sized(64, 256)
    for (let at = 0; at < mebibytes * 100; at += 200) {
      await kafka.produce(
        topic,
        range(at, at + 200).map((n) => ({ partition: n % 4, value: VALUE })),
      )
    }
    const flags = ['--brokers', kafka.bootstrapServers, '--topics', topic, '--admin-port', 'off']
    const { gateway, url } = await GatewayProcess.listening(flags)
    await using _ = gateway
    await until(
      async () => (await fetch(`${url}/messages?max_records=1`)).status === 200,
      'the group to be joined',
      30_000,
    )
    const before = memoryOf(gateway.pid)
    let peak = before
    const watch = setInterval(() => {
      peak = Math.max(peak, memoryOf(gateway.pid))
    }, 20)
    await using stack = new AsyncDisposableStack()
    stack.defer(() => clearInterval(watch))
    const path = `/messages?${query}max_records=10000&max_bytes=16777216&timeout=5000`
    const clients = await Promise.all(
      range(0, 64).map(async () =>
        stack.use(await RawClient.open(url + path, { connection: 'close' })),
      ),
    )
    const answerBytes = async () => {
      const metrics = await (await fetch(`${url}/metrics`)).text()
      return Number(/^hono_kafka_answer_bytes{route="\/messages"} (\d+)$/m.exec(metrics)?.[1])
    }
    await until(async () => (await answerBytes()) > 40 * MIB, 'answers that nobody reads', 30_000)
    const held = await answerBytes()
    expect(held).toBeLessThanOrEqual(128 * MIB)
    for (const client of clients) client.resume()
    await until(() => clients.every(({ closed }) => closed), 'each client to be answered', 60_000)
    await until(async () => (await answerBytes()) === 0, 'the memory of answers to be freed')
    report(`64 clients that ask for 16 MiB and read nothing, ${query || 'as the group'}`, {
      'MiB before': Math.round(before),
      'MiB at most': Math.round(peak),
      'MiB of answers': Math.round(held / MIB),
    })
    expect(peak).toBeLessThan(GATEWAY_MIB)
  },
  LIMIT,
)
