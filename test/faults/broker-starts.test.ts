/**
 * The only broker is stopped and started: requests meanwhile get an answer that names when to ask
 * again.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { Hono } from 'hono'
import { kafkaSide } from '../../kafka/index.ts'
import { kafkaProduce } from '../../src/index.ts'
import { type LocalBroker, startBroker } from '../../tools/kafka/broker.ts'
import { GatewayProcess } from '../gateway/gateway-process.ts'
import { TestKafka } from '../support/kafka.ts'
import { range } from '../support/route.ts'
import { serve } from '../support/server.ts'
import { until } from '../support/wait.ts'
import { sized } from './support/form.ts'
import { Questions } from './support/questions.ts'
import { Recorder } from './support/recorder.ts'
import { report } from './support/report.ts'

const PARTITIONS = sized(300, 1_000)
const RECORDS_EACH = 40
const RESTARTS = sized(1, 4)
/** Longer than all waits within a test, so that a wait that fails reports its condition. */
const LIMIT = sized(300_000, 600_000)
const EVENTS = { headers: { accept: 'text/event-stream' } }

/** Longer than the limit of `startBroker`, whose error says what is late. */
const START_LIMIT = 300_000

let broker: LocalBroker
let kafka: TestKafka
let topic: string
beforeAll(async () => {
  broker = await startBroker({
    name: `starts-${process.pid}`,
    port: 0,
    engine: 'java',
    owned: true,
  })
  kafka = await TestKafka.connect(broker.bootstrapServers, { autoCreate: false })
  topic = await kafka.createTopic(PARTITIONS)
  for (const n of range(0, RECORDS_EACH)) await writeToAll(`${n}`)
}, START_LIMIT)
afterAll(async () => {
  await kafka?.close()
  await broker?.stop()
}, 120_000)

async function writeToAll(value: string): Promise<void> {
  await kafka.produce(
    topic,
    range(0, PARTITIONS).map((partition) => ({ partition, value })),
  )
}

async function gatewayOf(topics: string) {
  const flags = ['--brokers', broker.bootstrapServers, '--topics', topics, '--admin-port', 'off']
  return GatewayProcess.listening(flags)
}

function askAll(questions: Questions, url: string): void {
  questions.ask('stream', `${url}/stream`, EVENTS)
  questions.ask('resumed stream', `${url}/stream`, {
    headers: { ...EVENTS.headers, 'Last-Event-ID': `${topic}:0=5` },
  })
  questions.ask('read of the end', `${url}/messages?start=latest`)
  questions.ask('read of old records', `${url}/messages?start=earliest&max_records=10`)
  questions.ask('read of a time', `${url}/messages?start=2020-01-01&max_records=10`)
  questions.ask('group', `${url}/messages?timeout=100`)
  questions.ask('readiness', `${url}/readyz`)
}

test(
  'while the broker stops and starts, every answer is 200, or a 503 or 504 with a Retry-After',
  async () => {
    const { gateway, url } = await gatewayOf(topic)
    await using _ = gateway
    using open = new Recorder(`${url}/stream`)
    await open.untilOpened()
    await using questions = new Questions()
    askAll(questions, url)
    const written = await kafka.createTopic(PARTITIONS)
    const produce = kafkaProduce({
      bootstrapServers: broker.bootstrapServers,
      topics: [written],
    })
    await using posting = serve(new Hono().post('/', produce))
    questions.ask('write', posting.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ records: range(0, 20).map((n) => ({ key: `${n}`, value: 'x' })) }),
    })
    for (const _ of range(0, RESTARTS)) {
      await broker.kill(1, 'SIGTERM')
      const before = questions.count
      await until(() => questions.count > before + 20, 'answers without a broker', 60_000)
      // It knows nothing of the cluster from before.
      const fresh = await gatewayOf(topic)
      await using __ = fresh.gateway
      await using alike = new Questions(questions.answers)
      askAll(alike, fresh.url)
      const starting = questions.count
      await broker.restart(1)
      const read = () => questions.answers.get('read of old records: 200') ?? 0
      const readBefore = read()
      await until(() => read() > readBefore + 5, 'records to be read again', 60_000)
      await until(() => questions.count > starting + 100, 'answers of a broker that starts', 60_000)
    }
    await writeToAll('last')
    await open.until(PARTITIONS)
    await questions[Symbol.asyncDispose]()
    await produce.close()
    report('answers while the broker restarts', Object.fromEntries(questions.answers))
    expect(questions.final).toEqual([])
    expect([open.isClosed, open.records.length, open.gaps]).toEqual([false, PARTITIONS, []])
  },
  LIMIT,
)

test(
  'a Kafka without any topic may be one that has just started: a denial counts once it has lasted',
  async () => {
    const empty = await startBroker({
      name: `empty-${process.pid}`,
      port: 0,
      engine: 'java',
      owned: true,
    })
    const cluster = kafkaSide.connect({ bootstrapServers: [empty.bootstrapServers] })
    try {
      const asking = cluster.partitions(['new'])
      const topics = await TestKafka.connect(empty.bootstrapServers, { autoCreate: false })
      await topics.createTopic(2, 1, 'new')
      expect(await asking).toHaveLength(2)
      await topics.close()
    } finally {
      await cluster.close()
      await empty.stop()
    }
  },
  LIMIT,
)

test('a topic that does not exist is 404 at the first request while Kafka works', async () => {
  const { gateway, url } = await gatewayOf(`missing-${crypto.randomUUID()}`)
  await using _ = gateway
  const response = await fetch(`${url}/stream`, EVENTS)
  expect(response.status).toBe(404)
  expect(await response.json()).toMatchObject({ code: 'UNKNOWN_TOPIC' })
})
