import { describe, expect, test } from 'bun:test'
import { Hono } from 'hono'
import { type KafkaConsumeOptions, type KafkaReaderEnv, kafkaReader } from '../../src/index.ts'
import { uniqueName } from '../support/names.ts'
import { Route, type RouteOptions, type Target } from '../support/route.ts'

/** `POST …/offsets`, for groups that do not commit by themselves. */
export function describeOffsets(target: () => Target): void {
  function post(route: Route, body: string): Promise<Response> {
    return fetch(route.url().replace('/messages', '/messages/offsets'), { method: 'POST', body })
  }

  async function four(): Promise<RouteOptions> {
    const { kafka } = target()
    const topic = await kafka.createTopic()
    await kafka.produce(
      topic,
      ['a', 'b', 'c', 'd'].map((value) => ({ partition: 0, value })),
    )
    return {
      topics: [topic],
      autoOffsetReset: 'earliest',
      commitStrategy: 'off',
      consumerGroup: { mode: 'manual', consumerGroupId: uniqueName('offsets') },
    }
  }

  async function valuesOf(options: RouteOptions): Promise<unknown[]> {
    await using route = await Route.mount(target(), options)
    return (await route.records({ timeout: 500 })).map(({ value }) => value)
  }

  describe('POST offsets', () => {
    test('with commitStrategy off, a group goes on only from what is posted', async () => {
      const options = await four()
      const [topic] = options.topics as string[]
      expect(await valuesOf(options)).toEqual(['a', 'b', 'c', 'd'])
      expect(await valuesOf(options)).toEqual(['a', 'b', 'c', 'd'])
      {
        await using route = await Route.mount(target(), options)
        const response = await post(route, JSON.stringify({ [String(topic)]: { 0: 2 } }))
        expect(response.status).toBe(204)
      }
      expect(await valuesOf(options)).toEqual(['c', 'd'])
      {
        await using route = await Route.mount(target(), options)
        const response = await post(route, JSON.stringify({ cursor: `${topic}:0=3` }))
        expect(response.status).toBe(204)
      }
      expect(await valuesOf(options)).toEqual(['d'])
    })

    test('a compact cursor, as the ids of many partitions are, commits them all', async () => {
      const { kafka } = target()
      const topics: string[] = []
      for (let n = 0; n < 9; n++) topics.push(await kafka.createTopic())
      await kafka.produce(
        topics[4] as string,
        ['a', 'b', 'c'].map((value) => ({ partition: 0, value })),
      )
      const consumerGroupId = uniqueName('offsets')
      const group = { topics, consumerGroup: { mode: 'manual', consumerGroupId } } as const
      let id: string | undefined
      {
        await using streams = await Route.mount(target(), { topics, mode: 'server-sent-events' })
        await using stream = await streams.stream({ start: 'earliest' })
        await stream.until(2)
        id = stream.events[1]?.id
        expect(id).toStartWith('~')
      }
      const options = { ...group, autoOffsetReset: 'earliest', commitStrategy: 'off' } as const
      {
        await using route = await Route.mount(target(), options)
        const { status } = await post(route, JSON.stringify({ cursor: id }))
        expect(status).toBe(204)
      }
      expect(await valuesOf(options)).toEqual(['c'])
    })

    test('a body that does not name offsets of the route is a 400 that gives the reason', async () => {
      const options = await four()
      const [topic] = options.topics as string[]
      await using route = await Route.mount(target(), options)
      const bad: [body: string, says: string][] = [
        ['', 'JSON'],
        ['[]', 'cursor'],
        ['{}', 'offsets'],
        ['{"cursor":"x"}', 'cursor'],
        ['{"foreign":{"0":1}}', 'foreign'],
        [`{"${topic}":{"99":1}}`, '99'],
        [`{"${topic}":{"0":-1}}`, 'whole numbers'],
        [`{"${topic}":{"x":1}}`, 'whole numbers'],
        [`{"${topic}":{"0":1.5}}`, 'whole numbers'],
        [`{"${topic}":7}`, 'object'],
        [`[{"topic":"${topic}","partition":0,"timestamp":1}]`, 'cursor'],
        [`{"${topic}":{"0":1},"padding":"${'x'.repeat(70_000)}"}`, '65536'],
      ]
      for (const [body, says] of bad) {
        const response = await post(route, body)
        const { message } = (await response.json()) as { message: string }
        expect([response.status, message]).toEqual([400, expect.stringContaining(says)])
      }
    })

    test('a handler commits the offsets that it names, and no others', async () => {
      const { bootstrapServers } = target().kafka
      const options = await four()
      const values = async (limit: number, commits: boolean) => {
        const kafka = kafkaReader({ ...options, bootstrapServers } as KafkaConsumeOptions)
        const app = new Hono<KafkaReaderEnv>().get('/orders', kafka, async (c) => {
          const { records, commit } = await c.var.kafka.poll({ maxRecords: limit, timeout: 500 })
          if (commits) commit()
          return c.json(records.map(({ value }) => value))
        })
        try {
          return await (await app.request('/orders')).json()
        } finally {
          await kafka.close()
        }
      }
      expect(await values(2, false)).toEqual(['a', 'b'])
      expect(await values(2, true)).toEqual(['a', 'b'])
      expect(await values(9, false)).toEqual(['c', 'd'])
      expect(await values(9, true)).toEqual(['c', 'd'])
      expect(await values(9, false)).toEqual([])
    })

    test('a route that commits by itself refuses offsets', async () => {
      const options = await four()
      await using route = await Route.mount(target(), { ...options, commitStrategy: 'auto' })
      const response = await post(route, '{}')
      expect(response.status).toBe(405)
    })
  })
}
