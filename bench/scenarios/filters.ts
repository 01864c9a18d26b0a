/**
 * Very many filtered subscribers, beside as many subscribers without filters that get as many events:
 * those whom no record concerns subscribe to a topic without records.
 */
import { type Figure, figure, limited } from '../figure.ts'
import type { Crowd, FilterForm } from '../programs/crowd.ts'
import type { Gateway } from '../programs/gateway.ts'
import type { Pacer } from '../programs/pacer.ts'
import type { Subscribers } from '../programs/subscribers.ts'
import { alternate, statisticOf } from '../rounds.ts'
import { type Bench, PARTITIONS, type Scenario } from '../scenario.ts'
import { measure, READ_LIMIT_MS, type Reading, teller } from './reading.ts'

const PER_SECOND = 100
const VALUE_BYTES = 100
const OPEN_LIMIT_MS = 120_000
/** Milliseconds for which the streams are left alone after they were opened. */
const REST_MS = 3_000

/** Subscribers with one filter each. A record passes the filters of `count / keys` of them. */
interface Filtered {
  readonly name: string
  readonly count: number
  readonly keys: number
  readonly by: FilterForm
  /** The most processor time for an event, and the longest p99 delay, beside unfiltered ones. */
  readonly goal: { readonly cpu: number; readonly p99: number }
}

const KEY_GOAL = { cpu: 1.5, p99: 2 }
const EXPRESSION_GOAL = { cpu: 3, p99: 3 }

const all: readonly Filtered[] = [
  { name: '1,000 of 40 keys', count: 1_000, keys: 40, by: 'key', goal: KEY_GOAL },
  { name: '10,000 of 10,000 keys', count: 10_000, keys: 10_000, by: 'key', goal: KEY_GOAL },
  {
    name: '10,000 of 200 expressions with an equality',
    count: 10_000,
    keys: 200,
    by: 'equality',
    goal: EXPRESSION_GOAL,
  },
  {
    name: '10,000 of 200 other expressions',
    count: 10_000,
    keys: 200,
    by: 'condition',
    goal: EXPRESSION_GOAL,
  },
]

export const filters: Scenario = {
  name: 'filters',
  summary: `${PER_SECOND} records/s to up to 10,000 subscribers of one key or expression each, to as many events without filters`,
  async run(bench) {
    const figures: Figure[] = []
    for (const filtered of all) figures.push(...(await runFiltered(bench, filtered)))
    return [...figures, ...(await runCatchUp(bench))]
  },
}

/** A replay of one key of 40, beside a replay of all records. */
async function runCatchUp(bench: Bench): Promise<Figure[]> {
  const keys = 40
  const perSecond = 40_000
  const seconds = bench.quick ? 5 : 15
  const records = perSecond * seconds
  const topic = await bench.topics.create(PARTITIONS, VALUE_BYTES)
  const gateway = bench.spawn<Gateway>('gateway')
  const client = bench.spawn<Subscribers>('subscribers')
  const pacer = bench.spawn<Pacer>('pacer')
  const { port } = await gateway.ask('serve', { brokers: bench.brokers, topic: topic.name })
  await pacer.ask('open', { brokers: bench.brokers })
  const sending = { topic: topic.name, partitions: PARTITIONS, bytes: VALUE_BYTES, perSecond }
  await pacer.ask('send', { ...sending, seconds, keys }, READ_LIMIT_MS)
  // Lines, whose records are counted one by one: the ids of a filtered stream do not count them.
  const accept = 'application/x-ndjson' as const
  const replay = (query: string, events: number) => () =>
    measure(gateway, async () => {
      const path = `/stream?start=earliest${query}`
      await client.ask('open', { port, path, count: 1, accept })
      const received = await client.ask('receive', { events }, READ_LIMIT_MS)
      await client.ask('close')
      return { records, rate: records / received.seconds }
    })
  const sides = { key: replay('&key=key-1', records / keys), all: replay('', records) }
  const name = 'filters, replay of one key of 40'
  const measured = await alternate(sides, bench.quick ? 3 : 7, teller(bench, name))
  await bench.stop(gateway, client, pacer)
  const pair = (of: (one: Reading) => number) =>
    [statisticOf(measured.key, of), statisticOf(measured.all, of)] as const
  return [
    figure(name, 'records/s', ...pair(({ rate }) => rate), 0.8),
    figure(`${name}, CPU`, 's/1 M records', ...pair(({ cpu }) => cpu)),
  ]
}

async function runFiltered(
  bench: Bench,
  { name, count, keys, by, goal }: Filtered,
): Promise<Figure[]> {
  const wanting = count / keys
  const topic = await bench.topics.create(PARTITIONS, VALUE_BYTES)
  const quiet = await bench.topics.create(PARTITIONS, VALUE_BYTES)
  const gateway = bench.spawn<Gateway>('gateway')
  const clients = bench.spawn<Crowd>('crowd')
  const pacer = bench.spawn<Pacer>('pacer')
  const serving = { brokers: bench.brokers, topic: topic.name, quiet: quiet.name }
  const { port } = await gateway.ask('serve', serving)
  await pacer.ask('open', { brokers: bench.brokers })
  const sending = {
    topic: topic.name,
    partitions: PARTITIONS,
    bytes: VALUE_BYTES,
    perSecond: PER_SECOND,
    keys,
  }
  const seconds = 10
  const open = (path: string, streams: number, filter = {}) =>
    clients.ask('open', { port, path, count: streams, ...filter }, OPEN_LIMIT_MS)
  const measureOpen = async () => {
    await pacer.ask('send', { ...sending, seconds: 2 })
    await Bun.sleep(REST_MS)
    await clients.ask('take')
    const before = await gateway.usage()
    await pacer.ask('send', { ...sending, seconds }, 60_000)
    await Bun.sleep(1_000)
    const after = await gateway.usage()
    const came = await clients.ask('take')
    await clients.ask('close')
    return { ...came, cpu: ((after.cpu - before.cpu) / came.events) * 1e6 }
  }
  const sides = {
    plain: async () => {
      await open('/stream', wanting)
      await open('/quiet', count - wanting)
      return measureOpen()
    },
    filtered: async () => {
      await open('/stream', count, { keys, by })
      return measureOpen()
    },
  }
  const { plain, filtered } = await alternate(
    sides,
    bench.quick ? 1 : 3,
    (label, round, { events, mean, p99, cpu }) =>
      bench.say(
        `  ${name} ${round}: ${label.padEnd(8)} ${events} events, mean ${mean.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms, ${cpu.toFixed(1)} µs of CPU an event`,
      ),
    false,
  )
  await bench.stop(gateway, clients, pacer)
  const expected = PER_SECOND * seconds * wanting
  type Measured = (typeof plain)[number]
  const pair = (of: (one: Measured) => number) =>
    [statisticOf(filtered, of), statisticOf(plain, of)] as const
  return [
    figure(
      `filters, ${name}, events`,
      'events',
      statisticOf(filtered, (one) => one.events),
      expected,
    ),
    figure(`filters, ${name}, mean delay`, 'ms', ...pair(({ mean }) => mean)),
    limited(`filters, ${name}, p99 delay`, 'ms', ...pair(({ p99 }) => p99), goal.p99),
    limited(`filters, ${name}, CPU`, 'µs/event', ...pair(({ cpu }) => cpu), goal.cpu),
  ]
}
