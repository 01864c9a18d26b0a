/** Small answers: records at the end of a topic, beside a handler that has the answer's bytes in memory. */
import { type Figure, figure } from '../figure.ts'
import type { Gateway } from '../programs/gateway.ts'
import type { Memory } from '../programs/memory.ts'
import type { Requests } from '../programs/requests.ts'
import { alternate, statisticOf } from '../rounds.ts'
import { PARTITIONS, type Scenario } from '../scenario.ts'

/** Records in the topic, and in an answer: the last record of each partition. */
const FILLING = 10_000
const RECORDS = PARTITIONS
const VALUE_BYTES = 100
const CONNECTIONS = [1, 64]
const GOAL = 0.8

export const get: Scenario = {
  name: 'get',
  summary: `requests/s of GETs of the last ${RECORDS} records, to a handler that returns the same bytes`,
  async run(bench) {
    const topic = await bench.topics.create(PARTITIONS, VALUE_BYTES)
    const gateway = bench.spawn<Gateway>('gateway')
    const memory = bench.spawn<Memory>('memory')
    const client = bench.spawn<Requests>('requests')
    const { port } = await gateway.ask('serve', { brokers: bench.brokers, topic: topic.name })
    const { port: memoryPort } = await memory.ask('serve')
    await bench.produce(topic, FILLING)
    const cursor = topic.end.map(({ partition, offset }) => `${partition}=${offset - 1}`).join(',')
    const path = `/messages?cursor=${topic.name}:${cursor}`
    await memory.ask('keep', { url: `http://127.0.0.1:${port}${path}` })

    const seconds = bench.quick ? 1 : 3
    const figures: Figure[] = []
    for (const connections of CONNECTIONS) {
      const name = `GET, ${connections} connection${connections > 1 ? 's' : ''}`
      const side = (server: typeof gateway | typeof memory, at: number, of: string) => async () => {
        const before = await server.usage()
        const asking = { port: at, path: of, connections, seconds }
        const answered = await client.ask('ask', asking)
        const after = await server.usage()
        return { ...answered, cpu: after.cpu - before.cpu }
      }
      const measured = await alternate(
        {
          gateway: side(gateway, port, path),
          memory: side(memory, memoryPort, '/kept'),
        },
        bench.quick ? 3 : 7,
        (who, round, one) =>
          bench.say(
            `  ${name} ${round}: ${who.padEnd(8)} ${Math.round(one.requests / one.seconds)} requests/s, p99 ${one.p99.toFixed(2)} ms, ${((one.cpu / one.requests) * 1e6).toFixed(1)} µs of CPU each`,
          ),
      )
      type Answered = (typeof measured.gateway)[number]
      const pair = (of: (one: Answered) => number) =>
        [statisticOf(measured.gateway, of), statisticOf(measured.memory, of)] as const
      figures.push(
        figure(name, 'requests/s', ...pair((one) => one.requests / one.seconds), GOAL),
        figure(`${name}, p99`, 'ms', ...pair((one) => one.p99)),
        figure(`${name}, CPU`, 'µs/request', ...pair((one) => (one.cpu / one.requests) * 1e6)),
      )
    }
    await bench.stop(gateway, memory, client)
    return figures
  },
}
