/** Fan-out by what people would write or install, beside the gateway. */
import type { Child } from '../child.ts'
import { type Figure, figure } from '../figure.ts'
import type { Topic } from '../kafka.ts'
import { buildBenthos, compileNodeRdkafka, installPackages } from '../peers/install.ts'
import type { Gateway } from '../programs/gateway.ts'
import { PEERS, type Peer, type PeerName } from '../programs/peer.ts'
import type { PeerClients } from '../programs/peer-clients.ts'
import type { InstalledName, InstalledPeer } from '../programs/peer-installed.ts'
import { alternate, medianOf } from '../rounds.ts'
import { type Bench, PARTITIONS, type Scenario } from '../scenario.ts'

const VALUE_BYTES = 1_000
/** Of every side. */
const MANY = 100
/** What a consumer for each stream is sure to bear. */
const FEW = 10
/** Until all consumers read and all streams flow: one prepared batch for each partition. */
const WARM_UP = 1_000
const LIMIT_MS = 40_000
/** Between two commands to a process. */
const SPARE_MS = 5_000
/** For the consumers of streams that were closed to leave. */
const LEAVE_MS = 1_000
/** Times the best of them. */
const GOAL = 20

export const peers: Scenario = {
  name: 'peers',
  summary: `events/s to ${MANY} subscribers, to what people would write (Hono, a client for Kafka, writeSSE) or install`,
  async run(bench) {
    const race = new Race(bench)
    await race.addGateway()
    for (const name of PEERS) await race.addWritten(name)
    await race.addInstalled('kafka-sse', async () => {
      const packages = await installPackages()
      await compileNodeRdkafka(packages)
      return packages
    })
    await race.addInstalled('benthos', buildBenthos)
    await race.run(bench.quick ? 1 : 3)
    if (!bench.quick) {
      for (const name of PEERS) await race.tryOwnConsumers(name)
    }
    return race.finish()
  },
}

/** One side: who serves, how many streams, and of what. */
interface Entrant {
  /** In the table. */
  readonly name: string
  readonly kind: 'gateway' | 'written' | 'installed'
  readonly port: number
  readonly streams: number
  /** Of one round. */
  readonly records: number
  /** The topic that it reads all the time; undefined when each stream has a consumer of its own. */
  readonly topic: Topic | undefined
  path(stream: number, topic: string): string
  /** When records may be written: most have to know a stream before, others keep them for it. */
  readonly until: 'asked' | 'answered'
  /** Seconds of processor time since it began; undefined where that is not known. */
  cpu(): Promise<number | undefined>
}

interface Measured {
  /** Events a second, to all streams together. */
  readonly rate: number
  /** Microseconds of processor time for an event; NaN where that is not known. */
  readonly cpu: number
}

class Race {
  readonly #bench: Bench
  readonly #clients: Child<PeerClients>
  readonly #children: Array<Child<never>>
  readonly #entrants: Entrant[] = []
  readonly #measured = new Map<Entrant, Measured[]>()

  constructor(bench: Bench) {
    this.#bench = bench
    this.#clients = bench.spawn<PeerClients>('peer-clients')
    this.#children = [this.#clients]
  }

  async addGateway(): Promise<void> {
    const child = this.#spawn<Gateway>('gateway')
    const topic = await this.#newTopic()
    const { port } = await child.ask('serve', { brokers: this.#bench.brokers, topic: topic.name })
    const common = {
      name: 'gateway',
      kind: 'gateway',
      port,
      topic,
      path: () => '/stream',
      until: 'answered',
      cpu: cpuOf(child),
    } as const
    // More records than the others: a few would be over before they are measured.
    const times = this.#bench.quick ? 1 : 2
    this.#entrants.push({ ...common, streams: MANY, records: 10_000 * times })
    this.#entrants.push({ ...common, streams: FEW, records: 40_000 * times })
  }

  /** By one consumer for all streams, and by one for each. */
  async addWritten(name: PeerName): Promise<void> {
    await this.#orNote(name, async () => {
      const child = this.#spawn<Peer>('peer')
      const topic = await this.#newTopic()
      const port = await this.#serveWritten(child, name, topic)
      const common = { kind: 'written', port, until: 'answered', cpu: cpuOf(child) } as const
      this.#entrants.push({
        ...common,
        name,
        streams: MANY,
        records: this.#bench.quick ? 1_000 : 2_000,
        topic,
        path: () => '/stream',
      })
      this.#entrants.push(this.#withOwnConsumers(name, child, port, FEW))
    })
  }

  async addInstalled(name: InstalledName, install: () => Promise<string>): Promise<void> {
    await this.#orNote(name, async () => {
      const installed = await install()
      const child = this.#spawn<InstalledPeer>('peer-installed')
      const topic = await this.#newTopic()
      const { port } = await child.ask('serve', {
        name,
        installed,
        brokers: this.#bench.brokers,
        topic: topic.name,
        partitions: PARTITIONS,
        streams: MANY,
      })
      const hasOwnConsumers = name === 'kafka-sse'
      this.#entrants.push({
        name,
        kind: 'installed',
        port,
        streams: MANY,
        records: this.#bench.quick ? 1_000 : 2_000,
        topic: hasOwnConsumers ? undefined : topic,
        path: hasOwnConsumers ? (_, topic) => `/${topic}` : (stream) => `/stream/${stream}`,
        // Benthos sends its head with the first record.
        until: hasOwnConsumers ? 'answered' : 'asked',
        cpu: () => child.ask('cpu'),
      })
    })
  }

  async run(rounds: number): Promise<void> {
    const sides = Object.fromEntries(
      this.#entrants.map((entrant) => [titleOf(entrant), () => this.#take(entrant)]),
    )
    await alternate(sides, rounds, () => {})
    // What came first has warmed the sides up.
    for (const measured of this.#measured.values()) measured.shift()
  }

  /** Once, and by a process of its own, which it may overcharge. */
  async tryOwnConsumers(name: PeerName): Promise<void> {
    await this.#orNote(`${name}, ${MANY} consumers`, async () => {
      const child = this.#bench.spawn<Peer>('peer')
      try {
        const port = await this.#serveWritten(child, name, await this.#newTopic())
        const entrant = this.#withOwnConsumers(name, child, port, MANY)
        this.#entrants.push(entrant)
        await this.#take(entrant)
      } finally {
        await this.#bench.stop(child)
      }
    })
  }

  async finish(): Promise<Figure[]> {
    await this.#bench.stop(...this.#children)
    const served = this.#entrants.filter((entrant) => this.#measured.get(entrant)?.length)
    const of = (entrant: Entrant, value: (one: Measured) => number) =>
      medianOf(this.#measured.get(entrant) ?? [], value)
    const rate = (entrant: Entrant) => of(entrant, (one) => one.rate)
    const gateway = (streams: number) =>
      served.find((one) => one.kind === 'gateway' && one.streams === streams) as Entrant
    const ours = rate(gateway(MANY))
    const best = (kind: Entrant['kind']) => {
      const rates = served
        .filter((one) => one.kind === kind && one.streams === MANY)
        .map((one) => rate(one))
      return rates.length > 0 ? Math.max(...rates) : undefined
    }
    const figures = [
      figure(`events to ${MANY}, best written by hand`, 'events/s', ours, best('written'), GOAL),
      figure(`events to ${MANY}, best installed`, 'events/s', ours, best('installed'), GOAL),
    ]
    for (const streams of [MANY, FEW]) {
      const us = gateway(streams)
      const others = served.filter((one) => one.kind !== 'gateway' && one.streams === streams)
      for (const one of others) {
        figures.push(figure(titleOf(one), 'events/s', rate(us), rate(one)))
        const cpu = of(one, ({ cpu }) => cpu)
        if (Number.isNaN(cpu)) continue
        figures.push(
          figure(
            `${titleOf(one)}, CPU`,
            'µs/event',
            of(us, ({ cpu }) => cpu),
            cpu,
          ),
        )
      }
    }
    return figures
  }

  #spawn<C extends Gateway | Peer | InstalledPeer>(program: string): Child<C> {
    const child = this.#bench.spawn<C>(program)
    this.#children.push(child)
    return child
  }

  #newTopic(): Promise<Topic> {
    return this.#bench.topics.create(PARTITIONS, VALUE_BYTES)
  }

  async #serveWritten(child: Child<Peer>, name: PeerName, topic: Topic): Promise<number> {
    const packages = await installPackages()
    const { brokers } = this.#bench
    return (await child.ask('serve', { name, packages, brokers, topic: topic.name })).port
  }

  #withOwnConsumers(name: PeerName, child: Child<Peer>, port: number, streams: number): Entrant {
    return {
      name: `${name}, a consumer each`,
      kind: 'written',
      port,
      streams,
      records: this.#bench.quick ? 1_000 : 2_000,
      topic: undefined,
      path: (_, topic) => `/own/${topic}`,
      until: 'answered',
      cpu: cpuOf(child),
    }
  }

  /** One round; who fails one is not asked again. */
  async #take(entrant: Entrant): Promise<void> {
    const before = this.#measured.get(entrant)
    if (before?.length === 0) return
    const title = titleOf(entrant)
    const take = async () => {
      const measured = await this.#measure(entrant)
      this.#measured.set(entrant, [...(before ?? []), measured])
      const { rate, cpu } = measured
      this.#bench.say(
        `  peers: ${title.padEnd(48)} ${Math.round(rate)} events/s, ${cpu.toFixed(1)} µs of CPU an event`,
      )
    }
    if (entrant.kind === 'gateway') await take()
    else if (!(await this.#orNote(title, take))) this.#measured.set(entrant, [])
  }

  async #measure(entrant: Entrant): Promise<Measured> {
    const { port, streams, records, topic, path, until, cpu } = entrant
    const read = topic ?? (await this.#newTopic())
    const paths = Array.from({ length: streams }, (_, stream) => path(stream, read.name))
    const clients = this.#clients
    const limitMs = LIMIT_MS
    const deliver = async (records: number) => {
      const [received] = await Promise.all([
        clients.ask('receive', { records, limitMs }, limitMs + SPARE_MS),
        this.#bench.produce(read, records),
      ])
      return received
    }
    try {
      await clients.ask('open', { port, paths, until })
      await deliver(WARM_UP)
      const before = await cpu()
      const { seconds } = await deliver(records)
      const after = await cpu()
      const events = records * streams
      return {
        rate: events / seconds,
        cpu: (((after ?? Number.NaN) - (before ?? 0)) * 1e6) / events,
      }
    } finally {
      await clients.ask('close')
      if (!topic) await Bun.sleep(LEAVE_MS)
    }
  }

  /** A peer that cannot take part is told of, and stops nobody. */
  async #orNote(name: string, work: () => Promise<void>): Promise<boolean> {
    try {
      await work()
      return true
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      this.#bench.note(`${name}: ${reason}`)
      return false
    }
  }
}

function titleOf({ name, streams }: Entrant): string {
  return `events to ${streams}, ${name}`
}

function cpuOf(child: Child<never>): () => Promise<number> {
  return async () => (await child.usage()).cpu
}
