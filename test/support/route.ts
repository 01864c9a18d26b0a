import { existsSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Hono } from 'hono'
import { type KafkaConsumeOptions, kafkaConsume, type RouteStats } from '../../src/index.ts'
import type { TestKafka } from './kafka.ts'
import { uniqueName } from './names.ts'
import { serve } from './server.ts'
import { SseClient, type StreamedRecord } from './sse.ts'
import { until, within } from './wait.ts'

/** The differences between brokers that clients see. */
export interface BrokerFeatures {
  /** Whether the broker tells the ids of its topics (KIP-516). */
  readonly hasTopicIds: boolean
}

/** A broker under the contract suite, and what serves it. */
export interface Target {
  readonly kafka: TestKafka
  /** Default: this process. */
  readonly host?: Host
  close(): Promise<void>
}

/** The options that a test chooses. The target names the broker. */
export type RouteOptions = Omit<KafkaConsumeOptions, 'bootstrapServers'> & {
  readonly bootstrapServers?: string
}

/** A response in Kong's form. */
export type KongBody = Record<string, { readonly partitions: Record<string, KongPartition> }>

/** One partition of it. */
export interface KongPartition {
  readonly errcode: number
  readonly high_watermark: number
  readonly last_stable_offset: number
  readonly aborted_transactions: readonly unknown[]
  readonly records: ReadonlyArray<Omit<StreamedRecord, 'topic' | 'partition'>>
}

/** A response in the flat form. */
export interface FlatBody {
  readonly records: readonly StreamedRecord[]
  readonly cursor?: string
}

/** Query parameters; an array repeats one. */
export type Query = Record<string, string | number | ReadonlyArray<string | number>>

function search(query: Query): string {
  const parameters = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    const values: readonly unknown[] = Array.isArray(value) ? value : [value]
    for (const one of values) parameters.append(name, String(one))
  }
  const text = parameters.toString()
  return text === '' ? '' : `?${text}`
}

/** A handler that something serves: this process, or one of another runtime. */
export interface Mounted {
  readonly url: string
  stats(): Promise<RouteStats>
  /** Keeps its process from all else: makes a file, until it is removed. Absent where that is ours. */
  block?(file: string): Promise<void>
  /** Ends the handler; its server answers on. */
  end(): Promise<void>
  /** Ends the server, too. */
  close(): Promise<void>
}

/** Serves handlers. */
export interface Host {
  /** @param port 0 for any. */
  mount(options: KafkaConsumeOptions, port: number): Promise<Mounted>
}

const thisProcess: Host = {
  async mount(options, port) {
    const handler = kafkaConsume(options)
    const app = new Hono().all('/messages', handler).all('/messages/offsets', handler)
    const server = serve(app, port)
    return {
      url: server.url,
      stats: async () => handler.stats(),
      end: () => handler.close(),
      close: () => server.close(),
    }
  },
}

/** One mounted handler on a real port, closed at the end of the block that holds it. */
export class Route implements AsyncDisposable {
  readonly #mounted: Mounted

  private constructor(mounted: Mounted) {
    this.#mounted = mounted
  }

  static async mount(target: Target, options: RouteOptions, port = 0): Promise<Route> {
    const { bootstrapServers } = target.kafka
    const whole = { bootstrapServers, ...options } as KafkaConsumeOptions
    return new Route(await (target.host ?? thisProcess).mount(whole, port))
  }

  stats(): Promise<RouteStats> {
    return this.#mounted.stats()
  }

  /** Does something of which the server is to learn all at once. */
  async whileBlocked(work: () => Promise<void>): Promise<void> {
    const file = join(tmpdir(), uniqueName('blocked'))
    const blocked = this.#mounted.block?.(file)
    if (blocked) await until(() => existsSync(file), 'the server to be blocked')
    await work()
    rmSync(file, { force: true })
    await blocked
  }

  url(query: Query = {}): string {
    return `${this.#mounted.url}/messages${search(query)}`
  }

  /** A request whose every outcome has a deadline. */
  fetch(query: Query = {}, init: RequestInit = {}): Promise<Response> {
    return within(fetch(this.url(query), init), `an answer of ${this.url(query)}`, 25_000)
  }

  /** The records of a GET, in the flat form. */
  async records(query: Query = {}): Promise<readonly StreamedRecord[]> {
    return (await this.flat(query)).records
  }

  /** A GET in the flat form. */
  async flat(query: Query = {}): Promise<FlatBody> {
    const response = await this.fetch({ format: 'records', ...query })
    const body = await response.text()
    if (response.status !== 200) throw new Error(`GET answered ${response.status}: ${body}`)
    return JSON.parse(body) as FlatBody
  }

  /** GETs until a number of records has come in all; more than that is returned, too. */
  async drain(count: number, query: Query = {}): Promise<StreamedRecord[]> {
    const records: StreamedRecord[] = []
    await until(
      async () => {
        records.push(...(await this.records({ timeout: 500, ...query })))
        return records.length >= count
      },
      () => `${count} records by GET; ${records.length} came`,
    )
    return records
  }

  stream(query: Query = {}, headers: Record<string, string> = {}): Promise<SseClient> {
    return SseClient.open(this.url(query), { headers })
  }

  /** Waits until the handler counts so many open streams. */
  async untilSubscribers(count: number): Promise<void> {
    let counted: number | undefined
    await until(
      async () => {
        counted = (await this.stats()).subscribers
        return counted === count
      },
      () => `${count} subscribers; the handler counts ${counted}`,
    )
  }

  /** Ends the handler, and not its server. */
  async end(): Promise<void> {
    await within(this.#mounted.end(), 'the handler to close', 15_000)
  }

  /** Ends the handler, then the server, as a gateway that shuts down. */
  async close(): Promise<void> {
    await this.end()
    await this.#mounted.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/** Records as `partition/offset`, sorted, to compare what came with what was written. */
export function places(
  records: ReadonlyArray<{ readonly partition: number; readonly offset: number }>,
): string[] {
  return records
    .map(({ partition, offset }) => `${partition}/${String(offset).padStart(7, '0')}`)
    .sort()
}

/** The offsets of each partition in the order they came. */
export function offsetsByPartition(
  records: ReadonlyArray<{ readonly partition: number; readonly offset: number }>,
): Record<number, number[]> {
  const offsets: Record<number, number[]> = {}
  for (const { partition, offset } of records) {
    offsets[partition] ??= []
    offsets[partition].push(offset)
  }
  return offsets
}

/** The numbers from `from` up to, without, `to`. */
export function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, index) => from + index)
}
