/** A few records per second to very many subscribers: their cost, and the delay of their events. */
import { type Figure, figure, limited } from '../figure.ts'
import type { Crowd } from '../programs/crowd.ts'
import type { Gateway } from '../programs/gateway.ts'
import type { Pacer } from '../programs/pacer.ts'
import { type Bench, PARTITIONS, type Scenario } from '../scenario.ts'

const VALUE_BYTES = 1_000
const PER_SECOND = 4
const OPEN_LIMIT_MS = 120_000
/** The figure that Lightstreamer publishes for 20,000 subscribers on 4 processors. */
const MEAN_MS = 128
const IDLE_KB = 12

/** The largest number of subscribers, which has goals for cost and delay. */
const GOAL_COUNT = 15_000

export const crowd: Scenario = {
  name: 'crowd',
  summary: `memory of idle subscribers, and delay of ${PER_SECOND} records/s of 1 KB to up to 15,000 of them`,
  async run(bench) {
    const counts = bench.quick ? [1_000, 5_000] : [1_000, 5_000, 10_000, GOAL_COUNT]
    const figures: Figure[] = []
    for (const count of counts) figures.push(...(await runCount(bench, count)))
    return figures
  },
}

/** Measures idle streams in another gateway: streams that have been sent records hold more memory. */
async function runCount(bench: Bench, count: number): Promise<Figure[]> {
  const seconds = bench.quick ? 10 : 20
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
  // The first records do work that later ones do not need.
  await clients.ask('open', { port, path: '/stream', count: 10 })
  await pacer.ask('send', { ...sending, seconds: 3 })
  await clients.ask('close')
  await clients.ask('take')
  await Bun.sleep(1_000)

  const empty = await gateway.usage()
  await clients.ask('open', { port, path: '/stream', count }, OPEN_LIMIT_MS)
  // This is longer than the first heartbeats take.
  await Bun.sleep(10_000)
  const idle = await gateway.usage()
  await pacer.ask('send', { ...sending, seconds }, 90_000)
  await Bun.sleep(1_000)
  const after = await gateway.usage()
  const came = await clients.ask('take')
  if (came.closed > 0) throw new Error(`Cannot measure a crowd: ${came.closed} were closed`)
  await clients.ask('close')
  await bench.stop(gateway, clients, pacer)

  const kilobytes = (rss: number) => (rss - empty.rss) / 1024 / count
  const of = count.toLocaleString('en-US')
  const share = came.events / (count * PER_SECOND * seconds)
  bench.say(
    `  crowd of ${of}: ${kilobytes(idle.rss).toFixed(1)} KB each before, ${kilobytes(after.rss).toFixed(1)} after, mean ${came.mean.toFixed(1)} ms, p99 ${came.p99.toFixed(1)} ms, ${(share * 100).toFixed(1)} % of events seen`,
  )
  const within = (name: string, unit: string, value: number, limit: number) =>
    count === GOAL_COUNT ? limited(name, unit, value, limit, 1) : figure(name, unit, value)
  return [
    within(`crowd of ${of}, idle`, 'KB each', kilobytes(idle.rss), IDLE_KB),
    figure(`crowd of ${of}, after records`, 'KB each', kilobytes(after.rss)),
    within(`crowd of ${of}, mean delay`, 'ms', came.mean, MEAN_MS),
    figure(`crowd of ${of}, p99 delay`, 'ms', came.p99),
    figure(`crowd of ${of}, CPU`, 'µs/event', ((after.cpu - idle.cpu) / came.events) * 1e6),
  ]
}
