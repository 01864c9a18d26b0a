/** One subscriber from `earliest` over a topic that was filled before. */
import { npmTool } from '../../test/support/npm-tool.ts'
import type { Child } from '../child.ts'
import { type Figure, figure } from '../figure.ts'
import type { Topic } from '../kafka.ts'
import type { Bare, BareSettings } from '../programs/bare.ts'
import type { Gateway } from '../programs/gateway.ts'
import type { Subscribers } from '../programs/subscribers.ts'
import { alternate, statisticOf } from '../rounds.ts'
import { type Bench, PARTITIONS, type Scenario, SIZES, type Size } from '../scenario.ts'
import { measure, READ_LIMIT_MS, type Reading, readingFigures, teller } from './reading.ts'

const GOAL = 0.9

export const replay: Scenario = {
  name: 'replay',
  summary: 'records/s of one SSE subscriber from the earliest record on, to a bare consume loop',
  async run(bench) {
    const figures: Figure[] = []
    for (const size of SIZES) figures.push(...(await runSize(bench, size)))
    return figures
  },
}

async function runSize(bench: Bench, { label, bytes }: Size): Promise<Figure[]> {
  const large = bytes > 500
  const records = (large ? 300_000 : 2_000_000) / (bench.quick ? 2 : 1)
  const topic = await bench.topics.create(PARTITIONS, bytes)
  bench.say(`replay ${label}: filling a topic with ${records.toLocaleString('en-US')} records`)
  await bench.produce(topic, records)

  const gateway = bench.spawn<Gateway>('gateway')
  const client = bench.spawn<Subscribers>('subscribers')
  const bare = bench.spawn<Bare>('bare')
  const node = bench.spawn<Bare>('bare', await npmTool('node'))
  const { brokers } = bench
  const { port } = await gateway.ask('serve', { brokers, topic: topic.name })

  const subscribe = () =>
    measure(gateway, async () => {
      await client.ask('open', { port, path: '/stream?start=earliest', count: 1 })
      const received = await client.ask('receive', { events: records }, READ_LIMIT_MS)
      await client.ask('close')
      return { records, rate: records / received.seconds }
    })
  const loop = (settings: BareSettings, bare: Child<Bare>) => async () => {
    await bare.ask('open', { brokers, settings, from: topic.start, live: false })
    const reading = await measure(bare, async () => {
      const read = await bare.ask('read', { records }, READ_LIMIT_MS)
      return { records, rate: records / read.seconds }
    })
    await bare.ask('close')
    return reading
  }
  const sides = {
    gateway: subscribe,
    ours: loop('ours', bare),
    defaults: loop('defaults', bare),
    node: loop('ours', node),
  }
  const kcat = () => readByKcat(brokers, topic, records)
  const rounds = bench.quick ? 3 : 7
  const tell = teller(bench, `replay ${label}`)
  type Measured = Record<keyof typeof sides, Reading[]> & { kcat?: Reading[] }
  const measured: Measured = Bun.which('kcat')
    ? await alternate({ ...sides, kcat }, rounds, tell)
    : await alternate(sides, rounds, tell)
  await bench.stop(gateway, client, bare, node)
  const rate = (readings: readonly Reading[]) => statisticOf(readings, (one) => one.rate)
  const cpu = (readings: readonly Reading[]) => statisticOf(readings, (one) => one.cpu)
  const { gateway: ours, node: nodes, kcat: kcats } = measured
  const figures = [
    ...readingFigures(`replay ${label}`, measured, GOAL),
    figure(`replay ${label}, beside Node's loop`, 'records/s', rate(ours), rate(nodes)),
  ]
  if (!kcats) return figures
  return [
    ...figures,
    figure(`replay ${label}, beside kcat`, 'records/s', rate(ours), rate(kcats)),
    figure(`replay ${label}, CPU, beside kcat`, 's/1 M records', cpu(ours), cpu(kcats)),
  ]
}

/** A queue that holds the whole topic: while it is full, librdkafka pauses for up to a second. */
const KCAT_QUEUE = ['queued.min.messages=10000000', 'queued.max.messages.kbytes=2097151']

/** kcat discards what it prints. */
async function readByKcat(brokers: string, topic: Topic, records: number): Promise<Reading> {
  const argv = [
    'kcat',
    '-C',
    '-q',
    '-b',
    brokers,
    '-t',
    topic.name,
    '-o',
    'beginning',
    '-c',
    `${records}`,
    ...KCAT_QUEUE.flatMap((setting) => ['-X', setting]),
  ]
  const begun = performance.now()
  const child = Bun.spawn(argv, { stdin: 'ignore', stdout: 'ignore', stderr: 'inherit' })
  const late = setTimeout(() => child.kill(), READ_LIMIT_MS)
  const code = await child.exited
  clearTimeout(late)
  if (code !== 0) throw new Error(`Cannot read by kcat: it ended with ${code}`)
  const seconds = (performance.now() - begun) / 1_000
  // Microseconds, which newer versions of Bun return as a bigint.
  const cpu = Number(child.resourceUsage()?.cpuTime.total ?? 0) / 1e6
  return { rate: records / seconds, cpu: (cpu / records) * 1e6 }
}
