/** One subscriber at the end of a topic, while a producer writes faster than the subscriber reads. */
import type { Figure } from '../figure.ts'
import type { Bare, BareSettings } from '../programs/bare.ts'
import type { Gateway } from '../programs/gateway.ts'
import type { Subscribers } from '../programs/subscribers.ts'
import { alternate } from '../rounds.ts'
import { type Bench, PARTITIONS, type Scenario, SIZES, type Size } from '../scenario.ts'
import { measure, READ_LIMIT_MS, readingFigures, teller } from './reading.ts'

export const live: Scenario = {
  name: 'live',
  summary:
    'records/s of one SSE subscriber beside a producer at full speed, to a bare consume loop',
  async run(bench) {
    const figures: Figure[] = []
    for (const size of SIZES) figures.push(...(await runSize(bench, size)))
    return figures
  },
}

async function runSize(bench: Bench, { label, bytes }: Size): Promise<Figure[]> {
  const large = bytes > 500
  const records = (large ? 200_000 : 600_000) / (bench.quick ? 2 : 1)
  const topic = await bench.topics.create(PARTITIONS, bytes)
  bench.say(`live ${label}: ${records.toLocaleString('en-US')} records a round`)

  const gateway = bench.spawn<Gateway>('gateway')
  const client = bench.spawn<Subscribers>('subscribers')
  const bare = bench.spawn<Bare>('bare')
  const { brokers } = bench
  const { port } = await gateway.ask('serve', { brokers, topic: topic.name })

  // The time counts from the first records on: before them every reader waits for the producer.
  const subscribe = async () => {
    await client.ask('open', { port, path: '/stream', count: 1 })
    const reading = await measure(gateway, async () => {
      const [received] = await Promise.all([
        client.ask('receive', { events: records }, READ_LIMIT_MS),
        bench.produce(topic, records),
      ])
      return { records, rate: received.eventsFromFirst / received.secondsFromFirst }
    })
    await client.ask('close')
    return reading
  }
  const loop = (settings: BareSettings) => async () => {
    await bare.ask('open', { brokers, settings, from: topic.end, live: true })
    const reading = await measure(bare, async () => {
      const [read] = await Promise.all([
        bare.ask('read', { records }, READ_LIMIT_MS),
        bench.produce(topic, records),
      ])
      return { records, rate: read.recordsFromFirst / read.secondsFromFirst }
    })
    await bare.ask('close')
    return reading
  }
  const measured = await alternate(
    { gateway: subscribe, ours: loop('ours'), defaults: loop('defaults') },
    bench.quick ? 3 : 7,
    teller(bench, `live ${label}`),
  )
  await bench.stop(gateway, client, bare)
  return readingFigures(`live ${label}`, measured, null)
}
