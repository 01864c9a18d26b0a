/** The cost of more subscribers, more partitions and more topics. */
import { type Figure, figure, limited } from '../figure.ts'
import type { Topic } from '../kafka.ts'
import type { Crowd } from '../programs/crowd.ts'
import type { Gateway } from '../programs/gateway.ts'
import type { Pacer } from '../programs/pacer.ts'
import type { Subscribers } from '../programs/subscribers.ts'
import { alternate, statisticOf } from '../rounds.ts'
import { type Bench, PARTITIONS, type Scenario } from '../scenario.ts'
import { measure, READ_LIMIT_MS, type Reading } from './reading.ts'

const VALUE_BYTES = 100
const SUBSCRIBERS = [1, 10, 100, 1_000]
const PER_SECOND = 100
/** The highest cost of an event, as a multiple of the cost with a tenth of the subscribers. */
const FLAT = 1.2
const MANY_PARTITIONS = [1, 10, 50, 200]
const MANY_TOPICS = [5, 20]
/** The highest cost of a record of 20 topics, as a multiple of the cost in one topic. */
const TOPICS_GOAL = 1.5
const GOAL_TOPICS = 20
/** Records of each replay, evenly over the partitions. */
const RECORDS = 200_000
const OPEN_LIMIT_MS = 60_000

export const growth: Scenario = {
  name: 'growth',
  summary:
    'processor time of an event by number of subscribers, of a record by partitions and topics',
  async run(bench) {
    return [...(await bySubscribers(bench)), ...(await byPartitions(bench))]
  },
}

async function bySubscribers(bench: Bench): Promise<Figure[]> {
  const topic = await bench.topics.create(PARTITIONS, VALUE_BYTES)
  const gateway = bench.spawn<Gateway>('gateway')
  const clients = bench.spawn<Crowd>('crowd')
  const pacer = bench.spawn<Pacer>('pacer')
  const { port } = await gateway.ask('serve', { brokers: bench.brokers, topic: topic.name })
  await pacer.ask('open', { brokers: bench.brokers })
  const sending = {
    topic: topic.name,
    partitions: PARTITIONS,
    bytes: VALUE_BYTES,
    perSecond: PER_SECOND,
  }
  const side = (count: number) => async () => {
    await clients.ask('open', { port, path: '/stream', count }, OPEN_LIMIT_MS)
    await pacer.ask('send', { ...sending, seconds: 1 })
    await Bun.sleep(500)
    await clients.ask('take')
    const before = await gateway.usage()
    await pacer.ask('send', { ...sending, seconds: bench.quick ? 4 : 8 }, OPEN_LIMIT_MS)
    await Bun.sleep(500)
    const after = await gateway.usage()
    const { events } = await clients.ask('take')
    await clients.ask('close')
    return { events, cpu: ((after.cpu - before.cpu) / events) * 1e6 }
  }
  const measured = await alternate(
    Object.fromEntries(SUBSCRIBERS.map((count) => [String(count), side(count)])),
    bench.quick ? 2 : 3,
    (count, round, { events, cpu }) =>
      bench.say(`  ${count} streams ${round}: ${events} events, ${cpu.toFixed(1)} µs of CPU each`),
  )
  await bench.stop(gateway, clients, pacer)
  const cpu = (count: number) => statisticOf(measured[String(count)] ?? [], (one) => one.cpu)
  return SUBSCRIBERS.map((count) => {
    const name = `event to ${count.toLocaleString('en-US')}, CPU`
    const one = cpu(count)
    return count === SUBSCRIBERS.at(-1)
      ? limited(name, 'µs/event', one, cpu(count / 10), FLAT)
      : figure(name, 'µs/event', one)
  })
}

async function byPartitions(bench: Bench): Promise<Figure[]> {
  return compareReplays(bench, [
    ...MANY_PARTITIONS.map((partitions) => [1, partitions] as const),
    ...MANY_TOPICS.map((topics) => [topics, PARTITIONS] as const),
  ])
}

/** The cost of a record of many topics, beside that in one topic. */
export async function byTopics(bench: Bench): Promise<Figure[]> {
  return compareReplays(bench, [
    [1, PARTITIONS],
    [GOAL_TOPICS, PARTITIONS],
  ])
}

/** @param shapes Numbers of topics, and of partitions of each topic; one shape is one topic of 10. */
async function compareReplays(
  bench: Bench,
  shapes: ReadonlyArray<readonly [topics: number, partitions: number]>,
): Promise<Figure[]> {
  const records = RECORDS * (bench.quick ? 1 : 3)
  bench.say(`growth: filling topics with ${records.toLocaleString('en-US')} records each way`)
  const gateway = bench.spawn<Gateway>('gateway')
  const client = bench.spawn<Subscribers>('subscribers')
  const replay = async (topics: readonly Topic[]): Promise<() => Promise<Reading>> => {
    const topic = topics.map(({ name }) => name)
    const { port } = await gateway.ask('serve', { brokers: bench.brokers, topic })
    return () =>
      measure(gateway, async () => {
        await client.ask('open', { port, path: '/stream?start=earliest', count: 1 })
        const received = await client.ask('receive', { events: records }, READ_LIMIT_MS)
        await client.ask('close')
        return { records, rate: records / received.seconds }
      })
  }
  const readers: Record<string, () => Promise<Reading>> = {}
  for (const [topics, partitions] of shapes) {
    const made: Topic[] = []
    for (let i = 0; i < topics; i++) {
      const topic = await bench.topics.create(partitions, VALUE_BYTES)
      await bench.produce(topic, records / topics)
      made.push(topic)
    }
    readers[nameOf(topics, partitions)] = await replay(made)
  }
  const measured = await alternate(readers, bench.quick ? 2 : 3, (name, round, { rate, cpu }) =>
    bench.say(
      `  ${name} ${round}: ${Math.round(rate / 1000)} K records/s, ${cpu.toFixed(2)} s of CPU for 1 M`,
    ),
  )
  await bench.stop(gateway, client)
  const cpu = (one: Reading) => one.cpu
  const ten = measured[nameOf(1, PARTITIONS)] ?? []
  return shapes.map(([topics, partitions]) => {
    const name = nameOf(topics, partitions)
    const rounds = measured[name] ?? []
    const pair = [statisticOf(rounds, cpu), statisticOf(ten, cpu)] as const
    const title = `${name}, CPU`
    const unit = 's/1 M records'
    return topics === GOAL_TOPICS
      ? limited(title, unit, ...pair, TOPICS_GOAL)
      : figure(title, unit, ...pair)
  })
}

function nameOf(topics: number, partitions: number): string {
  if (topics > 1) return `replay of ${topics} topics`
  return `replay of ${partitions} partition${partitions > 1 ? 's' : ''}`
}
