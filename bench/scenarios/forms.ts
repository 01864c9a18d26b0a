/** A replay in other forms: as NDJSON, as pages, and from lz4 batches. */
import { type Figure, figure } from '../figure.ts'
import type { Bare } from '../programs/bare.ts'
import type { Gateway } from '../programs/gateway.ts'
import type { Pages } from '../programs/pages.ts'
import type { Subscribers } from '../programs/subscribers.ts'
import { alternate, statisticOf } from '../rounds.ts'
import { type Bench, PARTITIONS, type Scenario, SIZES, type Size } from '../scenario.ts'
import { measure, READ_LIMIT_MS, type Reading, teller } from './reading.ts'

/** Bytes of a page, enough for 1,000 records of 1 KB. */
const PAGES = '/messages?start=earliest&max_records=1000&max_bytes=4194304'
const STREAM = '/stream?start=earliest'
/** The lowest rates of 1 KB, as multiples of the bare loop's. */
const GOALS = { NDJSON: 1, pages: 0.8 }

export const forms: Scenario = {
  name: 'forms',
  summary: 'records/s of a replay as NDJSON, as pages, and of lz4, to a bare consume loop',
  async run(bench) {
    const figures: Figure[] = []
    for (const size of SIZES) {
      figures.push(...(await runSize(bench, size)))
      figures.push(...(await runSize(bench, { ...size, compression: 'lz4' })))
    }
    return figures
  },
}

/** A replay as NDJSON and as pages. A size with compression is read as an event stream in their place. */
export async function runSize(
  bench: Bench,
  { label, bytes, compression }: Size,
): Promise<Figure[]> {
  const records = (bytes > 500 ? 200_000 : 600_000) / (bench.quick ? 2 : 1)
  const topic = await bench.topics.create(PARTITIONS, bytes, compression)
  const title = `replay ${label}`
  await bench.produce(topic, records)

  const gateway = bench.spawn<Gateway>('gateway')
  const client = bench.spawn<Subscribers>('subscribers')
  const pages = bench.spawn<Pages>('pages')
  const bare = bench.spawn<Bare>('bare')
  const { brokers } = bench
  const { port } = await gateway.ask('serve', { brokers, topic: topic.name })

  const stream = (accept?: 'application/x-ndjson') => () =>
    measure(gateway, async () => {
      await client.ask('open', { port, path: STREAM, count: 1, ...(accept && { accept }) })
      const received = await client.ask('receive', { events: records }, READ_LIMIT_MS)
      await client.ask('close')
      return { records, rate: records / received.seconds }
    })
  const paged = () =>
    measure(gateway, async () => {
      const read = await pages.ask('read', { port, path: PAGES, records }, READ_LIMIT_MS)
      return { records, rate: records / read.seconds }
    })
  const loop = async () => {
    await bare.ask('open', { brokers, settings: 'ours', from: topic.start, live: false })
    const reading = await measure(bare, async () => {
      const read = await bare.ask('read', { records }, READ_LIMIT_MS)
      return { records, rate: records / read.seconds }
    })
    await bare.ask('close')
    return reading
  }
  const rounds = bench.quick ? 3 : 5
  const told = teller(bench, compression ? `${title}, ${compression}` : title)
  const figures: Figure[] = []
  const compare = (form: string, ours: readonly Reading[], beside: readonly Reading[]) => {
    const goal = (bytes > 500 ? GOALS[form as keyof typeof GOALS] : undefined) ?? null
    const pair = (of: (one: Reading) => number) =>
      [statisticOf(ours, of), statisticOf(beside, of)] as const
    figures.push(
      figure(`${title}, ${form}`, 'records/s', ...pair(({ rate }) => rate), goal),
      figure(`${title}, ${form}, CPU`, 's/1 M records', ...pair(({ cpu }) => cpu)),
    )
  }
  if (compression) {
    const measured = await alternate({ gateway: stream(), bare: loop }, rounds, told)
    compare(compression, measured.gateway, measured.bare)
  } else {
    const sides = { lines: stream('application/x-ndjson'), pages: paged, bare: loop }
    const measured = await alternate(sides, rounds, told)
    compare('NDJSON', measured.lines, measured.bare)
    compare('pages', measured.pages, measured.bare)
  }
  await bench.stop(gateway, client, pages, bare)
  return figures
}
