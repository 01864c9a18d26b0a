/**
 * A subscription's way between catch-up read and ring buffer, against scripted consumers. The file has
 * more than 400 lines because all of its tests share one scripted Kafka.
 */
import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { KafkaConsumeError } from '../../src/core/errors.ts'
import { filterTurns } from '../../src/core/turn-queue.ts'
import { CatchUpPool } from '../../src/feed/catch-up-pool.ts'
import { LiveConsumer } from '../../src/feed/live-consumer.ts'
import type { SubscriptionPart } from '../../src/feed/pending-records.ts'
import { Subscription } from '../../src/feed/subscription.ts'
import { readFromPosition } from '../../src/http/consume/read-from-position.ts'
import type { AssignedConsumer, Gap, KafkaRecord, PartitionOffset } from '../../src/port/kafka.ts'
import { PartitionTable, parseCursor } from '../../src/records/cursor.ts'
import type { Filter, FilterPlan } from '../../src/records/filter.ts'
import { RecordProcessor } from '../../src/records/record-processor.ts'
import type { RecordProperty } from '../../src/records/record-property.ts'
import { pull } from '../support/pull.ts'
import { SOON, sleep, until, within } from '../support/wait.ts'
import { ReaderSource, randomOf, recordAt, ScriptedSource, settle } from './fakes.ts'

const decoder = new TextDecoder()
const EVERYTHING = { records: Infinity, bytes: Infinity }

/** A cluster of one topic whose readers mix partitions as they like. */
class Log extends ReaderSource {
  readonly table: PartitionTable
  /** By partition, in offset order. */
  readonly records: KafkaRecord[][]
  /** The next offset of each partition. */
  readonly ends: number[]
  readonly #random: (below: number) => number
  /** Drops each so many-th record of a partition, if there is one. */
  readonly processor: RecordProcessor | undefined
  readonly #dropped: (offset: number) => boolean
  /** Reads of the live that may go through; everything does once it is Infinity. */
  liveReads = 0
  open = 0
  #go: (() => void) | undefined

  constructor(partitions: number, random: (below: number) => number, dropped = 0) {
    super()
    this.#dropped = (offset) => dropped > 0 && offset % dropped === 0
    if (dropped > 0) {
      this.processor = new RecordProcessor(async (records) => {
        if (random(3) === 0) await settle()
        return records.map((record) =>
          this.#dropped(record.offset) ? { ...record, dropped: true } : record,
        )
      })
    }
    this.table = new PartitionTable(
      Array.from({ length: partitions }, (_, partition) => ({ topic: 't', partition })),
    )
    this.records = Array.from({ length: partitions }, () => [])
    this.ends = new Array(partitions).fill(0)
    this.#random = random
  }

  /** Adds records, some of them after a hole, or with a control record at the end. */
  produce(partition: number, count: number): void {
    for (let i = 0; i < count; i++) {
      if (this.#random(6) === 0) this.ends[partition] = (this.ends[partition] as number) + 2
      const offset = this.ends[partition] as number
      this.records[partition]?.push(recordAt(partition, offset, this.#random(60)))
      this.ends[partition] = offset + 1
    }
    if (this.#random(8) === 0) this.ends[partition] = (this.ends[partition] as number) + 1
  }

  /** The records and gaps of a partition that clients must get. */
  delivered(partition: number): number[] {
    return (this.records[partition] as KafkaRecord[])
      .map(({ offset }) => offset)
      .filter((offset) => !this.#dropped(offset))
  }

  /** Lets the live read some more times. */
  letLive(reads: number): void {
    this.liveReads += reads
    this.#go?.()
  }

  async openConsumer(
    from: readonly PartitionOffset[],
    purpose: 'live' | 'catch-up',
  ): Promise<AssignedConsumer> {
    const next = this.table.vector(from)
    this.open++
    return {
      gaps: [],
      read: async (limit) => {
        if (purpose === 'live') {
          while (this.liveReads <= 0) {
            await new Promise<void>((resolve) => {
              this.#go = resolve
            })
          }
          this.liveReads--
          // One that may always read leaves the others a turn.
          if (this.liveReads === Infinity) await settle()
        }
        return this.#batch(next, Math.min(limit, 1 + this.#random(7)))
      },
      close: async () => {
        this.open--
      },
    }
  }

  #batch(next: Float64Array, limit: number) {
    const records: KafkaRecord[] = []
    const ends: PartitionOffset[] = []
    const first = this.#random(next.length)
    for (let i = 0; i < next.length; i++) {
      const partition = (first + i) % next.length
      const all = this.records[partition] as KafkaRecord[]
      const ahead = all.filter(({ offset }) => offset >= (next[partition] as number))
      const run = ahead.slice(0, Math.min(limit - records.length, this.#random(5)))
      records.push(...run)
      const last = run.at(-1)
      if (last) next[partition] = last.offset + 1
      if (run.length === ahead.length && this.#random(2) === 0) {
        next[partition] = Math.max(next[partition] as number, this.ends[partition] as number)
        ends.push({ topic: 't', partition, offset: next[partition] as number })
      }
    }
    return { records, ends, gaps: [] }
  }
}

interface Frame {
  readonly id: readonly number[]
  readonly partition: number
  readonly offset: number
}

/** The frames of a part, as a client reads them. */
function framesOf(part: SubscriptionPart): Frame[] {
  if ('gap' in part) return []
  const { batch, begin, end } = part
  const text = decoder.decode(batch.events(begin, end))
  return text
    .split('\n\n')
    .slice(0, -1)
    .map((frame) => {
      const [, data = '', id = ''] = /^data: (.*)\nid: (.*)$/.exec(frame) ?? []
      const { partition, offset } = JSON.parse(data) as { partition: number; offset: number }
      const vector: number[] = []
      for (const entry of parseCursor(id, 'id')) {
        vector[entry.partition] = (entry as PartitionOffset).offset
      }
      return { id: vector, partition, offset }
    })
}

/** One reader, and what it is to get. */
class Client {
  readonly frames: Frame[] = []
  readonly subscription: Subscription
  readonly #log: Log
  readonly #start: Float64Array
  readonly #passes: (partition: number, offset: number) => boolean
  readonly #next: Float64Array
  #stepping: Promise<boolean> = Promise.resolve(false)

  constructor(
    log: Log,
    live: LiveConsumer,
    pool: CatchUpPool,
    start: Float64Array,
    keys: readonly number[],
    isCertain: boolean,
    found: 'exactly' | 'by an equality' | 'by itself',
  ) {
    this.#log = log
    this.#start = start.slice()
    this.#next = start.slice()
    this.#passes = (partition, offset) =>
      keys.length === 0 || keys.includes((partition + offset) % 3)
    const filter: Filter = {
      matches: (batch, index) => {
        const offset = batch.offsets[index] as number
        // Now and then its turn is over in the middle of a batch.
        if (offset % 4 === 0) filterTurns.count(Infinity)
        return this.#passes(batch.partitions[index] as number, offset)
      },
      plan: planOf(keys, found),
    }
    this.subscription = new Subscription({
      liveConsumer: live,
      catchUpPool: pool,
      vector: start,
      isCertain,
      deserializer: 'noop',
      processor: log.processor,
      filter: () => (keys.length === 0 ? undefined : filter),
      onClose: () => {},
    })
    this.subscription.listen({ onRecords() {} })
  }

  /** Takes the next part; one call at a time, as a stream does. */
  step(records: number, bytes: number): Promise<boolean> {
    this.#stepping = this.#stepping.then(() => this.#step(records, bytes))
    return this.#stepping
  }

  /** Takes nothing for a while, as a stream does whose client reads nothing. */
  pause(): Promise<boolean> {
    this.#stepping = this.#stepping.then(() => {
      this.subscription.pause()
      return false
    })
    return this.#stepping
  }

  async #step(records: number, bytes: number): Promise<boolean> {
    const part = await pull(this.subscription, { records, bytes })
    if (!part) return false
    const frames = framesOf(part)
    expect(frames.length).toBeWithin(1, records + 1)
    for (const frame of frames) this.#check(frame)
    return true
  }

  /** Records of a partition that this reader wants, from an offset to before another. */
  #wanted(partition: number, from: number, to: number): number[] {
    return this.#log
      .delivered(partition)
      .filter((offset) => offset >= from && offset < to && this.#passes(partition, offset))
  }

  /** Holds that a client which resumes at this id loses nothing and gets nothing twice. */
  #check(frame: Frame): void {
    const { partition, offset, id } = frame
    const due = this.#next[partition] as number
    expect([partition, ...this.#wanted(partition, due, offset + 1)]).toEqual([partition, offset])
    this.#next[partition] = offset + 1
    expect(id[partition]).toBe(offset + 1)
    expect(id).toHaveLength(this.#log.table.size)
    id.forEach((at, other) => {
      const reached = this.#next[other] as number
      expect(at).toBeGreaterThanOrEqual(this.#start[other] as number)
      if (at > reached) expect(this.#wanted(other, reached, at)).toEqual([])
      else expect(this.#wanted(other, at, reached)).toEqual([])
    })
    this.frames.push(frame)
  }

  get missing(): string[] {
    return this.#log.table.partitions.flatMap(({ partition }) =>
      this.#wanted(partition, this.#next[partition] as number, Infinity).map(
        (offset) => `${partition}/${offset}`,
      ),
    )
  }
}

/** Tells the records of these tests apart. */
const THIRD: RecordProperty = {
  id: 'third',
  textOf: ({ partitions, offsets }, index) => {
    const offset = offsets[index] as number
    if (offset % 5 === 0) filterTurns.count(Infinity)
    return String(((partitions[index] as number) + offset) % 3)
  },
}

/** How the index of filters finds records, if it does. */
function planOf(keys: readonly number[], found: string): FilterPlan | undefined {
  const anchor = { property: THIRD, values: keys.map(String) }
  if (found === 'by itself') return { id: `${keys}`, anchor: undefined, isExact: false }
  return { id: `${keys} ${found}`, anchor, isExact: found === 'exactly' }
}

/** A log, a live consumer of it, and clients that come and go. */
class Handover {
  readonly pool: CatchUpPool
  /** How many parts the clients got at the end. */
  parts = 0
  readonly #log: Log
  readonly #partitions: number
  readonly #random: (below: number) => number
  readonly #live: LiveConsumer
  readonly #clients: Client[] = []

  constructor({ partitions, seed, budget, before, maxCatchUpReads, dropped }: HandoverSetting) {
    const random = randomOf(seed)
    const log = new Log(partitions, random, dropped)
    for (let i = 0; i < before; i++) log.produce(random(partitions), 1 + random(3))
    const head = Float64Array.from(log.ends)
    this.#log = log
    this.#partitions = partitions
    this.#random = random
    this.#live = new LiveConsumer({
      cluster: log,
      table: log.table,
      head,
      deserializer: 'noop',
      ringBytes: budget,
      processor: log.processor,
    })
    this.pool = new CatchUpPool(log, maxCatchUpReads)
  }

  async start(): Promise<void> {
    await this.#live.start()
    await this.#join(0)
  }

  /** Subscribers that the index of filters reads for. */
  get indexed(): number {
    return this.#live.filterIndex.readers
  }

  async take({ do: what, at, n }: HandoverStep): Promise<void> {
    if (what === 'produce') this.#log.produce(at % this.#partitions, n)
    else if (what === 'live') this.#log.letLive(n)
    else if (what === 'join') await this.#join(n)
    else {
      const client = this.#clients[at % Math.max(1, this.#clients.length)]
      if (client) await this.#act(client, what, n)
    }
  }

  async #join(where: number): Promise<void> {
    const random = this.#random
    const start = Float64Array.from(this.#log.ends, (end) =>
      // Now at an end, now anywhere.
      where % 3 === 0 ? end : random(end + 1),
    )
    const keys = [[], [], [0], [1, 2]][random(4)] as number[]
    const found = (['exactly', 'by an equality', 'by itself'] as const)[random(3) as 0 | 1 | 2]
    const isCertain = random(4) > 0
    const client = new Client(this.#log, this.#live, this.pool, start, keys, isCertain, found)
    try {
      await client.subscription.open()
      this.#clients.push(client)
    } catch (error) {
      expect(error).toMatchObject({ code: 'TOO_MANY_CATCH_UP_READS' })
      await client.subscription.close()
    }
  }

  async #act(client: Client, what: 'read' | 'pause' | 'leave', n: number): Promise<void> {
    if (what === 'read') {
      // It may wait for another's place; then it goes on by itself.
      await Promise.race([client.step(1 + n, 1 + this.#random(400)), sleep(2)])
    } else if (what === 'pause') {
      await Promise.race([client.pause(), sleep(2)])
    } else {
      this.#clients.splice(this.#clients.indexOf(client), 1)
      await client.subscription.close()
    }
  }

  /** Lets everything go, and holds that each client gets all that it is to get. */
  async finish(): Promise<void> {
    this.#log.liveReads = Infinity
    this.#log.letLive(0)
    await Promise.all(this.#clients.map((client) => this.#readToEnd(client)))
    await within(this.#live.stop(), 'the live to stop')
    await until(() => this.#log.open === 0, 'all readers to be closed')
    expect(this.pool.count).toBe(0)
  }

  async #readToEnd(client: Client): Promise<void> {
    const random = this.#random
    const deadline = performance.now() + SOON
    for (;;) {
      while (await client.step(1 + random(9), 1 + random(400))) this.parts++
      if (client.missing.length === 0) break
      if (performance.now() > deadline) expect(client.missing).toEqual([])
      await settle()
    }
    await client.subscription.close()
  }
}

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('produce'), at: fc.nat(), n: fc.nat(6) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('live'), at: fc.nat(), n: fc.nat(3) }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('read'), at: fc.nat(), n: fc.nat(12) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('join'), at: fc.nat(), n: fc.nat() }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('pause'), at: fc.nat(), n: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('leave'), at: fc.nat(), n: fc.nat() }) },
)

type HandoverStep = typeof step extends fc.Arbitrary<infer Step> ? Step : never

const setting = fc.record({
  partitions: fc.integer({ min: 1, max: 4 }),
  seed: fc.nat(),
  budget: fc.constantFrom(1, 4_000, 8_000, 20_000, 1_000_000),
  before: fc.nat(12),
  maxCatchUpReads: fc.constantFrom(1, 2, 40),
  dropped: fc.constantFrom(0, 0, 0, 2, 3),
})
type HandoverSetting = typeof setting extends fc.Arbitrary<infer Setting> ? Setting : never

describe('handover between catch-up read and ring buffer', () => {
  test('every subscription gets every record from its cursor on once, in order, and every id resumes exactly there', async () => {
    let [fallen, parts, indexed] = [0, 0, 0]
    const steps = fc.array(step, { minLength: 10, maxLength: 70 })
    await fc.assert(
      fc.asyncProperty(setting, steps, async (set, taken) => {
        const handover = new Handover(set)
        await handover.start()
        for (const each of taken) {
          await handover.take(each)
          await Promise.resolve()
          indexed = Math.max(indexed, handover.indexed)
        }
        await handover.finish()
        fallen += handover.pool.fallenBehind
        parts += handover.parts
      }),
      { numRuns: 400 },
    )
    // Otherwise nothing of what this is about has been seen.
    expect(fallen).toBeGreaterThan(5)
    expect(parts).toBeGreaterThan(1_000)
    expect(indexed).toBeGreaterThan(1)
  })
})

const two = new PartitionTable([
  { topic: 't', partition: 0 },
  { topic: 't', partition: 1 },
])

/** A live that is fed by hand, and readers of it. */
class Scene implements AsyncDisposable {
  readonly source = new ScriptedSource()
  readonly live: LiveConsumer
  readonly pool: CatchUpPool
  readonly #open: Subscription[] = []

  readonly processor: RecordProcessor | undefined

  constructor(
    head: readonly number[],
    budget = 1_000_000,
    maxCatchUpReads = 4,
    processor?: RecordProcessor,
  ) {
    this.processor = processor
    const start = Float64Array.from(head)
    this.live = new LiveConsumer({
      cluster: this.source,
      table: two,
      head: start,
      deserializer: 'noop',
      ringBytes: budget,
      processor,
    })
    this.pool = new CatchUpPool(this.source, maxCatchUpReads)
  }

  static async at(
    head: readonly number[],
    budget?: number,
    maxCatchUpReads?: number,
    processor?: RecordProcessor,
  ): Promise<Scene> {
    const scene = new Scene(head, budget, maxCatchUpReads, processor)
    await scene.live.start()
    return scene
  }

  reader(vector: readonly number[], filter?: Filter, isCertain = true): Subscription {
    const subscription = new Subscription({
      liveConsumer: this.live,
      catchUpPool: this.pool,
      vector: Float64Array.from(vector),
      isCertain,
      deserializer: 'noop',
      processor: this.processor,
      filter: () => filter,
      onClose: () => {},
    })
    this.#open.push(subscription)
    return subscription
  }

  /** Gives the live a batch and waits until it has read it. */
  async feed(records: readonly KafkaRecord[], gaps: readonly Gap[] = []): Promise<void> {
    const live = this.source.opened[0]
    live?.answer({ records, gaps })
    await until(() => live?.unread === 0, 'the live to read')
    await settle()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const subscription of this.#open) await subscription.close()
    const stopped = this.live.stop()
    this.source.opened[0]?.answer({})
    await within(stopped, 'the live to stop')
  }
}

async function take(reader: Subscription): Promise<string[]> {
  const seen: string[] = []
  for (let part = await pull(reader, EVERYTHING); part; part = await pull(reader, EVERYTHING)) {
    if ('gap' in part) seen.push(`gap ${part.gap.from}-${part.gap.to} ${part.cursor}`)
    else seen.push(...framesOf(part).map(nameOf))
  }
  return seen
}

function nameOf({ partition, offset, id }: Frame): string {
  return `${partition}/${offset} ${id}`
}

const NOTHING: Filter = { matches: () => false }

const RETENTION: Gap = { topic: 't', partition: 0, from: 12, to: 50, reason: 'retention' }
const RECREATED: Gap = { topic: 't', partition: 0, from: 10, to: 0, reason: 'out-of-range' }

describe('gaps', () => {
  test('a gap is announced to every subscription in the ring buffer before the records that follow it', async () => {
    await using scene = await Scene.at([10, 0])
    const readers = [scene.reader([10, 0]), scene.reader([10, 0])]
    await scene.feed([recordAt(0, 10), recordAt(0, 11)])
    await scene.feed([recordAt(0, 50)], [RETENTION])
    for (const reader of readers) {
      const seen = await take(reader)
      expect(seen.map((each) => each.split(' ')[0])).toEqual(['0/10', '0/11', 'gap', '0/50'])
    }
  })

  test('a gap that a catch-up read finds is announced, and its cursor lies behind the gap', async () => {
    await using scene = await Scene.at([60, 0])
    const reader = scene.reader([12, 0])
    const taken = take(reader)
    await until(() => scene.source.opened.length === 2, 'a catch-up read')
    scene.source.last.answer({
      records: [recordAt(0, 50)],
      gaps: [RETENTION],
      ends: [{ topic: 't', partition: 0, offset: 60 }],
    })
    expect(await taken).toEqual(['gap 12-50 t:0=50,1=0', '0/50 51,0'])
  })

  // A client that resumes below the gap gets it again: Kafka has no records there.
  test('the cursor of a gap in the ring buffer lies behind the gap', async () => {
    await using scene = await Scene.at([10, 0])
    const reader = scene.reader([10, 0])
    await scene.feed([recordAt(0, 10), recordAt(0, 11)])
    await scene.feed([recordAt(0, 50)], [RETENTION])
    expect(await take(reader)).toEqual([
      '0/10 11,0',
      '0/11 12,0',
      'gap 12-50 t:0=50,1=0',
      '0/50 51,0',
    ])
  })

  // Without the handover, all records of the new topic below the subscription's old offset would be skipped.
  test('a subscription that waits at the end gets the records of a topic that is re-created', async () => {
    await using scene = await Scene.at([10, 0])
    const reader = scene.reader([10, 0])
    await scene.feed([recordAt(0, 0), recordAt(0, 1)], [RECREATED])
    expect((await take(reader)).filter((each) => !each.startsWith('gap'))).toEqual([
      '0/0 1,0',
      '0/1 2,0',
    ])
  })

  test('a subscription with a filter gets the records of a topic that is re-created', async () => {
    await using scene = await Scene.at([9, 0])
    const reader = scene.reader([9, 0], { matches: () => true })
    await scene.feed([recordAt(0, 9)])
    expect(await take(reader)).toEqual(['0/9 10,0'])
    await scene.feed([recordAt(0, 0)], [RECREATED])
    expect((await take(reader)).at(-1)).toBe('0/0 1,0')
  })
})

describe('a topic that is re-created', () => {
  /** Hands over as the feed does after it has noticed a re-created topic. */
  async function handOver(scene: Scene, entered: readonly string[]): Promise<void> {
    const next = new LiveConsumer({
      cluster: scene.source,
      table: two,
      head: scene.live.head,
      deserializer: 'noop',
      ringBytes: 1_000_000,
    })
    await scene.live.stop()
    scene.live.handOverTo({
      liveConsumer: next,
      recreated: [{ topic: 't', partition: 0, offset: 0 }],
      entered: new Set(entered),
    })
  }

  /** Takes until a record of partition 0 with this offset has come. */
  async function takeTo(reader: Subscription, offset: number): Promise<string[]> {
    const seen: string[] = []
    await until(
      async () => {
        for (const each of await take(reader)) seen.push(each.split(' ').slice(0, 2).join(' '))
        return seen.some((each) => each.startsWith(`0/${offset} `))
      },
      () => `offset ${offset} after ${seen.join(', ')}`,
    )
    return seen
  }

  test('its gap is announced once to a subscription that passed it in the ring buffer and meets the handover in a catch-up read', async () => {
    await using scene = await Scene.at([10, 0], 500)
    const reader = scene.reader([10, 0])
    await scene.feed([recordAt(0, 0, 400)], [RECREATED])
    expect(await takeTo(reader, 0)).toEqual(['gap 10-0', '0/0 1,0'])
    await scene.feed([recordAt(0, 1, 400)])
    await scene.feed([recordAt(0, 2, 400)])
    await scene.feed([recordAt(0, 3, 400)])
    const taken = takeTo(reader, 2)
    await until(() => scene.source.opened.length === 2, 'a catch-up read')
    expect(scene.source.last.from.map(({ offset }) => offset)).toEqual([1, 0])
    scene.source.last.answer({ records: [recordAt(0, 1, 400)] })
    await handOver(scene, ['t:0'])
    await until(() => scene.source.opened.length === 3, 'a catch-up read after the handover')
    expect(scene.source.last.from.map(({ offset }) => offset)).toEqual([2, 0])
    scene.source.last.answer({ records: [recordAt(0, 2, 400)] })
    expect(await taken).toEqual(['0/1 2,0', '0/2 3,0'])
  })

  test('its gap is announced once to a subscription that met it when its catch-up read was opened', async () => {
    await using scene = await Scene.at([5, 0])
    const reader = scene.reader([20, 0], undefined, false)
    scene.source.gaps = [{ ...RECREATED, from: 20 }]
    await reader.open()
    const taken = takeTo(reader, 4)
    scene.source.last.answer({ records: [0, 1, 2].map((offset) => recordAt(0, offset)) })
    await handOver(scene, [])
    await until(() => scene.source.opened.length === 3, 'a catch-up read after the handover')
    expect(scene.source.last.from.map(({ offset }) => offset)).toEqual([3, 0])
    scene.source.last.answer({ records: [3, 4].map((offset) => recordAt(0, offset)) })
    const ids = [0, 1, 2, 3, 4].map((offset) => `0/${offset} ${offset + 1},0`)
    expect(await taken).toEqual(['gap 20-0', ...ids])
  })

  test('its gap is announced once to a subscription that met it in a catch-up read, where the ring buffer goes on with it, too', async () => {
    await using scene = await Scene.at([10, 0])
    await scene.feed([recordAt(0, 0)], [RECREATED])
    const reader = scene.reader([20, 0], undefined, false)
    scene.source.gaps = [{ ...RECREATED, from: 20 }]
    await reader.open()
    expect(await takeTo(reader, 0)).toEqual(['gap 20-0', '0/0 1,0'])
    await scene.feed([recordAt(0, 1)])
    expect(await takeTo(reader, 1)).toEqual(['0/1 2,0'])
  })

  test('its gap is announced to a subscription that fell behind before it came to the gap', async () => {
    await using scene = await Scene.at([10, 0], 500)
    const reader = scene.reader([10, 0])
    await scene.feed([recordAt(0, 10, 400)])
    await scene.feed([recordAt(0, 0, 400)], [RECREATED])
    // The new topic's offsets are smaller, and yet the cursor does not lie behind its records.
    const taken = takeTo(reader, 0)
    await until(() => scene.source.opened.length === 2, 'a catch-up read')
    await handOver(scene, ['t:0'])
    await until(() => scene.source.opened.length === 3, 'a catch-up read after the handover')
    expect(scene.source.last.from.map(({ offset }) => offset)).toEqual([0, 0])
    scene.source.last.answer({ records: [recordAt(0, 0, 400)] })
    expect(await taken).toEqual(['gap 10-0', '0/0 1,0'])
  })
})

describe('a subscription', () => {
  test('waits for the next batch up to its time limit, and not after it was stopped', async () => {
    await using scene = await Scene.at([0, 0])
    const reader = scene.reader([0, 0])
    let began = performance.now()
    await reader.wait(30)
    expect(performance.now() - began).toBeWithin(28, 10_000)
    const waiting = reader.wait(60_000)
    await scene.feed([recordAt(1, 0)])
    await within(waiting, 'a reader to be woken')
    expect(await take(reader)).toEqual(['1/0 0,1'])
    const woken = reader.wait(60_000)
    reader.stop()
    await within(woken, 'a reader to be woken')
    began = performance.now()
    const closed = reader.wait(60_000)
    await reader.close()
    await within(closed, 'a closed reader to be woken')
    expect(await pull(reader, EVERYTHING)).toBeUndefined()
  })

  test('returns no more than its limits, but a first record of any size', async () => {
    await using scene = await Scene.at([0, 0])
    const reader = scene.reader([0, 0])
    await scene.feed([0, 1, 2, 3, 4, 5].map((offset) => recordAt(0, offset, 300)))
    const counts: number[] = []
    for (const limits of [
      { records: 2, bytes: 1e6 },
      { records: 9, bytes: 1 },
      { records: 9, bytes: 1_100 },
    ]) {
      const part = await pull(reader, limits)
      counts.push(part && 'batch' in part ? part.end - part.begin : 0)
    }
    expect(counts).toEqual([2, 1, 2])
    expect(reader.cursor.toString()).toBe('t:0=5,1=0')
  })

  test('moves its cursor past records that a filter leaves out, in the ring buffer and by a catch-up read', async () => {
    await using scene = await Scene.at([3, 0])
    const readers = [scene.reader([3, 0], NOTHING), scene.reader([0, 0], NOTHING)]
    await scene.feed([recordAt(0, 3), recordAt(1, 0)])
    const taken = Promise.all(readers.map(take))
    await until(() => scene.source.opened.length === 2, 'a catch-up read')
    scene.source.last.answer({ records: [0, 1, 2].map((offset) => recordAt(0, offset)) })
    expect(await taken).toEqual([[], []])
    for (const { cursor } of readers) expect(cursor.toString()).toBe('t:0=4,1=1')
  })

  describe('a filter that takes long', () => {
    /** Records that a filter may look at between two questions for the time. */
    const STRIDE = 16

    /** Counts turns of the event loop. */
    class Loop implements Disposable {
      turn = 0
      #immediate = setImmediate(() => this.#next())

      #next(): void {
        this.turn++
        this.#immediate = setImmediate(() => this.#next())
      }

      [Symbol.dispose](): void {
        clearImmediate(this.#immediate)
      }
    }

    /** A filter that uses up a turn at once, and tells of each look. */
    const greedy = (look: (offset: number) => void): Filter => ({
      matches: (batch, index) => {
        filterTurns.count(Infinity)
        look(batch.offsets[index] as number)
        return batch.offsets[index] === 399
      },
    })

    const many = Array.from({ length: 400 }, (_, offset) => recordAt(0, offset))

    test('lets the event loop run between slices, in the ring buffer and in a catch-up read', async () => {
      for (const start of [100, 0]) {
        await using scene = await Scene.at([100, 0])
        using loop = new Loop()
        const looks = new Map<number, number>()
        const reader = scene.reader(
          [start, 0],
          greedy(() => looks.set(loop.turn, (looks.get(loop.turn) ?? 0) + 1)),
        )
        await scene.feed(many.slice(100))
        const taken = take(reader)
        if (start === 0) {
          await until(() => scene.source.opened.length === 2, 'a catch-up read')
          scene.source.last.answer({ records: many.slice(0, 100) })
        }
        expect(await taken).toEqual(['0/399 400,0'])
        expect(Math.max(...looks.values())).toBeLessThanOrEqual(2 * STRIDE)
        expect(looks.size).toBeGreaterThanOrEqual((400 - start) / STRIDE / 2)
      }
    })

    test('runs for one subscription after another', async () => {
      await using scene = await Scene.at([0, 0])
      const looks: number[] = []
      const readers = [0, 1, 2].map((n) =>
        scene.reader(
          [0, 0],
          greedy(() => looks.push(n)),
        ),
      )
      await scene.feed(many)
      await Promise.all(readers.map(take))
      // The readers that had slices, until the first of them had seen everything.
      const firstEnd = Math.min(...[0, 1, 2].map((n) => looks.lastIndexOf(n)))
      const slices = looks.slice(0, firstEnd).filter((n, at) => n !== looks[at - 1])
      expect(slices.length).toBeGreaterThan(60)
      for (let at = 0; at + 3 <= slices.length; at++) {
        expect(new Set(slices.slice(at, at + 3)).size).toBe(3)
      }
    })

    test('does not run once its subscription is stopped, or its request has ended', async () => {
      await using scene = await Scene.at([0, 0])
      const request = new AbortController()
      let looks = 0
      const counting = greedy(() => {
        if (++looks !== 100) return
        stopped.stop()
        request.abort()
      })
      const [stopped, aborted] = [scene.reader([0, 0], counting), scene.reader([0, 0], counting)]
      await scene.feed(many)
      const limits = { maxRecords: 1_000, maxBytes: 1e6, timeout: 5_000 }
      const [seen, read] = await Promise.all([
        take(stopped),
        readFromPosition(aborted, limits, request.signal),
      ])
      await settle()
      expect(looks).toBeLessThan(100 + STRIDE)
      expect([seen, read.slices]).toEqual([[], []])
      expect(aborted.cursor.vector[0]).toBeWithin(1, 399)
    })

    test('ends a single read at its time limit, and the next read goes on there', async () => {
      await using scene = await Scene.at([0, 0])
      const slow: Filter = {
        matches: (batch, index) => {
          const until = performance.now() + 5
          while (performance.now() < until);
          return (batch.offsets[index] as number) % 100 === 99
        },
      }
      await scene.feed(many)
      let vector = [0, 0]
      const found: number[] = []
      const pages: number[] = []
      while ((vector[0] as number) < 400) {
        const reader = scene.reader(vector, slow)
        const limits = { maxRecords: 1_000, maxBytes: 1e6, timeout: 0 }
        const { slices } = await readFromPosition(reader, limits, new AbortController().signal)
        for (const { batch } of slices) found.push(...batch.offsets)
        vector = [...reader.cursor.vector]
        pages.push(vector[0] as number)
        await reader.close()
      }
      expect(found).toEqual([99, 199, 299, 399])
      // Two seconds of filtering, of which a read has one.
      expect(pages.length).toBeGreaterThan(1)
      expect(pages).toEqual([...new Set(pages)])
    })
  })

  test('a search that reads on and on ends with what it has found, at the position that it has reached', async () => {
    await using scene = await Scene.at([1_000_000, 0])
    const reader = scene.reader([0, 0], {
      matches: (batch, index) => batch.offsets[index] === 3,
    })
    const limits = { maxRecords: 10, maxBytes: 1e6, timeout: 0 }
    let isDone = false
    const reading = readFromPosition(reader, limits, new AbortController().signal).finally(() => {
      isDone = true
    })
    await until(() => scene.source.opened.length === 2, 'a catch-up read')
    // Kafka brings a record each time that it is asked, so that the filter itself takes no time.
    let offset = 0
    while (!isDone) {
      if (scene.source.last.unread === 0)
        scene.source.last.answer({ records: [recordAt(0, offset++, 1)] })
      await sleep(1)
    }
    const { slices, isFull } = await reading
    expect(slices.flatMap(({ batch }) => [...batch.offsets])).toEqual([3])
    expect(isFull).toBe(false)
    expect(reader.cursor.vector[0]).toBeWithin(4, offset + 1)
  }, 120_000)

  test('goes on by a catch-up read when the ring buffer left it behind, and is counted', async () => {
    await using scene = await Scene.at([0, 0], 500)
    const reader = scene.reader([0, 0])
    await scene.feed([recordAt(0, 0, 400)])
    await scene.feed([recordAt(0, 1, 400)])
    const taken = take(reader)
    await until(() => scene.source.opened.length === 2, 'a catch-up read')
    expect(scene.source.last.from.map(({ offset }) => offset)).toEqual([0, 0])
    scene.source.last.answer({ records: [recordAt(0, 0, 400)] })
    expect(await taken).toEqual(['0/0 1,0', '0/1 2,0'])
    expect(scene.pool.fallenBehind).toBe(1)
    await until(() => scene.pool.count === 0, 'the catch-up read to be closed')
  })

  test('keeps its position and no records when it pauses, and goes on in the ring buffer or by a catch-up read', async () => {
    await using scene = await Scene.at([0, 0], 700)
    const reader = scene.reader([0, 0])
    await scene.feed([recordAt(0, 0, 100), recordAt(0, 1, 100), recordAt(1, 0, 100)])
    const first = await pull(reader, { records: 1, bytes: 1e6 })
    expect(first && 'batch' in first && framesOf(first).length).toBe(1)
    reader.pause()
    expect(reader.nextBytes).toBe(0)
    expect(await take(reader)).toEqual(['0/1 2,0', '1/0 2,1'])
    expect(scene.pool.fallenBehind).toBe(0)
    reader.pause()
    await scene.feed([recordAt(0, 2, 600)])
    await scene.feed([recordAt(0, 3, 600)])
    const taken = take(reader)
    await until(() => scene.source.opened.length === 2, 'a catch-up read')
    scene.source.last.answer({ records: [recordAt(0, 2, 600)] })
    expect(await taken).toEqual(['0/2 3,1', '0/3 4,1'])
    expect(scene.pool.fallenBehind).toBe(1)
  })

  test('lends the consumer of its paused catch-up read to one that waits, and loses and doubles nothing', async () => {
    await using scene = await Scene.at([9, 0], undefined, 2)
    const stalled = [scene.reader([0, 0]), scene.reader([0, 0])]
    for (const reader of stalled) await reader.open()
    const consumers = scene.source.opened.slice(1)
    const taken: string[][] = []
    for (const [index, reader] of stalled.entries()) {
      consumers[index]?.answer({ records: [0, 1, 2].map((offset) => recordAt(0, offset)) })
      const part = await pull(reader, { records: 1, bytes: 1e6 })
      taken.push(part && 'batch' in part ? framesOf(part).map(nameOf) : [])
    }
    // Nobody waits: both go on with the consumers that they have.
    for (const reader of stalled) reader.pause()
    expect(await take(stalled[0] as Subscription)).toEqual(['0/1 2,0', '0/2 3,0'])
    stalled[0]?.pause()

    // A new request is served in place of the one that has been paused the longest.
    const [longest, other] = [stalled[1] as Subscription, stalled[0] as Subscription]
    const third = scene.reader([0, 0])
    await within(third.open(), 'a third reader to be served')
    expect(consumers.map(({ closed }) => closed)).toEqual([false, true])

    // The one that has lost its place asks again, and gets that of the other one.
    const rest = take(longest)
    await until(() => consumers.every(({ closed }) => closed), 'the other to give way')
    await until(() => scene.source.opened.length === 5, 'another consumer')
    expect(scene.source.last.from.map(({ offset }) => offset)).toEqual([1, 0])
    scene.source.last.answer({ records: [1, 2].map((offset) => recordAt(0, offset)) })
    expect(await rest).toEqual(['0/1 2,0', '0/2 3,0'])
    expect(taken).toEqual([['0/0 1,0'], ['0/0 1,0']])
    expect(scene.pool.count).toBe(2)

    // The third and the one that came back read: whoever pauses while another waits gives way at once.
    const waiting = pull(other, EVERYTHING)
    await settle()
    expect(scene.pool.waiting).toBe(1)
    third.pause()
    await until(() => scene.source.opened.length === 6, 'a place for the one that waits')
    expect(scene.source.last.from.map(({ offset }) => offset)).toEqual([3, 0])
    scene.source.last.answer({ records: [recordAt(0, 3)] })
    const last = await waiting
    expect(last && 'batch' in last && framesOf(last).map(nameOf)).toEqual(['0/3 4,0'])
  })

  // Its place among the route's subscribers stays taken until another's catch-up read ends.
  test('stops waiting for its turn to catch up when it is closed', async () => {
    await using scene = await Scene.at([9, 0], 500, 1)
    const first = scene.reader([0, 0])
    await first.open()
    const second = scene.reader([9, 0])
    await scene.feed([recordAt(0, 9, 400)])
    await scene.feed([recordAt(0, 10, 400)])
    const waiting = pull(second, EVERYTHING)
    await settle()
    await second.close()
    await within(waiting, 'the reader to end')
  })
})

describe('catch-up reads', () => {
  const FROM = [{ topic: 't', partition: 0, offset: 0 }]

  test('one catch-up read more than the limit is refused at once, or waits in turn', async () => {
    const source = new ScriptedSource()
    const pool = new CatchUpPool(source, 2)
    const [one, two] = [await pool.open(FROM, false), await pool.open(FROM, true)]
    const refused = await pool.open(FROM, false).catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(KafkaConsumeError)
    expect(refused).toMatchObject({ code: 'TOO_MANY_CATCH_UP_READS', status: 503, retryAfter: 5 })
    const order: string[] = []
    const inTurn = async (name: string) => {
      const reader = await pool.open(FROM, true)
      order.push(name)
      return reader
    }
    const [third, fourth] = [inTurn('third'), inTurn('fourth')]
    await settle()
    expect(order).toEqual([])
    expect(source.opened).toHaveLength(2)
    await one.close()
    await third
    expect(order).toEqual(['third'])
    expect(pool.count).toBe(2)
    await two.close()
    await fourth
    expect(order).toEqual(['third', 'fourth'])
    await (await third).close()
    await (await fourth).close()
    expect(pool.count).toBe(0)
  })

  test('a consumer that is returned goes to those that wait before a newcomer', async () => {
    const pool = new CatchUpPool(new ScriptedSource(), 1)
    const one = await pool.open(FROM, false)
    const waiting = pool.open(FROM, true)
    await one.close()
    await expect(pool.open(FROM, false)).rejects.toThrow('Cannot read older records')
    await (await waiting).close()
  })

  test('closing twice returns one consumer', async () => {
    const pool = new CatchUpPool(new ScriptedSource(), 2)
    const [one, two] = [await pool.open(FROM, false), await pool.open(FROM, false)]
    await one.close()
    await one.close()
    expect(pool.count).toBe(1)
    await two.close()
  })

  test('an open that fails frees its slot, also for one that waits', async () => {
    const source = new ScriptedSource()
    const pool = new CatchUpPool(source, 1)
    source.failure = new Error('no broker')
    await expect(pool.open(FROM, false)).rejects.toThrow('no broker')
    expect(pool.count).toBe(0)
    source.failure = undefined
    const one = await pool.open(FROM, false)
    source.failure = new Error('no broker')
    const waiting = [pool.open(FROM, true), pool.open(FROM, true)]
    const outcomes = Promise.allSettled(waiting)
    await one.close()
    const settled = await within(outcomes, 'the waiting opens')
    expect(settled.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    expect(pool.count).toBe(0)
  })

  test('a close that fails frees its slot', async () => {
    const source = new ScriptedSource()
    const pool = new CatchUpPool(source, 1)
    const one = await pool.open(FROM, false)
    source.last.close = () => Promise.reject(new Error('broken'))
    await expect(one.close()).rejects.toThrow('broken')
    expect(pool.count).toBe(0)
  })
})

describe('records of a feed with a pipeline', () => {
  const away = new KafkaConsumeError('KAFKA_UNAVAILABLE', 'Cannot process: the registry is away')

  /** Prepares when it is allowed to; drops the offsets named. */
  function scripted(dropped: readonly number[] = []) {
    const script = { isAway: false, calls: 0 }
    const processor = new RecordProcessor(async (records) => {
      script.calls++
      if (script.isAway) throw away
      return records.map((record) =>
        dropped.includes(record.offset) ? { ...record, dropped: true } : record,
      )
    })
    return { script, processor }
  }

  test('dropped records move the cursor of a subscription at the end, and that of frames after them', async () => {
    const { processor } = scripted([10, 12, 13])
    await using scene = await Scene.at([10, 0], undefined, undefined, processor)
    const reader = scene.reader([10, 0])
    await scene.feed([recordAt(0, 10)])
    expect(await take(reader)).toEqual([])
    expect(reader.cursor.toString()).toBe('t:0=11,1=0')
    await scene.feed([recordAt(0, 11), recordAt(0, 12)])
    await scene.feed([recordAt(0, 13)])
    expect(await take(reader)).toEqual(['0/11 12,0'])
    expect(reader.cursor.toString()).toBe('t:0=14,1=0')
    expect(reader.isAtEnd).toBe(true)
  })

  test('a subscription at the end is not moved past a gap that was not announced to it', async () => {
    const { processor } = scripted([50])
    await using scene = await Scene.at([12, 0], undefined, undefined, processor)
    const reader = scene.reader([12, 0])
    await scene.feed([recordAt(0, 50)], [RETENTION])
    expect(await take(reader)).toEqual([])
    expect(reader.cursor.toString()).toBe('t:0=12,1=0')
    await scene.feed([recordAt(0, 51)])
    expect((await take(reader)).map((each) => each.split(' ')[0])).toEqual(['gap', '0/51'])
  })

  test('during an outage of the pipeline the live consumer waits, reports it, and skips no record', async () => {
    const { script, processor } = scripted()
    await using scene = await Scene.at([10, 0], undefined, undefined, processor)
    const reader = scene.reader([10, 0])
    script.isAway = true
    await scene.feed([recordAt(0, 10), recordAt(0, 11)])
    await until(() => script.calls > 1, 'another try')
    expect(processor.outage()).toMatchObject({ code: 'KAFKA_UNAVAILABLE' })
    expect(await take(reader)).toEqual([])
    expect(scene.source.opened).toHaveLength(1)
    script.isAway = false
    await until(() => processor.outage() === undefined, 'the next try')
    await settle()
    expect(await take(reader)).toEqual(['0/10 11,0', '0/11 12,0'])
  })

  test('a live consumer that waits for the end of an outage can be stopped', async () => {
    const { script, processor } = scripted()
    script.isAway = true
    const scene = await Scene.at([10, 0], undefined, undefined, processor)
    await scene.feed([recordAt(0, 10)])
    await until(() => processor.outage() !== undefined, 'the first try')
    await within(scene.live.stop(), 'the live to stop')
    expect(processor.outage()).toBeUndefined()
    expect(scene.source.last.closed).toBe(true)
  })

  test('a catch-up read that waits for the end of an outage ends when its subscription stops', async () => {
    const { script, processor } = scripted()
    script.isAway = true
    await using scene = await Scene.at([60, 0], undefined, undefined, processor)
    const reader = scene.reader([12, 0])
    const next = pull(reader, EVERYTHING)
    await until(() => scene.source.opened.length === 2, 'a catch-up read')
    scene.source.last.answer({ records: [recordAt(0, 12)] })
    await until(() => script.calls > 0, 'a try')
    reader.stop()
    expect(await within(next, 'the reader to end')).toBeUndefined()
  })

  test('a catch-up read goes on when the pipeline drops all of its records', async () => {
    const { processor } = scripted([12, 13])
    await using scene = await Scene.at([60, 0], undefined, undefined, processor)
    const reader = scene.reader([12, 0])
    const next = pull(reader, EVERYTHING)
    await until(() => scene.source.opened.length === 2, 'a catch-up read')
    scene.source.last.answer({ records: [recordAt(0, 12), recordAt(0, 13)] })
    scene.source.last.answer({ records: [recordAt(0, 14)] })
    const part = await next
    expect(part && framesOf(part)).toMatchObject([{ offset: 14, id: [15, 0] }])
  })
})
