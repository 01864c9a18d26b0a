/** The first answer of a group that nobody has read before, in a process that is connected to Kafka. */
import { type Figure, figure } from '../figure.ts'
import type { Gateway } from '../programs/gateway.ts'
import type { Polls } from '../programs/polls.ts'
import { alternate, medianOf, spreadOf } from '../rounds.ts'
import { type Bench, PARTITIONS } from '../scenario.ts'

const RECORDS = 10_000
const VALUE_BYTES = 100
const GOAL_MS = 300

export async function restColdGroup(bench: Bench): Promise<Figure[]> {
  const topic = await bench.topics.create(PARTITIONS, VALUE_BYTES)
  await bench.produce(topic, RECORDS)
  const gateway = bench.spawn<Gateway>('gateway')
  const polls = bench.spawn<Polls>('polls')
  const { brokers } = bench
  // The stream of this route keeps the process connected.
  await gateway.ask('serve', { brokers, topic: topic.name })
  const first = async () => {
    const group = `bench-${crypto.randomUUID()}`
    const { port } = await gateway.ask('serveGroup', { brokers, topic: topic.name, group })
    const polled = await polls.ask('poll', { port, paths: ['/messages?max_records=1'], records: 1 })
    await gateway.ask('closeGroup')
    return polled.first * 1_000
  }
  const { group } = await alternate({ group: first }, bench.quick ? 5 : 9, (_, round, one) =>
    bench.say(`  cold group ${round}: ${one.toFixed(0)} ms`),
  )
  await bench.stop(gateway, polls)
  const of = (one: number) => one
  const median = medianOf(group, of)
  return [
    {
      ...limitedTo('cold group, first answer', 'ms', median, GOAL_MS),
      spread: spreadOf(group, of),
    },
  ]
}

/** A figure that is compared with its goal itself. */
function limitedTo(name: string, unit: string, value: number, goal: number): Figure {
  return { ...figure(name, unit, value), goal, ok: value <= goal, isLimit: true }
}
