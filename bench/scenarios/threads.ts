/** One serving thread, and two: the processor time that each spends for many streams, and for group GETs. */
import { type Figure, figure } from '../figure.ts'
import type { Crowd } from '../programs/crowd.ts'
import type { Pacer } from '../programs/pacer.ts'
import type { Requests } from '../programs/requests.ts'
import { ThreadedGateway, type ThreadUsage } from '../programs/threaded-gateway.ts'
import { type Bench, PARTITIONS, type Scenario } from '../scenario.ts'

const VALUE_BYTES = 1_000
const OPEN_LIMIT_MS = 120_000
/** The wait for the last events of streams. */
const LAST_EVENTS_MS = 1_000

/**
 * Streams, and the records per second that all of them are sent. They are fewer than one thread can send:
 * a thread that is late sends several records in one write, which costs less for each, and two threads are
 * not late.
 */
const LOADS = [
  { streams: 1_000, perSecond: 40 },
  { streams: 15_000, perSecond: 4 },
]

/** Records of each group GET. */
const GROUP_RECORDS = 10
const GROUP_VALUE_BYTES = 100
const GROUP_CONNECTIONS = [1, 64]
/** Requests per second that no gateway reaches, so that it does not come to the end of the topic. */
const MAX_REQUESTS = 25_000

export const threads: Scenario = {
  name: 'threads',
  summary:
    'processor time by thread for 1,000 and 15,000 streams, and for group GETs, by 1 and by 2 threads',
  async run(bench) {
    const figures: Figure[] = []
    for (const load of bench.quick ? LOADS.slice(0, 1) : LOADS) {
      const one = await measureStreams(bench, load, 1)
      const two = await measureStreams(bench, load, 2)
      const of = `threads, ${load.streams.toLocaleString('en-US')} streams`
      figures.push(
        figure(`${of}, by one`, 'µs/event', one),
        figure(`${of}, by the busier of two`, 'µs/event', two),
        figure(`${of}, one beside two`, '×', one / two),
      )
    }
    const one = await measureGroups(bench, 1)
    const two = await measureGroups(bench, 2)
    for (const [index, connections] of GROUP_CONNECTIONS.entries()) {
      const of = `threads, group GETs, ${connections} connection${connections > 1 ? 's' : ''}`
      const byOne = one[index] as ThreadUsage
      const byTwo = two[index] as ThreadUsage
      figures.push(
        figure(`${of}, busiest by one`, 'µs/request', byOne.busiest),
        figure(`${of}, busiest by two`, 'µs/request', byTwo.busiest),
        figure(`${of}, all by one`, 'µs/request', byOne.all),
        figure(`${of}, all by two`, 'µs/request', byTwo.all),
      )
    }
    return figures
  },
}

/** @returns Microseconds that the busiest thread spends for each event of all streams. */
async function measureStreams(
  bench: Bench,
  { streams, perSecond }: (typeof LOADS)[number],
  workers: number,
): Promise<number> {
  const seconds = 10
  const topic = await bench.topics.create(PARTITIONS, VALUE_BYTES)
  await using gateway = await ThreadedGateway.start(bench.brokers, topic.name, workers)
  const clients = bench.spawn<Crowd>('crowd')
  const pacer = bench.spawn<Pacer>('pacer')
  try {
    await pacer.ask('open', { brokers: bench.brokers })
    const opening = { port: gateway.port, path: '/stream', count: streams }
    await clients.ask('open', opening, OPEN_LIMIT_MS)
    const sending = { topic: topic.name, partitions: PARTITIONS, bytes: VALUE_BYTES, perSecond }
    // The first records do work that later ones do not need.
    await pacer.ask('send', { ...sending, seconds: 3 })
    const { busiest } = await gateway.measure(async () => {
      await pacer.ask('send', { ...sending, seconds }, 90_000)
      await Bun.sleep(LAST_EVENTS_MS)
    })
    const micros = (busiest / (streams * perSecond * seconds)) * 1e6
    bench.say(
      `  ${streams} streams by ${workers}: ${micros.toFixed(2)} µs/event in the busiest thread`,
    )
    return micros
  } finally {
    await bench.stop(clients, pacer)
  }
}

/** @returns Microseconds for each request, by {@link GROUP_CONNECTIONS}. */
async function measureGroups(bench: Bench, workers: number): Promise<ThreadUsage[]> {
  const seconds = bench.quick ? 3 : 8
  const topic = await bench.topics.create(PARTITIONS, GROUP_VALUE_BYTES)
  await using gateway = await ThreadedGateway.start(bench.brokers, topic.name, workers)
  const clients = bench.spawn<Requests>('requests')
  const path = `/messages?max_records=${GROUP_RECORDS}`
  // A new group begins at the end of the topic, so it must join before the first record is written.
  await fetch(`http://127.0.0.1:${gateway.port}${path}&timeout=0`)
  const asking = { port: gateway.port, path, seconds }
  const measured: ThreadUsage[] = []
  try {
    for (const connections of GROUP_CONNECTIONS) {
      await bench.produce(topic, 2 * seconds * MAX_REQUESTS * GROUP_RECORDS)
      await gateway.untilIdle()
      // The first requests do work that later ones do not need.
      await clients.ask('ask', { ...asking, connections })
      let requests = 0
      let rate = 0
      const usage = await gateway.measure(async () => {
        const answered = await clients.ask('ask', { ...asking, connections })
        requests = answered.requests
        rate = answered.requests / answered.seconds
      })
      const busiest = (usage.busiest / requests) * 1e6
      const all = (usage.all / requests) * 1e6
      bench.say(
        `  ${connections} connections by ${workers}: ${Math.round(rate)} requests/s, ${busiest.toFixed(1)} µs in the busiest thread, ${all.toFixed(1)} in all`,
      )
      measured.push({ busiest, all })
    }
    return measured
  } finally {
    await bench.stop(clients)
  }
}
