/** `socket` of the package's client, on a real Kafka. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { type ReceivedRecord, socket, stream } from '../../src/client/index.ts'
import { TestKafka } from '../support/kafka.ts'
import { Route, range } from '../support/route.ts'
import { sleep, within } from '../support/wait.ts'

let kafka: TestKafka

beforeAll(async () => {
  kafka = await TestKafka.real()
}, 120_000)
afterAll(() => kafka?.close())

async function topicOf(count: number): Promise<string> {
  const topic = await kafka.createTopic(1)
  await kafka.produce(
    topic,
    range(0, count).map((number) => ({ partition: 0, value: String(number) })),
  )
  return topic
}

function mount(topic: string): Promise<Route> {
  return Route.mount(
    { kafka, close: () => kafka.close() },
    {
      topics: [topic],
      mode: 'websocket',
      autoOffsetReset: 'earliest',
    },
  )
}

test('a loop that is slower than the server gets each record once, by further connections', async () => {
  const topic = await topicOf(300)
  await using route = await mount(topic)
  let connections = 0
  const offsets: number[] = []
  const records = socket(route.url(), {
    start: 'earliest',
    maxWaiting: 20,
    onOpen: () => {
      connections++
    },
  })
  const reading = async () => {
    for await (const { offset } of records) {
      offsets.push(offset)
      if (offset === 0) await sleep(300)
      if (offset === 299) return
    }
  }
  await within(reading(), 'all records', 60_000)
  expect(offsets).toEqual(range(0, 300))
  expect(connections).toBeGreaterThan(1)
}, 90_000)

test('records that the loop has gone on from are acknowledged, and others come to the next client', async () => {
  const topic = await topicOf(10)
  await using route = await mount(topic)
  const offsets = async (count: number) => {
    const read: number[] = []
    for await (const { offset } of socket(route.url(), { acks: true })) {
      if (read.push(offset) === count) return read
    }
    return read
  }
  expect(await within(offsets(5), 'five records', 20_000)).toEqual([0, 1, 2, 3, 4])
  // The loop was left at the fifth.
  expect(await within(offsets(6), 'the others', 20_000)).toEqual([4, 5, 6, 7, 8, 9])
}, 120_000)

test('with manual acks only acknowledged records are', async () => {
  const topic = await topicOf(10)
  await using route = await mount(topic)
  const first = socket(route.url(), { acks: 'manual' })
  const read: Array<Omit<ReceivedRecord, 'cursor'>> = []
  for await (const record of first) {
    if (read.push(record) === 10) break
    if (record.offset === 6) first.ack(record)
  }
  const next = socket(route.url(), { acks: 'manual' })
  const { value } = await within(next.next(), 'a record', 20_000)
  expect(value).toMatchObject({ offset: 7 })
  await next.return()
}, 120_000)

test('a loop with an end ends there, on a socket and on a stream', async () => {
  const topic = await topicOf(10)
  const options = { start: '-5', end: `${topic}:0=8` }
  await using sockets = await mount(topic)
  await using streams = await Route.mount(
    { kafka, close: () => kafka.close() },
    { topics: [topic], mode: 'server-sent-events' },
  )
  for (const records of [socket(sockets.url(), options), stream(streams.url(), options)]) {
    const offsets: number[] = []
    const reading = async () => {
      for await (const { offset } of records) offsets.push(offset)
    }
    await within(reading(), 'the loop to end')
    expect(offsets).toEqual([3, 4, 5, 6, 7])
  }
})
