/** Many subscribers of the same records, beside a handler that has nothing to do but write. */
import { type Figure, figure } from '../figure.ts'
import type { Gateway } from '../programs/gateway.ts'
import type { Memory } from '../programs/memory.ts'
import type { Subscribers } from '../programs/subscribers.ts'
import { alternate, medianOf } from '../rounds.ts'
import { type Bench, PARTITIONS, type Scenario, SIZES, type Size } from '../scenario.ts'

const SUBSCRIBERS = 100
const LIMIT_MS = 180_000
const GOAL = 0.8

/** Compression costs once for all streams, so one size will do. */
const LZ4: Size = { label: '1 KB, lz4', bytes: 1000, compression: 'lz4' }

export const fanOut: Scenario = {
  name: 'fan-out',
  summary: `bytes/s to ${SUBSCRIBERS} SSE subscribers, to a handler that writes as much from memory`,
  async run(bench) {
    const figures: Figure[] = []
    for (const size of bench.quick ? SIZES : [...SIZES, LZ4]) {
      figures.push(...(await runSize(bench, size)))
    }
    return figures
  },
}

interface Delivery {
  readonly seconds: number
  readonly events: number
  readonly bytes: number
  /** Bytes of one write, on average. */
  readonly block: number
  /** Seconds of processor time of the server. */
  readonly cpu: number
}

async function runSize(bench: Bench, { label, bytes, compression }: Size): Promise<Figure[]> {
  const large = bytes > 500
  // What a ring of 64 MiB holds whole, as frames: a subscriber may begin at its first record.
  const records = (large ? 20_000 : 80_000) / (bench.quick ? 2 : 1)
  const topic = await bench.topics.create(PARTITIONS, bytes, compression)
  bench.say(`fan-out ${label}: ${records.toLocaleString('en-US')} records a round`)

  const gateway = bench.spawn<Gateway>('gateway')
  const memory = bench.spawn<Memory>('memory')
  const client = bench.spawn<Subscribers>('subscribers')
  const { port } = await gateway.ask('serve', { brokers: bench.brokers, topic: topic.name })
  const { port: memoryPort } = await memory.ask('serve')

  /** What the gateway sent last, which memory is to send too. */
  let model = { bytes: 0, block: 0 }

  const fromTail = async (): Promise<Delivery> => {
    await client.ask('open', { port, path: '/stream', count: SUBSCRIBERS })
    const before = await gateway.usage()
    const [received] = await Promise.all([
      client.ask('receive', { events: records }, LIMIT_MS),
      bench.produce(topic, records),
    ])
    const after = await gateway.usage()
    await client.ask('close')
    model = { bytes: Math.round(received.bytes / SUBSCRIBERS), block: received.block }
    return { ...received, seconds: received.secondsFromFirst, cpu: after.cpu - before.cpu }
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
    return { ...received, cpu: after.cpu - before.cpu }
  }
  const fromMemory = async (): Promise<Delivery> => {
    const { bytes, block } = model
    const before = await memory.usage()
    const path = `/stream?bytes=${bytes}&block=${block}`
    await client.ask('open', { port: memoryPort, path, count: SUBSCRIBERS })
    const received = await client.ask('receive', { bytes }, LIMIT_MS)
    const after = await memory.usage()
    await client.ask('close')
    return { ...received, cpu: after.cpu - before.cpu }
  }
  const measured = await alternate(
    { live: fromTail, memory: fromMemory, ring: fromRing },
    bench.quick ? 3 : 5,
    (side, round, { seconds, events, bytes, block, cpu }) =>
      bench.say(
        `  fan-out ${label} ${round}: ${side.padEnd(6)} ${(bytes / seconds / 1e6).toFixed(0)} MB/s, ${(events / seconds / 1e6).toFixed(2)} M events/s, blocks of ${(block / 1000).toFixed(0)} KB, ${(cpu / (bytes / 1e9)).toFixed(2)} s of CPU for 1 GB`,
      ),
  )
  await bench.stop(gateway, memory, client)
  return figuresOf(`fan-out ${label}`, measured)
}

function figuresOf(
  name: string,
  measured: Readonly<Record<'live' | 'ring' | 'memory', readonly Delivery[]>>,
): Figure[] {
  const of = (side: keyof typeof measured, value: (one: Delivery) => number) =>
    medianOf(measured[side], value)
  const megabytes = (one: Delivery) => one.bytes / one.seconds / 1e6
  const events = (one: Delivery) => one.events / one.seconds / 1e6
  const cpu = (one: Delivery) => one.cpu / (one.bytes / 1e9)
  return [
    figure(`${name}, live`, 'MB/s', of('live', megabytes), of('memory', megabytes), GOAL),
    figure(`${name}, live, events`, 'M events/s', of('live', events)),
    figure(`${name}, live, CPU`, 's/GB', of('live', cpu), of('memory', cpu)),
    figure(`${name}, ring`, 'MB/s', of('ring', megabytes), of('memory', megabytes)),
    figure(`${name}, ring, events`, 'M events/s', of('ring', events)),
    figure(`${name}, ring, CPU`, 's/GB', of('ring', cpu), of('memory', cpu)),
  ]
}
