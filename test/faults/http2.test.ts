/** Many streams on one HTTP/2 connection: reset, left unread and cut, by Node's own client. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { connect } from 'node:tls'
import { Hono } from 'hono'
import { kafkaConsume, kafkaProduce } from '../../src/index.ts'
import { GatewayProcess } from '../gateway/gateway-process.ts'
import { Certificates } from '../support/certificate.ts'
import { Http2Client } from '../support/http2.ts'
import { TestKafka } from '../support/kafka.ts'
import { Exposition } from '../support/metrics.ts'
import { type FlatBody, range } from '../support/route.ts'
import { until, within } from '../support/wait.ts'
import { report } from './support/report.ts'
import { memoryOf } from './support/usage.ts'

const LIMIT = 120_000
/** The code of GOAWAY (RFC 9113, 7). */
const ENHANCE_YOUR_CALM = 11
const VALUE = 'x'.repeat(10_000)
/** Larger than any client's default window. */
const WINDOW = 2 ** 31 - 1
/** Streams of a stopped client. What it lets the server send in all is six times as much. */
const STOPPED = 40
/** MiB that a gateway may grow by: the ring (64), catch-up reads, and 1 for each stream that stopped. */
const GROWTH = 64 + 100 + STOPPED

let kafka: TestKafka
let certificates: Certificates
beforeAll(async () => {
  kafka = await TestKafka.real()
  certificates = new Certificates()
  certificates.make('localhost')
})
afterAll(async () => {
  certificates[Symbol.dispose]()
  await kafka.close()
})

async function write(topic: string, from: number, to: number): Promise<void> {
  for (let at = from; at < to; at += 200) {
    const some = range(at, Math.min(to, at + 200))
    await kafka.produce(
      topic,
      some.map(() => ({ partition: 0, value: VALUE })),
    )
  }
}

async function start(topic: string) {
  const { gateway, url } = await GatewayProcess.listening([
    ...['--brokers', kafka.bootstrapServers, '--topics', topic, '--https-port', '0'],
    ...['--tls-cert', certificates.file('localhost.crt')],
    ...['--tls-key', certificates.file('localhost.key')],
  ])
  await until(async () => (await fetch(`${url}/readyz`)).status === 200, 'readiness', 30_000)
  const metric = async (name: string, labels: Record<string, string> = {}) =>
    new Exposition(await (await fetch(`${url}/metrics`)).text()).value(name, labels) ?? 0
  const openStreams = async (count: number) => {
    let open = 0
    await until(
      async () => {
        open = await metric('hono_kafka_open_streams', { route: '/stream' })
        return open === count
      },
      () => `${count} open streams, there are ${open}: ${gateway.stderr}`,
      20_000,
    )
  }
  return { gateway, url, https: gateway.httpsUrl, metric, openStreams }
}

test(
  'a reset ends one stream only, and a group’s records go to the next client',
  async () => {
    const topic = await kafka.createTopic(1)
    const { gateway, url, https, metric, openStreams } = await start(topic)
    await using _ = gateway
    await using client = await Http2Client.connect(https)
    const streams = range(0, 60).map(() => client.open('/stream'))
    await openStreams(60)
    for (const stream of streams.slice(1)) stream.reset()
    await openStreams(1)

    // An answer of which the client has read a part.
    await write(topic, 0, 40)
    const next = async () => {
      const response = await fetch(`${url}/messages?format=records&timeout=5000`)
      return ((await response.json()) as FlatBody).records.map(({ offset }) => offset)
    }
    const answer = client.open('/messages?format=records&max_records=40', {}, true)
    await until(() => answer.headers !== undefined, 'the answer to begin', 30_000)
    answer.reset()
    await until(
      async () => (await metric('hono_kafka_group_requeued_records_total')) === 40,
      'all records of the answer to be requeued',
    )
    expect(await next()).toEqual(range(0, 40))

    // A read that waits for records.
    const waiting = client.open('/messages?format=records&timeout=60000')
    await client.open('/healthz').body()
    waiting.reset()
    await client.open('/healthz').body()
    await write(topic, 40, 41)
    expect(await next()).toEqual([40])
    expect(waiting.text).toBe('')

    const [first] = streams
    await first?.until(41)
    expect(first?.records().map(({ offset }) => offset)).toEqual(range(0, 41))
    expect(first?.code).toBeUndefined()
    expect(client.errors).toEqual([])
  },
  LIMIT,
)

test(
  'records that a client’s flow control holds back go to the next client, when the first one leaves',
  async () => {
    const topic = await kafka.createTopic(1)
    await kafka.produce(topic, [{ partition: 0, value: 'x'.repeat(500) }])
    const { gateway, url, https, metric } = await start(topic)
    await using _ = gateway
    const requeued = (count: number) =>
      until(
        async () => (await metric('hono_kafka_group_requeued_records_total')) === count,
        `${count} requeued records`,
      )
    // A window of 0: the answer begins, and not a byte of its body may be sent.
    await using client = await Http2Client.connect(https, 0)
    const reset = client.open('/messages?format=records&timeout=20000')
    await until(() => reset.headers !== undefined, 'the answer to begin', 30_000)
    reset.reset()
    await requeued(1)
    const cut = client.open('/messages?format=records&timeout=20000')
    await until(() => cut.headers !== undefined, 'the answer to begin')
    await client[Symbol.asyncDispose]()
    await requeued(2)
    const response = await fetch(`${url}/messages?format=records&timeout=5000`)
    expect(((await response.json()) as FlatBody).records).toHaveLength(1)
    expect(reset.text + cut.text).toBe('')
  },
  LIMIT,
)

test(
  'a stream that is not read holds up no other of its connection, and goes on where it was',
  async () => {
    const topic = await kafka.createTopic(1)
    const { gateway, https, openStreams } = await start(topic)
    await using _ = gateway
    await using client = await Http2Client.connect(https)
    const unread = range(0, 4).map(() => client.open('/stream', {}, true))
    const read = range(0, 4).map(() => client.open('/stream'))
    await openStreams(8)
    const records = 600
    await write(topic, 0, records)
    for (const stream of read) {
      await until(
        () => stream.records().length === records,
        () => `${records} records on a stream that brought ${stream.records().length}`,
        60_000,
      )
    }
    expect(unread.map(({ text }) => text)).toEqual(unread.map(() => ''))
    for (const stream of unread) stream.resume()
    for (const stream of [...unread, ...read]) {
      await until(() => stream.records().length === records, 'the rest', 60_000)
      expect(stream.records().map(({ offset }) => offset)).toEqual(range(0, records))
    }
  },
  LIMIT,
)

test(
  'a client that allows gigabytes and stops takes a bounded part of memory, until it is cut',
  async () => {
    const topic = await kafka.createTopic(1)
    const { gateway, https, openStreams } = await start(topic)
    await using _ = gateway
    await using client = await Http2Client.connect(https, WINDOW)
    const stopped = range(0, STOPPED).map(() => client.open('/stream', {}, true))
    stopped.at(-1)?.stopClient()
    // Another client, which reads as much, marks the time that the gateway needs for it.
    await using reader = await Http2Client.connect(https)
    const streams = range(0, 4).map(() => reader.open('/stream'))
    await openStreams(STOPPED + 4)
    const before = memoryOf(gateway.pid)
    let peak = before
    await write(topic, 0, 600)
    await until(
      () => {
        peak = Math.max(peak, memoryOf(gateway.pid))
        return streams.every((stream) => stream.records().length === 600)
      },
      'another client to read all',
      60_000,
    )
    expect(peak - before).toBeLessThan(GROWTH)
    report(`${STOPPED} unread streams of a stopped client`, {
      'MiB more at most': Math.round(peak - before),
    })
    await client[Symbol.asyncDispose]()
    await openStreams(4)
  },
  LIMIT,
)

test('a client that opens and resets thousands of streams is cut, and leaves nothing behind', async () => {
  const topic = await kafka.createTopic(1)
  const { gateway, https, openStreams } = await start(topic)
  await using _ = gateway
  await using reader = await Http2Client.connect(https)
  const stream = reader.open('/stream')
  await openStreams(1)
  const flood = async () => {
    await using client = await Http2Client.connect(https)
    for (const _ of range(0, 50)) client.churn('/stream')
    await until(() => client.isClosed, 'the connection to be closed', 20_000)
    expect(client.goaway).toBe(ENHANCE_YOUR_CALM)
    await openStreams(1)
  }
  await flood()
  const before = memoryOf(gateway.pid)
  for (const _ of range(0, 3)) await flood()
  expect(memoryOf(gateway.pid) - before).toBeLessThan(50)
  await write(topic, 0, 5)
  await stream.until(5)
  expect(stream.code).toBeUndefined()
}, 90_000)

/**
 * Handlers on HTTPS in this process.
 *
 * @param idleTimeout Seconds for which a connection may be idle.
 */
async function serveHere(topic: string, idleTimeout = 1) {
  const cluster = { bootstrapServers: kafka.bootstrapServers, topics: [topic] }
  const handler = kafkaConsume({
    ...cluster,
    mode: 'server-sent-events',
    writeDeadline: 500,
    heartbeat: 200,
  })
  const writer = kafkaProduce(cluster)
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    idleTimeout,
    http2: true,
    tls: {
      cert: readFileSync(certificates.file('localhost.crt')),
      key: readFileSync(certificates.file('localhost.key')),
    },
    fetch: new Hono().get('/', handler).post('/', writer).fetch,
  })
  const close = async () => {
    await handler.close()
    await writer.close()
    await within(server.stop(true), 'the server to stop')
  }
  return { handler, server, port: server.port ?? 0, [Symbol.asyncDispose]: close }
}

test('curl posts records by HTTP/2, also more than a stream’s window', async () => {
  const topic = await kafka.createTopic(1)
  // On a busy machine curl may send nothing for more than a second.
  await using served = await serveHere(topic, 60)
  const url = `https://127.0.0.1:${served.port}`
  await using client = await Http2Client.connect(url)
  const stream = client.open('/')
  await until(() => stream.text !== '', 'a stream', 20_000)
  const records = range(0, 90).map((n) => JSON.stringify({ value: `${n} ${VALUE}` }))
  const curl = Bun.spawn(
    [
      ...['curl', '-sSk', '--http2', '-w', '%{http_version}', '--data-binary', '@-'],
      ...['-H', 'content-type: application/x-ndjson', url],
    ],
    { stdin: new Blob([records.join('\n')]), stderr: 'pipe' },
  )
  const answer = await within(new Response(curl.stdout).text(), 'the answer', 20_000)
  expect(await new Response(curl.stderr).text()).toBe('')
  expect(answer).toEndWith('2')
  expect(JSON.parse(answer.slice(0, -1)).records).toHaveLength(90)
  await stream.until(90)
  const values = stream.records().map(({ value }) => Number.parseInt(String(value), 10))
  expect(values).toEqual(range(0, 90))
}, 120_000)

test('a client that reads nothing for writeDeadline loses that stream, not its connection', async () => {
  const topic = await kafka.createTopic(1)
  await using served = await serveHere(topic)
  await using client = await Http2Client.connect(`https://127.0.0.1:${served.port}`)
  const unread = client.open('/', {}, true)
  const read = client.open('/')
  await until(() => unread.headers !== undefined && read.text !== '', 'both streams', 20_000)
  await write(topic, 0, 100)
  await read.until(100)
  await until(() => served.handler.stats().subscribers === 1, 'the silent stream to be ended')
  // Heartbeats keep the connection, although it may be idle for a second only.
  const beats = read.text.length
  await until(() => read.text.length > beats + 100, 'heartbeats of the other stream')
  await write(topic, 100, 110)
  await read.until(110)
  expect(read.code).toBeUndefined()
  // The silent client gets only the records that were sent before.
  unread.resume()
  await until(() => unread.code !== undefined, 'the end of the silent stream')
  expect(unread.records().length).toBeLessThan(100)
  expect(client.goaway).toBeUndefined()
}, 120_000)

test('a client of HTTP/1.1 over TLS that reads nothing for writeDeadline is cut', async () => {
  const topic = await kafka.createTopic(1)
  await using served = await serveHere(topic)
  const socket = connect({ port: served.port, host: '127.0.0.1', rejectUnauthorized: false })
  let text = ''
  let hasClosed = false
  const onData = (data: Buffer) => {
    text += data
  }
  socket.on('data', onData)
  socket.on('close', () => {
    hasClosed = true
  })
  socket.on('error', () => undefined)
  socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await until(() => text.includes('event: cursor'), 'the stream to begin', 20_000)
  socket.pause()
  await write(topic, 0, 1_200)
  await until(() => served.handler.stats().subscribers === 0, 'the stream to be ended', 20_000)
  await until(() => served.server.pendingRequests === 0, 'the request to be over', 20_000)
  socket.resume()
  await until(() => hasClosed, 'the connection to be closed', 20_000)
  expect(text.length).toBeLessThan(1_200 * VALUE.length)
  // The client can tell that it did not get all: the last chunk of the body is missing.
  expect(text.endsWith('0\r\n\r\n')).toBe(false)
}, 90_000)
