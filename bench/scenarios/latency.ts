/** The delay from producing a record to its event at the client, beside kcat on the same topic at the same time. */
import type { Child } from '../child.ts'
import { type Figure, figure, limited } from '../figure.ts'
import type { Crowd } from '../programs/crowd.ts'
import type { Gateway } from '../programs/gateway.ts'
import type { Kcat } from '../programs/kcat.ts'
import type { Pacer } from '../programs/pacer.ts'
import { alternate, statisticOf } from '../rounds.ts'
import { PARTITIONS, type Scenario } from '../scenario.ts'

const VALUE_BYTES = 100
/**
 * Records per second, and the milliseconds for which the producer waits for others of a batch. A
 * broker that takes thousands of requests per second is busier than what is measured.
 */
const RATES = [
  { perSecond: 100, lingerMs: 0 },
  { perSecond: 1_000, lingerMs: 0 },
  { perSecond: 5_000, lingerMs: 20 },
]
const SUBSCRIBERS = [1, 100]
/** The highest delay, as a multiple of kcat's. */
const LIMIT = 1.5

/** Milliseconds after which the last record of a second of sending has arrived everywhere. */
const SETTLE_MS = 1_000

/** One round of one rate, in which both sides got the records at one time. */
interface Round {
  readonly ours: Percentiles
  readonly theirs: Percentiles
}

/** Delays in milliseconds. */
interface Percentiles {
  readonly p50: number
  readonly p99: number
  readonly p999: number
}

export const latency: Scenario = {
  name: 'latency',
  summary: 'delay from produce to event, p50, p99 and p99.9, to kcat beside it',
  async run(bench) {
    const topic = await bench.topics.create(PARTITIONS, VALUE_BYTES)
    const gateway = bench.spawn<Gateway>('gateway')
    const clients = bench.spawn<Crowd>('crowd')
    const kcat = bench.spawn<Kcat>('kcat')
    const { port } = await gateway.ask('serve', { brokers: bench.brokers, topic: topic.name })
    const isBeside = await kcat.ask('open', { brokers: bench.brokers, topic: topic.name })
    if (!isBeside) bench.say('  latency: kcat is not installed, so nothing is beside')
    const pacers = new Map<number, Child<Pacer>>()
    for (const { lingerMs } of RATES) {
      if (pacers.has(lingerMs)) continue
      const pacer = bench.spawn<Pacer>('pacer')
      await pacer.ask('open', { brokers: bench.brokers, lingerMs })
      pacers.set(lingerMs, pacer)
    }
    const side =
      ({ perSecond, lingerMs }: (typeof RATES)[number], seconds: number) =>
      async () => {
        const pacer = pacers.get(lingerMs) as Child<Pacer>
        const sending = { topic: topic.name, partitions: PARTITIONS, bytes: VALUE_BYTES, perSecond }
        await pacer.ask('send', { ...sending, seconds: 1 })
        await Bun.sleep(SETTLE_MS)
        await Promise.all([clients.ask('take'), kcat.ask('take')])
        await pacer.ask('send', { ...sending, seconds }, 60_000)
        await Bun.sleep(SETTLE_MS)
        const [ours, theirs] = await Promise.all([clients.ask('take'), kcat.ask('take')])
        return { ours, theirs }
      }
    const figures: Figure[] = []
    for (const count of SUBSCRIBERS) {
      await clients.ask('open', { port, path: '/stream', count })
      const nameOf = (perSecond: number) =>
        `delay, ${perSecond.toLocaleString('en-US')} records/s to ${count}`
      const sides = RATES.map((rate) => [nameOf(rate.perSecond), side(rate, bench.quick ? 3 : 8)])
      const measured: Record<string, Round[]> = await alternate(
        Object.fromEntries(sides) as Record<string, () => Promise<Round>>,
        bench.quick ? 3 : 7,
        (name, round, { ours, theirs }) =>
          bench.say(`  ${name} ${round}: ${textOf(ours)}; kcat ${textOf(theirs)}`),
        false,
      )
      await clients.ask('close')
      for (const { perSecond } of RATES) {
        const name = nameOf(perSecond)
        const isLimited = perSecond === 1_000 && count === 1
        figures.push(...figuresOf(name, measured[name] ?? [], isBeside, isLimited))
      }
    }
    await kcat.ask('close')
    await bench.stop(gateway, clients, kcat, ...pacers.values())
    return figures
  },
}

/**
 * @param isBeside Whether kcat took part.
 * @param isLimited Whether the 99th percentile has a limit.
 */
function figuresOf(
  name: string,
  rounds: readonly Round[],
  isBeside: boolean,
  isLimited: boolean,
): Figure[] {
  const pair = (of: keyof Percentiles) => {
    const theirs = isBeside ? statisticOf(rounds, (one) => one.theirs[of]) : undefined
    return [statisticOf(rounds, (one) => one.ours[of]), theirs] as const
  }
  const [ours, theirs] = pair('p99')
  return [
    figure(`${name}, p50`, 'ms', ...pair('p50')),
    isLimited && theirs
      ? limited(`${name}, p99`, 'ms', ours, theirs, LIMIT)
      : figure(`${name}, p99`, 'ms', ours, theirs),
    figure(`${name}, p99.9`, 'ms', ...pair('p999')),
  ]
}

function textOf({ p50, p99, p999 }: Percentiles): string {
  return `p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)}, p99.9 ${p999.toFixed(2)}`
}
