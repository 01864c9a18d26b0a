/** Small polls as a consumer group, each of which gets the next records of a full topic. */
import { type Figure, figure, limited } from '../figure.ts'
import type { Gateway } from '../programs/gateway.ts'
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
  summary: `requests/s of GETs as a group, ${RECORDS} records each, to a handler that returns the same bytes`,
  async run(bench) {
    const topic = await bench.topics.create(PARTITIONS, VALUE_BYTES)
    const gateway = bench.spawn<Gateway>('gateway')
    const memory = bench.spawn<Memory>('memory')
    const client = bench.spawn<Requests>('requests')
    const { port } = await gateway.ask('serve', { brokers: bench.brokers, topic: topic.name })
    const { port: memoryPort } = await memory.ask('serve')
    const path = `/messages?max_records=${RECORDS}`
    const url = `http://127.0.0.1:${port}${path}`
    // A new group begins at the end of the topic, so it must join before the first record is written.
    await memory.ask('keep', { url })

    const seconds = bench.quick ? 1 : 3
    const need = seconds * MAX_REQUESTS * RECORDS
    let left = 0
    const fill = async () => {
      const missing = Math.ceil((need - left) / STEP) * STEP
      await bench.produce(topic, missing)
      left += missing
    }
    await fill()
    await memory.ask('keep', { url })

    const figures: Figure[] = []
    for (const connections of CONNECTIONS) {
      const name = `group GET, ${connections} connection${connections > 1 ? 's' : ''}`
      const ask = async (server: typeof gateway | typeof memory, at: number, of: string) => {
        const before = await server.usage()
        const answered = await client.ask('ask', { port: at, path: of, connections, seconds })
        const after = await server.usage()
        return { ...answered, cpu: after.cpu - before.cpu }
      }
      const poll = async () => {
        if (left < need) await fill()
        const answered = await ask(gateway, port, path)
        left -= answered.requests * RECORDS
        if (left <= 0) throw new Error('Cannot measure polls: they came to the end of the topic')
        return answered
      }
      const sides = { gateway: poll, memory: () => ask(memory, memoryPort, '/kept') }
      for (let round = 0; round < WARM_UP_ROUNDS; round++) {
        for (const side of Object.values(sides)) await side()
      }
      const measured = await alternate(sides, bench.quick ? 3 : 7, (who, round, one) =>
        bench.say(
          `  ${name} ${round}: ${who.padEnd(8)} ${Math.round(one.requests / one.seconds)} requests/s of ${Math.round(one.bytes / one.requests)} B, p99 ${one.p99.toFixed(2)} ms, ${((one.cpu / one.requests) * 1e6).toFixed(1)} µs of CPU each`,
        ),
      )
      type Answered = (typeof measured.gateway)[number]
      const pair = (of: (one: Answered) => number) =>
        [statisticOf(measured.gateway, of), statisticOf(measured.memory, of)] as const
      const rate = (one: Answered) => one.requests / one.seconds
      figures.push(
        figure(name, 'requests/s', ...pair(rate), GOALS[connections]),
        limited(`${name}, p99`, 'ms', ...pair((one) => one.p99), P99_GOAL),
        figure(`${name}, CPU`, 'µs/request', ...pair((one) => (one.cpu / one.requests) * 1e6)),
        figure(`${name}, answer`, 'B', ...pair((one) => one.bytes / one.requests)),
      )
    }
    await bench.stop(gateway, memory, client)
    return figures
  },
}
