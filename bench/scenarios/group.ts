/** Small polls as a consumer group, each of which gets the next records of a full topic. */
import { type Figure, figure, limited } from '../figure.ts'
import type { Gateway } from '../programs/gateway.ts'
import type { LeastPoll } from '../programs/least-poll.ts'
import type { Memory } from '../programs/memory.ts'
import type { Requests } from '../programs/requests.ts'
import { alternate, statisticOf } from '../rounds.ts'
import { PARTITIONS, type Scenario } from '../scenario.ts'

const RECORDS = 10
const VALUE_BYTES = 100
const CONNECTIONS = [1, 64]
/** The lowest rates by connections, and the highest p99, as multiples of the handler's. */
const GOALS: Readonly<Record<number, number>> = { 1: 0.6, 64: 0.5 }
const P99_GOAL = 2
/** Requests per second that no round reaches, so that it does not come to the end of the topic. */
const MAX_REQUESTS = 60_000
/**
 * Rounds of each side before the first that is measured: a runtime compiles a program while it runs,
 * and is not done after a second.
 */
const WARM_UP_ROUNDS = 3
/** Records of one command of the producer: a batch for each partition. */
const STEP = 10_000

export const group: Scenario = {
  name: 'group',
  summary: `requests/s of GETs as a group, ${RECORDS} records each, and of the least program that keeps a group's promises, to a handler that returns the same bytes`,
  async run(bench) {
    const topic = await bench.topics.create(PARTITIONS, VALUE_BYTES)
    const gateway = bench.spawn<Gateway>('gateway')
    const least = bench.spawn<LeastPoll>('least-poll')
    const memory = bench.spawn<Memory>('memory')
    const client = bench.spawn<Requests>('requests')
    const { brokers } = bench
    const { port } = await gateway.ask('serve', { brokers, topic: topic.name })
    const { port: leastPort } = await least.ask('serve', {
      brokers,
      topic: topic.name,
      records: RECORDS,
    })
    const { port: memoryPort } = await memory.ask('serve')
    const path = `/messages?max_records=${RECORDS}`
    const url = `http://127.0.0.1:${port}${path}`
    // A new group begins at the end of the topic, so it must join before the first record is written.
    await memory.ask('keep', { url: `http://127.0.0.1:${leastPort}/messages` })
    await memory.ask('keep', { url })

    const seconds = bench.quick ? 1 : 3
    const need = seconds * MAX_REQUESTS * RECORDS
    let left = 0
    /** Records that each of the two groups has polled since the topic was filled. */
    const polled = { gateway: 0, least: 0 }
    const fill = async () => {
      left -= Math.max(polled.gateway, polled.least)
      Object.assign(polled, { gateway: 0, least: 0 })
      const missing = Math.ceil((need - left) / STEP) * STEP
      if (missing > 0) await bench.produce(topic, missing)
      left += Math.max(0, missing)
    }
    await fill()
    await memory.ask('keep', { url })

    const figures: Figure[] = []
    for (const connections of CONNECTIONS) {
      const named = (program: string) =>
        `${program}, ${connections} connection${connections > 1 ? 's' : ''}`
      type Server = typeof gateway | typeof least | typeof memory
      const ask = async (server: Server, at: number, of: string) => {
        const before = await server.usage()
        const answered = await client.ask('ask', { port: at, path: of, connections, seconds })
        const after = await server.usage()
        return { ...answered, cpu: after.cpu - before.cpu }
      }
      const poll = async (side: keyof typeof polled, server: Server, at: number) => {
        if (left - polled[side] < need) await fill()
        const answered = await ask(server, at, path)
        polled[side] += answered.requests * RECORDS
        if (polled[side] >= left) {
          throw new Error('Cannot measure polls: they came to the end of the topic')
        }
        return answered
      }
      const sides = {
        gateway: () => poll('gateway', gateway, port),
        least: () => poll('least', least, leastPort),
        memory: () => ask(memory, memoryPort, '/kept'),
      }
      for (let round = 0; round < WARM_UP_ROUNDS; round++) {
        for (const side of Object.values(sides)) await side()
      }
      const measured = await alternate(sides, bench.quick ? 3 : 7, (who, round, one) =>
        bench.say(
          `  ${named('group GET')} ${round}: ${who.padEnd(8)} ${Math.round(one.requests / one.seconds)} requests/s of ${Math.round(one.bytes / one.requests)} B, p99 ${one.p99.toFixed(2)} ms, ${((one.cpu / one.requests) * 1e6).toFixed(1)} µs of CPU each`,
        ),
      )
      type Answered = (typeof measured.gateway)[number]
      const rate = (one: Answered) => one.requests / one.seconds
      const p99 = (one: Answered) => one.p99
      const cpu = (one: Answered) => (one.cpu / one.requests) * 1e6
      const bytes = (one: Answered) => one.bytes / one.requests
      const name = named('group GET')
      const leastName = named('least program')
      const pair = (side: 'gateway' | 'least', of: (one: Answered) => number) =>
        [statisticOf(measured[side], of), statisticOf(measured.memory, of)] as const
      figures.push(
        figure(name, 'requests/s', ...pair('gateway', rate), GOALS[connections]),
        limited(`${name}, p99`, 'ms', ...pair('gateway', p99), P99_GOAL),
        figure(`${name}, CPU`, 'µs/request', ...pair('gateway', cpu)),
        figure(`${name}, answer`, 'B', ...pair('gateway', bytes)),
        figure(leastName, 'requests/s', ...pair('least', rate)),
        figure(`${leastName}, p99`, 'ms', ...pair('least', p99)),
        figure(`${leastName}, CPU`, 'µs/request', ...pair('least', cpu)),
      )
    }
    await bench.stop(gateway, least, memory, client)
    return figures
  },
}
