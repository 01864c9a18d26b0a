import { describe, expect, test } from 'bun:test'
import { Hono } from 'hono'
import { type KafkaReaderEnv, kafkaReader, type Transform } from '../../src/index.ts'
import { uniqueName } from '../support/names.ts'
import { Route, range, type Target } from '../support/route.ts'
import { sleep, until } from '../support/wait.ts'

/** Drops what is odd, fails on 4, doubles the rest. */
const double: Transform = async (record) => {
  const { n } = record.value as { n: number }
  if (n % 3 === 0) await sleep(1)
  if (n === 4) throw new Error('no 4')
  return n % 2 === 1 ? null : { ...record, value: n * 2, headers: { was: String(n) } }
}

const POISON = 7
const EXPECTED = [
  { offset: 0, value: 0, headers: { was: '0' } },
  { offset: 2, value: 4, headers: { was: '2' } },
  { offset: 4, value: { n: 4 }, error: { code: 'TRANSFORM_FAILED' } },
  { offset: 6, value: 12 },
  { offset: POISON, value: btoa('{'), error: { code: 'DESERIALIZATION_FAILED' } },
  { offset: 8, value: 16 },
]

/** A transform, wherever records are encoded. */
export function describeTransform(target: () => Target): void {
  async function written() {
    const { kafka } = target()
    const topic = await kafka.createTopic()
    await kafka.produce(
      topic,
      range(0, 10).map((n) => ({ value: n === POISON ? '{' : JSON.stringify({ n }) })),
    )
    return topic
  }
  const reading = {
    messageDeserializer: 'json',
    autoOffsetReset: 'earliest',
    transform: double,
  } as const
  const options = { ...reading, mode: 'auto' } as const

  describe.concurrent('a transform', () => {
    test('by GET, from a position: dropped records move the cursor', async () => {
      const topic = await written()
      await using route = await Route.mount(target(), { ...options, topics: [topic] })
      const { records, cursor } = await route.flat({ start: 'earliest' })
      expect(records).toMatchObject(EXPECTED)
      expect(cursor).toBe(`${topic}:0=10,1=0,2=0,3=0`)
      expect(await route.records({ cursor: `${topic}:0=8,1=0,2=0,3=0` })).toHaveLength(1)
    })

    test('by GET, as the group: dropped records count as delivered', async () => {
      const topic = await written()
      const consumerGroupId = uniqueName('group')
      await using route = await Route.mount(target(), {
        ...options,
        topics: [topic],
        consumerGroup: { mode: 'manual', consumerGroupId },
      })
      expect(await route.records({ timeout: 5_000 })).toMatchObject(EXPECTED)
      await route.close()
      expect((await target().kafka.committed(consumerGroupId, topic))[0]).toBe(10)
    })

    test('by GET, as the group: a batch of which all is dropped is not an empty answer', async () => {
      const topic = await written()
      await using route = await Route.mount(target(), {
        ...options,
        topics: [topic],
        consumerGroup: { mode: 'manual', consumerGroupId: uniqueName('group') },
      })
      for (const offset of [0, 2]) {
        expect(await route.records({ max_records: 1, timeout: 5_000 })).toMatchObject([{ offset }])
      }
    })

    test('on a stream: ids lie behind the records that were dropped before them, and resume there', async () => {
      const topic = await written()
      await using route = await Route.mount(target(), {
        ...options,
        topics: [topic],
        heartbeat: 200,
      })
      await using catchUp = await route.stream({ start: 'earliest' })
      await catchUp.until(6)
      expect(catchUp.records()).toMatchObject(EXPECTED)
      await using live = await route.stream()
      await target().kafka.produce(topic, [{ value: '{"n":1}' }, { value: '{"n":8}' }])
      await live.until(1)
      expect(live.records()).toMatchObject([{ offset: 11, value: 16 }])
      expect(live.lastEventId).toBe(`${topic}:0=12,1=0,2=0,3=0`)
    })

    test('a stream of which all is dropped still moves its last event id', async () => {
      const topic = await written()
      await using route = await Route.mount(target(), {
        ...options,
        topics: [topic],
        heartbeat: 200,
      })
      await using stream = await route.stream()
      await target().kafka.produce(topic, [{ value: '{"n":1}' }, { value: '{"n":3}' }])
      await until(() => stream.lastEventId === `${topic}:0=12,1=0,2=0,3=0`, 'the id to move')
      expect(stream.records()).toEqual([])
    })

    test('by poll and read of a handler behind the middleware: records are changed and dropped', async () => {
      const topic = await written()
      const middleware = kafkaReader({
        bootstrapServers: target().kafka.bootstrapServers,
        topics: [topic],
        ...reading,
        consumerGroup: { mode: 'manual', consumerGroupId: uniqueName('group') },
      })
      const app = new Hono<KafkaReaderEnv>()
        .use('/*', middleware)
        .get('/poll', async (c) => c.json((await c.var.kafka.poll({ timeout: 5_000 })).records))
        .get('/read', async (c) =>
          c.json((await c.var.kafka.read({ start: 'earliest', timeout: 5_000 })).records),
        )
      for (const path of ['/poll', '/read']) {
        expect(await (await app.request(path)).json()).toMatchObject(EXPECTED)
      }
      await middleware.close()
    })
  })
}
