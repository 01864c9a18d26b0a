/**
 * A feed whose topics change, against scripted consumers. The file has more than 400 lines because its
 * tests share one scripted Kafka.
 */
import { afterEach, describe, expect, spyOn, test } from 'bun:test'
import { KafkaConsumeError } from '../../src/core/errors.ts'
import { Feed } from '../../src/feed/feed.ts'
import type { Position } from '../../src/feed/position.ts'
import type { Subscription } from '../../src/feed/subscription.ts'
import type {
  AssignedConsumer,
  Batch,
  KafkaRecord,
  OffsetQuery,
  PartitionOffset,
} from '../../src/port/kafka.ts'
import { parseCursor } from '../../src/records/cursor.ts'
import type { Filter } from '../../src/records/filter.ts'
import { pull } from '../support/pull.ts'
import { sleep, stays, until } from '../support/wait.ts'
import { ReaderSource, recordAt } from './fakes.ts'

type Places = ReadonlyArray<{ readonly topic: string; readonly partition: number }>

interface Topic {
  readonly id: string
  readonly partitions: KafkaRecord[][]
}

/** Topics that come, grow and go, with readers that behave as the client's do. */
class Topics extends ReaderSource {
  readonly topics = new Map<string, Topic>()
  opened = 0
  /** Readers that are open now bring nothing more, or do not even come back. */
  silenced = 0
  isDeaf = false
  failure: Error | undefined
  /** How often it was asked for the ids of topics. */
  asked = 0
  /** The controller, which is the one to ask for ids, does not answer. */
  isWithoutController = false
  /** Ids in place of the present ones, as a broker has them that is late to learn of a change. */
  oldIds: ReadonlyMap<string, string> | undefined
  #ids = 0

  create(topic: string, partitions: number): void {
    this.topics.set(topic, {
      id: `${this.#ids++}`,
      partitions: Array.from({ length: partitions }, () => []),
    })
  }

  grow(topic: string): void {
    this.topics.get(topic)?.partitions.push([])
  }

  produce(topic: string, partition: number, count: number): void {
    const log = this.#log(topic, partition)
    for (let i = 0; i < count; i++) {
      log?.push(recordAt(partition, log.length, undefined, topic))
    }
  }

  override async partitions(topics: readonly string[]): Promise<Places> {
    if (this.failure) throw this.failure
    return topics.flatMap((topic) => {
      const found = this.topics.get(topic)
      if (!found) throw new KafkaConsumeError('UNKNOWN_TOPIC', `Cannot read topic "${topic}"`)
      return found.partitions.map((_, partition) => ({ topic, partition }))
    })
  }

  override async topicIds(): Promise<ReadonlyMap<string, string>> {
    this.asked++
    if (this.isWithoutController) throw new KafkaConsumeError('KAFKA_TIMEOUT', 'Cannot read topics')
    return this.oldIds ?? this.ids
  }

  get ids(): ReadonlyMap<string, string> {
    return new Map([...this.topics].map(([topic, { id }]) => [topic, id]))
  }

  override async offsets(partitions: Places, query: OffsetQuery): Promise<PartitionOffset[]> {
    return partitions.map(({ topic, partition }) => ({
      topic,
      partition,
      offset: query === 'earliest' ? 0 : (this.#log(topic, partition)?.length ?? 0),
    }))
  }

  async openConsumer(from: readonly PartitionOffset[]): Promise<AssignedConsumer> {
    const number = this.opened++
    const due = from.map((position) => ({ ...position }))
    return {
      gaps: [],
      read: async (limit, wait) => {
        const isSilenced = number < this.silenced
        if (isSilenced && this.isDeaf) await new Promise(() => {})
        const batch: Batch = isSilenced ? NOTHING : this.#batch(due, limit)
        await sleep(batch.records.length > 0 ? 0 : Math.min(wait, 10))
        return batch
      },
      close: async () => {},
    }
  }

  #batch(due: Array<{ topic: string; partition: number; offset: number }>, limit: number): Batch {
    const records: KafkaRecord[] = []
    const gaps: Array<Batch['gaps'][number]> = []
    for (const position of due) {
      const { topic, partition, offset } = position
      const log = this.#log(topic, partition)
      if (!log) continue
      if (offset > log.length && log.length > 0) {
        gaps.push({ topic, partition, from: offset, to: 0, reason: 'out-of-range' })
        position.offset = 0
      }
      const found = log.slice(position.offset, position.offset + limit - records.length)
      records.push(...found)
      position.offset += found.length
    }
    return { records, gaps, ends: [] }
  }

  #log(topic: string, partition: number): KafkaRecord[] | undefined {
    return this.topics.get(topic)?.partitions[partition]
  }
}

const NOTHING: Batch = { records: [], gaps: [], ends: [] }
const ALL = { records: Infinity, bytes: Infinity }
const TIMES = {
  checkInterval: 20,
  minCheckInterval: 0,
  grace: 1_000,
  idleTimeout: 0,
  suspendedRead: 3_000,
  drain: 1_000,
}

const feeds: Feed[] = []
afterEach(async () => {
  for (const feed of feeds.splice(0)) await feed.close()
})

function feedOf(
  source: Topics,
  topics: readonly string[],
  maxCatchUpReads = 4,
  ringBytes = 1e6,
): Feed {
  const options = { topics, messageDeserializer: 'noop', ringBytes, maxCatchUpReads } as const
  const feed = new Feed(source, options, TIMES)
  feeds.push(feed)
  return feed
}

function cursor(text: string): Position {
  return { cursor: parseCursor(text, 'cursor'), parameter: 'cursor' }
}

/** A reader that takes what comes: `topic:partition/offset`, or `gap topic:partition from-to`. */
class Taker {
  readonly taken: string[] = []
  failure: unknown
  readonly subscription: Subscription
  #ended = false

  constructor(subscription: Subscription) {
    this.subscription = subscription
    void this.#run()
  }

  static async of(
    feed: Feed,
    position: Position = { start: 'latest' },
    filter?: Filter,
  ): Promise<Taker> {
    return new Taker(await feed.subscribe(position, () => filter))
  }

  async #run(): Promise<void> {
    try {
      while (!this.#ended) {
        const part = await pull(this.subscription, ALL)
        if (!part) await this.subscription.wait(1_000)
        else if ('gap' in part) {
          const { topic, partition, from, to } = part.gap
          this.taken.push(`gap ${topic}:${partition} ${from}-${to}`)
        } else {
          const { partitions } = part.batch.table
          for (let i = part.begin; i < part.end; i++) {
            const place = partitions[part.batch.partitions[i] as number]
            this.taken.push(`${place?.topic}:${place?.partition}/${part.batch.offsets[i]}`)
          }
        }
      }
    } catch (error) {
      this.failure = error
    }
  }

  untilTaken(count: number): Promise<void> {
    return until(
      () => this.taken.length >= count,
      () => `${count} of ${JSON.stringify(this.taken)}`,
      5_000,
    )
  }

  async close(): Promise<void> {
    this.#ended = true
    await this.subscription.close()
  }
}

function offsets(place: string, from: number, to: number): string[] {
  return Array.from({ length: to - from }, (_, index) => `${place}/${from + index}`)
}

describe('partitions that are added', () => {
  test('open streams go on, with all records of the new partitions, and ids that name them', async () => {
    const source = new Topics()
    source.create('a', 1)
    source.create('b', 1)
    source.produce('a', 0, 3)
    const feed = feedOf(source, ['a', 'b'])
    const takers = [
      await Taker.of(feed),
      await Taker.of(feed, { start: 'earliest' }),
      await Taker.of(feed, { start: 'latest' }, { matches: () => true }),
    ]
    source.produce('a', 0, 2)
    source.grow('a')
    source.produce('a', 1, 5)
    source.produce('b', 0, 1)
    for (const [index, taker] of takers.entries()) {
      await taker.untilTaken(index === 1 ? 11 : 8)
      expect(taker.taken.toSorted()).toEqual([
        ...offsets('a:0', index === 1 ? 0 : 3, 5),
        ...offsets('a:1', 0, 5),
        ...offsets('b:0', 0, 1),
      ])
      await until(() => taker.subscription.cursor.toString() === 'a:0=5,1=5;b:0=1', 'the cursor')
    }
    source.produce('a', 1, 1)
    for (const taker of takers) await until(() => taker.taken.includes('a:1/5'), 'the next record')
    for (const taker of takers) await taker.close()
  })

  test('that are added again and again under load bring each record once and in order', async () => {
    const source = new Topics()
    source.create('a', 1)
    const feed = feedOf(source, ['a'], 4, 64 * 1024)
    const takers = await Promise.all(Array.from({ length: 5 }, () => Taker.of(feed)))
    const counts = [0]
    for (let round = 0; round < 120; round++) {
      if (round % 15 === 14) {
        source.grow('a')
        counts.push(0)
      }
      counts.forEach((count, partition) => {
        source.produce('a', partition, 3)
        counts[partition] = count + 3
      })
      // Time for reads between the rounds.
      await sleep(5)
    }
    const total = counts.reduce((sum, count) => sum + count, 0)
    for (const { untilTaken, taken } of takers.map((taker) => ({
      untilTaken: () => taker.untilTaken(total),
      taken: taker.taken,
    }))) {
      await untilTaken()
      for (const [partition, count] of counts.entries()) {
        const place = `a:${partition}`
        expect(taken.filter((each) => each.startsWith(`${place}/`))).toEqual(
          offsets(place, 0, count),
        )
      }
      expect(taken).toHaveLength(total)
    }
    for (const taker of takers) await taker.close()
  })

  test('a cursor with a partition that this node does not know yet is served, not refused', async () => {
    const source = new Topics()
    source.create('a', 1)
    const feed = feedOf(source, ['a'])
    const first = await Taker.of(feed)
    source.grow('a')
    source.produce('a', 1, 4)
    const resumed = await Taker.of(feed, cursor('a:0=0,1=3'))
    await resumed.untilTaken(1)
    expect(resumed.taken).toEqual(['a:1/3'])
    await expect(Taker.of(feed, cursor('a:0=0,7=3'))).rejects.toThrow('has no partition 7')
    await resumed.close()
    await first.close()
    expect(feed.stats().readers).toBe(0)
  })
})

describe('topics that are re-created', () => {
  for (const [name, partitions, records] of [
    ['shorter', 1, 2],
    ['as long', 1, 5],
    ['longer', 1, 9],
    ['longer and with more partitions', 2, 9],
  ] as const) {
    test(`${name}: a gap is announced, then all of it comes`, async () => {
      const source = new Topics()
      source.create('a', 1)
      source.create('b', 1)
      source.produce('a', 0, 5)
      const feed = feedOf(source, ['a', 'b'])
      const taker = await Taker.of(feed, { start: 'earliest' })
      await taker.untilTaken(5)
      const { asked } = source
      await until(() => source.asked > asked, 'the topic to be looked at')
      source.topics.delete('a')
      await until(() => source.asked > asked + 2, 'the topic to be missed')
      source.create('a', partitions)
      source.produce('a', 0, records)
      if (partitions === 2) source.produce('a', 1, 1)
      await until(() => taker.taken.some((each) => each.startsWith('gap')), 'a gap')
      // A consumer that does not know of ids has read on in the new topic, where that goes as far.
      const gap = taker.taken.findIndex((each) => /^gap a:0 [5-9]-0$/.test(each))
      expect(gap).toBeGreaterThan(4)
      await until(() => taker.taken.length >= gap + 1 + records + partitions - 1, 'all of it')
      source.produce('b', 0, 1)
      await until(() => taker.taken.includes('b:0/0'), 'the other topic')
      const after = taker.taken.slice(gap + 1).filter((each) => each.startsWith('a:0'))
      expect(after).toEqual(offsets('a:0', 0, records))
      expect(taker.taken.filter((each) => each.startsWith('gap'))).toHaveLength(1)
      await taker.close()
    })
  }

  for (const when of ['when the feed begins', 'at a later check'] as const) {
    test(`are noticed although one request for topic ids was not answered ${when}`, async () => {
      const source = new Topics()
      source.create('a', 1)
      source.produce('a', 0, 5)
      source.isWithoutController = when === 'when the feed begins'
      const feed = feedOf(source, ['a'])
      const taker = await Taker.of(feed, { start: 'earliest' })
      await taker.untilTaken(5)
      if (when === 'at a later check') {
        await until(() => source.asked > 1, 'a check that is answered')
        const { asked } = source
        source.isWithoutController = true
        await until(() => source.asked > asked, 'a check that is not answered')
      }
      source.isWithoutController = false
      const { asked } = source
      await until(() => source.asked > asked + 1, 'a check that is answered')
      source.create('a', 1)
      source.produce('a', 0, 5)
      await taker.untilTaken(11)
      expect(taker.taken.slice(5)).toEqual(['gap a:0 5-0', ...offsets('a:0', 0, 5)])
      await taker.close()
    })
  }

  test('are not taken to be re-created again where a broker that is late answers with their former ids', async () => {
    const source = new Topics()
    source.create('a', 1)
    source.produce('a', 0, 5)
    const former = source.ids
    const feed = feedOf(source, ['a'])
    const taker = await Taker.of(feed, { start: 'earliest' })
    await taker.untilTaken(5)
    await until(() => source.asked > 1, 'the topic to be looked at')
    source.create('a', 1)
    source.produce('a', 0, 5)
    await taker.untilTaken(11)
    source.oldIds = former
    source.grow('a')
    source.produce('a', 1, 1)
    await until(() => taker.taken.includes('a:1/0'), 'the added partition')
    source.oldIds = undefined
    const { asked } = source
    await until(() => source.asked > asked + 2, 'the topic to be looked at')
    expect(taker.taken.slice(5)).toEqual(['gap a:0 5-0', ...offsets('a:0', 0, 5), 'a:1/0'])
    await taker.close()
  })
})

describe('topics that are deleted', () => {
  test('streams get an error after a grace period, and the next client is refused', async () => {
    const source = new Topics()
    source.create('a', 1)
    source.produce('a', 0, 2)
    const feed = feedOf(source, ['a'])
    const takers = [await Taker.of(feed), await Taker.of(feed, { start: 'earliest' })]
    await takers[1]?.untilTaken(2)
    source.topics.delete('a')
    const isQuiet = () => takers.every(({ failure }) => failure === undefined)
    await stays(isQuiet, 'no stream is told of the topic', TIMES.grace / 2)
    for (const taker of takers) {
      await until(() => taker.failure !== undefined, 'an error')
      expect(taker.failure).toMatchObject({ code: 'UNKNOWN_TOPIC', status: 404 })
      await taker.close()
    }
    await expect(Taker.of(feed)).rejects.toThrow('Cannot read topic "a"')
    source.create('a', 1)
    const again = await Taker.of(feed)
    source.produce('a', 0, 1)
    await again.untilTaken(1)
    await again.close()
    expect(feed.stats().readers).toBe(0)
  })
})

describe('a consumer that falls silent', () => {
  for (const isDeaf of [false, true]) {
    test(`${isDeaf ? 'and does not come back' : 'while Kafka has more'} is replaced, and that is counted`, async () => {
      const source = new Topics()
      source.create('a', 1)
      const feed = feedOf(source, ['a'])
      const taker = await Taker.of(feed)
      source.produce('a', 0, 3)
      await taker.untilTaken(3)
      source.silenced = source.opened
      source.isDeaf = isDeaf
      source.produce('a', 0, 4)
      await taker.untilTaken(7)
      expect(taker.taken).toEqual(offsets('a:0', 0, 7))
      expect(feed.stats().rebuilt).toBeGreaterThanOrEqual(1)
      await taker.close()
    })
  }

  test('is kept while Kafka has no records for it', async () => {
    const source = new Topics()
    source.create('a', 2)
    source.produce('a', 0, 3)
    const feed = feedOf(source, ['a'])
    const taker = await Taker.of(feed)
    source.produce('a', 0, 3)
    await taker.untilTaken(3)
    const isTheFirst = () => feed.stats().rebuilt === 0 && source.opened === 1
    await stays(isTheFirst, 'the first reader is kept', 200)
    await taker.close()
  })

  test('is replaced when Kafka leaves queries unanswered without a known outage', async () => {
    const source = new Topics()
    source.create('a', 1)
    const feed = feedOf(source, ['a'])
    const taker = await Taker.of(feed)
    source.failure = new KafkaConsumeError('KAFKA_TIMEOUT', 'Cannot read topics')
    await until(() => feed.stats().rebuilt >= 1, 'another reader')
    source.failure = undefined
    source.produce('a', 0, 1)
    await taker.untilTaken(1)
    await taker.close()
  })

  test('is not checked while no stream is open', async () => {
    const source = new Topics()
    source.create('a', 1)
    const feed = new Feed(
      source,
      { topics: ['a'], messageDeserializer: 'noop', ringBytes: 1e6, maxCatchUpReads: 1 },
      { ...TIMES, idleTimeout: 10_000 },
    )
    feeds.push(feed)
    await feed.warm()
    const { asked } = source
    await stays(() => source.asked === asked, 'nothing is asked', 100)
  })

  test('is not timed out while nothing is open: a read that failed starts no timer', async () => {
    const source = new Topics()
    const feed = new Feed(
      source,
      { topics: ['away'], messageDeserializer: 'noop', ringBytes: 1e6, maxCatchUpReads: 1 },
      { ...TIMES, idleTimeout: 20 },
    )
    feeds.push(feed)
    const close = spyOn(feed, 'close')
    await expect(feed.warm()).rejects.toThrow()
    await stays(() => close.mock.calls.length === 0, 'no timeout', 100)
  })
})
