import { afterEach, describe, expect, test } from 'bun:test'
import { Feed } from '../../src/feed/feed.ts'
import type { Subscription } from '../../src/feed/subscription.ts'
import type { AssignedConsumer, KafkaRecord, PartitionOffset } from '../../src/port/kafka.ts'
import { parseCursor } from '../../src/records/cursor.ts'
import type { Filter } from '../../src/records/filter.ts'
import { pull } from '../support/pull.ts'
import { until } from '../support/wait.ts'
import { ReaderSource, recordAt } from './fakes.ts'

const SIZE = 100

/** A topic of one partition with this number of records, and its consumers. */
class Log extends ReaderSource {
  opened = 0
  /** Consumers that were opened to follow the end. */
  live = 0
  closed = 0
  /** How often it was asked for the ends. */
  asked = 0

  override async partitions() {
    return [{ topic: 't', partition: 0 }]
  }

  override async offsets(_: unknown, query: unknown): Promise<PartitionOffset[]> {
    if (query === 'latest') this.asked++
    return [{ topic: 't', partition: 0, offset: query === 'earliest' ? 0 : SIZE }]
  }

  async openConsumer(
    [from]: readonly PartitionOffset[],
    purpose: 'live' | 'catch-up',
  ): Promise<AssignedConsumer> {
    this.opened++
    if (purpose === 'live') this.live++
    let next = from?.offset ?? 0
    return {
      gaps: [],
      read: async (limit) => {
        const records: KafkaRecord[] = []
        while (records.length < limit && next < SIZE)
          records.push(recordAt(0, next++, undefined, 't'))
        if (records.length === 0) await Bun.sleep(5)
        return { records, gaps: [], ends: [] }
      },
      close: async () => {
        this.closed++
      },
    }
  }
}

const feeds: Feed[] = []
afterEach(async () => {
  for (const feed of feeds.splice(0)) await feed.close()
})

function feedOf(log: Log, { maxCatchUpReads = 4, page = 3_000 } = {}): Feed {
  const options = { topics: ['t'], messageDeserializer: 'noop', ringBytes: 1e6 } as const
  const feed = new Feed(log, { ...options, maxCatchUpReads }, { suspendedRead: page })
  feeds.push(feed)
  return feed
}

function at(offset: number) {
  return { cursor: parseCursor(`t:0=${offset}`, 'cursor'), parameter: 'cursor' }
}

function open(feed: Feed, offset: number, filter?: Filter): Promise<Subscription> {
  return feed.subscribe(at(offset), () => filter, 'read')
}

/** Takes so many records. */
async function take(subscription: Subscription, count: number): Promise<number[]> {
  const taken: number[] = []
  while (taken.length < count) {
    const part = await pull(subscription, { records: count - taken.length, bytes: Infinity })
    if (!part || 'gap' in part) throw new Error('There is nothing to take')
    for (let i = part.begin; i < part.end; i++) taken.push(part.batch.offsets[i] as number)
  }
  return taken
}

async function page(feed: Feed, offset: number, count: number): Promise<number[]> {
  const subscription = await open(feed, offset)
  const taken = await take(subscription, count)
  feed.release(subscription)
  return taken
}

describe('suspended reads', () => {
  test('all pages of a range are read by one consumer, each record once', async () => {
    const log = new Log()
    const feed = feedOf(log)
    const taken: number[] = []
    for (let offset = 0; offset < 70; offset += 7) taken.push(...(await page(feed, offset, 7)))
    expect(taken).toEqual(Array.from({ length: 70 }, (_, offset) => offset))
    expect(log.opened).toBe(1)
    expect(feed.stats()).toMatchObject({ catchUpReads: 1, readers: 1 })
  })

  test('a request for another position, or for the same position again, has a consumer of its own', async () => {
    const log = new Log()
    const feed = feedOf(log)
    expect(await page(feed, 0, 5)).toEqual([0, 1, 2, 3, 4])
    expect(await page(feed, 0, 5)).toEqual([0, 1, 2, 3, 4])
    expect(await page(feed, 4, 2)).toEqual([4, 5])
    expect(log.opened).toBe(3)
    // Two reads were suspended at one position: each is resumed once.
    const both = await Promise.all([open(feed, 5), open(feed, 5), open(feed, 5)])
    expect(log.opened).toBe(4)
    expect(new Set(both).size).toBe(3)
    for (const subscription of both) {
      expect(await take(subscription, 2)).toEqual([5, 6])
      await subscription.close()
    }
  })

  test('a read with a filter is not suspended, and does not resume a read without one', async () => {
    const log = new Log()
    const feed = feedOf(log)
    const even: Filter = {
      matches: (batch, index) => (batch.offsets[index] as number) % 2 === 0,
    }
    const filtered = await open(feed, 0, even)
    expect(await take(filtered, 2)).toEqual([0, 2])
    const end = filtered.cursor.vector[0] as number
    feed.release(filtered)
    await until(() => log.closed === 1, 'the filtered one to be closed')
    expect(await page(feed, end, 3)).toEqual([end, end + 1, end + 2])
    const other = await open(feed, end + 3, even)
    expect(log.opened).toBe(3)
    for (const offset of await take(other, 3)) expect(offset % 2).toBe(0)
    await other.close()
  })

  test('a read that no request resumes is closed after a time', async () => {
    const log = new Log()
    const feed = feedOf(log, { page: 20 })
    await page(feed, 0, 5)
    expect(feed.stats().catchUpReads).toBe(1)
    await until(() => feed.stats().catchUpReads === 0, 'it to be closed')
    expect(feed.stats().readers).toBe(0)
    expect(log.closed).toBe(1)
  })

  test('the reads that were suspended first are closed for requests that need their consumers', async () => {
    const log = new Log()
    const feed = feedOf(log, { maxCatchUpReads: 2 })
    await page(feed, 0, 5)
    await page(feed, 0, 6)
    const [one, two] = [await open(feed, 50), await open(feed, 60)]
    expect(log.closed).toBe(2)
    await expect(open(feed, 70)).rejects.toMatchObject({ code: 'TOO_MANY_CATCH_UP_READS' })
    expect(await take(one, 1)).toEqual([50])
    feed.release(one)
    expect(await page(feed, 70, 1)).toEqual([70])
    expect(feed.stats().catchUpReads).toBe(2)
    await two.close()
    expect(feed.stats().catchUpReads).toBe(1)
  })

  test('no read is suspended while a stream waits for a consumer', async () => {
    const log = new Log()
    const feed = feedOf(log, { maxCatchUpReads: 1 })
    const one = await open(feed, 0)
    await take(one, 1)
    const waiting = feed.catchUpPool.open([{ topic: 't', partition: 0, offset: 0 }], true)
    await until(() => feed.stats().waiting === 1, 'it to wait')
    feed.release(one)
    await (await waiting).close()
    expect(feed.stats()).toMatchObject({ catchUpReads: 0, readers: 0 })
  })

  test('a read that was stopped, or is in the ring buffer, is closed, not suspended', async () => {
    const log = new Log()
    const feed = feedOf(log)
    const stopped = await open(feed, 0)
    await take(stopped, 1)
    stopped.stop()
    const atEnd = await open(feed, SIZE)
    for (const subscription of [stopped, atEnd]) feed.release(subscription)
    await until(() => feed.stats().readers === 0, 'both to be closed')
    expect(feed.stats().catchUpReads).toBe(0)
  })

  test('the end of the feed closes suspended reads', async () => {
    const log = new Log()
    const feed = feedOf(log)
    await page(feed, 0, 5)
    await feed.close()
    await until(() => feed.stats().catchUpReads === 0, 'it to be closed')
    expect(log.closed).toBe(log.opened)
  })
})

describe('the live consumer', () => {
  test('is not started by reads of old records, page after page up to the end', async () => {
    const log = new Log()
    const feed = feedOf(log)
    const taken: number[] = []
    for (let offset = 0; offset < SIZE; offset += 10) taken.push(...(await page(feed, offset, 10)))
    expect(taken).toEqual(Array.from({ length: SIZE }, (_, offset) => offset))
    expect(log.live).toBe(0)
    expect(feed.stats().liveConsumers).toBe(0)
    // The ends are asked for once, and not for each page.
    expect(log.asked).toBe(1)
  })

  test('is started by a read that waits at the end for new records', async () => {
    const log = new Log()
    const feed = feedOf(log)
    const subscription = await open(feed, SIZE)
    expect(await subscription.fill(1)).toBe(false)
    expect(subscription.isAtEnd).toBe(true)
    expect(log.live).toBe(0)
    await subscription.wait(1)
    await until(() => log.live === 1, 'a live consumer')
    expect(feed.stats().liveConsumers).toBe(1)
    await subscription.close()
  })

  test('is started by the second read in a row that comes to the end, as when clients poll', async () => {
    const log = new Log()
    const feed = feedOf(log)
    for (const live of [0, 1]) {
      const subscription = await open(feed, SIZE - 1)
      expect(await take(subscription, 1)).toEqual([SIZE - 1])
      expect(await subscription.fill(1)).toBe(false)
      feed.release(subscription)
      await until(() => feed.stats().liveConsumers === live, `${live} live consumers`)
    }
  })

  test('is started at once by a subscription that follows', async () => {
    const log = new Log()
    const feed = feedOf(log)
    const subscription = await feed.subscribe(at(0), () => undefined, 'follow')
    expect(log.live).toBe(1)
    await subscription.close()
  })
})
