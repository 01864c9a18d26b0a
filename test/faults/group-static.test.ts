/** Static members of a group: a node that is started again, and two nodes that have one name. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { TestKafka } from '../support/kafka.ts'
import { uniqueName } from '../support/names.ts'
import { Route } from '../support/route.ts'
import { sleep, until } from '../support/wait.ts'
import { sized } from './support/form.ts'

const PARTITIONS = 4

let kafka: TestKafka
beforeAll(async () => {
  kafka = await TestKafka.real()
})
afterAll(() => kafka.close())

type Protocol = 'classic' | 'consumer'

/** A node of its own: routes of one process with the same settings would be one member. */
function join(
  topic: string,
  consumerGroupId: string,
  groupInstanceId: string,
  groupProtocol: Protocol,
): Promise<Route> {
  return Route.mount(
    { kafka, close: async () => {} },
    {
      topics: [topic],
      clusterName: uniqueName('node'),
      autoOffsetReset: 'earliest',
      consumerGroup: { mode: 'manual', consumerGroupId, groupInstanceId, groupProtocol },
    },
  )
}

/** The partitions that a node reads. */
async function partitionsOf(route: Route): Promise<number[]> {
  const [group] = (await route.stats()).groups
  return (group?.partitions ?? []).map(({ partition }) => partition).toSorted()
}

/** Two nodes that share a group. */
async function twoNodes(
  topic: string,
  group: string,
  protocol: Protocol = 'classic',
): Promise<[Route, Route]> {
  const a = await join(topic, group, 'a', protocol)
  const b = await join(topic, group, 'b', protocol)
  await until(
    async () => {
      const found = [a, b].map(async (node) => {
        await node.records({ timeout: 100 })
        return (await partitionsOf(node)).length
      })
      return (await Promise.all(found)).every((count) => count === 2)
    },
    'both to read',
    30_000,
  )
  return [a, b]
}

test.each(['classic', 'consumer'] as const)(
  'a node that is started again keeps its partitions, and the other node has no rebalance, with the protocol %s',
  async (protocol) => {
    const topic = await kafka.createTopic(PARTITIONS)
    const group = uniqueName('static')
    const [a, b] = await twoNodes(topic, group, protocol)
    await using _ = b
    const before = await Promise.all([partitionsOf(a), partitionsOf(b)])
    await kafka.produce(
      topic,
      Array.from({ length: 40 }, (_, index) => ({ partition: index % PARTITIONS, value: 'x' })),
    )
    expect(await a.drain(20)).toHaveLength(20)
    await a.close()
    // Longer than a dynamic member's leave takes to be noticed.
    await sleep(2_000)
    expect(await partitionsOf(b)).toEqual(before[1])
    await using again = await join(topic, group, 'a', protocol)
    expect(await again.records({ timeout: 500 })).toEqual([])
    expect(await Promise.all([partitionsOf(again), partitionsOf(b)])).toEqual(before)
    expect(await b.drain(20)).toHaveLength(20)
  },
  90_000,
)

test.each(['classic', 'consumer'] as const)(
  'while a static node is away another one reads on, and a node that joins gets its share when Kafka misses the first, with the protocol %s',
  async (protocol) => {
    const topic = await kafka.createTopic(PARTITIONS)
    const group = uniqueName('static')
    const [a, b] = await twoNodes(topic, group, protocol)
    await using _ = a
    await b.close()
    await using c = await join(topic, group, 'c', protocol)
    // Its reads wait for partitions, and fail after 30 s without.
    const early = c.fetch({ timeout: 100 }).catch(() => {})
    const partitions = await partitionsOf(a)
    await kafka.produce(
      topic,
      partitions.flatMap((partition) =>
        Array.from({ length: 10 }, () => ({ partition, value: 'x' })),
      ),
    )
    let read = 0
    const isRead = async () => {
      read += (await a.records({ timeout: 100 })).length
      // A node of the protocol consumer gets its share meanwhile, of which it gets the records.
      return read === 20 || (await partitionsOf(c)).length > 0
    }
    await until(isRead, () => `the other node to read on, ${read} records came`, 20_000)
    if (sized(false, true)) {
      const hasPartitions = async () => {
        await a.fetch({ timeout: 100 })
        return (await partitionsOf(c)).length > 0
      }
      await until(hasPartitions, 'the new node to read', 90_000)
    }
    await c.close()
    await early
  },
  150_000,
)

test('a node that is killed after it gave partitions up, and before it joined again, leaves no partition without a node', async () => {
  const topic = await kafka.createTopic(PARTITIONS)
  const group = uniqueName('static')
  const program = `${import.meta.dir}/support/revoked-member.ts`
  const killed = Bun.spawn([process.execPath, program, kafka.bootstrapServers, group, 'a', topic], {
    stdout: 'pipe',
    stderr: 'inherit',
  })
  await killed.stdout.getReader().read()
  // It joins while the first node has all partitions, and is to get two of them.
  await using b = await join(topic, group, 'b', 'classic')
  const nothingYet = b.fetch({ timeout: 100 })
  expect(await killed.exited).not.toBe(0)
  await using a = await join(topic, group, 'a', 'classic')
  await nothingYet
  await kafka.produce(
    topic,
    Array.from({ length: 40 }, (_, index) => ({ partition: index % PARTITIONS, value: 'x' })),
  )
  const values = new Set<string>()
  await until(
    async () => {
      const read = await Promise.all([a, b].map((node) => node.records({ timeout: 100 })))
      for (const { partition, offset } of read.flat()) values.add(`${partition}:${offset}`)
      return values.size === 40
    },
    () => `all partitions to be read, ${values.size} records came`,
    60_000,
  )
}, 120_000)

test('of two nodes with one instance id the newer one reads; the older one reports the reason, and waits', async () => {
  const topic = await kafka.createTopic(PARTITIONS)
  const group = uniqueName('static')
  const [a, b] = await twoNodes(topic, group)
  await using _ = a
  await using __ = b
  const younger = await join(topic, group, 'a', 'classic')
  await younger.records({ timeout: 500 })
  await until(
    async () => (await a.fetch({ timeout: 100 })).status === 503,
    'the older one to be refused',
    30_000,
  )
  expect(await (await a.fetch({ timeout: 100 })).json()).toMatchObject({
    code: 'GROUP_MEMBER_FENCED',
    message: 'Cannot read as a group: another member has the group instance id "a"',
  })
  // Time in which the older one could fence the younger one in turn.
  await sleep(sized(3_000, 10_000))
  expect(await partitionsOf(younger)).toHaveLength(2)
  expect((await a.fetch({ timeout: 100 })).status).toBe(503)
  await younger.close()
  if (sized(false, true)) {
    // Kafka misses a static member after 45 s.
    await until(
      async () => (await a.fetch({ timeout: 100 })).status === 200,
      'the older one to read again',
      70_000,
    )
  }
}, 150_000)

test('of two nodes with one instance id and the protocol consumer the older one reads; the newer one reports the reason', async () => {
  const topic = await kafka.createTopic(PARTITIONS)
  const group = uniqueName('static')
  const [a, b] = await twoNodes(topic, group, 'consumer')
  await using _ = a
  await using __ = b
  await using younger = await join(topic, group, 'a', 'consumer')
  await until(
    async () => (await younger.fetch({ timeout: 100 })).status === 503,
    'the newer one to be refused',
    30_000,
  )
  expect(await (await younger.fetch({ timeout: 100 })).json()).toMatchObject({
    code: 'GROUP_MEMBER_FENCED',
    message: 'Cannot read as a group: another member has the group instance id "a"',
  })
  expect(await partitionsOf(a)).toHaveLength(2)
  expect((await a.fetch({ timeout: 100 })).status).toBe(200)
}, 90_000)
