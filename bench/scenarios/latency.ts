/** The delay from producing a record to its event at the client, beside kcat on the same topic at the same time. */
import { type Figure, figure, limited } from '../figure.ts'
import type { Crowd } from '../programs/crowd.ts'
import type { Gateway } from '../programs/gateway.ts'
import type { Kcat } from '../programs/kcat.ts'
import type { Pacer } from '../programs/pacer.ts'
import { PARTITIONS, type Scenario } from '../scenario.ts'

const VALUE_BYTES = 100
const RATES = [100, 1_000, 5_000]
const SUBSCRIBERS = [1, 100]
/** The highest delay, as a multiple of kcat's. */
const LIMIT = 1.5

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
    const pacer = bench.spawn<Pacer>('pacer')
    const { port } = await gateway.ask('serve', { brokers: bench.brokers, topic: topic.name })
    await pacer.ask('open', { brokers: bench.brokers })
    const isBeside = await kcat.ask('open', { brokers: bench.brokers, topic: topic.name })
    if (!isBeside) bench.say('  latency: kcat is not installed, so nothing is beside')
    const seconds = bench.quick ? 5 : 20
    const figures: Figure[] = []
    for (const count of SUBSCRIBERS) {
      await clients.ask('open', { port, path: '/stream', count })
      for (const perSecond of RATES) {
        const sending = { topic: topic.name, partitions: PARTITIONS, bytes: VALUE_BYTES, perSecond }
        await pacer.ask('send', { ...sending, seconds: 1 })
        await Bun.sleep(500)
        await Promise.all([clients.ask('take'), kcat.ask('take')])
        await pacer.ask('send', { ...sending, seconds }, 60_000)
        await Bun.sleep(1_000)
        const [ours, theirs] = await Promise.all([clients.ask('take'), kcat.ask('take')])
        const name = `delay, ${perSecond.toLocaleString('en-US')} records/s to ${count}`
        const isLimited = perSecond === 1_000 && count === 1
        bench.say(
          `  ${name}: p50 ${ours.p50.toFixed(2)} ms, p99 ${ours.p99.toFixed(2)}, p99.9 ${ours.p999.toFixed(2)}; kcat ${theirs.p50.toFixed(2)}, ${theirs.p99.toFixed(2)}, ${theirs.p999.toFixed(2)}`,
        )
        figures.push(...figuresOf(name, ours, isBeside ? theirs : undefined, isLimited))
      }
      await clients.ask('close')
    }
    await kcat.ask('close')
    await bench.stop(gateway, clients, kcat, pacer)
    return figures
  },
}

/** @param isLimited Whether the 99th percentile has a limit. */
function figuresOf(
  name: string,
  ours: Percentiles,
  theirs: Percentiles | undefined,
  isLimited: boolean,
): Figure[] {
  const middle = figure(`${name}, p50`, 'ms', ours.p50, theirs?.p50)
  const high =
    isLimited && theirs
      ? limited(`${name}, p99`, 'ms', ours.p99, theirs.p99, LIMIT)
      : figure(`${name}, p99`, 'ms', ours.p99, theirs?.p99)
  return [middle, high, figure(`${name}, p99.9`, 'ms', ours.p999, theirs?.p999)]
}
