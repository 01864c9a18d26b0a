/** One serving thread, and two: the processor time that each spends for many streams. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Figure, figure } from '../figure.ts'
import type { Crowd } from '../programs/crowd.ts'
import type { Pacer } from '../programs/pacer.ts'
import { untilListening } from '../programs/until-listening.ts'
import { type Bench, PARTITIONS, type Scenario } from '../scenario.ts'

const SERVER = join(import.meta.dirname, '..', '..', 'src', 'server.ts')
const VALUE_BYTES = 1_000
const OPEN_LIMIT_MS = 120_000
const TICKS_PER_SECOND = 100
const PORT = 18_321

/**
 * Streams, and the records per second that all of them are sent. They are fewer than one thread can send:
 * a thread that is late sends several records in one write, which costs less for each, and two threads are
 * not late.
 */
const LOADS = [
  { streams: 1_000, perSecond: 40 },
  { streams: 15_000, perSecond: 4 },
]

export const threads: Scenario = {
  name: 'threads',
  summary:
    'processor time of the busiest thread for 1,000 and 15,000 streams, by 1 and by 2 threads',
  async run(bench) {
    const figures: Figure[] = []
    for (const load of bench.quick ? LOADS.slice(0, 1) : LOADS) {
      const one = await measure(bench, load, 1)
      const two = await measure(bench, load, 2)
      const of = `threads, ${load.streams.toLocaleString('en-US')} streams`
      figures.push(
        figure(`${of}, by one`, 'µs/event', one),
        figure(`${of}, by the busier of two`, 'µs/event', two),
        figure(`${of}, one beside two`, '×', one / two),
      )
    }
    return figures
  },
}

/** @returns Microseconds that the busiest thread spends for each event of all streams. */
async function measure(
  bench: Bench,
  { streams, perSecond }: (typeof LOADS)[number],
  workers: number,
): Promise<number> {
  const seconds = 10
  const topic = await bench.topics.create(PARTITIONS, VALUE_BYTES)
  const flags = ['--brokers', bench.brokers, '--topics', topic.name, '--workers', String(workers)]
  const others = ['--port', String(PORT), '--admin-port', 'off', '--log-level', 'error']
  const command = [process.execPath, SERVER, ...flags, ...others]
  const server = Bun.spawn(command, { stdout: 'ignore', stderr: 'inherit' })
  const clients = bench.spawn<Crowd>('crowd')
  const pacer = bench.spawn<Pacer>('pacer')
  try {
    await untilListening('the gateway', PORT, server, 20_000)
    await pacer.ask('open', { brokers: bench.brokers })
    await clients.ask('open', { port: PORT, path: '/stream', count: streams }, OPEN_LIMIT_MS)
    const sending = { topic: topic.name, partitions: PARTITIONS, bytes: VALUE_BYTES, perSecond }
    // The first records do work that later ones do not need.
    await pacer.ask('send', { ...sending, seconds: 3 })
    const before = threadTimes(server.pid)
    await pacer.ask('send', { ...sending, seconds }, 90_000)
    await Bun.sleep(1_000)
    const spent = [...threadTimes(server.pid)].map(
      ([thread, time]) => time - (before.get(thread) ?? 0),
    )
    const micros = (Math.max(...spent) / (streams * perSecond * seconds)) * 1e6
    bench.say(
      `  ${streams} streams by ${workers}: ${micros.toFixed(2)} µs/event in the busiest thread`,
    )
    return micros
  } finally {
    await bench.stop(clients, pacer)
    server.kill('SIGKILL')
    await server.exited
  }
}

/** Seconds of processor time by the thread of a process. */
function threadTimes(pid: number): Map<string, number> {
  const threads = readdirSync(`/proc/${pid}/task`)
  return new Map(
    threads.map((thread) => {
      const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8')
      const [user, system] = stat.slice(stat.lastIndexOf(')')).split(' ').slice(12, 14)
      return [thread, (Number(user) + Number(system)) / TICKS_PER_SECOND]
    }),
  )
}
