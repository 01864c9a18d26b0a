/** Many subscribers of one topic, beside a handler that only writes. */
import type { Child } from '../child.ts'
import { type Figure, figure } from '../figure.ts'
import type { Topic } from '../kafka.ts'
import type { Gateway } from '../programs/gateway.ts'
import type { Memory } from '../programs/memory.ts'
import type { Subscribers } from '../programs/subscribers.ts'
import { alternate, statisticOf } from '../rounds.ts'
import { type Bench, PARTITIONS, type Scenario, SIZES, type Size } from '../scenario.ts'

/** The number of subscribers that has a goal, and others that show growth. */
const SUBSCRIBERS = 100
const OTHERS = [1, 10, 1_000]
/** Records of the producer's batches, if few records must reach all partitions. */
const PER_BATCH = 100
const LIMIT_MS = 180_000
const GOAL = 0.8

/** Compression costs once for all streams, so one size of values is enough. */
const LZ4: Size = { label: '1 KB, lz4', bytes: 1000, compression: 'lz4' }

export const fanOut: Scenario = {
  name: 'fan-out',
  summary: `bytes/s to ${SUBSCRIBERS} SSE subscribers, to a handler that writes as much from memory; events/s to 1, 10 and 1,000`,
  async run(bench) {
    const figures: Figure[] = []
    for (const size of SIZES) {
      figures.push(...(await runSize(bench, size)))
      for (const count of OTHERS) figures.push(...(await runLive(bench, size, count)))
    }
    if (!bench.quick) figures.push(...(await runSize(bench, LZ4)))
    return figures
  },
}

interface Delivery {
  readonly seconds: number
  readonly events: number
  readonly bytes: number
  /** Mean bytes of one write. */
  readonly block: number
  /** Seconds of the server's processor time. */
  readonly cpu: number
}

async function runSize(bench: Bench, { label, bytes, compression }: Size): Promise<Figure[]> {
  const large = bytes > 500
  // The ring buffer of 64 MiB holds all records as frames, so a subscriber may begin at the first one.
  const records = (large ? 20_000 : 80_000) / (bench.quick ? 2 : 1)
  const topic = await bench.topics.create(PARTITIONS, bytes, compression)
  bench.say(`fan-out ${label}: ${records.toLocaleString('en-US')} records a round`)

  const gateway = bench.spawn<Gateway>('gateway')
  const memory = bench.spawn<Memory>('memory')
  const client = bench.spawn<Subscribers>('subscribers')
  const { port } = await gateway.ask('serve', { brokers: bench.brokers, topic: topic.name })
  const { port: memoryPort } = await memory.ask('serve')

  /** The bytes that the gateway sent last, which `memory` then sends, too. */
  let model = { bytes: 0, block: 0 }

  const fromTail = async (): Promise<Delivery> => {
    const delivery = await live(bench, {
      gateway,
      client,
      port,
      topic,
      count: SUBSCRIBERS,
      records,
    })
    model = { bytes: Math.round(delivery.bytes / SUBSCRIBERS), block: delivery.block }
    return delivery
  }
  const fromRing = async (): Promise<Delivery> => {
    const cursor = topic.end.map(({ partition, offset }) => `${partition}=${offset}`).join(',')
    await bench.produce(topic, records)
    await client.ask('open', { port, path: '/stream', count: 1 })
    await client.ask('close')
    const before = await gateway.usage()
    const path = `/stream?last_event_id=${encodeURIComponent(`${topic.name}:${cursor}`)}`
    await client.ask('open', { port, path, count: SUBSCRIBERS })
    const received = await client.ask('receive', { events: records }, LIMIT_MS)
    const after = await gateway.usage()
    await client.ask('close')
    return { ...received, seconds: received.secondsFromFirst, cpu: after.cpu - before.cpu }
  }
  const fromMemory = async (): Promise<Delivery> => {
    const { bytes, block } = model
    const before = await memory.usage()
    const path = `/stream?bytes=${bytes}&block=${block}`
    await client.ask('open', { port: memoryPort, path, count: SUBSCRIBERS })
    const received = await client.ask('receive', { bytes }, LIMIT_MS)
    const after = await memory.usage()
    await client.ask('close')
    return { ...received, seconds: received.secondsFromFirst, cpu: after.cpu - before.cpu }
  }
  const measured = await alternate(
    { live: fromTail, memory: fromMemory, ring: fromRing },
    bench.quick ? 3 : 5,
    teller(bench, `fan-out ${label}`),
  )
  await bench.stop(gateway, memory, client)
  return figuresOf(`fan-out ${label}`, measured)
}

interface Live {
  readonly gateway: Child<Gateway>
  readonly client: Child<Subscribers>
  readonly port: number
  readonly topic: Topic
  /** Number of subscribers. */
  readonly count: number
  readonly records: number
  readonly perBatch?: number
}

/** Streams at the end of a topic while records are written as fast as the broker accepts them. */
async function live(bench: Bench, setting: Live): Promise<Delivery> {
  const { gateway, client, port, topic, count, records, perBatch } = setting
  await client.ask('open', { port, path: '/stream', count })
  const before = await gateway.usage()
  const [received] = await Promise.all([
    client.ask('receive', { events: records }, LIMIT_MS),
    bench.produce(topic, records, perBatch),
  ])
  const after = await gateway.usage()
  await client.ask('close')
  return { ...received, seconds: received.secondsFromFirst, cpu: after.cpu - before.cpu }
}

/** Streams at the end of the topic only, with another number of subscribers. */
async function runLive(bench: Bench, { label, bytes }: Size, count: number): Promise<Figure[]> {
  // Each of a thousand subscribers gets a tenth of the records, so that a round does not take longer.
  const records = (bytes > 500 ? 20_000 : 80_000) / (count > SUBSCRIBERS ? 10 : 1)
  const topic = await bench.topics.create(PARTITIONS, bytes)
  const gateway = bench.spawn<Gateway>('gateway')
  const client = bench.spawn<Subscribers>('subscribers')
  const { port } = await gateway.ask('serve', { brokers: bench.brokers, topic: topic.name })
  const setting = { gateway, client, port, topic, count, records, perBatch: PER_BATCH }
  const name = `fan-out ${label} to ${count.toLocaleString('en-US')}`
  const { live: measured } = await alternate(
    { live: () => live(bench, setting) },
    bench.quick ? 1 : 3,
    teller(bench, name),
  )
  await bench.stop(gateway, client)
  return [
    figure(`${name}, events`, 'M events/s', statisticOf(measured, eventRate)),
    figure(
      `${name}, CPU`,
      'µs/event',
      statisticOf(measured, (one) => (one.cpu / one.events) * 1e6),
    ),
  ]
}

function eventRate({ events, seconds }: Delivery): number {
  return events / seconds / 1e6
}

function teller(bench: Bench, name: string) {
  return (side: string, round: number, { seconds, events, bytes, block, cpu }: Delivery) =>
    bench.say(
      `  ${name} ${round}: ${side.padEnd(6)} ${(bytes / seconds / 1e6).toFixed(0)} MB/s, ${(events / seconds / 1e6).toFixed(2)} M events/s, blocks of ${(block / 1000).toFixed(0)} KB, ${(cpu / (bytes / 1e9)).toFixed(2)} s of CPU for 1 GB`,
    )
}

function figuresOf(
  name: string,
  measured: Readonly<Record<'live' | 'ring' | 'memory', readonly Delivery[]>>,
): Figure[] {
  const of = (side: keyof typeof measured, value: (one: Delivery) => number) =>
    statisticOf(measured[side], value)
  const megabytes = (one: Delivery) => one.bytes / one.seconds / 1e6
  const cpu = (one: Delivery) => one.cpu / (one.bytes / 1e9)
  return [
    figure(`${name}, live`, 'MB/s', of('live', megabytes), of('memory', megabytes), GOAL),
    figure(`${name}, live, events`, 'M events/s', of('live', eventRate)),
    figure(`${name}, live, CPU`, 's/GB', of('live', cpu), of('memory', cpu)),
    figure(`${name}, ring`, 'MB/s', of('ring', megabytes), of('memory', megabytes)),
    figure(`${name}, ring, events`, 'M events/s', of('ring', eventRate)),
    figure(`${name}, ring, CPU`, 's/GB', of('ring', cpu), of('memory', cpu)),
  ]
}
