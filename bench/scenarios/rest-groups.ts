/**
 * Polls as a group: by GET beside peers and pages, in a handler and by WebSocket beside a bare
 * consume loop.
 */
import type { Child } from '../child.ts'
import { type Figure, figure, limited } from '../figure.ts'
import type { Topic } from '../kafka.ts'
import { findRestPeers, REST_PEERS, type RestPeer, type RestPeerName } from '../peers/rest-peers.ts'
import type { Acks } from '../programs/acks.ts'
import type { Bare } from '../programs/bare.ts'
import type { Gateway } from '../programs/gateway.ts'
import type { Polling, Polls } from '../programs/polls.ts'
import type { RestPeerProcess } from '../programs/rest-peer.ts'
import type { Usage } from '../programs/serve.ts'
import { alternate, type Side, statisticOf } from '../rounds.ts'
import { type Bench, PARTITIONS, SIZES, type Size } from '../scenario.ts'
import { READ_LIMIT_MS } from './reading.ts'

const POLL = '/messages?max_records=500'
const LARGE = 'max_records=10000&max_bytes=16777216'
const MANY = 8
/** Consumers that share the partitions, where a server wants one for each client. */
const CONSUMERS = 4
/** Rounds of each side on Java before the first of all sides. */
const JAVA_ROUNDS = 3
/** The highest that the parameter allows. */
const MAX_UNACKED = 10_000
const GOALS = {
  one: 1.5,
  many: { '100 B': 1.5, '1 KB': 1.2 },
  cpu: { '100 B': 0.5, '1 KB': 0.6 },
  pages: 0.8,
  handler: 0.8,
  socket: 0.6,
} as const

/** One round of one side. */
interface Round {
  /** Records per second. */
  readonly rate: number
  /** Seconds of the server's processor time for a million records. */
  readonly cpu: number
  /** Megabytes resident at the end of the round. */
  readonly memory: number
}

export async function restGroups(bench: Bench): Promise<Figure[]> {
  const { found, missing } = findRestPeers()
  for (const name of missing) {
    bench.note(`${REST_PEERS[name]} is missing: BENCH_PEERS names no folder that has it`)
  }
  const figures: Figure[] = []
  for (const size of SIZES) figures.push(...(await new Groups(bench, size).run(found)))
  return figures
}

type Sides = Record<string, Side<Round>>

class Groups {
  readonly #bench: Bench
  readonly #size: Size
  readonly #records: number
  readonly #gateway: Child<Gateway>
  readonly #bare: Child<Bare>
  readonly #polls: Child<Polls>
  readonly #acks: Child<Acks>
  readonly #failed = new Set<string>()
  #topic!: Topic

  constructor(bench: Bench, size: Size) {
    this.#bench = bench
    this.#size = size
    this.#records = bench.quick ? 150_000 : 300_000
    this.#gateway = bench.spawn<Gateway>('gateway')
    this.#bare = bench.spawn<Bare>('bare')
    this.#polls = bench.spawn<Polls>('polls')
    this.#acks = bench.spawn<Acks>('acks')
  }

  async run(peers: readonly RestPeer[]): Promise<Figure[]> {
    const bench = this.#bench
    const records = this.#records
    this.#topic = await bench.topics.create(PARTITIONS, this.#size.bytes)
    bench.say(`rest ${this.#size.label}: ${records.toLocaleString('en-US')} records a round`)
    await bench.produce(this.#topic, records)
    const { port } = await this.#gateway.ask('serve', {
      brokers: bench.brokers,
      topic: this.#topic.name,
    })
    const sides: Sides = {
      one: () => this.#group([POLL]),
      many: () => this.#group(Array<string>(MANY).fill(POLL)),
      large: () => this.#group([`/messages?${LARGE}`]),
      pages: () =>
        this.#measure(usageOf(this.#gateway), () =>
          this.#poll({ port, paths: [`/messages?start=earliest&${LARGE}`], follow: true }),
        ),
      handler: () => this.#group(['/count?max_records=500'], 'number'),
      socket: () => this.#socket(),
      bare: () => this.#loop(),
    }
    const started: Child<RestPeerProcess>[] = []
    for (const peer of peers) {
      try {
        const invited = Object.entries(await this.#invite(peer, started))
        for (const [name, side] of invited) sides[name] = this.#tolerant(name, side)
      } catch (error) {
        bench.note(`${REST_PEERS[peer.name]} cannot take part: ${messageOf(error)}`)
      }
    }
    // Java compiles a program while it runs, and is not done after one round.
    for (let round = 0; round < JAVA_ROUNDS; round++) {
      for (const name of Object.keys(sides).filter(isStrimzi)) await sides[name]?.()
    }
    const measured = await alternate(sides, bench.quick ? 2 : 3, (side, round, one) =>
      bench.say(
        `  rest ${this.#size.label} ${round}: ${side.padEnd(26)} ${Math.round(one.rate / 1_000)} K records/s, ${one.cpu.toFixed(2)} s of CPU for 1 M, ${one.memory.toFixed(0)} MB`,
      ),
    )
    await bench.stop(this.#gateway, this.#bare, this.#polls, this.#acks, ...started)
    return this.#figures(measured)
  }

  /**
   * The sides of a peer, whose process goes on from round to round, unless it has one consumer for
   * all its life.
   */
  async #invite(peer: RestPeer, started: Child<RestPeerProcess>[]): Promise<Sides> {
    if (peer.name === 'redpanda-connect') {
      return {
        'redpanda-connect, 1': () => this.#stream(peer, 1),
        [`redpanda-connect, ${MANY}`]: () => this.#stream(peer, MANY),
      }
    }
    const child = this.#bench.spawn<RestPeerProcess>('rest-peer')
    started.push(child)
    const port = await this.#start(child, peer, '')
    const side = (consumers: number, format: 'text' | 'json') => () =>
      this.#consume(peer.name, child, port, consumers, format)
    if (peer.name === 'karapace') return { 'karapace, json, 1': side(1, 'json') }
    return {
      'strimzi, text, 1': side(1, 'text'),
      'strimzi, json, 1': side(1, 'json'),
      [`strimzi, text, ${CONSUMERS}`]: side(CONSUMERS, 'text'),
      [`strimzi, json, ${CONSUMERS}`]: side(CONSUMERS, 'json'),
    }
  }

  /** A peer that fails is left out from then on. */
  #tolerant(name: string, side: Side<Round>): Side<Round> {
    const nothing = { rate: Number.NaN, cpu: Number.NaN, memory: Number.NaN }
    return async () => {
      if (this.#failed.has(name)) return nothing
      try {
        return await side()
      } catch (error) {
        this.#failed.add(name)
        this.#bench.note(`${name}, ${this.#size.label}: ${messageOf(error)}`)
        return nothing
      }
    }
  }

  async #start(child: Child<RestPeerProcess>, peer: RestPeer, group: string): Promise<number> {
    const { brokers } = this.#bench
    const asked = { ...peer, brokers, topic: this.#topic.name, group }
    return (await child.ask('serve', asked, READ_LIMIT_MS)).port
  }

  /** Our own group, which joins again for each round. */
  async #group(paths: readonly string[], counted?: 'number'): Promise<Round> {
    const port = await this.#joined()
    const round = await this.#measure(usageOf(this.#gateway), () =>
      this.#poll({ port, paths, ...(counted && { counted }) }),
    )
    await this.#gateway.ask('closeGroup')
    return round
  }

  async #socket(): Promise<Round> {
    const port = await this.#joined()
    const path = `/socket?acks=true&max_unacked=${MAX_UNACKED}`
    const asked = { port, path, records: this.#records }
    const round = await this.#measure(usageOf(this.#gateway), () =>
      this.#acks.ask('receive', asked, READ_LIMIT_MS),
    )
    await this.#gateway.ask('closeGroup')
    return round
  }

  async #joined(): Promise<number> {
    const { brokers } = this.#bench
    const asked = { brokers, topic: this.#topic.name, group: newGroup() }
    return (await this.#gateway.ask('serveGroup', asked)).port
  }

  async #loop(): Promise<Round> {
    const { brokers } = this.#bench
    const opened = { brokers, settings: 'ours', from: this.#topic.start, live: false } as const
    await this.#bare.ask('open', opened)
    const round = await this.#measure(usageOf(this.#bare), async () => {
      const asked = { records: this.#records }
      const read = await this.#bare.ask('read', asked, READ_LIMIT_MS)
      return { records: read.recordsFromFirst, seconds: read.secondsFromFirst }
    })
    await this.#bare.ask('close')
    return round
  }

  /** Consumers of the REST Proxy's API, one for each client. */
  async #consume(
    name: RestPeerName,
    child: Child<RestPeerProcess>,
    port: number,
    consumers: number,
    format: 'text' | 'json',
  ): Promise<Round> {
    const group = newGroup()
    const topic = this.#topic.name
    const asked = { topic, partitions: PARTITIONS, group, consumers, format }
    const paths = await child.ask('join', asked)
    // Strimzi answers with at most 500 records. Karapace answers when it has so many bytes, and skips
    // records for good where they end with a record: the half makes answers of 500 of all it reads.
    const query = name === 'karapace' ? `?max_bytes=${499.5 * this.#size.bytes}` : ''
    const accept = `application/vnd.kafka.${format}.v2+json`
    const round = await this.#measure(
      () => child.ask('cost'),
      () => this.#poll({ port, paths: paths.map((path) => path + query), accept }),
    )
    await child.ask('leave')
    return round
  }

  /** A server that begins to read when it starts, and ends with the round. */
  async #stream(peer: RestPeer, clients: number): Promise<Round> {
    const child = this.#bench.spawn<RestPeerProcess>('rest-peer')
    try {
      const port = await this.#start(child, peer, newGroup())
      const paths = Array<string>(clients).fill('/get')
      return await this.#measure(
        () => child.ask('cost'),
        () => this.#poll({ port, paths }),
      )
    } finally {
      await this.#bench.stop(child)
    }
  }

  #poll(polling: Omit<Polling, 'records'>): Promise<{ records: number; seconds: number }> {
    return this.#polls.ask('poll', { ...polling, records: this.#records }, READ_LIMIT_MS)
  }

  async #measure(
    usage: () => Promise<Usage | undefined>,
    read: () => Promise<{ records: number; seconds: number }>,
  ): Promise<Round> {
    const before = await usage()
    const { records, seconds } = await read()
    const after = await usage()
    const cpu = before && after ? after.cpu - before.cpu : Number.NaN
    return {
      rate: records / seconds,
      cpu: (cpu / this.#records) * 1e6,
      memory: (after?.rss ?? Number.NaN) / 1e6,
    }
  }

  #figures(measured: Readonly<Record<string, readonly Round[]>>): Figure[] {
    const { label } = this.#size
    const size = label as keyof typeof GOALS.many
    const compare = (
      name: string,
      unit: string,
      of: keyof Round,
      sides: readonly [ours: string, other?: string | undefined],
      goal: number | null = null,
    ) => this.#compare(measured, { name, unit, of, sides, goal })
    const best = (clients: 'one' | 'more') =>
      bestOf(
        measured,
        (side) =>
          isStrimzi(side) &&
          !this.#failed.has(side) &&
          (clients === 'one') === side.endsWith(', 1'),
      )
    const one = `group GETs of 500, ${label}, 1 connection`
    const many = `group GETs of 500, ${label}, ${MANY} connections`
    const others = Object.keys(measured).filter(
      (side) => side.includes(', ') && !this.#failed.has(side),
    )
    const rate = 'records/s'
    const seconds = 's/1 M records'
    return [
      compare(one, rate, 'rate', ['one', best('one')], GOALS.one),
      compare(`${one}, CPU`, seconds, 'cpu', ['one', best('one')], GOALS.cpu[size]),
      compare(`${one}, memory`, 'MB', 'memory', ['one', best('one')]),
      compare(many, rate, 'rate', ['many', best('more')], GOALS.many[size]),
      compare(`${many}, CPU`, seconds, 'cpu', ['many', best('more')], GOALS.cpu[size]),
      compare(`${many}, memory`, 'MB', 'memory', ['many', best('more')]),
      ...others.flatMap((side) => {
        const ours = side.endsWith(', 1') ? 'one' : 'many'
        const name = `group GETs of 500, ${label}, beside ${side}`
        return [
          compare(name, rate, 'rate', [ours, side]),
          compare(`${name}, CPU`, seconds, 'cpu', [ours, side]),
        ]
      }),
      compare(
        `group GETs of 10,000, ${label}, beside pages`,
        rate,
        'rate',
        ['large', 'pages'],
        GOALS.pages,
      ),
      compare(`group GETs of 10,000, ${label}, CPU`, seconds, 'cpu', ['large', 'pages']),
      compare(
        `group poll of 500 in a handler, ${label}`,
        rate,
        'rate',
        ['handler', 'bare'],
        GOALS.handler,
      ),
      compare(`group poll of 500 in a handler, ${label}, CPU`, seconds, 'cpu', ['handler', 'bare']),
      compare(`WebSocket with acks, ${label}`, rate, 'rate', ['socket', 'bare'], GOALS.socket),
      compare(`WebSocket with acks, ${label}, CPU`, seconds, 'cpu', ['socket', 'bare']),
    ]
  }

  #compare(
    measured: Readonly<Record<string, readonly Round[]>>,
    { name, unit, of, sides: [ours, other], goal }: Comparison,
  ): Figure {
    const statistic = (side: string) => statisticOf(measured[side] ?? [], (one) => one[of])
    if (other === undefined) return figure(name, unit, statistic(ours))
    return of === 'cpu' && goal !== null
      ? limited(name, unit, statistic(ours), statistic(other), goal)
      : figure(name, unit, statistic(ours), statistic(other), goal)
  }
}

interface Comparison {
  readonly name: string
  readonly unit: string
  readonly of: keyof Round
  /** Ours, and what it is compared with; undefined if that is missing. */
  readonly sides: readonly [ours: string, other?: string | undefined]
  readonly goal: number | null
}

function bestOf(
  measured: Readonly<Record<string, readonly Round[]>>,
  isMeant: (side: string) => boolean,
): string | undefined {
  const rate = (side: string) => statisticOf(measured[side] ?? [], (one) => one.rate).median
  return Object.keys(measured)
    .filter(isMeant)
    .sort((a, b) => rate(b) - rate(a))[0]
}

function isStrimzi(side: string): boolean {
  return side.startsWith('strimzi')
}

function usageOf(child: Child<never>): () => Promise<Usage> {
  return () => child.usage()
}

function newGroup(): string {
  return `bench-${crypto.randomUUID()}`
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
