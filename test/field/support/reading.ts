/** Clients read a topic to its end, while what is between them and Kafka breaks again and again. */
import type { TestKafka } from '../../support/kafka.ts'
import { until } from '../../support/wait.ts'
import { CuttingProxy } from './cutting-proxy.ts'
import type { FieldClient, Tally } from './field-client.ts'
import { sized } from './form.ts'
import type { FieldGateway } from './gateway.ts'
import { randomOf } from './random.ts'

const PARTITIONS = 6
/** Partitions of a topic whose streams have compact ids: more than 32. */
export const MANY_PARTITIONS = 40
const RECORDS = 2_000
/** Records that are there before the first client is. */
const BEFORE = 1_000
const BATCH = 50
/** All records are some 700 KB as events: half of this is what a connection gets through. */
const MAX_BYTES = sized(320_000, 120_000)
/** Clients wait for 1 to 3 s before they come back, as the stream tells them. */
const LIMIT_MS = sized(120_000, 240_000)

/** A client of this run. */
export interface Reader {
  readonly name: string
  readonly scheme: 'http' | 'ws'
  /** The path with its parameters. */
  readonly path: string
  /** Begins to read. */
  readonly open: (url: string, partitions: number) => FieldClient | Promise<FieldClient>
  /** The faults that the client itself is known to have. Default: none. */
  readonly fault?: Fault | undefined
}

/** A fault of a client, which no server can prevent. */
export interface Fault {
  /** Records at most. */
  readonly lost?: number
  readonly doubled?: number
  readonly reason: string
}

/** A topic, and the records that are written to it. */
export class FieldTopic {
  readonly name: string
  readonly #kafka: TestKafka
  readonly #random: () => number
  /** The offset after the last record, by partition. */
  readonly ends: number[]

  private constructor(name: string, partitions: number, kafka: TestKafka, random: () => number) {
    this.name = name
    this.ends = new Array<number>(partitions).fill(0)
    this.#kafka = kafka
    this.#random = random
  }

  static async create(kafka: TestKafka, partitions = PARTITIONS): Promise<FieldTopic> {
    const name = await kafka.createTopic(partitions)
    const topic = new FieldTopic(name, partitions, kafka, randomOf('records'))
    await topic.#write(BEFORE)
    return topic
  }

  get written(): number {
    return this.ends.reduce((sum, end) => sum + end, 0)
  }

  /** Writes all records but the last one of each partition. */
  async writeMost(): Promise<void> {
    for (let left = this.#left; left > 0; left = this.#left)
      await this.#write(Math.min(BATCH, left))
  }

  async writeLast(): Promise<void> {
    const partitions = this.ends.map((_, partition) => partition)
    await this.#produce(partitions)
  }

  get #left(): number {
    return RECORDS - this.ends.length - this.written
  }

  #write(count: number): Promise<void> {
    return this.#produce(
      Array.from({ length: count }, () => Math.floor(this.#random() * this.ends.length)),
    )
  }

  async #produce(partitions: readonly number[]): Promise<void> {
    await this.#kafka.produce(
      this.name,
      partitions.map((partition) => {
        // Characters of one to four bytes, so that cuts fall within some.
        const text = 'aö€😀'.repeat(10 + Math.floor(this.#random() * 40))
        return { partition, key: `k${partition}`, value: JSON.stringify({ text }) }
      }),
    )
    for (const partition of partitions) this.ends[partition] = (this.ends[partition] ?? 0) + 1
  }
}

/** The parts of a reading: clients, gateway and proxy. */
interface Reading {
  readonly topic: FieldTopic
  readonly readers: readonly Reader[]
  /** The port that clients are led to, which is the gateway's own or that of a proxy. */
  readonly port: number
  /** Killed twice while clients read. Default: it lives. */
  readonly victim?: FieldGateway
}

/** The records that each client got, by its name. */
export type Tallies = Readonly<Record<string, Tally & { readonly cuts: number }>>

/** @throws Error that names the clients which did not get to the end, with what they said. */
export async function readAll({ topic, readers, port, victim }: Reading): Promise<Tallies> {
  await using running = new AsyncDisposableStack()
  const started: Started[] = []
  for (const { name, scheme, path, open } of readers) {
    const proxy = running.use(await CuttingProxy.listen(port, MAX_BYTES, randomOf(name)))
    const url = `${scheme}://127.0.0.1:${proxy.port}${path}`
    const client = running.use(await open(url, topic.ends.length))
    started.push({ name, proxy, client })
  }
  if (victim) {
    await untilAll(started, 'a third', ({ client }) => client.received > RECORDS / 3)
    await victim.killAndRestart()
  }
  await topic.writeMost()
  if (victim) {
    await untilAll(started, 'two thirds', ({ client }) => client.received > (RECORDS * 2) / 3)
    await victim.killAndRestart()
  }
  await untilAll(started, 'almost all', ({ client }) => client.isAtEnd(topic.ends))
  // A client that resumes at the end must get the records that follow, and only those.
  for (const { proxy } of started) proxy.cutAll()
  await topic.writeLast()
  await untilAll(started, 'the last', ({ client }) => client.isAtEnd(topic.ends))
  return Object.fromEntries(
    started.map(({ name, proxy, client }) => {
      return [name, { ...client.tally(topic.ends), cuts: proxy.cuts }]
    }),
  )
}

interface Started {
  readonly name: string
  readonly proxy: CuttingProxy
  readonly client: FieldClient
}

async function untilAll(
  started: readonly Started[],
  what: string,
  holds: (one: Started) => boolean,
): Promise<void> {
  const waiting = () => started.filter((one) => !holds(one))
  await until(
    () => {
      const ended = started.find(({ client }) => client.hasGivenUp)
      if (ended) throw new Error(`${ended.name} gave up: ${ended.client.errors}`)
      return waiting().length === 0
    },
    () =>
      `${what} of the records at ${waiting()
        .map(({ name, client, proxy }) => {
          return `${name} (has ${client.received} after ${proxy.cuts} cuts; ${client.errors})`
        })
        .join(', ')}`,
    LIMIT_MS,
  )
}
