/**
 * Offsets that hold no record, as transactions and compaction leave them, are neither lag nor loss.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { kafkaSide } from '../../kafka/index.ts'
import type { Gap } from '../../src/port/kafka.ts'
import { Cursor, PartitionTable } from '../../src/records/cursor.ts'
import { EncodedBatch } from '../../src/records/encoded-batch.ts'
import { TestKafka } from '../support/kafka.ts'
import { uniqueName } from '../support/names.ts'
import { Route, type RouteOptions, range } from '../support/route.ts'
import { SocketClient } from '../support/socket.ts'
import { TransactionalWriter } from '../support/transactions.ts'
import { until, within } from '../support/wait.ts'

const LIMIT = 120_000

let kafka: TestKafka
let writer: TransactionalWriter
beforeAll(async () => {
  kafka = await TestKafka.real()
  writer = await TransactionalWriter.connect(kafka.bootstrapServers)
}, 120_000)
afterAll(async () => {
  await writer?.[Symbol.asyncDispose]()
  await kafka?.close()
})

/** Two records at 0 and 2, and behind them a control record, two aborted records and another one. */
async function topicWithHoles(): Promise<string> {
  const topic = await kafka.createTopic(1)
  await commit(topic, 'first')
  await commit(topic, 'second')
  await writer.begin()
  await writer.write(topic, ['never', 'never'])
  await writer.abort()
  return topic
}

/** A transaction of one record, which a control record follows. */
async function commit(topic: string, value: string): Promise<void> {
  await writer.begin()
  await writer.write(topic, [value])
  await writer.commit()
}

const END = 7
const RECORDS = [0, 2]

/** Deletes all records, and writes one more. */
async function deleteAndGoOn(topic: string): Promise<void> {
  await kafka.expire(topic, 0, END)
  await commit(topic, 'last')
}

function mount(options: RouteOptions): Promise<Route> {
  return Route.mount({ kafka, close: async () => {} }, options)
}

async function gapsOf(route: Route): Promise<number> {
  return (await route.stats()).gaps
}

describe('a topic with transactions', () => {
  test(
    'has newest records and an end of a range, although offsets before them hold none',
    async () => {
      const topic = await topicWithHoles()
      await using route = await mount({ topics: [topic] })
      const valuesOf = async (query: Record<string, string>) =>
        (await route.records(query)).map(({ value }) => value)
      expect(await valuesOf({ start: '-1' })).toEqual(['second'])
      expect(await valuesOf({ start: '-5' })).toEqual(['first', 'second'])
      const all = await route.flat({ start: 'earliest', end: 'latest' })
      expect(all).toMatchObject({ cursor: `${topic}:0=${END}`, ended: true })
      // The end lies among aborted records.
      const some = await route.flat({ start: 'earliest', end: `${topic}:0=5` })
      expect(some).toMatchObject({ ended: true, cursor: `${topic}:0=5` })
      expect(some.records).toHaveLength(2)

      await using streams = await mount({ topics: [topic], mode: 'server-sent-events' })
      await using stream = await streams.stream({ start: '-1', end: 'latest' })
      await within(stream.ended, 'the stream to end')
      expect(stream.records().map(({ value }) => value)).toEqual(['second'])
      expect(stream.lastEventId).toBe(`${topic}:0=${END}`)

      // Records of an open transaction lie beyond the end.
      await writer.begin()
      await writer.write(topic, ['undecided'])
      expect(await valuesOf({ start: '-1' })).toEqual(['second'])
      await writer.commit()
      await until(
        async () => (await valuesOf({ start: '-1' }))[0] === 'undecided',
        'the record to be the newest',
      )
    },
    LIMIT,
  )

  test(
    'has no lag once a group has read all, and the group has no gap when Kafka deletes all that it read',
    async () => {
      const topic = await topicWithHoles()
      const groupId = uniqueName('group')
      const options: RouteOptions = {
        topics: [topic],
        autoOffsetReset: 'earliest',
        consumerGroup: { mode: 'manual', consumerGroupId: groupId },
      }
      {
        await using route = await mount(options)
        expect((await route.drain(2)).map(({ offset }) => offset)).toEqual(RECORDS)
        const places = async () => (await route.stats()).groups.flatMap((each) => each.partitions)
        await until(
          async () => (await places()).every(({ end, next }) => end === END && next === END),
          'the group to be at the end',
        )
        await until(
          async () => (await kafka.committed(groupId, topic, 1))[0] === END,
          'the end to be committed',
        )
      }
      await deleteAndGoOn(topic)
      await using again = await mount(options)
      expect((await again.drain(1)).map(({ value }) => value)).toEqual(['last'])
      expect(await gapsOf(again)).toBe(0)
    },
    LIMIT,
  )

  test.each<[string, Partial<RouteOptions>]>([
    ['by native frames', {}],
    ['by a transform', { transform: (record) => record }],
  ])(
    'tells a stream of its end, so that it resumes without a gap when Kafka deletes all of that: %s',
    async (_, more) => {
      const topic = await topicWithHoles()
      const options: RouteOptions = { topics: [topic], mode: 'server-sent-events', ...more }
      let lastId: string | undefined
      {
        await using route = await mount(options)
        // One that reads what was, and one that follows what comes.
        await using late = await route.stream({ start: 'earliest' })
        await using open = await route.stream()
        await late.until(2)
        await until(() => late.lastEventId === `${topic}:0=${END}`, 'the id of the end')
        await commit(topic, 'more')
        const end = `${topic}:0=${END + 2}`
        await open.until(1)
        await until(() => open.lastEventId === end, 'the id of the next end')
        await until(() => late.lastEventId === end, 'the id of the next end')
        expect(late.records().map(({ offset }) => offset)).toEqual([...RECORDS, END])
        lastId = open.lastEventId
      }
      await kafka.expire(topic, 0, END + 2)
      await commit(topic, 'last')
      await using again = await mount(options)
      await using resumed = await again.stream({}, { 'Last-Event-ID': lastId as string })
      await resumed.until(1)
      expect(resumed.records().map(({ value }) => value)).toEqual(['last'])
      expect([resumed.named('gap'), await gapsOf(again)]).toEqual([[], 0])
    },
    LIMIT,
  )

  test(
    'lets a WebSocket and a GET reach its end, too',
    async () => {
      const topic = await topicWithHoles()
      const end = `${topic}:0=${END}`
      await using sockets = await mount({ topics: [topic], mode: 'websocket' })
      await using socket = await SocketClient.open(sockets.url({ start: 'earliest' }))
      await socket.until(2)
      await until(() => socket.cursor === end, 'the cursor of the end')
      await using route = await mount({ topics: [topic] })
      let query: Record<string, string> = { start: 'earliest', timeout: '1000' }
      let cursor: string | null = null
      await until(async () => {
        const response = await route.fetch(query)
        cursor = response.headers.get('kafka-cursor')
        query = { cursor: cursor as string, timeout: '1000' }
        return cursor === end
      }, `the cursor of the end`)
      await deleteAndGoOn(topic)
      const response = await route.fetch({ ...query, format: 'records' })
      expect(response.headers.get('kafka-gaps')).toBeNull()
      expect((await response.json()) as object).toMatchObject({ records: [{ value: 'last' }] })
    },
    LIMIT,
  )
})

test(
  'a gap of a group without a record behind it is told to WebSockets until one of them stays, and to no other member',
  async () => {
    const topic = await kafka.createTopic(1)
    await kafka.produce(
      topic,
      range(0, 5).map((n) => ({ value: `${n}` })),
    )
    const groupId = uniqueName('group')
    const group = { mode: 'manual', consumerGroupId: groupId } as const
    const options = { topics: [topic], autoOffsetReset: 'earliest', consumerGroup: group } as const
    const isCommitted = async (offset: number) =>
      (await kafka.committed(groupId, topic, 1))[0] === offset
    {
      await using route = await mount(options)
      expect(await route.records({ max_records: 2, timeout: 20_000 })).toHaveLength(2)
      await until(() => isCommitted(2), 'the first records to be committed')
    }
    await kafka.expire(topic, 0, 5)
    const gap = { topic, partition: 0, from: 2, to: 5, reason: 'retention' }
    const sockets = { ...options, mode: 'websocket', heartbeat: 1_000 } as const
    {
      await using route = await mount(sockets)
      for (const stays of [false, true]) {
        await using socket = await SocketClient.open(route.url({ acks: 'true' }))
        await until(() => socket.frames.length > 0, 'the gap', 30_000)
        expect(socket.frames).toEqual([{ gap }])
        if (stays) await until(() => isCommitted(5), 'the end of the gap to be committed')
      }
    }
    await using route = await mount(sockets)
    await using socket = await SocketClient.open(route.url({ acks: 'true' }))
    await kafka.produce(topic, [{ value: 'last' }])
    await until(() => socket.frames.length > 0, 'the record', 30_000)
    expect(socket.records().map(({ value }) => value)).toEqual(['last'])
    expect(socket.frames).toHaveLength(1)
  },
  LIMIT,
)

test.each([
  ['by native frames', true],
  ['as records', false],
])('records that are deleted up to the end of a partition are a gap: %s', async (_, asFrames) => {
  const topic = await kafka.createTopic(1)
  await kafka.produce(
    topic,
    range(0, 10).map((n) => ({ value: `${n}` })),
  )
  await kafka.expire(topic, 0, 10)
  const cluster = kafkaSide.connect({ bootstrapServers: kafka.bootstrapServers.split(',') })
  try {
    const table = new PartitionTable([{ topic, partition: 0 }])
    const start = new Cursor(table, new Float64Array([3]))
    // A live consumer is not compared with what there is when it begins.
    const reader = await cluster.openConsumer(table.offsets(start.vector), 'live')
    const gaps: Gap[] = []
    const ends: number[] = []
    await until(async () => {
      const batch = await reader.read(
        10,
        100,
        asFrames ? EncodedBatch.encodingRequest(start, 'noop') : undefined,
      )
      gaps.push(...batch.gaps)
      ends.push(...batch.ends.map(({ offset }) => offset))
      return ends.length > 0
    }, 'the end')
    expect(gaps).toEqual([{ topic, partition: 0, from: 3, to: 10, reason: 'retention' }])
    expect(ends).toEqual([10])
    await reader.close()
  } finally {
    await cluster.close()
  }
})

test(
  'a compacted topic has no gap where records were removed, and no lag once all was read',
  async () => {
    const topic = await kafka.createTopic(1, 1, uniqueName('compacted'), {
      'cleanup.policy': 'compact',
      'segment.ms': '100',
      'min.cleanable.dirty.ratio': '0.01',
      'max.compaction.lag.ms': '1000',
    })
    for (const n of range(0, 40)) {
      await kafka.produce(topic, [{ partition: 0, key: `k${n % 4}`, value: `${n}` }])
      // A segment of its own, now and then, since the newest one is not compacted.
      if (n % 10 === 9) await Bun.sleep(150)
    }
    const end = 40
    const read = async () => {
      await using route = await mount({ topics: [topic] })
      const response = await route.fetch({ start: 'earliest', max_records: 100, timeout: 1_000 })
      return (await response.json()) as Record<
        string,
        { partitions: { 0: { records: { offset: number }[] } } }
      >
    }
    const offsetsNow = async () =>
      (await read())[topic]?.partitions[0].records.map(({ offset }) => offset) ?? []
    let kept: number[] = []
    await until(
      async () => {
        kept = await offsetsNow()
        return kept.length < 20
      },
      () => `records to be removed; there are ${kept.length}`,
      60_000,
    )
    const groupId = uniqueName('group')
    await using route = await mount({
      topics: [topic],
      mode: 'auto',
      autoOffsetReset: 'earliest',
      consumerGroup: { mode: 'manual', consumerGroupId: groupId },
    })
    await using stream = await route.stream({ start: 'earliest' })
    await using resumed = await route.stream({}, { 'Last-Event-ID': `${topic}:0=1` })
    const last = kept.at(-1) as number
    const has = (client: typeof stream) => client.records().some(({ offset }) => offset === last)
    await until(() => has(stream) && has(resumed), 'the last record on both streams')
    await route.drain(kept.length)
    const places = async () => (await route.stats()).groups.flatMap((each) => each.partitions)
    await until(
      async () => (await places()).every((each) => each.end === end && each.next === end),
      'the group to be at the end',
    )
    expect([stream.named('gap'), resumed.named('gap'), await gapsOf(route)]).toEqual([[], [], 0])
  },
  LIMIT,
)
