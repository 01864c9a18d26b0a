/** Requests that wait for Kafka survive Bun's idle timeout, here of one second, which Bun checks every four. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { Hono } from 'hono'
import { websocket } from 'hono/bun'
import { streamSSE } from 'hono/streaming'
import {
  type KafkaControls,
  type KafkaReaderEnv,
  kafkaConsume,
  kafkaProduce,
  kafkaReader,
} from '../../src/index.ts'
import { BrokerProcess } from '../gateway/broker-process.ts'
import { TestKafka } from '../support/kafka.ts'
import { SocketClient } from '../support/socket.ts'
import { SseClient } from '../support/sse.ts'
import { within } from '../support/wait.ts'

/** Beyond the second look of Bun at a connection that is quiet for too long. */
const QUIET = 9_000

describe('on a server with an idle timeout of one second', () => {
  let kafka: TestKafka
  let topic: string
  let server: Bun.Server<unknown>
  const handlers: KafkaControls[] = []

  beforeAll(async () => {
    kafka = await TestKafka.real()
    topic = await kafka.createTopic()
    const route = (options: object = {}) => {
      const handler = kafkaConsume({
        bootstrapServers: kafka.bootstrapServers,
        topics: [topic],
        heartbeat: 60_000,
        ...options,
      })
      handlers.push(handler)
      return handler
    }
    const wait = { timeout: QUIET }
    const app = new Hono<KafkaReaderEnv>()
      .all('/messages', route({ consumerGroup: { mode: 'manual', consumerGroupId: `${topic}-1` } }))
      .get('/stream', route({ mode: 'server-sent-events' }))
      .get('/socket', route({ mode: 'websocket' }))
    const reader = kafkaReader({
      bootstrapServers: kafka.bootstrapServers,
      topics: [topic],
      consumerGroup: { mode: 'manual', consumerGroupId: `${topic}-2` },
    })
    handlers.push(reader)
    app.get('/poll', reader, async (c) => c.json(await c.var.kafka.poll(wait)))
    app.get('/read', reader, async (c) => c.json(await c.var.kafka.read(wait)))
    app.get('/iterate', reader, (c) =>
      streamSSE(c, async (stream) => {
        await stream.write(': Bun sends the head of an answer with its first byte\n\n')
        for await (const record of c.var.kafka.stream()) {
          await stream.writeSSE({ data: JSON.stringify(record) })
        }
      }),
    )
    server = Bun.serve({ port: 0, idleTimeout: 1, fetch: app.fetch, websocket })
  })
  afterAll(async () => {
    await server.stop(true)
    await Promise.all(handlers.map((handler) => handler.close()))
    await kafka.close()
  })
  const url = (path: string) => `http://127.0.0.1:${server.port}${path}`
  const empty = async (path: string) => {
    const response = await within(fetch(url(path)), path, 40_000)
    expect([path, response.status]).toEqual([path, 200])
    return response.text()
  }

  test.concurrent('reads and streams of a quiet topic are not cut', async () => {
    await using stream = await SseClient.open(url('/stream'))
    await using iterated = await SseClient.open(url('/iterate'))
    await using socket = await SocketClient.open(url('/socket'))
    await Promise.all([
      empty(`/messages?timeout=${QUIET}`),
      empty(`/messages?start=latest&timeout=${QUIET}`),
      empty('/poll'),
      empty('/read'),
    ])
    await kafka.produce(topic, [{ partition: 0, value: 'at last' }])
    await Promise.all([stream.until(1), iterated.until(1), socket.until(1)])
  }, 120_000)
})

test.concurrent('a write that Kafka does not confirm for a while is answered', async () => {
  await using broker = await BrokerProcess.start('frozen')
  const orders = kafkaProduce({ bootstrapServers: broker.address, topics: ['frozen'] })
  const app = new Hono().post('/orders', orders)
  const server = Bun.serve({ port: 0, idleTimeout: 1, fetch: app.fetch })
  const post = () => fetch(`http://127.0.0.1:${server.port}/orders`, { method: 'POST', body: 'x' })
  expect((await within(post(), 'a first write')).status).toBe(200)
  broker.freeze()
  expect((await within(post(), 'a failure', 60_000)).status).toBe(504)
  await server.stop(true)
  await orders.close()
}, 90_000)

test.concurrent('no connection is left without an idle timeout, however its request was read', async () => {
  const kafka = await TestKafka.real()
  const topic = await kafka.createTopic()
  const options = { bootstrapServers: kafka.bootstrapServers, topics: [topic] }
  const [single, reader] = [kafkaConsume(options), kafkaReader(options)]
  const wait = { timeout: 100 }
  const app = new Hono<KafkaReaderEnv>()
    .get('/messages', single)
    .get('/reader', reader, async (c) => {
      const { kafka } = c.var
      const abort = new AbortController()
      const streamed = kafka.stream({ signal: abort.signal }).next()
      await Promise.all([kafka.poll(wait), kafka.read(wait)])
      abort.abort()
      await streamed
      return c.text('read')
    })
  const streamed = kafkaConsume({ ...options, mode: 'server-sent-events' })
  app.get('/stream', streamed)
  const ask = async (path: string, end: () => Promise<void> = async () => {}) => {
    const timeouts: number[] = []
    const server = {
      timeout: (_: Request, seconds: number) => timeouts.push(seconds),
      requestIP: () => ({ address: '127.0.0.1' }),
    }
    const response = await app.request(path, {}, server)
    expect([path, response.status]).toEqual([path, 200])
    await end()
    await response.text()
    return timeouts
  }
  for (const path of ['/messages?start=latest&timeout=100', '/reader']) {
    expect((await ask(path)).at(-1)).toBe(255)
  }
  const ofStream = await ask('/stream', () => streamed.close())
  expect(ofStream).toContain(0)
  expect(ofStream.at(-1)).toBe(255)
  await Promise.all([single.close(), reader.close()])
  await kafka.close()
})
