/**
 * Memory of answers that nobody reads, without sockets: no kernel takes any of it, so that all there
 * is stays counted.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { Hono } from 'hono'
import { type KafkaConsumeOptions, kafkaConsume } from '../../src/index.ts'
import { TestKafka } from '../support/kafka.ts'
import { uniqueName } from '../support/names.ts'
import { range } from '../support/route.ts'
import type { StreamedRecord } from '../support/sse.ts'
import { until } from '../support/wait.ts'

const MIB = 1024 * 1024
const RECORDS = 400

let kafka: TestKafka
let topic: string
beforeAll(async () => {
  kafka = await TestKafka.real()
  topic = await kafka.createTopic(1)
  await kafka.produce(
    topic,
    range(0, RECORDS).map((n) => ({ partition: 0, value: `${n}`.padEnd(20_000, 'x') })),
  )
}, 120_000)
afterAll(() => kafka.close())

function served(options: Partial<KafkaConsumeOptions> = {}) {
  const handler = kafkaConsume({
    bootstrapServers: kafka.bootstrapServers,
    topics: [topic],
    maxAnswerBytes: 2 * MIB,
    autoOffsetReset: 'earliest',
    consumerGroup: { mode: 'manual', consumerGroupId: uniqueName('group') },
    ...options,
  })
  const app = new Hono().get('/', handler)
  const ask = (query: string, init?: RequestInit) =>
    app.request(`/?format=records&max_records=10000&timeout=10000&${query}`, init)
  return { handler, ask, [Symbol.asyncDispose]: () => handler.close() }
}

test('answers that their clients do not read take bounded memory, and others are served meanwhile', async () => {
  await using route = served()
  const { ask, handler } = route
  const aborts: AbortController[] = []
  for (let i = 0; i < 12; i++) {
    const abort = new AbortController()
    aborts.push(abort)
    const stuck = await ask('start=earliest&max_bytes=16777216', { signal: abort.signal })
    expect(stuck.status).toBe(200)
    expect(handler.stats().answerBytes).toBeLessThanOrEqual(1.5 * MIB)
  }
  expect(handler.stats().answerBytes).toBeGreaterThan(MIB)
  expect(handler.stats().maxAnswerBytes).toBe(2 * MIB)

  const offsets: number[] = []
  let query = 'start=earliest'
  while (offsets.length < RECORDS) {
    const page = await ask(`${query}&max_bytes=16777216`)
    expect(page.status).toBe(200)
    const { records } = (await page.json()) as { records: StreamedRecord[] }
    offsets.push(...records.map(({ offset }) => offset))
    query = `cursor=${encodeURIComponent(page.headers.get('kafka-cursor') ?? '')}`
  }
  expect(offsets).toEqual(range(0, RECORDS))

  for (const abort of aborts) abort.abort()
  await until(() => handler.stats().answerBytes === 0, 'the memory of those that left')
  const whole = await ask('start=earliest&max_bytes=500000')
  expect((await whole.bytes()).length).toBeGreaterThan(300_000)
  expect(handler.stats().answerBytes).toBe(0)
}, 120_000)

test('an answer that does not fit is refused, and its records of a group go to the next client', async () => {
  await using route = served({ maxAnswerBytes: MIB })
  const { ask, handler } = route
  const stuck: Response[] = []
  let refused: Response | undefined
  while (!refused) {
    const answer = await ask('max_bytes=16777216')
    if (answer.status === 200) stuck.push(answer)
    else refused = answer
    expect(stuck.length).toBeLessThan(100)
  }
  expect(refused.status).toBe(503)
  expect(refused.headers.get('retry-after')).toBe('2')
  expect(await refused.json()).toMatchObject({ code: 'TOO_MANY_ANSWERS', retryable: true })
  expect(handler.stats().answerBytes).toBeLessThanOrEqual(MIB)

  const offsets: number[] = []
  const read = async (answer: Response) => {
    const { records } = (await answer.json()) as { records: StreamedRecord[] }
    offsets.push(...records.map(({ offset }) => offset))
  }
  for (const answer of stuck) await read(answer)
  expect(handler.stats().answerBytes).toBe(0)
  while (offsets.length < RECORDS) await read(await ask('max_bytes=16777216'))
  expect(offsets.toSorted((a, b) => a - b)).toEqual(range(0, RECORDS))
}, 120_000)

test.each(['start=earliest', ''])(
  'the memory of a client that reads nothing for writeDeadline is freed: %s',
  async (query) => {
    await using route = served({ writeDeadline: 200 })
    const { ask, handler } = route
    expect((await ask(`${query}&max_bytes=300000`)).status).toBe(200)
    expect(handler.stats().answerBytes).toBeGreaterThan(200_000)
    await until(() => handler.stats().answerBytes === 0, 'the deadline')
  },
  60_000,
)

test('a record that is larger than the whole answer budget is delivered', async () => {
  const large = await kafka.createTopic(1)
  await kafka.produce(large, [{ partition: 0, value: 'x'.repeat(900_000) }])
  await using route = served({ topics: [large], maxAnswerBytes: MIB })
  for (const query of ['start=earliest', '']) {
    const answer = await route.ask(`${query}&max_bytes=1000`)
    const { records } = (await answer.json()) as { records: StreamedRecord[] }
    expect(records).toHaveLength(1)
  }
  expect(route.handler.stats().answerBytes).toBe(0)
}, 120_000)
