/** Fan-out by servers that people would write or install, beside the gateway. */
import type { Child } from '../child.ts'
import { type Figure, figure } from '../figure.ts'
import {
  type Entrant,
  enterBenthos,
  enterGateway,
  enterKafkaSse,
  enterWritten,
  newTopic,
} from '../peers/entrants.ts'
import { PEERS } from '../programs/peer.ts'
import type { PeerClients } from '../programs/peer-clients.ts'
import { alternate, type Statistic, statisticOf } from '../rounds.ts'
import { type Bench, type Scenario, SIZES, type Size } from '../scenario.ts'

const MANY = 100
/** Streams that a server with a consumer for each of them can serve. */
const FEW = 10
/** The first records, after which all consumers read and all streams are open. */
const WARM_UP = { records: 200, perBatch: 20 }
/** Records of a batch for any size of values: few records must reach all partitions, too. */
const PER_BATCH = 100
const LIMIT_MS = 60_000
/** Milliseconds by which a command's limit exceeds the limit that the process itself has. */
const SPARE_MS = 5_000
/** Milliseconds for the consumers of closed streams to leave. */
const LEAVE_MS = 1_000
/** The lowest rate of the gateway, as a multiple of the best peer's. */
const GOAL = 20

export const peers: Scenario = {
  name: 'peers',
  summary: `events/s to ${MANY} subscribers, to what people would write (Hono, a client for Kafka, writeSSE) or install`,
  async run(bench) {
    const race = new Race(bench)
    // The gateway gets more records: with fewer, a round would be over before it is measured.
    const ours = bench.quick ? 10_000 : 20_000
    for (const size of SIZES) {
      race.add(await enterGateway(bench, size, MANY, ours))
      for (const name of PEERS) {
        await race.invite(name, () => enterWritten(bench, name, size, MANY, 'one'))
      }
      await race.invite('benthos', () => enterBenthos(bench, size, MANY))
    }
    // A server with a consumer for each stream takes long, so one size of values is enough.
    const large = SIZES.at(-1) as Size
    await race.invite('kafka-sse', () => enterKafkaSse(bench, large, MANY))
    race.add(await enterGateway(bench, large, FEW, 4 * ours))
    for (const name of PEERS) {
      await race.invite(name, () => enterWritten(bench, name, large, FEW, 'each'))
    }
    await race.run(bench.quick ? 1 : 3)
    if (!bench.quick) {
      // This server runs alone and once, since it may overload the machine.
      for (const name of PEERS) {
        await race.invite(name, () => enterWritten(bench, name, large, MANY, 'each'))
        await race.run(0)
      }
    }
    return race.finish()
  },
}

interface Measured {
  /** Events per second to all streams together. */
  readonly rate: number
  /** Microseconds of processor time of the server for each event; NaN if unknown. */
  readonly cpu: number
}

class Race {
  readonly #bench: Bench
  readonly #clients: Child<PeerClients>
  /** The servers of the next rounds. */
  readonly #entrants: Entrant[] = []
  /** The measurements, without those of servers that failed. */
  readonly #measured = new Map<Entrant, Measured[]>()

  constructor(bench: Bench) {
    this.#bench = bench
    this.#clients = bench.spawn<PeerClients>('peer-clients')
  }

  add(entrant: Entrant): void {
    this.#entrants.push(entrant)
    this.#measured.set(entrant, [])
  }

  /** Starts a server. A peer that cannot start is reported, and the others go on. */
  async invite(name: string, enter: () => Promise<Entrant>): Promise<void> {
    try {
      this.add(await enter())
    } catch (error) {
      this.#bench.note(`${name} cannot take part: ${messageOf(error)}`)
    }
  }

  /** Measures the added servers after a round that warms them up, then ends them. @param rounds 0 for the warm-up only. */
  async run(rounds: number): Promise<void> {
    const entrants = this.#entrants.splice(0)
    const sides = entrants.map((entrant) => [titleOf(entrant), () => this.#take(entrant)] as const)
    await alternate(Object.fromEntries(sides), rounds, () => {})
    if (rounds > 0) for (const entrant of entrants) this.#measured.get(entrant)?.shift()
    await this.#bench.stop(...entrants.map(({ child }) => child))
  }

  async finish(): Promise<Figure[]> {
    await this.#bench.stop(this.#clients)
    const entrants = [...this.#measured.keys()]
    const gateways = entrants.filter(({ kind }) => kind === 'gateway')
    return gateways.flatMap((gateway) => {
      const others = entrants.filter(
        ({ kind, size, streams }) =>
          kind !== 'gateway' && size === gateway.size && streams === gateway.streams,
      )
      const beside = (title: string, peer: Entrant, goal: number | null) =>
        figure(title, 'events/s', this.#of(gateway, 'rate'), this.#of(peer, 'rate'), goal)
      const bestOf = (kind: Entrant['kind'], title: string) => {
        const [best] = others
          .filter((other) => other.kind === kind)
          .sort((a, b) => this.#of(b, 'rate').median - this.#of(a, 'rate').median)
        return best ? [beside(`${groupOf(gateway)}, ${title}`, best, GOAL)] : []
      }
      const best =
        gateway.streams === MANY
          ? [...bestOf('written', 'best written by hand'), ...bestOf('installed', 'best installed')]
          : []
      return [
        ...best,
        ...others.flatMap((other) => {
          const cpu = this.#of(other, 'cpu')
          const title = titleOf(other)
          const rate = beside(title, other, null)
          if (Number.isNaN(cpu.median)) return [rate]
          return [rate, figure(`${title}, CPU`, 'µs/event', this.#of(gateway, 'cpu'), cpu)]
        }),
      ]
    })
  }

  #of(entrant: Entrant, of: keyof Measured): Statistic {
    return statisticOf(this.#measured.get(entrant) ?? [], (one) => one[of])
  }

  /** Runs one round. A server that fails is left out from then on. */
  async #take(entrant: Entrant): Promise<void> {
    const measured = this.#measured.get(entrant)
    if (!measured) return
    const title = titleOf(entrant)
    try {
      const one = await this.#measure(entrant)
      measured.push(one)
      this.#bench.say(
        `  ${title.padEnd(60)} ${Math.round(one.rate)} events/s, ${one.cpu.toPrecision(3)} µs of CPU an event`,
      )
    } catch (error) {
      if (entrant.kind === 'gateway') throw error
      this.#measured.delete(entrant)
      this.#bench.note(`${title}: ${messageOf(error)}`)
    }
  }

  async #measure(entrant: Entrant): Promise<Measured> {
    const { size, port, streams, records, path, until, cpu } = entrant
    const topic = entrant.topic ?? (await newTopic(this.#bench, size))
    const paths = Array.from({ length: streams }, (_, stream) => path(stream, topic.name))
    const clients = this.#clients
    const deliver = async (records: number, perBatch: number) => {
      const asked = { records, limitMs: LIMIT_MS }
      const [received] = await Promise.all([
        clients.ask('receive', asked, LIMIT_MS + SPARE_MS),
        this.#bench.produce(topic, records, perBatch),
      ])
      return received
    }
    try {
      await clients.ask('open', { port, paths, until })
      await deliver(WARM_UP.records, WARM_UP.perBatch)
      const before = await cpu()
      const { seconds } = await deliver(records, PER_BATCH)
      const after = await cpu()
      const events = records * streams
      const used = after === undefined || before === undefined ? Number.NaN : after - before
      return { rate: events / seconds, cpu: (used * 1e6) / events }
    } finally {
      await clients.ask('close')
      if (!entrant.topic) await Bun.sleep(LEAVE_MS)
    }
  }
}

function groupOf({ size, streams }: Entrant): string {
  return `peers, ${size.label} to ${streams}`
}

function titleOf(entrant: Entrant): string {
  return `${groupOf(entrant)}, ${entrant.name}`
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
