/** `/topics`: offsets, rates, replicas and consumer groups of a real Kafka's topics, for who may see them. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createGateway, type Gateway } from '../../src/gateway/app.ts'
import { parseKeys } from '../../src/gateway/auth/clients.ts'
import { topicRoutes } from '../../src/observability/topics.ts'
import { TestKafka } from '../support/kafka.ts'
import { uniqueName } from '../support/names.ts'
import { until } from '../support/wait.ts'
import { idleHandler, idleStats } from '../unit/fakes.ts'

const keys = parseKeys('ops=planted-key-of-ops,shop=planted-key-of-shop')
const [ops, shop] = keys as [(typeof keys)[0], (typeof keys)[0]]

let kafka: TestKafka
let orders: string
let payments: string
let hidden: string
let gateway: Gateway

async function get(path: string, key = ops.key) {
  const headers = { authorization: `Bearer ${key}` }
  const response = await gateway.app.request(path, { headers })
  return { status: response.status, body: await response.json() }
}

beforeAll(async () => {
  kafka = await TestKafka.real()
  const name = uniqueName('topics')
  orders = await kafka.createTopic(3, 1, `${name}-orders`)
  payments = await kafka.createTopic(1, 1, `${name}-payments`, { 'retention.ms': '7200000' })
  hidden = await kafka.createTopic(1, 1, `${name}-hidden`)
  await kafka.produce(
    orders,
    Array.from({ length: 12 }, (_, index) => ({ partition: index % 3, value: `${index}` })),
  )
  await kafka.produce(payments, [{ value: 'a' }])
  await kafka.expire(orders, 0, 1)
  gateway = createGateway({
    cluster: { brokers: [kafka.bootstrapServers], topics: [orders, payments] },
    guard: { clients: [ops, { ...shop, only: { topics: [orders], partitions: [1, 2] } }] },
  })
  await gateway.start()
}, 120_000)

afterAll(async () => {
  await gateway?.close()
  for (const topic of [orders, payments, hidden]) await kafka.deleteTopic(topic)
  await kafka?.close()
}, 120_000)

/**
 * The cluster as the list has it, when Kafka was asked after `isThere`. Kafka is asked about 100 groups
 * every 5 s, and other tests leave hundreds of them.
 */
async function listed(isThere: (topic: { name: string; groups: unknown[] }) => boolean) {
  let cluster: { topics: Array<{ name: string; groups: unknown[] }> } | undefined
  await until(
    async () => {
      ;[cluster] = (await get('/topics')).body.clusters
      return cluster?.topics.some(isThere) ?? false
    },
    () => `the topic in ${JSON.stringify(cluster)}`,
    100_000,
  )
  return cluster
}

describe('/topics', () => {
  test('has the records, the replicas and the lag of each topic of a route, and no other topic', async () => {
    const read = await get('/messages?max_records=5')
    expect(read.status).toBe(200)
    const cluster = await listed(({ name, groups }) => name === orders && groups.length > 0)
    const names = cluster?.topics.map(({ name }) => name)
    expect(names).toEqual([orders, payments])
    const { rate: _, groups, ...topic } = (cluster?.topics[0] ?? {}) as Record<string, unknown>
    expect(topic).toEqual({
      name: orders,
      routes: ['/messages', '/stream', '/socket'],
      partitions: 3,
      records: 11,
      end: 12,
      bytes: expect.any(Number),
      replicaBytes: expect.any(Number),
      replicas: 1,
      underReplicated: 0,
    })
    expect(groups).toHaveLength(1)
  }, 120_000)

  test('has each partition of one topic, and each group with its lag there', async () => {
    await listed(({ name, groups }) => name === orders && groups.length > 0)
    const { status, body } = await get(`/topics/${orders}`)
    expect(status).toBe(200)
    expect(body.cluster).toBe(kafka.bootstrapServers)
    const ranges = body.partitions.map(({ start, end }: { start: number; end: number }) => [
      start,
      end,
    ])
    expect(ranges).toEqual([
      [1, 4],
      [0, 4],
      [0, 4],
    ])
    expect(body.partitions[0]).toMatchObject({ leader: 1, replicas: [1], inSync: [1] })
    const [group] = body.groups
    expect(group).toMatchObject({ state: 'stable', members: 1 })
    const committed = await kafka.committed(group.id, orders, 3)
    for (const { partition, committed: at, lag } of group.partitions) {
      expect(at).toBe(committed[partition])
      expect(lag).toBe(4 - at)
    }
  }, 120_000)

  test('has the settings of a topic, and which of them are its own', async () => {
    const { body } = await get(`/topics/${payments}`)
    const own = body.configuration.filter((each: { isDefault: boolean }) => !each.isDefault)
    expect(own).toEqual([{ name: 'retention.ms', value: '7200000', isDefault: false }])
    expect(body.configuration).toContainEqual({
      name: 'cleanup.policy',
      value: 'delete',
      isDefault: true,
    })
    const names = body.configuration.map(({ name }: { name: string }) => name)
    expect(names).toEqual([...names].sort())
  }, 120_000)

  test('tells a topic without a route from one that does not exist by nothing', async () => {
    for (const topic of [hidden, `${hidden}-not`]) {
      expect(await get(`/topics/${topic}`)).toEqual({
        status: 404,
        body: { message: `Cannot show topic "${topic}": no route has it`, code: 'UNKNOWN_TOPIC' },
      })
    }
  })

  test('shows a client with a scope its topics and partitions, and no groups', async () => {
    const { status, body } = await get('/topics', shop.key)
    expect(status).toBe(200)
    const [cluster] = body.clusters
    expect(cluster.topics).toHaveLength(1)
    expect(cluster.topics[0]).toMatchObject({ name: orders, partitions: 2, records: 8, groups: [] })
    const detail = await get(`/topics/${orders}`, shop.key)
    expect(detail.body.partitions.map((at: { partition: number }) => at.partition)).toEqual([1, 2])
    expect(detail.body.groups).toEqual([])
    expect(detail.body.configuration).toBeNull()
    expect((await get(`/topics/${payments}`, shop.key)).status).toBe(404)
    expect((await gateway.app.request('/topics')).status).toBe(401)
  })
})

describe('Kafka', () => {
  const stats = () => ({
    ...idleStats(),
    topics: ['t'],
    cluster: { name: 'c', outage: undefined, brokers: [] },
  })

  test('is asked once for many requests at a time, and once for all routes of a cluster', async () => {
    const asked: unknown[] = []
    const answers = Promise.withResolvers<void>()
    const handler = {
      ...idleHandler,
      stats,
      topicDetails: async (topics?: readonly string[]) => {
        asked.push(topics)
        await answers.promise
        return idleHandler.topicDetails()
      },
    }
    const other = { ...handler, stats: () => ({ ...stats(), topics: ['u', 't'] }) }
    const app = topicRoutes(() => [
      { name: '/t', handler },
      { name: '/u', handler: other },
    ])
    const requests = Array.from({ length: 50 }, () => app.request('/'))
    answers.resolve()
    for (const response of await Promise.all(requests)) expect(response.status).toBe(200)
    await app.request('/t')
    expect(asked).toEqual([['t', 'u']])
  })

  test('that cannot be asked leaves what was known, with the error', async () => {
    let isAway = true
    const details = {
      partitions: [
        { topic: 't', partition: 0, start: 0, end: 3, leader: 1, replicas: [1, 2], inSync: [1] },
        {
          topic: 't',
          partition: 1,
          start: -1,
          end: -1,
          leader: undefined,
          replicas: [2],
          inSync: [],
        },
      ],
      groups: [],
      groupsLeftOut: 7,
    }
    const topicDetails = async () => {
      if (isAway) throw new Error('planted words of the client')
      return details
    }
    const app = topicRoutes(() => [
      { name: '/t', handler: { ...idleHandler, stats, topicDetails } },
    ])
    const before = await (await app.request('/')).json()
    expect(before.clusters[0]).toMatchObject({ topics: [], error: { code: 'INTERNAL' } })
    expect(JSON.stringify(before)).not.toContain('planted')
    isAway = false
    const again = topicRoutes(() => [
      { name: '/t', handler: { ...idleHandler, stats, topicDetails } },
    ])
    const after = await (await again.request('/')).json()
    expect(after.clusters).toEqual([
      {
        name: 'c',
        topics: [
          {
            name: 't',
            routes: ['/t'],
            partitions: 2,
            records: 3,
            end: 3,
            bytes: null,
            replicaBytes: null,
            rate: null,
            replicas: 1,
            underReplicated: 2,
            groups: [],
          },
        ],
        groupsLeftOut: 7,
      },
    ])
  })
})
