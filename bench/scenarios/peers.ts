/** Fan-out by what people would write themselves, beside the gateway. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Child } from '../child.ts'
import { type Figure, figure } from '../figure.ts'
import type { Gateway } from '../programs/gateway.ts'
import { PEERS, type Peer, type PeerName } from '../programs/peer.ts'
import type { Subscribers } from '../programs/subscribers.ts'
import { alternate, medianOf, type Side } from '../rounds.ts'
import { type Bench, PARTITIONS, type Scenario } from '../scenario.ts'

const VALUE_BYTES = 1_000
const SUBSCRIBERS = 100
const LIMIT_MS = 120_000
/** Until every consumer group has joined. */
const JOIN_MS = 8_000
/** Times the best of them. */
const GOAL = 20

export const peers: Scenario = {
  name: 'peers',
  summary: `events/s to ${SUBSCRIBERS} subscribers, to Hono with a client for Kafka and writeSSE`,
  async run(bench) {
    await install(bench)
    const client = bench.spawn<Subscribers>('subscribers')
    const children: Array<Child<never>> = [client]
    const sides: Record<string, Side<{ rate: number }>> = {}
    /** A topic of its own, so that nobody else works while it is measured. */
    const add = async (name: string, child: Child<Gateway> | Child<Peer>, records: number) => {
      children.push(child)
      const topic = await bench.topics.create(PARTITIONS, VALUE_BYTES)
      const serving = { name: name as PeerName, brokers: bench.brokers, topic: topic.name }
      const { port } = await child.ask('serve', serving)
      const isPeer = name !== 'gateway'
      sides[name] = async () => {
        await client.ask('open', { port, path: '/stream', count: SUBSCRIBERS, isPeer })
        const [received] = await Promise.all([
          client.ask('receive', { events: records }, LIMIT_MS),
          bench.produce(topic, records),
        ])
        await client.ask('close')
        return { rate: received.events / received.secondsFromFirst }
      }
    }
    // The gateway gets more of them: a few would be over before they are measured.
    await add('gateway', bench.spawn<Gateway>('gateway'), bench.quick ? 10_000 : 20_000)
    for (const name of PEERS) {
      await add(name, bench.spawn<Peer>('peer'), bench.quick ? 1_000 : 3_000).catch(
        (error: Error) => bench.say(`  ${name} cannot take part: ${error.message}`),
      )
    }
    await Bun.sleep(JOIN_MS)
    const measured = await alternate(sides, bench.quick ? 3 : 5, (name, round, { rate }) =>
      bench.say(`  peers ${round}: ${name.padEnd(12)} ${Math.round(rate / 1_000)} K events/s`),
    )
    await bench.stop(...children)
    const rate = (name: string) => medianOf(measured[name] ?? [], (one) => one.rate)
    const names = PEERS.filter((name) => name in sides)
    const best = names.length > 0 ? Math.max(...names.map(rate)) : undefined
    const figures: Figure[] = [
      figure('events to 100, best written by hand', 'events/s', rate('gateway'), best, GOAL),
    ]
    for (const name of names) {
      figures.push(figure(`events to 100, ${name}`, 'events/s', rate('gateway'), rate(name)))
    }
    return figures
  },
}

/** Their packages are none of the project's: they are installed when they are to be measured. */
async function install(bench: Bench): Promise<void> {
  const folder = join(import.meta.dirname, '..', 'peers')
  if (existsSync(join(folder, 'node_modules'))) return
  bench.say('peers: installing them')
  const argv = [process.execPath, 'install', '--frozen-lockfile', '--ignore-scripts']
  const child = Bun.spawn(argv, {
    cwd: folder,
    stdin: 'ignore',
    stdout: 'ignore',
    stderr: 'inherit',
  })
  if ((await child.exited) !== 0) throw new Error('Cannot install the peers: bun install failed')
}
