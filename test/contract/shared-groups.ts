/** Routes of one process that read the same consumer group. */
import { describe, expect, test } from 'bun:test'
import { Hono } from 'hono'
import { type KafkaConsumeHandler, kafkaConsume } from '../../src/index.ts'
import { uniqueName } from '../support/names.ts'
import { type FlatBody, places, type RouteOptions, type Target } from '../support/route.ts'
import { serve, type TestServer } from '../support/server.ts'
import { SocketClient } from '../support/socket.ts'
import type { StreamedRecord } from '../support/sse.ts'
import { sleep, until, within } from '../support/wait.ts'
import { spread } from './get.ts'

const JOINED = 40_000
const GROUP = ['http-get', 'websocket'] as const

/** An app with a handler for GET at `/messages` and one for WebSockets at `/socket`. */
class App implements AsyncDisposable {
  readonly get: KafkaConsumeHandler
  readonly socket: KafkaConsumeHandler
  readonly #server: TestServer

  constructor({ kafka }: Target, options: RouteOptions) {
    const make = (mode: (typeof GROUP)[number]) =>
      kafkaConsume({
        bootstrapServers: kafka.bootstrapServers,
        autoOffsetReset: 'earliest',
        ...options,
        mode,
      })
    this.get = make('http-get')
    this.socket = make('websocket')
    const app = new Hono().all('/messages', this.get).all('/socket', this.socket)
    this.#server = serve(app.all('/socket/offsets', this.socket))
  }

  /**
   * With a topic of its own, and as many records in as many partitions, or as many as it may have.
   */
  static async with(
    target: Target,
    partitions: number,
    records: number,
    options: Partial<RouteOptions> = {},
  ): Promise<App> {
    const { kafka } = target
    const { fixedPartitions = partitions } = kafka
    const topic = await kafka.createTopic(fixedPartitions)
    await kafka.produce(topic, spread(records, Math.min(partitions, fixedPartitions)))
    const consumerGroup = { mode: 'manual', consumerGroupId: uniqueName('shared') } as const
    const app = new App(target, { topics: [topic], consumerGroup, ...options })
    // Both routes are started first, as in a gateway, so that their members have time to divide the
    // partitions.
    await Promise.all([app.get.start(), app.socket.start()])
    return app
  }

  async records(): Promise<readonly StreamedRecord[]> {
    const query = 'format=records&timeout=500&max_records=50'
    const response = await within(fetch(`${this.#server.url}/messages?${query}`), 'GET', JOINED)
    return ((await response.json()) as FlatBody).records
  }

  /** Posts offsets to the other handler. */
  post(offsets: object): Promise<Response> {
    const body = JSON.stringify(offsets)
    return within(fetch(`${this.#server.url}/socket/offsets`, { method: 'POST', body }), 'POST')
  }

  open(maxUnacked = 50): Promise<SocketClient> {
    return SocketClient.open(`${this.#server.url}/socket?acks=true&max_unacked=${maxUnacked}`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.get.close(), this.socket.close()])
    await this.#server.close()
  }
}

/** Acknowledges what comes by a WebSocket. */
function acknowledging(socket: SocketClient): { stop(): void } {
  let acknowledged = 0
  const timer = setInterval(() => {
    const fresh = socket.records().slice(acknowledged)
    acknowledged += fresh.length
    const ack = fresh.map(({ topic, partition, offset }) => ({ topic, partition, offset }))
    if (ack.length > 0) socket.say({ ack })
  }, 10)
  return { stop: () => clearInterval(timer) }
}

/** GETs until so many records came, of whomever. */
async function drain(app: App, isDone: (records: readonly StreamedRecord[]) => boolean) {
  const records: StreamedRecord[] = []
  await until(
    async () => {
      records.push(...(await app.records()))
      return isDone(records)
    },
    () => `the rest by GET; ${records.length} came`,
    JOINED,
  )
  return records
}

function expectEachOnce(records: readonly StreamedRecord[], count: number): void {
  expect(records).toHaveLength(count)
  expect(new Set(places(records)).size).toBe(count)
}

export function describeSharedGroups(target: () => Target): void {
  describe('routes of one group', () => {
    test('a WebSocket alone gets all records of all partitions', async () => {
      await using app = await App.with(target(), 6, 600)
      await using socket = await app.open()
      const acks = acknowledging(socket)
      await until(() => socket.records().length >= 600, 'all by WebSocket', JOINED)
      acks.stop()
      expectEachOnce(socket.records(), 600)
      const [member] = app.get.stats().groups
      expect(member?.partitions).toHaveLength(target().kafka.fixedPartitions ?? 6)
      expect(app.socket.stats().groups).toMatchObject([{ id: member?.id, member: member?.member }])
    })

    test('GETs alone get all records of all partitions', async () => {
      await using app = await App.with(target(), 6, 600)
      expectEachOnce(await drain(app, ({ length }) => length >= 600), 600)
    })

    test('GET and WebSocket at a time get each record once, and both get some', async () => {
      await using app = await App.with(target(), 6, 600)
      await using socket = await app.open()
      // The WebSocket takes no more than its limit until it acknowledges, so that a GET that comes
      // late finds something, too.
      await socket.until(1)
      const first = await drain(app, ({ length }) => length > 0)
      const acks = acknowledging(socket)
      const isDone = (rest: number) => first.length + rest + socket.records().length >= 600
      const rest = await drain(app, ({ length }) => isDone(length))
      acks.stop()
      expectEachOnce([...first, ...rest, ...socket.records()], 600)
    })

    test('a GET takes some records of one partition and a WebSocket the rest', async () => {
      await using app = await App.with(target(), 1, 100)
      const got = await drain(app, ({ length }) => length > 0)
      await using socket = await app.open(1_000)
      await until(() => got.length + socket.records().length >= 100, 'the rest', JOINED)
      expectEachOnce([...got, ...socket.records()], 100)
    })

    test('a WebSocket at its limit does not hold up others, and its records go to the next GET', async () => {
      await using app = await App.with(target(), 6, 600)
      const socket = await app.open(1)
      await socket.until(1)
      const meanwhile = await drain(app, ({ length }) => length >= 599)
      expectEachOnce(meanwhile, 599)
      expect(socket.records()).toHaveLength(1)
      await socket.close()
      const rest = await drain(app, ({ length }) => length > 0)
      expect(places(rest)).toEqual(places(socket.records()))
    })

    test('after a WebSocket with one record for 4 s has gone, GETs bring all', async () => {
      await using app = await App.with(target(), 6, 600)
      const socket = await app.open(1)
      await socket.until(1)
      // Longer than records fetched ahead for the WebSocket may be held back.
      await sleep(4_000)
      await socket.close()
      expectEachOnce(await drain(app, ({ length }) => length >= 600), 600)
    })

    test('offsets posted to one route are committed by the member that another reads from', async () => {
      await using app = await App.with(target(), 1, 20, { commitStrategy: 'off' })
      const [record] = await drain(app, ({ length }) => length >= 20)
      const { topic = '' } = record ?? {}
      expect((await app.post({ [topic]: { 0: 20 } })).status).toBe(204)
      const [reads] = app.get.stats().groups
      expect(app.socket.stats().groups).toEqual(app.get.stats().groups)
      expect(await target().kafka.committed(reads?.id ?? '', topic, 1)).toEqual([20])
    })

    test('a route that closes ends its own calls, and others read on', async () => {
      await using app = await App.with(target(), 6, 600)
      const socket = await app.open(1)
      await socket.until(1)
      await within(app.socket.close(), 'the route to close')
      expect((await within(socket.closed, 'the WebSocket to end')).code).toBe(1001)
      const [before] = app.get.stats().groups
      expectEachOnce(await drain(app, ({ length }) => length >= 600), 600)
      const [after] = app.get.stats().groups
      expect([after?.member, after?.partitions.length]).toEqual([
        before?.member,
        before?.partitions.length,
      ])
    })
  })
}
