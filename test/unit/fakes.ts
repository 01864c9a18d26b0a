/**
 * Stand-ins for Kafka where the real one cannot fail, lose or hurry on command. The file has more than
 * 400 lines because it has every part of Kafka that tests replace.
 */
import type { Consumer } from '../../kafka/client/client.ts'
import { type ReadBlock, RecordBlock, type RecordRun } from '../../kafka/group/record-block.ts'
import { Route } from '../../src/http/route/route.ts'
import type { RouteStats } from '../../src/http/route/route-stats.ts'
import { resolveOptions } from '../../src/options/consume-options.ts'
import {
  type AssignedConsumer,
  type Batch,
  type Delivery,
  type GroupSession,
  headerEntry,
  type KafkaCluster,
  type KafkaRecord,
  type OffsetQuery,
  type PartitionOffset,
} from '../../src/port/kafka.ts'
import type { Producer } from '../../src/port/producer.ts'

const encoder = new TextEncoder()

/** The figures of a route that nobody has asked anything. */
export function idleStats(): RouteStats {
  return new Route(resolveOptions({ bootstrapServers: 'localhost:9092', topics: ['t'] })).stats()
}

/** The statistics of a handler that has had no request. */
export const idleHandler = {
  stats: idleStats,
  partitions: async () => [],
  topicDetails: async () => ({ partitions: [], groups: [], groupsLeftOut: 0 }),
  partitionSizes: async () => ({ partitions: [], unknown: undefined }),
  topicSettings: async () => [],
}

/** A record with little in it. */
export function recordAt(
  partition: number,
  offset: number,
  value: string | number = `${partition}/${offset}`,
  topic = 't',
): KafkaRecord {
  return {
    topic,
    partition,
    offset,
    timestamp: 1_700_000_000_000 + offset,
    key: encoder.encode(`k${offset % 3}`),
    value: encoder.encode(typeof value === 'number' ? 'x'.repeat(value) : value),
  }
}

/** Lets everything that is ready run: timers of 0 ms, too. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0))
}

/** Numbers that look random and are the same for the same seed. */
export function randomOf(seed: number): (below: number) => number {
  let state = seed >>> 0
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % below
  }
}

/** A reader whose reads a test answers. */
export class ScriptedReader implements AssignedConsumer {
  readonly gaps: AssignedConsumer['gaps']
  readonly from: readonly PartitionOffset[]
  closed = false
  /** Whether it was closed as one that has stalled. */
  hasStalled = false
  readonly #answers: Array<Partial<Batch> | Error> = []
  #waiting: PromiseWithResolvers<Batch> | undefined

  constructor(from: readonly PartitionOffset[], gaps: AssignedConsumer['gaps'] = []) {
    this.from = from
    this.gaps = gaps
  }

  /** Answers the read that waits, or the next one. */
  answer(answer: Partial<Batch> | Error): void {
    this.#answers.push(answer)
    const waiting = this.#waiting
    this.#waiting = undefined
    if (waiting) this.#next().then(waiting.resolve, waiting.reject)
  }

  get unread(): number {
    return this.#answers.length
  }

  read(_limit: number, wait: number): Promise<Batch> {
    if (this.#answers.length > 0) return this.#next()
    const waiting = Promise.withResolvers<Batch>()
    this.#waiting = waiting
    setTimeout(() => {
      if (this.#waiting !== waiting) return
      this.#waiting = undefined
      waiting.resolve({ records: [], gaps: [], ends: [] })
    }, wait)
    return waiting.promise
  }

  async close(hasStalled = false): Promise<void> {
    this.closed = true
    this.hasStalled = hasStalled
  }

  async #next(): Promise<Batch> {
    const answer = this.#answers.shift() ?? {}
    if (answer instanceof Error) throw answer
    return { records: [], gaps: [], ends: [], ...answer }
  }
}

/** A source that has readers only. */
export abstract class ReaderSource implements KafkaCluster {
  readonly name = 'fake'
  abstract openConsumer(
    from: readonly PartitionOffset[],
    purpose: 'live' | 'catch-up',
  ): Promise<AssignedConsumer>

  partitions(_topics: readonly string[]): ReturnType<KafkaCluster['partitions']> {
    throw new Error('not asked for here')
  }

  async assertUsable(): Promise<void> {}

  async topicNames(): Promise<readonly string[]> {
    return []
  }

  async topicIds(): Promise<ReadonlyMap<string, string>> {
    return new Map()
  }

  async replicas(): ReturnType<KafkaCluster['replicas']> {
    return []
  }

  async partitionSizes(): ReturnType<KafkaCluster['partitionSizes']> {
    return { partitions: [], unknown: undefined }
  }

  async topicSettings(): ReturnType<KafkaCluster['topicSettings']> {
    return []
  }

  async groupProgress(): ReturnType<KafkaCluster['groupProgress']> {
    return { groups: [], leftOut: 0 }
  }

  offsets(
    _partitions: ReadonlyArray<{ topic: string; partition: number }>,
    _query: OffsetQuery,
  ): Promise<PartitionOffset[]> {
    throw new Error('not asked for here')
  }

  async committed(): Promise<PartitionOffset[]> {
    return []
  }

  group(): GroupSession {
    throw new Error('not asked for here')
  }

  producer(): Producer {
    throw new Error('not asked for here')
  }
  openProducer(): never {
    throw new Error('a reader opens no producer')
  }

  outage(): undefined {
    return undefined
  }

  brokers(): [] {
    return []
  }

  async connected(): Promise<void> {}

  async close(): Promise<void> {}
}

/** A cluster that opens readers of one class, and keeps them in their order. */
export class SourceOf<Reader extends ScriptedReader> extends ReaderSource {
  readonly readers: Reader[] = []
  readonly #Reader: new (
    from: readonly PartitionOffset[],
  ) => Reader

  constructor(Reader: new (from: readonly PartitionOffset[]) => Reader) {
    super()
    this.#Reader = Reader
  }

  async openConsumer(from: readonly PartitionOffset[]): Promise<Reader> {
    const reader = new this.#Reader(from)
    this.readers.push(reader)
    return reader
  }
}

/** A source whose readers are scripted; it may fail to open one. */
export class ScriptedSource extends ReaderSource {
  readonly opened: ScriptedReader[] = []
  readonly purposes: string[] = []
  failure: Error | undefined
  /** Gaps where the next catch-up read is opened. */
  gaps: AssignedConsumer['gaps'] = []
  /** How often it failed to open a reader. */
  failed = 0

  async openConsumer(
    from: readonly PartitionOffset[],
    purpose: 'live' | 'catch-up',
  ): Promise<AssignedConsumer> {
    if (this.failure) {
      this.failed++
      throw this.failure
    }
    const reader = new ScriptedReader(from, this.gaps)
    this.gaps = []
    this.opened.push(reader)
    this.purposes.push(purpose)
    return reader
  }

  get last(): ScriptedReader {
    const reader = this.opened.at(-1)
    if (!reader) throw new Error('no reader was opened')
    return reader
  }
}

type Rebalance = (error: { code: number }, partitions: PartitionOffset[]) => void

/** The client's consumer, as far as groups and assigned readers use it. */
export class FakeConsumer {
  /** The records that Kafka will deliver, in order. */
  readonly queue: KafkaRecord[] = []
  readonly commits: PartitionOffset[][] = []
  readonly calls: string[] = []
  /** Records asked for by each read. */
  readonly limits: number[] = []
  readonly assigned = new Set<string>()
  paused = new Set<string>()
  /** First and last offset by partition, as watermarks tell them. */
  readonly watermarks = new Map<string, { lowOffset: number; highOffset: number }>()
  /** Commits wait for this. */
  commitGate: Promise<unknown> = Promise.resolve()
  commitError: { message: string; code: number } | undefined
  /** Commits that failed. */
  failedCommits = 0
  /** The topic whose commits fail by that; of all when unset. */
  commitErrorTopic: string | undefined
  readError: { message: string; code: number } | undefined
  lost = false
  /** Called when a read has its records and has not handed them over. */
  onRead: (records: readonly KafkaRecord[]) => void = () => {}
  /** Where partitions were taken over. */
  readonly positions: PartitionOffset[] = []
  rebalance: Rebalance = () => {}
  readonly #listeners = new Map<string, Set<(value: never) => void>>()
  /** Ends that no read has brought yet. */
  #ends: PartitionOffset[] = []
  #wait = 0

  /** This consumer by the type that the code under test expects. */
  get asConsumer(): Consumer {
    return this as unknown as Consumer
  }

  on(event: string, listener: (value: never) => void): void {
    const listeners = this.#listeners.get(event) ?? new Set()
    this.#listeners.set(event, listeners.add(listener))
  }

  off(event: string, listener: (value: never) => void): void {
    this.#listeners.get(event)?.delete(listener)
  }

  listenerCount(event: string): number {
    return this.#listeners.get(event)?.size ?? 0
  }

  /** Tells that a partition has no more. */
  eof(partition: number, offset: number, topic = 't'): void {
    this.#ends.push({ topic, partition, offset })
    for (const listener of this.#listeners.get('partition.eof') ?? []) {
      ;(listener as (value: PartitionOffset) => void)({ topic, partition, offset })
    }
  }

  /** The group gives partitions to this member. */
  give(...partitions: number[]): void {
    this.rebalance({ code: -175 }, partitions.map(assignment))
  }

  /** The group takes partitions from this member. */
  take(...partitions: number[]): void {
    this.rebalance({ code: -174 }, partitions.map(assignment))
  }

  /** The group has given all partitions to others, as after a session timeout: the client joins again. */
  loseAll(): void {
    this.lost = true
    const owned = [...this.assigned].map((key) => Number(key.slice(key.lastIndexOf(':') + 1)))
    this.take(...owned)
    this.lost = false
  }

  setDefaultConsumeTimeout(wait: number): void {
    this.#wait = wait
  }

  consume(limit: number, done: (error: unknown, records: KafkaRecord[]) => void): void {
    this.limits.push(limit)
    const answer = () => {
      if (this.readError) return done(this.readError, [])
      const records = this.#take(limit)
      this.onRead(records)
      done(null, records)
    }
    const ready = this.readError || this.queue.some((record) => this.#flows(record))
    // A read that finds nothing waits a fraction of the real time: tests are to be quick.
    setTimeout(answer, ready ? 0 : Math.min(2, this.#wait))
  }

  /** A read of a group. */
  static readonly read: ReadBlock = (client, { records: limit, wait }) => {
    const consumer = client as unknown as FakeConsumer
    consumer.setDefaultConsumeTimeout(wait)
    return new Promise((resolve, reject) => {
      consumer.consume(limit, (error, records) => {
        if (error) return reject(error)
        const ends = consumer.#ends.splice(0)
        const isBehind = ({ topic, partition, offset }: PartitionOffset) =>
          records.some(
            (record) =>
              record.topic === topic && record.partition === partition && record.offset < offset,
          )
        const parts = [
          ...ends.filter((end) => !isBehind(end)),
          ...runsOf(records),
          ...ends.filter(isBehind),
        ]
        resolve({ parts, isDrained: records.length < limit, error: undefined })
      })
    })
  }

  assign(partitions: PartitionOffset[]): void {
    for (const { topic, partition } of partitions) this.assigned.add(`${topic}:${partition}`)
    this.calls.push('assign')
  }

  subscribe(): void {
    this.calls.push('subscribe')
  }

  incrementalAssign(partitions: PartitionOffset[]): void {
    for (const { topic, partition } of partitions) this.assigned.add(`${topic}:${partition}`)
    this.positions.push(...partitions)
    this.calls.push('assign')
    // A partition without records tells so.
    queueMicrotask(() => {
      for (const { partition, offset } of partitions) {
        if (!this.queue.some((record) => record.partition === partition))
          this.eof(partition, offset)
      }
    })
  }

  incrementalUnassign(partitions: PartitionOffset[]): void {
    for (const { topic, partition } of partitions) this.assigned.delete(`${topic}:${partition}`)
    this.calls.push('unassign')
  }

  assignmentLost(): boolean {
    return this.lost
  }

  pause(partitions: PartitionOffset[]): void {
    for (const { topic, partition } of partitions) this.paused.add(`${topic}:${partition}`)
    this.calls.push('pause')
  }

  resume(partitions: PartitionOffset[]): void {
    for (const { topic, partition } of partitions) this.paused.delete(`${topic}:${partition}`)
    this.calls.push('resume')
  }

  offsetsForTimes(_: unknown, __: number, done: (error: unknown, found: unknown[]) => void): void {
    this.calls.push('offsetsForTimes')
    done(null, [])
  }

  seek(place: PartitionOffset, _: number, done: (error: unknown) => void): void {
    this.positions.push(place)
    this.calls.push('seek')
    done(null)
  }

  commit(offsets: PartitionOffset[]): void {
    const tell = (error?: { message: string; code: number }) => {
      for (const listener of [...(this.#listeners.get('offset.commit') ?? [])]) {
        ;(listener as (...told: unknown[]) => void)(error, offsets)
      }
    }
    void this.commitGate.then(() => {
      const isFailing = offsets.some(({ topic }) => topic === (this.commitErrorTopic ?? topic))
      if (this.commitError && isFailing) {
        this.failedCommits++
        return tell(this.commitError)
      }
      this.commits.push(offsets)
      this.calls.push('commit')
      tell()
    })
  }

  getWatermarkOffsets(topic: string, partition: number): { lowOffset: number; highOffset: number } {
    return this.watermarks.get(`${topic}:${partition}`) ?? { lowOffset: 0, highOffset: -1 }
  }

  /** The highest offset committed for a partition. */
  committed(partition: number, topic = 't'): number | undefined {
    return this.commits
      .flat()
      .filter((commit) => commit.topic === topic && commit.partition === partition)
      .at(-1)?.offset
  }

  #flows({ topic, partition }: KafkaRecord): boolean {
    const name = `${topic}:${partition}`
    return this.assigned.has(name) && !this.paused.has(name)
  }

  #take(limit: number): KafkaRecord[] {
    const taken: KafkaRecord[] = []
    for (let i = 0; i < this.queue.length && taken.length < limit; ) {
      const record = this.queue[i] as KafkaRecord
      if (this.#flows(record)) taken.push(...this.queue.splice(i, 1))
      else i++
    }
    return taken
  }
}

function assignment(partition: number): PartitionOffset {
  return { topic: 't', partition, offset: -1001 }
}

/** Records as a read of a group brings them. */
function runsOf(records: readonly KafkaRecord[]): RecordRun[] {
  const block = blockOf(records)
  const runs: Array<RecordRun & { end: number; jumps: number[] }> = []
  records.forEach(({ topic, partition, offset }, index) => {
    const last = runs.at(-1)
    if (last?.topic !== topic || last.partition !== partition) {
      runs.push({ topic, partition, block, begin: index, end: index + 1, jumps: [] })
      return
    }
    last.end = index + 1
    if (offset !== (records[index - 1] as KafkaRecord).offset + 1) last.jumps.push(index)
  })
  return runs
}

/** Packs records as native/src/packed.h describes. */
export function blockOf(records: readonly KafkaRecord[]): RecordBlock {
  const packed = records.map(({ timestamp, key, value, headers = [] }) => {
    const head = Buffer.alloc(20)
    head.writeBigInt64LE(BigInt(timestamp), 0)
    head.writeInt32LE(key?.length ?? -1, 8)
    head.writeInt32LE(value?.length ?? -1, 12)
    head.writeUInt32LE(headers.length, 16)
    const fields = headers.map(headerEntry).flatMap(([name, bytes]) => {
      const lengths = Buffer.alloc(8)
      lengths.writeUInt32LE(Buffer.byteLength(name), 0)
      lengths.writeInt32LE(bytes?.length ?? -1, 4)
      return [lengths, Buffer.from(name), bytes ?? Buffer.alloc(0)]
    })
    return Buffer.concat([head, key ?? Buffer.alloc(0), value ?? Buffer.alloc(0), ...fields])
  })
  let end = 0
  const starts = Uint32Array.from([0, ...packed.map(({ length }) => (end += length))])
  const offsets = Float64Array.from(records, ({ offset }) => offset)
  return new RecordBlock(new Uint8Array(Buffer.concat(packed)), starts, offsets)
}

/** A delivery that notes how it ended; as with a real one, what comes after its end counts for nothing. */
export function ticket(): { delivery: Pick<Delivery, 'ack' | 'requeue'>; ended: string[] } {
  const ended: string[] = []
  const end = (how: string) => () => {
    if (ended.length === 0) ended.push(how)
  }
  const delivery = {
    ack: end('done'),
    requeue: end('requeued'),
  }
  return { delivery, ended }
}
