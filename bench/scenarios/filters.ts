/** Many subscribers that filter by one key each, beside subscribers without a filter that get as many events. */
import { type Figure, figure } from '../figure.ts'
import type { Crowd } from '../programs/crowd.ts'
import type { Gateway } from '../programs/gateway.ts'
import type { Pacer } from '../programs/pacer.ts'
import { PARTITIONS, type Scenario } from '../scenario.ts'

const KEYS = 40
const SUBSCRIBERS = 1_000
const PER_SECOND = 100
const VALUE_BYTES = 100
/** The number of subscribers that a record passes to. */
const WANTING = SUBSCRIBERS / KEYS
const OPEN_LIMIT_MS = 60_000

export const filters: Scenario = {
  name: 'filters',
  summary: `${PER_SECOND} records/s over ${KEYS} keys to ${SUBSCRIBERS} subscribers of one key each, to as many events without filters`,
  async run(bench) {
    const topic = await bench.topics.create(PARTITIONS, VALUE_BYTES)
    const gateway = bench.spawn<Gateway>('gateway')
    const clients = bench.spawn<Crowd>('crowd')
    const pacer = bench.spawn<Pacer>('pacer')
    const { port } = await gateway.ask('serve', { brokers: bench.brokers, topic: topic.name })
    await pacer.ask('open', { brokers: bench.brokers })
    const sending = {
      topic: topic.name,
      partitions: PARTITIONS,
      bytes: VALUE_BYTES,
      perSecond: PER_SECOND,
      keys: KEYS,
    }
    const seconds = bench.quick ? 10 : 20
    const side = async (count: number, keys?: number) => {
      const opening = { port, path: '/stream', count, ...(keys && { keys }) }
      await clients.ask('open', opening, OPEN_LIMIT_MS)
      await pacer.ask('send', { ...sending, seconds: 2 })
      await Bun.sleep(1_000)
      await clients.ask('take')
      const before = await gateway.usage()
      await pacer.ask('send', { ...sending, seconds }, 60_000)
      await Bun.sleep(1_000)
      const after = await gateway.usage()
      const came = await clients.ask('take')
      await clients.ask('close')
      const cpu = ((after.cpu - before.cpu) / came.events) * 1e6
      bench.say(
        `  ${count} streams, ${keys ? 'of one key each' : 'of all keys'}: ${came.events} events, mean ${came.mean.toFixed(2)} ms, p99 ${came.p99.toFixed(2)} ms, ${cpu.toFixed(1)} µs of CPU an event`,
      )
      return { ...came, cpu }
    }
    const plain = await side(WANTING)
    const filtered = await side(SUBSCRIBERS, KEYS)
    await bench.stop(gateway, clients, pacer)
    const expected = PER_SECOND * seconds * WANTING
    const figures: Figure[] = [
      figure('filters, events', 'events', filtered.events, expected),
      figure('filters, mean delay', 'ms', filtered.mean, plain.mean),
      figure('filters, p99 delay', 'ms', filtered.p99, plain.p99),
      figure('filters, CPU', 'µs/event', filtered.cpu, plain.cpu),
    ]
    return figures
  },
}
