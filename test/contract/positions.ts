/** The contract of `HEAD`, and of `GET …/offsets`. */
import { describe, expect, test } from 'bun:test'
import { Hono } from 'hono'
import { kafkaConsume } from '../../src/index.ts'
import { uniqueName } from '../support/names.ts'
import { Route, range, type Target } from '../support/route.ts'
import { serve } from '../support/server.ts'
import { until } from '../support/wait.ts'

const START = Date.UTC(2026, 0, 31, 9)

interface Reported {
  readonly group?: string
  readonly partitions: ReadonlyArray<{
    readonly topic: string
    readonly partition: number
    readonly begin: number
    readonly end: number
    readonly committed?: number | null
    readonly lag?: number | null
  }>
}

async function offsetsOf(route: Route): Promise<Reported> {
  const response = await fetch(route.url().replace('/messages', '/messages/offsets'))
  expect(response.status).toBe(200)
  return (await response.json()) as Reported
}

export function describePositions(target: () => Target): void {
  async function topicOf(count: number): Promise<string> {
    const { kafka } = target()
    const topic = await kafka.createTopic()
    await kafka.produce(
      topic,
      range(0, count).map((n) => ({
        partition: n % 4,
        key: `k${n}`,
        value: `v${n}`,
        timestamp: START + n * 1_000,
      })),
    )
    return topic
  }

  function manual() {
    return { mode: 'manual' as const, consumerGroupId: uniqueName('positions') }
  }

  describe.concurrent('HEAD', () => {
    test('tells positions, and takes nothing from the group', async () => {
      const topic = await topicOf(40)
      await using route = await Route.mount(target(), {
        topics: [topic],
        autoOffsetReset: 'earliest',
        consumerGroup: manual(),
      })
      const head = async (query: Record<string, string> = {}) => {
        const response = await route.fetch(query, { method: 'HEAD' })
        expect([response.status, await response.text()]).toEqual([200, ''])
        const { headers } = response
        expect(headers.get('kafka-begin')).toBe(`${topic}:0=0,1=0,2=0,3=0`)
        return [headers.get('kafka-cursor'), headers.get('kafka-end')]
      }
      const end = `${topic}:0=10,1=10,2=10,3=10`
      expect(await head()).toEqual([null, end])
      expect(await head({ start: 'latest' })).toEqual([end, end])
      const time = { start: '2026-01-31T09:00:20Z', end: '2026-01-31T09:00:30Z' }
      const [cursor, until] = [`${topic}:0=5,1=5,2=5,3=5`, `${topic}:0=8,1=8,2=7,3=7`]
      expect(await head(time)).toEqual([cursor, until])
      expect(await head({ cursor })).toEqual([cursor, end])
      expect(await head({ start: '-10' })).toEqual([`${topic}:0=8,1=8,2=7,3=7`, end])
      // A GET between these positions reads what the one with times does.
      const records = await route.records({ cursor, end: until })
      expect(records.map(({ value }) => value)).toHaveLength(10)
      expect((await route.drain(40)).length).toBe(40)
    })

    test('on a stream tells positions, and opens none', async () => {
      const topic = await topicOf(8)
      await using route = await Route.mount(target(), {
        topics: [topic],
        mode: 'server-sent-events',
      })
      const response = await route.fetch({}, { method: 'HEAD' })
      expect(response.status).toBe(200)
      expect(response.headers.get('kafka-cursor')).toBe(`${topic}:0=2,1=2,2=2,3=2`)
      expect((await route.stats()).subscribers).toBe(0)
    })

    test('refuses what a GET refuses', async () => {
      const topic = await topicOf(1)
      await using route = await Route.mount(target(), { topics: [topic] })
      for (const query of [
        { start: 'now' },
        { cursor: 'x' },
        { cursor: `${topic}:9=1` },
        { start: 'latest', partition: 9 },
        { strat: 'latest' },
        { end: 'latest' },
      ]) {
        const { status } = await route.fetch(query, { method: 'HEAD' })
        expect([query, status]).toEqual([query, 400])
      }
    })
  })

  describe.concurrent('GET offsets', () => {
    test('tells begin, end, and what the group has committed, before, while and after it has members', async () => {
      const topic = await topicOf(40)
      const consumerGroup = manual()
      const options = { topics: [topic], autoOffsetReset: 'earliest', consumerGroup } as const
      const partition = { topic, begin: 0, end: 10 }
      {
        await using route = await Route.mount(target(), options)
        const before = await offsetsOf(route)
        expect(before.group).toBe(consumerGroup.consumerGroupId)
        expect(before.partitions).toEqual(
          range(0, 4).map((n) => ({ ...partition, partition: n, committed: null, lag: null })),
        )
        await route.drain(40)
        await until(
          async () => (await offsetsOf(route)).partitions.every(({ lag }) => lag === 0),
          'the group to have committed all',
        )
      }
      await target().kafka.produce(topic, [{ partition: 2, value: 'new' }])
      await using route = await Route.mount(target(), options)
      const after = await offsetsOf(route)
      expect(after.partitions).toEqual(
        range(0, 4).map((n) => ({
          ...partition,
          end: n === 2 ? 11 : 10,
          partition: n,
          committed: 10,
          lag: n === 2 ? 1 : 0,
        })),
      )
      expect((await route.stats()).groups).toEqual([])
    })

    test('of a route of streams are begin and end only, for HEAD as well', async () => {
      const topic = await topicOf(5)
      await using route = await Route.mount(target(), {
        topics: [topic],
        mode: 'server-sent-events',
      })
      const reported = await offsetsOf(route)
      expect(reported.group).toBeUndefined()
      expect(reported.partitions[0]).toEqual({ topic, partition: 0, begin: 0, end: 2 })
      const address = route.url().replace('/messages', '/messages/offsets')
      expect((await fetch(address, { method: 'HEAD' })).headers.get('kafka-end')).toContain(topic)
      expect((await fetch(`${address}?partition=1`)).status).toBe(400)
    })
  })
}

/** The part that needs code of the app's own. */
export function describeRestrictedPositions(target: () => Target): void {
  test('GET offsets tells a restricted client the partitions that it may read', async () => {
    const { kafka } = target()
    const topic = await kafka.createTopic()
    const orders = kafkaConsume({ bootstrapServers: kafka.bootstrapServers, topics: [topic] })
    const app = new Hono()
    app.use(async (c, next) => {
      c.set('kafkaClient', { name: 'shop', only: { partitions: [1, 3] } })
      await next()
    })
    app.all('/orders/offsets', orders)
    await using server = serve(app)
    const response = await fetch(`${server.url}/orders/offsets`)
    const { partitions } = (await response.json()) as Reported
    expect(partitions.map(({ partition }) => partition)).toEqual([1, 3])
    await orders.close()
  })
}
