/**
 * The first answer of a group that nobody has read before, in a process that is connected to Kafka. The
 * Kafka is another one: it holds the first member of a classic group for 3 s, as Kafka does by default.
 */
import { startBroker } from '../../tools/kafka/broker.ts'
import { type Figure, figure } from '../figure.ts'
import { Topics } from '../kafka.ts'
import type { Gateway } from '../programs/gateway.ts'
import type { Polls } from '../programs/polls.ts'
import { alternate, statisticOf } from '../rounds.ts'
import { Bench, PARTITIONS } from '../scenario.ts'

const RECORDS = 10_000
const VALUE_BYTES = 100
const GOAL_MS = 300
const DEFAULT_DELAY = { 'group.initial.rebalance.delay.ms': 3_000 }

export async function restColdGroup({ quick, say }: Bench): Promise<Figure[]> {
  const properties = DEFAULT_DELAY
  const name = `bench-cold-${process.pid}`
  const broker = await startBroker({ name, port: 0, owned: true, properties })
  const brokers = broker.bootstrapServers
  const bench = new Bench(brokers, new Topics(brokers), quick)
  try {
    const topic = await bench.topics.create(PARTITIONS, VALUE_BYTES)
    await bench.produce(topic, RECORDS)
    const gateway = bench.spawn<Gateway>('gateway')
    const polls = bench.spawn<Polls>('polls')
    // The route of this command keeps the process connected.
    await gateway.ask('serve', { brokers, topic: topic.name })
    const first = (protocol: 'classic' | 'consumer') => async () => {
      const group = `bench-${crypto.randomUUID()}`
      const asked = { brokers, topic: topic.name, group, protocol }
      const { port } = await gateway.ask('serveGroup', asked)
      const paths = ['/messages?max_records=1&timeout=10000']
      const polled = await polls.ask('poll', { port, paths, records: 1 })
      await gateway.ask('closeGroup')
      return polled.first * 1_000
    }
    const sides = { classic: first('classic'), consumer: first('consumer') }
    const measured = await alternate(sides, quick ? 3 : 5, (protocol, round, one) =>
      say(`  cold group ${round}: ${protocol.padEnd(8)} ${one.toFixed(0)} ms`),
    )
    return [
      within('cold group, first answer', measured.consumer, GOAL_MS),
      within('cold group of the classic protocol, first answer', measured.classic, null),
    ]
  } finally {
    await bench.stopAll()
    await broker.stop()
  }
}

/** A figure that is compared with its goal itself. */
function within(name: string, measured: readonly number[], goal: number | null): Figure {
  const one = figure(
    name,
    'ms',
    statisticOf(measured, (ms) => ms),
  )
  return goal === null ? one : { ...one, goal, ok: one.value <= goal, isLimit: true }
}
