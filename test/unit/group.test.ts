/**
 * A group's member against a scripted Kafka client: polls, rebalances, commits and failures. The file
 * has more than 400 lines because all of its tests share one scripted member.
 */
import { afterEach, describe, expect, spyOn, test } from 'bun:test'
import fc from 'fast-check'
import { Group } from '../../kafka/group/group.ts'
import type { GroupHost } from '../../kafka/group/group-host.ts'
import { groupSettings } from '../../kafka/group/group-settings.ts'
import { startOffsetOf } from '../../kafka/group/start-offset.ts'
import { KafkaConsumeError } from '../../src/core/errors.ts'
import { lagOf } from '../../src/observability/partition-offsets.ts'
import type { Delivery, GroupOptions, PollLimits } from '../../src/port/kafka.ts'
import { skip as skipTime, stopClock } from '../support/clock.ts'
import { sleep, stays, until, within } from '../support/wait.ts'
import { FakeConsumer, recordAt, settle } from './fakes.ts'

const LIMITS: PollLimits = { maxRecords: 500, maxBytes: 1024 * 1024, timeout: 20 }
const PARTITIONS = [0, 1, 2]

/** A group on a fake consumer, which owns partitions 0 and 1 of three. */
class Member implements AsyncDisposable {
  readonly consumers: FakeConsumer[] = []
  readonly group: Group
  joinError: KafkaConsumeError | undefined
  offsetsError: KafkaConsumeError | undefined
  topicId = 'first'
  /** How often topics were compared. */
  looks = 0
  /** Whether another member has its instance id. */
  isInstanceTaken = false
  /** Whether Kafka says that the member rightly has no partitions. */
  isSpare = false
  /** The partitions of the topic. */
  partitions = PARTITIONS
  /** The offsets that other members have committed. */
  readonly committed = new Map<number, number>()
  /** First and last offset that Kafka has, by partition. */
  readonly kept = new Map<number, readonly [first: number, end: number]>()
  disconnected = 0
  /** How often it tried to join. */
  attempts = 0
  readonly #deliveries: Delivery[] = []

  /** @param owned What the group gives it; `null` where it gives nothing. */
  constructor(
    owned: readonly number[] | null = [0, 1],
    commitStrategy: GroupOptions['commitStrategy'] = 'auto',
    options: Partial<GroupOptions> = {},
    checkEvery?: number,
  ) {
    const host: GroupHost = {
      connect: async (rebalance) => {
        this.attempts++
        if (this.joinError) throw this.joinError
        const consumer = new FakeConsumer()
        consumer.rebalance = rebalance
        this.consumers.push(consumer)
        if (owned) {
          setTimeout(() => consumer.give(...owned), 0)
        }
        return consumer.asConsumer
      },
      read: FakeConsumer.read,
      disconnect: async () => {
        this.disconnected++
      },
      partitions: async () => this.partitions.map((partition) => ({ topic: 't', partition })),
      committed: async (_, partitions) =>
        partitions.map(({ topic, partition }) => ({
          topic,
          partition,
          offset: this.#committedOf(partition),
        })),
      offsets: async (partitions, query) => {
        if (this.offsetsError) throw this.offsetsError
        return partitions.map(({ topic, partition }) => ({
          topic,
          partition,
          offset: (this.kept.get(partition) ?? [0, 0])[query === 'earliest' ? 0 : 1],
        }))
      },
      topicIds: async () => {
        this.looks++
        return new Map([['t', this.topicId]])
      },
      isInstanceTaken: async () => this.isInstanceTaken,
      orphans: async () => [],
      isSpare: async () => this.isSpare,
      joinBriefly: async () => ({ close: async () => {} }),
    }
    const defaults = { groupId: 'g', topics: ['t'], autoOffsetReset: 'earliest' } as const
    this.group = new Group(host, { ...defaults, commitStrategy, ...options }, checkEvery)
  }

  /** One that is soon noticed when it reads nothing. */
  static watched(owned: readonly number[] = [0, 1]): Member {
    return new Member(owned, 'auto', {}, 250)
  }

  #committedOf(partition: number): number {
    const own = this.consumers.map((consumer) => consumer.committed(partition) ?? -1)
    return this.committed.get(partition) ?? Math.max(-1, ...own)
  }

  get consumer(): FakeConsumer {
    return this.consumers.at(-1) as FakeConsumer
  }

  /** Waits until it has joined, then puts records into Kafka. */
  async with(...records: ReturnType<typeof recordAt>[]): Promise<this> {
    await within(this.group.ready(), 'the group to be ready')
    this.consumer.queue.push(...records)
    return this
  }

  async poll(limits: Partial<PollLimits> = {}, signal?: AbortSignal): Promise<Delivery> {
    const delivery = await within(
      this.group.poll({ ...LIMITS, ...limits }, signal && { signal }),
      'a poll',
    )
    this.#deliveries.push(delivery)
    return delivery
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = this.group.close()
    // A group waits some time for deliveries in progress.
    for (const delivery of this.#deliveries) delivery.requeue()
    await within(closed, 'the group to close')
  }
}

function offsets(delivery: Delivery): number[] {
  return delivery.decodeRecords().map(({ offset }) => offset)
}

function some(from: number, to: number, partition = 0, value: string | number = 'v') {
  return Array.from({ length: to - from }, (_, index) => recordAt(partition, from + index, value))
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  const error = await within(
    promise.then(
      () => undefined,
      (thrown: unknown) => thrown,
    ),
    'a refusal',
  )
  if (!(error instanceof KafkaConsumeError)) throw new Error(`expected a refusal, got ${error}`)
  return error.code
}

let restore: (() => void) | undefined
afterEach(() => restore?.())

/** Moves the clock on until the end of the test. */
function skip(milliseconds: number): void {
  const clock = skipTime(milliseconds)
  restore = () => clock[Symbol.dispose]()
}

describe('group reads', () => {
  test('only delivered records are committed', async () => {
    await using member = await new Member().with(...some(0, 10))
    const first = await member.poll({ maxRecords: 4 })
    const second = await member.poll({ maxRecords: 4 })
    expect([offsets(first), offsets(second)]).toEqual([
      [0, 1, 2, 3],
      [4, 5, 6, 7],
    ])
    second.ack()
    await stays(() => member.consumer.commits.length === 0, 'nothing is committed', 10)
    first.ack()
    await until(() => member.consumer.commits.length > 0, 'a commit')
    expect(member.consumer.commits).toEqual([[{ topic: 't', partition: 0, offset: 8 }]])
  })

  test('the lag of a partition counts the records that are not delivered, whether read or being delivered', async () => {
    await using member = await new Member().with(...some(0, 10))
    member.consumer.watermarks.set('t:0', { lowOffset: 0, highOffset: 12 })
    const lags = () => member.group.stats().partitions.map((at) => [at.partition, lagOf(at)])
    const first = await member.poll({ maxRecords: 4 })
    expect(lags()).toEqual([
      [0, 12],
      [1, 0],
    ])
    const second = await member.poll({ maxRecords: 4 })
    second.ack()
    expect(lags()[0]).toEqual([0, 12])
    first.ack()
    expect(lags()[0]).toEqual([0, 4])
    member.consumer.take(1)
    expect(lags()).toEqual([[0, 4]])
  })

  test('before a first delivery, the lag is counted from the records that were read', async () => {
    await using member = await new Member().with(...some(7, 10))
    member.consumer.watermarks.set('t:0', { lowOffset: 0, highOffset: 10 })
    await until(() => member.consumer.queue.length === 0, 'records to be read ahead')
    await until(() => member.group.stats().partitions[0]?.next === 7, 'the position')
  })

  test('requeued records go to the next client first, in order', async () => {
    await using member = await new Member().with(...some(0, 9))
    const first = await member.poll({ maxRecords: 3 })
    const second = await member.poll({ maxRecords: 3 })
    second.requeue()
    first.requeue()
    expect(offsets(await member.poll({ maxRecords: 5 }))).toEqual([0, 1, 2, 3, 4])
    expect(offsets(await member.poll())).toEqual([5, 6, 7, 8])
  })

  test('a delivery ends once: what comes later has no effect', async () => {
    await using member = await new Member().with(...some(0, 4))
    const delivery = await member.poll({ maxRecords: 2 })
    delivery.requeue()
    delivery.ack()
    delivery.requeue()
    const again = await member.poll()
    expect(offsets(again)).toEqual([0, 1, 2, 3])
    expect(member.consumer.commits).toEqual([])
    again.ack()
    again.requeue()
    await until(() => member.consumer.committed(0) === 4, 'a commit')
    expect(offsets(await member.poll())).toEqual([])
  })

  test('max_records and max_bytes cut a delivery; a first record comes whatever its size', async () => {
    await using member = await new Member().with(
      recordAt(0, 0, 10_000),
      ...some(1, 8, 0, 1_000),
      ...some(0, 2, 1),
    )
    expect(offsets(await member.poll({ maxBytes: 100 }))).toEqual([0])
    expect(offsets(await member.poll({ maxBytes: 2_500 }))).toEqual([1, 2])
    expect(offsets(await member.poll({ maxRecords: 1 }))).toEqual([3])
    expect((await member.poll()).length).toBe(6)
  })

  test('a poll gets records beyond the buffer by one more read', async () => {
    await using member = await new Member().with()
    member.consumer.watermarks.set('t:0', { lowOffset: 0, highOffset: 2_500 })
    member.consumer.queue.push(...some(0, 2_500))
    expect((await member.poll({ maxRecords: 2_200 })).length).toBe(2_200)
  })

  test.each([
    { maxRecords: 1.5 },
    { maxRecords: Number.NaN },
    { maxRecords: Infinity },
    { maxRecords: 0 },
    { maxBytes: Number.NaN },
    { timeout: Number.NaN },
  ])('a poll that would not end is refused, and those behind it are served: %p', async (wrong) => {
    await using member = new Member()
    const refused = codeOf(member.group.poll({ ...LIMITS, ...wrong }))
    const waits = member.poll({ timeout: 5_000 })
    expect(await refused).toBe('INVALID_PARAMETER')
    await member.with(...some(0, 5))
    expect(offsets(await waits)).toEqual([0, 1, 2, 3, 4])
    await member.with(...some(5, 8))
    await until(() => member.consumer.queue.length === 0, 'the records to be read')
    expect(member.group.pollNow({ ...LIMITS, ...wrong })).toBeUndefined()
  })

  test('ready records are polled without a wait, but not before a client that waits', async () => {
    await using member = await new Member().with()
    expect(member.group.pollNow(LIMITS)).toBeUndefined()
    const waits = member.poll({ maxRecords: 2, timeout: 5_000 })
    expect(member.group.pollNow(LIMITS)).toBeUndefined()
    member.consumer.queue.push(...some(0, 6))
    expect(offsets(await waits)).toEqual([0, 1])
    const now = member.group.pollNow({ ...LIMITS, maxRecords: 3 }) as Delivery
    expect(offsets(now)).toEqual([2, 3, 4])
    now.requeue()
    expect(offsets(await member.poll())).toEqual([2, 3, 4, 5])
  })

  test('small polls of a full buffer do not read for each of them', async () => {
    await using member = await new Member().with(...some(0, 3_000))
    const got: number[] = []
    for (let count = 0; count < 290; count++) {
      const delivery = await member.poll({ maxRecords: 10 })
      got.push(...offsets(delivery))
      delivery.ack()
    }
    expect(got).toEqual(Array.from({ length: 2_900 }, (_, offset) => offset))
    expect(member.consumer.limits.length).toBeLessThan(60)
  })

  test('an empty answer comes when the timeout is over, and not before', async () => {
    await using member = await new Member().with()
    for (const timeout of [0, 80]) {
      const began = performance.now()
      expect((await member.poll({ timeout })).decodeRecords()).toEqual([])
      expect(performance.now() - began).toBeWithin(timeout - 1, timeout + 10_000)
    }
  })

  // A long poll holds up those behind it: their time begins only when they are the first in line.
  test('the timeout of a poll holds although a longer one waits before it', async () => {
    await using member = await new Member().with()
    const order: string[] = []
    const long = member.poll({ timeout: 700 }).then(() => order.push('long'))
    await settle()
    await member.poll({ timeout: 50 }).then(() => order.push('short'))
    await long
    expect(order).toEqual(['short', 'long'])
  })

  test('waiting clients are served in turn', async () => {
    await using member = await new Member().with()
    const order: number[] = []
    const polls = [0, 1, 2].map((client) =>
      member.poll({ maxRecords: 2, timeout: 5_000 }).then((delivery) => {
        order.push(client)
        return offsets(delivery)
      }),
    )
    await settle()
    member.consumer.queue.push(...some(0, 6))
    expect(await Promise.all(polls)).toEqual([
      [0, 1],
      [2, 3],
      [4, 5],
    ])
    expect(order).toEqual([0, 1, 2])
  })

  test('a client that leaves while it waits gets nothing, and the next gets all', async () => {
    await using member = await new Member().with()
    const leaver = new AbortController()
    const left = codeOf(member.poll({ timeout: 5_000 }, leaver.signal))
    const stays = member.poll({ timeout: 5_000 })
    leaver.abort()
    await left
    member.consumer.queue.push(...some(0, 3))
    expect(offsets(await stays)).toEqual([0, 1, 2])
  })

  test('the number of waiting clients is limited, and one more is refused', async () => {
    await using member = new Member(null)
    const waiting = Array.from({ length: 10_000 }, () => codeOf(member.group.poll(LIMITS)))
    expect(await codeOf(member.group.poll(LIMITS))).toBe('TOO_MANY_POLLS')
    await within(member.group.close(), 'the group to close')
    expect(new Set(await Promise.all(waiting))).toEqual(new Set(['SHUTTING_DOWN']))
  })

  test('a group that gets no partitions refuses after 30 s and not before', async () => {
    await using member = new Member(null)
    let isRefused = false
    const refused = codeOf(member.poll()).finally(() => {
      isRefused = true
    })
    await stays(() => !isRefused, 'the poll waits', 60)
    skip(31_000)
    expect(await refused).toBe('KAFKA_TIMEOUT')
  })

  test('a member that gets no partitions for a minute joins again with another consumer', async () => {
    await using member = new Member(null)
    await until(() => member.consumers.length === 1, 'a consumer')
    await stays(() => member.consumers.length === 1, 'there is one consumer', 60)
    skip(61_000)
    await until(() => member.consumers.length === 2, 'a second consumer')
    expect(member.disconnected).toBe(1)
  })

  test('without partitions of its own a member answers empty after the timeout', async () => {
    await using member = new Member([])
    const delivery = await member.poll()
    expect(delivery.decodeRecords()).toEqual([])
    expect(delivery.partitions.map(({ highWatermark }) => highWatermark)).toEqual([-1, -1, -1])
  })

  test('a member that has lost its membership answers empty only once the group has assigned again', async () => {
    await using member = await new Member().with()
    const { consumer } = member
    let answers = 0
    const count = () => answers++
    const before = member.poll({ timeout: 40 })
    void before.then(count)
    consumer.loseAll()
    await until(() => consumer.calls.includes('unassign'), 'the partitions to go')
    const after = member.poll({ timeout: 0 })
    void after.then(count)
    await stays(() => answers === 0, 'polls wait for an assignment', 80)
    consumer.queue.push(...some(0, 3))
    consumer.give(0, 1)
    expect(offsets(await before)).toEqual([0, 1, 2])
    expect(offsets(await after)).toEqual([])
  })

  test('a member that has lost its membership, and is then given no partitions, answers empty', async () => {
    await using member = await new Member().with()
    member.consumer.loseAll()
    await until(() => member.consumer.calls.includes('unassign'), 'the partitions to go')
    const polled = member.poll()
    member.consumer.give()
    expect(offsets(await polled)).toEqual([])
  })

  test('a member that is given nothing by the client answers empty once Kafka says that others have all', async () => {
    await using member = new Member(null)
    member.isSpare = true
    expect(offsets(await member.poll())).toEqual([])
  })

  test('a member that has lost its membership refuses 30 s after the loss or the poll, and not before', async () => {
    await using member = await new Member().with()
    member.consumer.loseAll()
    await until(() => member.consumer.calls.includes('unassign'), 'the partitions to go')
    let isRefused = false
    const refused = codeOf(member.poll()).finally(() => {
      isRefused = true
    })
    await stays(() => !isRefused, 'the poll waits', 60)
    skip(31_000)
    expect(await refused).toBe('KAFKA_TIMEOUT')
  })

  test('every partition of the topics is reported, whoever owns it', async () => {
    await using member = await new Member().with()
    member.consumer.watermarks.set('t:0', { lowOffset: 0, highOffset: 3 })
    member.consumer.queue.push(...some(0, 3))
    const delivery = await member.poll()
    expect(delivery.partitions).toEqual([
      { topic: 't', partition: 0, highWatermark: 3, lastStableOffset: 3 },
      { topic: 't', partition: 1, highWatermark: 0, lastStableOffset: 0 },
      { topic: 't', partition: 2, highWatermark: -1, lastStableOffset: -1 },
    ])
  })
})

describe('the last stable offset', () => {
  test('is reported only where it is certain', async () => {
    await using member = new Member([0])
    // Decided up to 4 when it was assigned; Kafka has 9 records by now.
    member.kept.set(0, [0, 4])
    await member.with(...some(0, 4))
    member.consumer.watermarks.set('t:0', { lowOffset: 0, highOffset: 9 })
    const told = async (maxRecords: number) => {
      const { partitions } = await member.poll({ maxRecords })
      return partitions[0]
    }
    expect(await told(2)).toMatchObject({ highWatermark: 9, lastStableOffset: -1 })
    member.consumer.eof(0, 4)
    await member.poll()
    // The end is seen with the read that follows.
    expect(await told(2)).toMatchObject({ highWatermark: 9, lastStableOffset: 4 })
  })

  test('is the end of a partition without open transactions at its assignment', async () => {
    await using member = new Member([0])
    member.kept.set(0, [0, 9])
    await member.with(...some(0, 9))
    member.consumer.watermarks.set('t:0', { lowOffset: 0, highOffset: 9 })
    const { partitions } = await member.poll({ maxRecords: 2 })
    expect(partitions[0]).toMatchObject({ highWatermark: 9, lastStableOffset: 9 })
  })
})

describe('the ready buffer of a group', () => {
  test('is bounded in records: partitions are paused when it is full, and resumed when it is not', async () => {
    await using member = await new Member().with(...some(0, 8_000))
    const { consumer } = member
    await until(() => consumer.paused.size === 2, 'the partitions to be paused')
    const unread = consumer.queue.length
    expect(unread).toBe(4_000)
    await stays(() => consumer.queue.length === unread, 'nothing more is read', 20)
    const got: number[] = []
    while (got.length < 8_000) {
      const delivery = await member.poll({ maxRecords: 700 })
      got.push(...offsets(delivery))
      delivery.ack()
    }
    expect(got).toEqual(Array.from({ length: 8_000 }, (_, offset) => offset))
    await until(() => consumer.committed(0) === 8_000, 'all to be committed')
    expect(consumer.paused.size).toBe(0)
    // Without a question the client would sleep on for up to a second.
    const resumed = consumer.calls.lastIndexOf('resume')
    expect(consumer.calls.slice(resumed)).toContain('offsetsForTimes')
    expect(Math.max(...consumer.limits)).toBeLessThanOrEqual(2_000)
  })

  test('pauses no partition while clients come, since records fetched ahead would be lost', async () => {
    await using member = await new Member().with(...some(0, 20_000))
    const { consumer } = member
    const pauses: number[] = []
    for (let got = 0; got < 20_000; ) {
      // Time for the buffer to be full again.
      await sleep(10)
      const delivery = await member.poll({ maxRecords: 700 })
      got += delivery.decodeRecords().length
      pauses.push(consumer.paused.size)
      delivery.ack()
    }
    expect(new Set(pauses)).toEqual(new Set([0]))
    expect(Math.max(...consumer.limits)).toBeLessThanOrEqual(2_000)
  })

  test('is bounded in bytes', async () => {
    await using member = await new Member().with()
    const { consumer } = member
    for (let batch = 0; batch < 6; batch++) {
      consumer.queue.push(...some(batch * 20, batch * 20 + 20, 0, 100_000))
      await until(() => consumer.queue.length === 0 || consumer.paused.size > 0, 'a read')
    }
    expect(consumer.paused.size).toBe(2)
    // 8 MiB at which it stops, and the batch that took it there.
    expect(120 - consumer.queue.length).toBeLessThanOrEqual(100)
  })

  test('gives a client more records than it holds', async () => {
    await using member = await new Member().with(...some(0, 8_000))
    await until(() => member.consumer.paused.size === 2, 'the partitions to be paused')
    member.consumer.watermarks.set('t:0', { lowOffset: 0, highOffset: 8_000 })
    expect((await member.poll({ maxRecords: 6_000, timeout: 2_000 })).length).toBe(6_000)
  })
})

test('a partition that is assigned before the list of partitions has it is reported with the others', async () => {
  await using member = new Member([0, 3])
  await member.with(recordAt(3, 0))
  await until(() => member.consumer.queue.length === 0, 'the record to be read')
  const { length, partitions } = await member.poll()
  expect(length).toBe(1)
  expect(partitions.map(({ partition }) => partition)).toEqual([0, 1, 2, 3])
})

test('a poll that wants more than the full buffer holds wakes the reading loop', async () => {
  await using member = await new Member().with(...some(0, 20_000))
  member.consumer.watermarks.set('t:0', { lowOffset: 0, highOffset: 20_000 })
  await until(() => member.consumer.queue.length === 16_000, 'the buffer to be full')
  // A loop that nobody wakes looks again after 100 ms: not here.
  const { setTimeout } = globalThis
  const timers = spyOn(globalThis, 'setTimeout').mockImplementation(((
    callback: () => void,
    milliseconds: number,
  ) => (milliseconds === 100 ? 0 : setTimeout(callback, milliseconds))) as never)
  restore = () => timers.mockRestore()
  await settle()
  for (let end = 5_000; end <= 15_000; end += 5_000) {
    expect((await member.poll({ maxRecords: 5_000 })).length).toBe(5_000)
    await until(() => member.consumer.queue.length <= 18_000 - end, 'the buffer to be half full')
  }
})

describe('a delivery of which a part is acknowledged', () => {
  test('is committed up to its first open record, and requeues only the others', async () => {
    await using member = await new Member().with(...some(0, 10))
    const delivery = await member.poll({ maxRecords: 8 })
    delivery.ackRange(0, 3)
    delivery.ackRange(5, 6)
    await until(() => member.consumer.committed(0) === 3, 'a commit up to the first open record')
    delivery.requeue()
    expect(offsets(await member.poll({ maxRecords: 3 }))).toEqual([3, 4, 6])
    const rest = await member.poll()
    expect(offsets(rest)).toEqual([7, 8, 9])
    rest.ack()
    expect(member.group.stats().requeued).toBe(4)
    expect(member.consumer.committed(0)).toBe(3)
  })

  test('counts a record that is acknowledged twice once', async () => {
    await using member = await new Member().with(...some(0, 4))
    const delivery = await member.poll()
    for (const [begin, end] of [
      [1, 3],
      [0, 2],
      [2, 4],
      [0, 4],
    ] as const) {
      delivery.ackRange(begin, end)
    }
    await until(() => member.consumer.committed(0) === 4, 'a commit of all')
    expect(member.group.isInUse).toBe(false)
    delivery.requeue()
    expect(offsets(await member.poll())).toEqual([])
  })

  test('spans partitions', async () => {
    await using member = await new Member().with(...some(0, 3), ...some(0, 3, 1))
    const delivery = await member.poll()
    expect(delivery.runs.map(({ partition, begin, end }) => [partition, begin, end])).toEqual([
      [0, 0, 3],
      [1, 3, 6],
    ])
    delivery.ackRange(2, 4)
    delivery.requeue()
    const again = await member.poll()
    expect(again.decodeRecords().map(({ partition, offset }) => `${partition}/${offset}`)).toEqual([
      '0/0',
      '0/1',
      '1/1',
      '1/2',
    ])
  })

  test('that loses a partition counts the records acknowledged later, and requeues none of them', async () => {
    await using member = await new Member().with(...some(0, 4), ...some(0, 2, 1))
    const delivery = await member.poll()
    expect(delivery.length).toBe(6)
    delivery.ackRange(0, 1)
    member.consumer.lost = true
    member.consumer.take(0)
    await until(() => !member.consumer.assigned.has('t:0'), 'the partition to go')
    const { uncertain } = member.group.stats()
    delivery.ackRange(1, 3)
    expect(member.group.stats().uncertain).toBe(uncertain + 2)
    delivery.requeue()
    expect((await member.poll()).decodeRecords().map(({ partition }) => partition)).toEqual([1, 1])
  })
})

describe('a read of a group', () => {
  test('may meet a re-created topic among its records: those of the old topic are told as a gap', async () => {
    await using member = await new Member([0]).with(...some(5, 9), ...some(0, 3))
    const delivery = await member.poll({ maxRecords: 10 })
    expect(offsets(delivery)).toEqual([0, 1, 2])
    expect(delivery.gaps).toEqual([
      { topic: 't', partition: 0, from: 5, to: 0, reason: 'out-of-range' },
    ])
  })

  test('may have holes, which are not a gap and hold up no commit', async () => {
    await using member = await new Member([0]).with(
      ...[0, 1, 4, 5, 9].map((offset) => recordAt(0, offset)),
    )
    const delivery = await member.poll({ maxRecords: 4 })
    expect([offsets(delivery), delivery.gaps]).toEqual([[0, 1, 4, 5], []])
    delivery.ackRange(0, 3)
    await until(() => member.consumer.committed(0) === 5, 'a commit within the records')
    delivery.requeue()
    expect(offsets(await member.poll())).toEqual([5, 9])
  })

  test('is cut by limits of records and of bytes, and its rest goes to the next caller', async () => {
    const records = some(0, 50, 0, 100)
    await using member = await new Member([0]).with(...records)
    await until(() => member.consumer.queue.length === 0, 'records to be read ahead')
    const got: number[] = []
    for (const limits of [{ maxRecords: 7 }, { maxBytes: 1 }, { maxBytes: 1_000 }, {}]) {
      const delivery = await member.poll(limits)
      got.push(...offsets(delivery))
      expect(delivery.bytes).toBe(delivery.length * (20 + 2 + 100))
      delivery.ack()
    }
    expect(got).toEqual(records.map(({ offset }) => offset))
    await until(() => member.consumer.committed(0) === 50, 'a commit of all')
  })
})

describe('a group whose members change', () => {
  test('buffered records of a partition that was revoked are not delivered', async () => {
    await using member = await new Member().with(...some(0, 3, 0), ...some(0, 3, 1))
    await until(() => member.consumer.queue.length === 0, 'the records to be read ahead')
    await settle()
    member.consumer.take(1)
    const delivery = await member.poll()
    expect(delivery.decodeRecords().map(({ partition }) => partition)).toEqual([0, 0, 0])
  })

  test('records in transit when their partition was revoked are not delivered', async () => {
    await using member = await new Member().with()
    member.consumer.onRead = (records) => {
      if (records.length > 0) member.consumer.take(1)
    }
    member.consumer.queue.push(...some(0, 2, 1), ...some(0, 2, 0))
    await until(() => member.consumer.queue.length === 0, 'the records to be read')
    expect((await member.poll()).decodeRecords().map(({ partition }) => partition)).toEqual([0, 0])
  })

  test('records in a delivery stay with their client when their partition is revoked', async () => {
    await using member = await new Member().with(...some(0, 2, 0), ...some(0, 2, 1))
    const delivery = await member.poll()
    expect(delivery.decodeRecords()).toHaveLength(4)
    member.consumer.take(1)
    delivery.requeue()
    expect((await member.poll()).decodeRecords().map(({ partition }) => partition)).toEqual([0, 0])
  })

  test('an answer in progress when its partition is revoked is committed before the revocation', async () => {
    await using member = await new Member().with(...some(0, 2, 0), ...some(0, 2, 1))
    const delivery = await member.poll()
    member.consumer.take(1)
    await stays(() => !member.consumer.calls.includes('unassign'), 'the partition is kept', 10)
    delivery.ack()
    await until(() => member.consumer.calls.includes('unassign'), 'the partition to go')
    expect(member.consumer.committed(1)).toBe(2)
    expect(member.group.stats().uncertain).toBe(0)
  })

  test('a revocation does not wait for ever; records delivered later are not committed, but counted', async () => {
    await using member = await new Member().with(...some(0, 2, 0), ...some(0, 2, 1))
    const delivery = await member.poll()
    member.consumer.take(1)
    await stays(() => !member.consumer.calls.includes('unassign'), 'the partition is kept', 10)
    skip(4_000)
    await until(() => member.consumer.calls.includes('unassign'), 'the partition to go')
    delivery.ack()
    await until(() => member.consumer.committed(0) === 2, 'a commit')
    expect(member.consumer.committed(1)).toBeUndefined()
    expect(member.group.stats().uncertain).toBe(2)
  })

  test('partitions that Kafka has already assigned to others are dropped at once, and delivered records are counted', async () => {
    await using member = await new Member().with(...some(0, 5))
    const gate = Promise.withResolvers<void>()
    member.consumer.commitGate = gate.promise
    const first = await member.poll({ maxRecords: 3 })
    const second = await member.poll()
    first.ack()
    member.consumer.commitError = { message: 'Broker: Unknown member', code: 25 }
    member.consumer.lost = true
    member.consumer.take(0, 1)
    gate.resolve()
    await until(() => member.consumer.calls.includes('unassign'), 'the partitions to go')
    expect(member.group.stats().uncertain).toBe(3)
    second.ack()
    expect(member.group.stats().uncertain).toBe(5)
  })

  test('a last commit that meets a rebalance is tried again before the partition is given up', async () => {
    await using member = await new Member().with(...some(0, 2))
    member.consumer.commitError = { message: 'Broker: Rebalance in progress', code: 27 }
    ;(await member.poll()).ack()
    member.consumer.take(0)
    await until(() => member.consumer.failedCommits > 1, 'another try')
    member.consumer.commitError = undefined
    await until(() => member.consumer.calls.includes('unassign'), 'the partition to go')
    expect(member.consumer.committed(0)).toBe(2)
    expect(member.group.stats().uncertain).toBe(0)
  })

  test('records are not counted as uncertain with commitStrategy off', async () => {
    await using member = await new Member([0], 'off').with(...some(0, 3))
    ;(await member.poll()).ack()
    member.consumer.take(0)
    await until(() => member.consumer.calls.includes('unassign'), 'the partition to go')
    expect(member.group.stats().uncertain).toBe(0)
  })

  test('delivered records are committed before their partition is given up', async () => {
    await using member = await new Member().with(...some(0, 4))
    ;(await member.poll()).ack()
    await until(() => member.consumer.committed(0) === 4, 'a commit')
    member.consumer.take(0, 1)
    await until(() => member.consumer.calls.includes('unassign'), 'the partitions to go')
    expect(member.consumer.calls.indexOf('commit')).toBeLessThan(
      member.consumer.calls.indexOf('unassign'),
    )
  })

  // The offset tracker is gone by the time that the commit asks for its committable offset.
  test('records delivered during a commit are committed before their partition is given up', async () => {
    await using member = await new Member().with(...some(0, 4))
    const gate = Promise.withResolvers<void>()
    const [first, second] = [
      await member.poll({ maxRecords: 2 }),
      await member.poll({ maxRecords: 2 }),
    ]
    member.consumer.commitGate = gate.promise
    first.ack()
    await settle()
    second.ack()
    member.consumer.take(0)
    gate.resolve()
    await until(() => member.consumer.calls.includes('unassign'), 'the partition to go')
    expect(member.consumer.committed(0)).toBe(4)
  })

  // Its offsets count as committed, so that nothing asks for them again until more is delivered.
  test('a commit that failed is repeated when the group closes', async () => {
    await using member = await new Member().with(...some(0, 2), ...some(0, 1, 1))
    const delivery = await member.poll()
    member.consumer.commitError = { message: 'broker: request timed out', code: 7 }
    delivery.ack()
    await until(() => member.consumer.failedCommits > 0, 'the commit to fail')
    member.consumer.commitError = undefined
    await within(member.group.close(), 'the group to close')
    expect(member.consumer.committed(0)).toBe(2)
  })

  // The record comes from Kafka again, since it was not committed, and back from its first client.
  test('a record that is requeued after its partition was revoked and assigned again is not doubled', async () => {
    await using member = await new Member().with(...some(0, 2))
    const delivery = await member.poll()
    member.consumer.take(0)
    await settle()
    member.consumer.give(0)
    member.consumer.queue.push(...some(0, 2))
    await until(() => member.consumer.queue.length === 0, 'the records to be read again')
    await settle()
    delivery.requeue()
    expect(offsets(await member.poll())).toEqual([0, 1])
  })

  test('a partition that is assigned while the buffer is full is read', async () => {
    await using member = await new Member([0]).with(...some(0, 4_500, 0))
    const { consumer } = member
    await until(() => consumer.paused.size === 1, 'the partition to be paused')
    consumer.give(1)
    expect(consumer.paused.has('t:1')).toBe(false)
    consumer.queue.push(...some(0, 3, 1))
    const got: number[] = []
    await until(async () => {
      const records = (await member.poll({ maxRecords: 1_000 })).decodeRecords()
      got.push(...records.filter(({ partition }) => partition === 1).map(({ offset }) => offset))
      return got.length === 3
    }, 'the records of the new partition')
    expect(got).toEqual([0, 1, 2])
  })
})

describe('a member that brings nothing', () => {
  test('partitions that were revoked while paused are read when they are assigned again', async () => {
    await using member = await new Member().with(...some(0, 4_500))
    await until(() => member.consumer.paused.size === 2, 'partitions to be paused')
    member.consumer.take(0, 1)
    await until(() => member.consumer.assigned.size === 0, 'partitions to go')
    member.consumer.give(0, 1)
    await until(() => member.consumer.assigned.size === 2, 'partitions to come back')
    await until(() => member.consumer.paused.size === 0, 'them to flow')
  })

  test('a revocation of a former consumer does not revoke partitions of its successor', async () => {
    await using member = await new Member().with()
    const former = member.consumer
    former.readError = { message: 'broken', code: 30 }
    await until(() => member.consumers.length === 2, 'another consumer')
    await within(member.group.ready(), 'the group to be ready again')
    former.take(0, 1)
    former.eof(0, 7)
    await settle()
    // It could not leave otherwise.
    expect(former.calls.at(-1)).toBe('unassign')
    member.consumer.queue.push(...some(0, 2))
    const delivery = await member.poll({ timeout: 1_000 })
    expect([offsets(delivery), delivery.gaps]).toEqual([[0, 1], []])
  })

  test('a consumer that closes during an assignment still answers the assignment', async () => {
    await using member = await new Member().with()
    const { consumer } = member
    const assign = spyOn(consumer, 'incrementalAssign').mockImplementation(() => {
      throw new Error('KafkaConsumer is disconnected')
    })
    let refusals = 2
    const unassign = spyOn(consumer, 'incrementalUnassign').mockImplementation(() => {
      if (refusals-- > 0) throw new Error('Local: Erroneous state')
    })
    consumer.give(2)
    await until(() => unassign.mock.results.some(({ type }) => type === 'return'), 'an answer')
    expect(assign).toHaveBeenCalledTimes(1)
  })

  test('a full buffer is ready before all partitions have brought records', async () => {
    await using member = new Member(null)
    await until(() => member.consumers.length === 1, 'a consumer')
    member.consumer.queue.push(...some(0, 2_000), ...some(0, 5, 1))
    member.consumer.give(0, 1)
    await within(member.group.ready(), 'the group to be ready')
  })

  test('a rebalance that is not answered for a minute ends in joining again', async () => {
    await using member = await new Member().with()
    member.offsetsError = new KafkaConsumeError('KAFKA_TIMEOUT', 'Cannot: it is late')
    member.consumer.give(2)
    await stays(() => member.consumers.length === 1, 'there is one consumer', 60)
    skip(61_000)
    await until(() => member.disconnected === 1, 'the member to leave')
  })

  test('a partition that brings nothing although Kafka has more is read by another consumer', async () => {
    await using member = await Member.watched().with()
    const waiting = member.poll({ timeout: 10_000 })
    member.kept.set(0, [0, 5])
    await until(() => member.consumers.length === 2, 'another consumer')
    member.consumer.queue.push(...some(0, 5))
    expect(offsets(await waiting)).toEqual([0, 1, 2, 3, 4])
    expect(member.group.stats().rebuilt).toBe(1)
  })

  test('a partition that stalls beside others that are read is read by another consumer', async () => {
    await using member = await Member.watched().with()
    member.kept.set(0, [0, 5]).set(1, [0, 1_000])
    let next = 0
    const flow = setInterval(() => {
      if (member.consumers.length === 1) member.consumer.queue.push(recordAt(1, next++))
    }, 5)
    try {
      await until(() => member.consumers.length === 2, 'another consumer')
    } finally {
      clearInterval(flow)
    }
  })

  test('records that wait in the client behind those of another partition do not count as a stall', async () => {
    await using member = await Member.watched().with(...some(0, 20_000), ...some(0, 5, 1))
    member.kept.set(0, [0, 20_000]).set(1, [0, 5])
    const end = performance.now() + 2_000
    for (let polls = 0; performance.now() < end && polls < 300; polls++) {
      await sleep(5)
      const delivery = await member.poll({ maxRecords: 50 })
      delivery.ack()
    }
    expect(member.consumers.length).toBe(1)
    expect(member.group.stats().rebuilt).toBe(0)
  })

  test('a read that does not return is abandoned, and another consumer reads on', async () => {
    await using member = await Member.watched().with()
    const waiting = member.poll({ timeout: 10_000 })
    const consume = spyOn(member.consumer, 'consume').mockImplementation(() => {})
    await until(() => member.consumers.length === 2, 'another consumer')
    consume.mockRestore()
    await within(member.group.ready(), 'the group to be ready again')
    member.consumer.queue.push(...some(0, 1))
    expect(offsets(await waiting)).toEqual([0])
  })

  test('records that wait for clients, or for Kafka, do not count as a stall', async () => {
    await using member = await Member.watched().with(...some(0, 4_500))
    member.kept.set(0, [0, 4_500])
    member.consumer.watermarks.set('t:0', { lowOffset: 0, highOffset: 4_500 })
    const isTheFirst = () => member.consumers.length === 1 && member.group.stats().rebuilt === 0
    await until(() => member.consumer.paused.size === 2, 'a full buffer')
    await stays(isTheFirst, 'the first consumer is kept while clients are waited for', 800)
    member.offsetsError = new KafkaConsumeError('KAFKA_UNAVAILABLE', 'Cannot: no broker')
    const [first, second] = [await member.poll({ maxRecords: 4_000 }), await member.poll()]
    await stays(isTheFirst, 'the first consumer is kept while Kafka does not answer', 800)
    expect([...offsets(first), ...offsets(second)]).toHaveLength(4_500)
    member.offsetsError = undefined
    await stays(isTheFirst, 'the first consumer is kept when all was read', 800)
  })
})

describe('a group without polls', () => {
  const IDLE = { idleTimeout: 50 }

  test('leaves, and joins again with the next poll where it stopped', async () => {
    await using member = new Member([0], 'auto', IDLE)
    member.kept.set(0, [0, 4])
    await member.with(...some(0, 4))
    ;(await member.poll({ maxRecords: 2 })).ack()
    await until(() => member.disconnected === 1, 'the member to leave')
    expect(member.consumer.committed(0)).toBe(2)
    expect(member.group.stats().partitions).toEqual([])
    const polled = member.poll({ timeout: 5_000 })
    await until(() => member.consumers.length === 2, 'the member to join again')
    member.consumer.queue.push(...some(2, 4))
    expect(offsets(await polled)).toEqual([2, 3])
    expect(member.consumer.positions).toMatchObject([{ partition: 0, offset: 2 }])
  })

  test('stays while a client waits, or has records that are not delivered', async () => {
    await using member = await new Member([0], 'auto', IDLE).with(...some(0, 1))
    const delivery = await member.poll()
    const isThere = () => member.disconnected === 0 && member.group.isInUse
    await stays(isThere, 'the member is there, and in use', 200)
    const waits = member.poll({ timeout: 300 })
    delivery.ack()
    await waits
    expect(member.disconnected).toBe(0)
    await until(() => member.disconnected === 1, 'the member to leave')
    expect(member.group.isInUse).toBe(false)
  })

  test('stays until the offsets of its deliveries are posted, with commitStrategy off', async () => {
    await using member = await new Member([0], 'off', IDLE).with(...some(0, 2))
    ;(await member.poll()).ack()
    await stays(() => member.disconnected === 0, 'the member is there', 200)
    await member.group.commit([{ topic: 't', partition: 0, offset: 2 }])
    await until(() => member.disconnected === 1, 'the member to leave')
  })

  test('goes on at its start offset, although autoOffsetReset is latest and nothing was committed', async () => {
    await using member = new Member([0], 'off', { ...IDLE, autoOffsetReset: 'latest' })
    member.kept.set(0, [0, 7])
    await member.with()
    await until(() => member.disconnected === 1, 'the member to leave')
    member.kept.set(0, [0, 9])
    await within(member.group.ready(), 'the member to join again')
    expect(member.consumer.positions).toMatchObject([{ partition: 0, offset: 7 }])
  })

  test('reads partitions that were added while it was away from their first record', async () => {
    await using member = new Member([0], 'auto', { ...IDLE, autoOffsetReset: 'latest' })
    await member.with()
    await until(() => member.disconnected === 1, 'the member to leave')
    member.partitions = [...PARTITIONS, 3]
    member.kept.set(3, [0, 5])
    await within(member.group.ready(), 'the member to join again')
    member.consumer.give(3)
    await until(() => member.consumer.positions.length === 2, 'the partition to be taken over')
    expect(member.consumer.positions[1]).toMatchObject({ partition: 3, offset: 0 })
  })

  test('joins again to commit posted offsets', async () => {
    await using member = await new Member([0], 'off', IDLE).with()
    await until(() => member.disconnected === 1, 'the member to leave')
    await within(member.group.commit([{ topic: 't', partition: 0, offset: 2 }]), 'the commit')
    expect([member.consumers.length, member.consumer.committed(0)]).toEqual([2, 2])
  })

  test('does not try to join again after Kafka refused, until the next poll', async () => {
    await using member = new Member([0], 'auto', IDLE)
    member.joinError = new KafkaConsumeError('KAFKA_AUTHORIZATION', 'refused')
    expect(await codeOf(member.poll({ timeout: 5_000 }))).toBe('KAFKA_AUTHORIZATION')
    await stays(() => member.attempts === 1, 'it does not try to join again', 1_300)
    member.joinError = undefined
    expect(offsets(await member.poll())).toEqual([])
    expect(member.attempts).toBe(2)
  })

  test('closes at once while it has left', async () => {
    const member = await new Member([0], 'auto', IDLE).with()
    await until(() => member.disconnected === 1, 'the member to leave')
    await within(member.group.close(), 'the group to close')
    expect(await codeOf(member.group.poll(LIMITS))).toBe('SHUTTING_DOWN')
  })
})

describe('the start offsets of a group', () => {
  const standing = {
    topic: 't',
    partition: 0,
    committed: -1,
    first: 10,
    end: 20,
    remembered: -1,
    started: -1,
    isAdded: false,
  }
  const gap = (from: number, reason: 'retention' | 'out-of-range') => ({
    offset: 10,
    gap: { topic: 't', partition: 0, from, to: 10, reason },
  })

  test.each<[string, Partial<typeof standing>, 'earliest' | 'latest', object]>([
    ['at the committed offset', { committed: 15 }, 'latest', { offset: 15 }],
    ['at the end', { committed: 20 }, 'earliest', { offset: 20 }],
    [
      'at the first record, where those after the committed offset are deleted',
      { committed: 4 },
      'latest',
      gap(4, 'retention'),
    ],
    [
      'at the first record, where the committed offset is beyond the end',
      { committed: 21 },
      'latest',
      gap(21, 'out-of-range'),
    ],
    ['at the first record, with nothing committed and earliest', {}, 'earliest', { offset: 10 }],
    ['at the end, with nothing committed and latest', {}, 'latest', { offset: 20, isOfNow: true }],
    [
      'where it began before, with nothing committed and latest',
      { started: 15 },
      'latest',
      { offset: 15, isOfNow: true },
    ],
    [
      'at the first record, where those from its former start are deleted',
      { started: 4 },
      'latest',
      gap(4, 'retention'),
    ],
    [
      'at the first record of a partition that was added',
      { isAdded: true },
      'latest',
      { offset: 10 },
    ],
    [
      'at the first record, where Kafka has forgotten the committed offset',
      { remembered: 15 },
      'latest',
      gap(15, 'out-of-range'),
    ],
    [
      'at the first record without a gap, where Kafka has forgotten a commit of that offset',
      { remembered: 10 },
      'latest',
      { offset: 10 },
    ],
  ])('%s', (_, known, reset, expected) => {
    const begin = startOffsetOf({ ...standing, ...known }, reset)
    expect(begin).toMatchObject({ topic: 't', partition: 0, ...expected })
    expect('gap' in begin).toBe('gap' in expected)
  })

  test('latest is the end at the time of the first assignment, which is committed for later members', async () => {
    await using member = new Member([0], 'auto', { autoOffsetReset: 'latest' })
    member.kept.set(0, [0, 7])
    await member.with()
    expect(member.consumer.positions).toMatchObject([{ partition: 0, offset: 7 }])
    await until(() => member.consumer.committed(0) === 7, 'the end to be committed')
  })

  test('latest is not committed with commitStrategy off', async () => {
    await using member = new Member([0], 'off', { autoOffsetReset: 'latest' })
    member.kept.set(0, [0, 7])
    await member.with()
    await stays(() => member.consumer.commits.length === 0, 'nothing is committed', 20)
  })

  test('a partition that is added is read from its first record, and appears in answers', async () => {
    await using member = new Member([0], 'auto', { autoOffsetReset: 'latest' })
    await member.with()
    member.partitions = [...PARTITIONS, 3]
    member.kept.set(3, [0, 5])
    member.consumer.give(3)
    await until(() => member.consumer.positions.length === 2, 'the partition to be taken over')
    expect(member.consumer.positions[1]).toMatchObject({ partition: 3, offset: 0 })
    await until(async () => (await member.poll()).partitions.length === 4, 'it to be shown')
  })

  test('a gap is reported to one client, and to the next if that client has left', async () => {
    await using member = new Member([0])
    member.committed.set(0, 4)
    member.kept.set(0, [10, 12])
    await member.with(...some(10, 12))
    const gaps = [{ topic: 't', partition: 0, from: 4, to: 10, reason: 'retention' }]
    const lost = await member.poll({ maxRecords: 1 })
    expect(lost.gaps).toEqual(gaps as typeof lost.gaps)
    lost.requeue()
    const told = await member.poll({ maxRecords: 1 })
    expect([told.gaps, offsets(told)]).toEqual([gaps as typeof told.gaps, [10]])
    told.ack()
    told.requeue()
    expect((await member.poll()).gaps).toEqual([])
    expect(member.group.stats().requeued).toBe(1)
  })

  test('a gap without a record behind it is committed once a client was told of it, so that no other one is', async () => {
    await using member = new Member([0])
    member.committed.set(0, 4)
    member.kept.set(0, [10, 10])
    await member.with()
    const lost = await member.poll()
    expect([lost.gaps.length, lost.length]).toEqual([1, 0])
    lost.requeue()
    const told = await member.poll()
    expect([told.gaps.length, member.consumer.commits]).toEqual([1, []])
    told.ack()
    await until(() => member.consumer.committed(0) === 10, 'a commit')
    expect((await member.poll()).gaps).toEqual([])
  })

  test('no commit passes a gap before a client was told of it, also at the end of a partition', async () => {
    await using member = await new Member([0]).with(...some(0, 3))
    ;(await member.poll()).ack()
    await until(() => member.consumer.committed(0) === 3, 'a commit')
    member.consumer.watermarks.set('t:0', { lowOffset: 8, highOffset: 8 })
    member.consumer.eof(0, 8)
    const delivery = await member.poll()
    expect(delivery.gaps).toEqual([
      { topic: 't', partition: 0, from: 3, to: 8, reason: 'retention' },
    ])
    // A commit would be made within 50 ms.
    await stays(() => member.consumer.committed(0) === 3, 'the commit before the gap', 200)
    delivery.ack()
    await until(() => member.consumer.committed(0) === 8, 'a commit')
  })

  test('a client that acked a record behind a gap was told of it, although it leaves before it acks all', async () => {
    await using member = new Member([0])
    member.committed.set(0, 4)
    member.kept.set(0, [10, 13])
    await member.with(...some(10, 13))
    const delivery = await member.poll()
    expect([delivery.gaps.length, delivery.length]).toEqual([1, 3])
    delivery.ackRange(0, 1)
    delivery.requeue()
    const next = await member.poll()
    expect([next.gaps.length, offsets(next)]).toEqual([0, [11, 12]])
    next.ack()
    await until(() => member.consumer.committed(0) === 13, 'a commit')
  })

  test('retention that overtakes a group while it reads is reported as a gap', async () => {
    await using member = await new Member([0]).with(...some(0, 3))
    expect((await member.poll()).gaps).toEqual([])
    member.consumer.watermarks.set('t:0', { lowOffset: 8, highOffset: 10 })
    member.consumer.queue.push(...some(8, 10))
    const { gaps, length } = await member.poll({ timeout: 1_000 })
    expect(gaps).toEqual([{ topic: 't', partition: 0, from: 3, to: 8, reason: 'retention' }])
    expect(length).toBe(2)
  })

  test('offsets of compacted records and control records are not a gap', async () => {
    await using member = await new Member([0]).with(...some(0, 3), ...some(8, 10))
    const { gaps, length } = await member.poll({ timeout: 1_000 })
    expect([gaps, length]).toEqual([[], 5])
  })

  test('a topic that is re-created is reported as a gap, read from its beginning and committed', async () => {
    await using member = await new Member([0]).with(...some(0, 5))
    ;(await member.poll({ maxRecords: 3 })).ack()
    await until(() => member.consumer.committed(0) === 3, 'a commit')
    const old = await member.poll({ maxRecords: 1 })
    member.consumer.queue.push(...some(0, 2))
    await until(() => member.consumer.queue.length === 0, 'the new records to be read')
    await settle()
    // The last record of the old topic is gone, and the one before cannot be committed any more.
    old.ack()
    const again = await member.poll()
    expect(again.gaps).toEqual([
      { topic: 't', partition: 0, from: 4, to: 0, reason: 'out-of-range' },
    ])
    expect(offsets(again)).toEqual([0, 1])
    again.ack()
    await until(() => member.consumer.committed(0) === 2, 'a commit')
  })

  test('a topic that is re-created with more records than before is noticed by its id, reported as a gap and read from its beginning', async () => {
    await using member = await new Member([0]).with(...some(0, 5))
    ;(await member.poll()).ack()
    member.topicId = 'second'
    skip(6_000)
    await until(() => member.consumer.calls.includes('seek'), 'the new topic to be noticed')
    expect(member.consumer.positions.at(-1)).toMatchObject({ partition: 0, offset: 0 })
    member.consumer.queue.push(...some(0, 9))
    const { gaps, length } = await member.poll({ timeout: 1_000 })
    expect(gaps).toEqual([{ topic: 't', partition: 0, from: 5, to: 0, reason: 'out-of-range' }])
    expect(length).toBe(9)
    const looks = member.looks
    restore?.()
    skip(12_000)
    await until(() => member.looks > looks, 'topics to be compared')
    member.topicId = 'first'
    restore?.()
    skip(18_000)
    await until(() => member.looks > looks + 1, 'a broker that is late to be asked')
    await settle()
    expect(member.consumer.calls.filter((call) => call === 'seek')).toHaveLength(1)
  })

  test.each([
    ['does not answer', 'KAFKA_TIMEOUT'],
    ['has no leader of a partition', 'KAFKA_UNAVAILABLE'],
  ] as const)(
    'a topic that is re-created while Kafka %s is read from its beginning once it answers',
    async (_, code) => {
      await using member = await new Member([0]).with(...some(0, 5))
      ;(await member.poll()).ack()
      member.topicId = 'second'
      member.offsetsError = new KafkaConsumeError(code, 'Cannot find offsets')
      const { looks } = member
      skip(6_000)
      await until(() => member.looks > looks, 'topics to be compared')
      const reads = member.consumer.limits.length
      await until(() => member.consumer.limits.length > reads + 2, 'reads that go on')
      expect(member.consumer.calls).not.toContain('seek')
      member.offsetsError = undefined
      await until(() => member.consumer.calls.includes('seek'), 'the new topic to be read')
      expect(member.consumers).toHaveLength(1)
      member.consumer.queue.push(...some(0, 9))
      const { gaps, length } = await member.poll({ timeout: 1_000 })
      expect(gaps).toEqual([{ topic: 't', partition: 0, from: 5, to: 0, reason: 'out-of-range' }])
      expect(length).toBe(9)
    },
  )

  test('a topic that is re-created and empty is reported as a gap', async () => {
    await using member = await new Member([0]).with(...some(0, 5))
    ;(await member.poll()).ack()
    member.consumer.eof(0, 0)
    expect((await member.poll()).gaps).toEqual([
      { topic: 't', partition: 0, from: 5, to: 0, reason: 'out-of-range' },
    ])
  })

  test('a query of offsets that Kafka refuses is an error for clients', async () => {
    await using member = new Member([0])
    member.offsetsError = new KafkaConsumeError('KAFKA_AUTHORIZATION', 'Cannot: it is not allowed')
    expect(await codeOf(member.poll())).toBe('KAFKA_AUTHORIZATION')
    // The consumer could not leave without an answer to what it was given.
    await until(() => member.consumer.calls.includes('assign'), 'the assignment to be taken')
  })

  test('a query of offsets that Kafka cannot answer now is repeated', async () => {
    await using member = new Member([0])
    member.offsetsError = new KafkaConsumeError('KAFKA_TIMEOUT', 'Cannot: it is late')
    await until(() => member.consumers.length === 1, 'a consumer')
    await stays(() => !member.consumer.calls.includes('assign'), 'nothing is assigned', 30)
    member.offsetsError = undefined
    await within(member.group.ready(), 'the group to be ready')
    expect(member.consumers).toHaveLength(1)
  })
})

describe('a process that was suspended for some seconds', () => {
  test('delivers nothing until Kafka has confirmed that its partitions are still its own', async () => {
    await using member = await new Member().with(...some(0, 50))
    const { consumer, group } = member
    ;(await member.poll({ maxRecords: 4 })).ack()
    await until(() => group.stats().partitions[0]?.next === 4, 'the records to be delivered')
    await until(() => consumer.commits.length === 1, 'a commit')
    await settle()
    const gate = Promise.withResolvers<void>()
    consumer.commitGate = gate.promise
    skip(6_000)
    expect(group.pollNow({ ...LIMITS, maxRecords: 4 })).toBeUndefined()
    let isDelivered = false
    const polled = member.poll({ maxRecords: 4 }).then((delivery) => {
      isDelivered = true
      return delivery
    })
    await stays(() => !isDelivered, 'nothing is delivered', 50)
    gate.resolve()
    expect(offsets(await polled)).toEqual([4, 5, 6, 7])
    const [committed, again] = consumer.commits
    expect(again).toEqual(committed as never)
    // The membership is confirmed once, and not before each delivery.
    const next = group.pollNow({ ...LIMITS, maxRecords: 4 })
    expect(next && offsets(next)).toEqual([8, 9, 10, 11])
    next?.requeue()
  })

  test('delivers nothing of what other members have by now, and counts nothing as uncertain', async () => {
    await using member = await new Member().with(...some(0, 50))
    const { consumer, group } = member
    ;(await member.poll({ maxRecords: 4 })).ack()
    await until(() => consumer.commits.length === 1, 'a commit')
    await settle()
    consumer.commitError = { message: 'unknown member', code: 25 }
    skip(6_000)
    const polled = member.poll()
    await until(() => consumer.failedCommits > 0, 'Kafka to refuse the commit')
    consumer.loseAll()
    await until(() => consumer.calls.includes('unassign'), 'the partitions to go')
    consumer.give()
    expect((await polled).decodeRecords()).toEqual([])
    expect(group.stats().uncertain).toBe(0)
  })
})

test('a full buffer that nobody polls has its commits answered, without a pause of its partitions', async () => {
  await using member = await new Member([0, 1], 'off').with(...some(0, 20_000))
  const { consumer, group } = member
  ;(await member.poll({ maxRecords: 10 })).ack()
  // On a busy machine the time after which a full buffer pauses its partitions would pass.
  using _ = stopClock()
  await until(() => consumer.queue.length < 17_000, 'the buffer to be full')
  const reads = consumer.limits.length
  const gate = Promise.withResolvers<void>()
  consumer.commitGate = gate.promise
  const committed = group.commit([{ topic: 't', partition: 0, offset: 10 }])
  await until(() => consumer.limits.length > reads + 1, 'the client to be asked')
  expect(consumer.limits.slice(reads)).toContain(1)
  expect(consumer.paused.size).toBe(0)
  gate.resolve()
  await committed
})

test('a commit that begins while the buffer has plenty is answered by a read at once, not by the next one that is due', async () => {
  // No check for stalls wakes the member.
  await using member = await new Member([0], 'auto', {}, 600_000).with(...some(0, 20_000))
  const { consumer } = member
  const delivery = await member.poll({ maxRecords: 10 })
  // On a busy machine the next read would be due.
  using _ = stopClock()
  await until(() => consumer.queue.length < 17_000, 'the buffer to have plenty')
  const gate = Promise.withResolvers<void>()
  consumer.commitGate = gate.promise
  // No wait for a notification ends by itself, as it does after 100 ms.
  const { setTimeout: real } = globalThis
  const timers = spyOn(globalThis, 'setTimeout').mockImplementation(((
    run: () => void,
    milliseconds: number,
  ) => (milliseconds === 100 ? 0 : real(run, milliseconds))) as never)
  try {
    await sleep(120)
    const reads = consumer.limits.length
    delivery.ack()
    await until(() => consumer.limits.length > reads, 'the client to be asked')
    // A read that is due takes 2,000 records; the buffer has room for ten.
    expect(consumer.limits[reads]).toBeLessThanOrEqual(10)
  } finally {
    timers.mockRestore()
    gate.resolve()
  }
  await until(() => consumer.committed(0) === 10, 'the commit')
})

describe('a group that fails', () => {
  test('a member survives a coordinator that moves, and clients do not notice', async () => {
    await using member = await new Member().with()
    const waiting = member.poll({ timeout: 5_000 })
    for (const code of [-195, 15, 16, -147]) {
      member.consumer.readError = { message: 'passing', code }
      const { length } = member.consumer.limits
      await until(() => member.consumer.limits.length > length + 1, 'reads that fail')
    }
    member.consumer.readError = undefined
    member.consumer.queue.push(...some(0, 1))
    expect(offsets(await waiting)).toEqual([0])
    expect(member.consumers).toHaveLength(1)
  })

  test('a member whose instance id is in use reports it, and joins when the id is free', async () => {
    await using member = await new Member([0], 'auto', { instanceId: 'node-1' }).with(...some(0, 2))
    ;(await member.poll()).ack()
    const waiting = member.poll({ timeout: 5_000 })
    member.isInstanceTaken = true
    member.consumer.readError = { message: 'Local: Fatal error', code: -150 }
    const refused = await codeOf(waiting)
    expect(refused).toBe('GROUP_MEMBER_FENCED')
    await stays(() => member.consumers.length === 1, 'it does not join again', 1_200)
    expect(await codeOf(member.poll())).toBe('GROUP_MEMBER_FENCED')
    member.isInstanceTaken = false
    await until(() => member.consumers.length === 2, 'a second consumer')
    await within(member.group.ready(), 'the group to be ready again')
  })

  test('a member whose consumer fails reports the reason to clients, and joins again by itself', async () => {
    await using member = await new Member().with()
    const waiting = codeOf(member.poll({ timeout: 5_000 }))
    member.consumer.readError = { message: 'broken', code: 30 }
    expect(await waiting).toBe('KAFKA_AUTHORIZATION')
    expect(await codeOf(member.poll())).toBe('KAFKA_AUTHORIZATION')
    await until(() => member.consumers.length === 2, 'a second consumer')
    await within(member.group.ready(), 'the group to be ready again')
    expect(member.disconnected).toBe(1)
    member.consumer.queue.push(...some(0, 1))
    expect(offsets(await member.poll({ timeout: 1_000 }))).toEqual([0])
  })

  test('a member whose Kafka client does not apply a rebalance joins again', async () => {
    for (const change of ['incrementalAssign', 'incrementalUnassign'] as const) {
      await using member = await new Member().with()
      spyOn(member.consumer, change).mockImplementation(() => {
        throw new Error('Local: Erroneous state')
      })
      if (change === 'incrementalAssign') member.consumer.give(2)
      else member.consumer.take(0)
      await until(() => member.consumers.length === 2, `another consumer after ${change}`)
      await within(member.group.ready(), 'the group to be ready again')
      member.consumer.queue.push(...some(0, 1))
      expect(offsets(await member.poll({ timeout: 1_000 }))).toEqual([0])
    }
  })

  test('close rejects waiting clients, and those that come later', async () => {
    const member = await new Member().with()
    const waiting = codeOf(member.poll({ timeout: 5_000 }))
    await within(member.group.close(), 'the group to close')
    expect(await waiting).toBe('SHUTTING_DOWN')
    expect(await codeOf(member.poll())).toBe('SHUTTING_DOWN')
    expect(await codeOf(member.group.ready())).toBe('SHUTTING_DOWN')
    expect(member.disconnected).toBe(1)
    await within(member.group.close(), 'the group to close again')
  })

  test('close waits for the commit of delivered records', async () => {
    const member = await new Member().with(...some(0, 2))
    const gate = Promise.withResolvers<void>()
    member.consumer.commitGate = gate.promise
    ;(await member.poll()).ack()
    const closing = member.group.close()
    await stays(() => member.disconnected === 0, 'the member is there', 10)
    gate.resolve()
    await within(closing, 'the group to close')
    expect(member.consumer.committed(0)).toBe(2)
  })

  test('with commitStrategy off only posted offsets are committed, and close waits for their commit', async () => {
    const member = await new Member([0, 1], 'off').with(...some(0, 4))
    ;(await member.poll()).ack()
    const gate = Promise.withResolvers<void>()
    member.consumer.commitGate = gate.promise
    const committed = member.group.commit([{ topic: 't', partition: 0, offset: 2 }])
    const closing = member.group.close()
    await stays(() => member.disconnected === 0, 'the member is there', 10)
    gate.resolve()
    await within(Promise.all([committed, closing]), 'the group to close')
    expect(member.consumer.commits).toEqual([[{ topic: 't', partition: 0, offset: 2 }]])
  })

  test('a commit that meets a rebalance fails with a retryable error', async () => {
    await using member = await new Member([0, 1], 'off').with()
    const wanted = [{ topic: 't', partition: 0, offset: 2 }]
    for (const code of [22, 25, 27, 113]) {
      member.consumer.commitError = { message: 'Broker: rebalance', code }
      expect(await codeOf(member.group.commit(wanted))).toBe('KAFKA_UNAVAILABLE')
    }
    member.consumer.commitError = undefined
    await within(member.group.commit(wanted), 'a commit')
  })

  test('close waits for deliveries in progress, and commits those that arrive', async () => {
    const member = await new Member().with(...some(0, 4))
    const arrives = await member.poll({ maxRecords: 2 })
    const fails = await member.poll()
    const closing = member.group.close()
    await stays(() => member.disconnected === 0, 'the member is there', 10)
    arrives.ack()
    fails.requeue()
    await within(closing, 'the group to close')
    expect(member.consumer.committed(0)).toBe(2)
  })

  test('close does not wait for ever for a client that neither reads its answer nor leaves', async () => {
    const member = await new Member().with(...some(0, 4))
    await member.poll()
    const closing = member.group.close()
    await stays(() => member.disconnected === 0, 'the member is there', 10)
    skip(4_000)
    await within(closing, 'the group to close')
    expect(member.consumer.commits).toEqual([])
  })

  test('only the embedded broker gets the newer protocol, and nothing is committed by the client', () => {
    const options = { groupId: 'g' }
    expect(groupSettings(options, true)).toMatchObject({ 'group.protocol': 'consumer' })
    expect(groupSettings(options, false)).not.toHaveProperty(['group.protocol'])
    expect(groupSettings(options, false)).not.toHaveProperty(['group.instance.id'])
    expect(groupSettings({ ...options, instanceId: 'a' }, false)).toMatchObject({
      'group.instance.id': 'a',
      'session.timeout.ms': 45_000,
    })
    for (const quick of [true, false]) {
      expect(groupSettings(options, quick)).toMatchObject({
        'group.id': 'g',
        'enable.auto.commit': false,
        'enable.auto.offset.store': false,
      })
    }
  })
})

/** Clients of a group of partitions 0 and 1, and what they got. */
class Clients {
  readonly delivered: string[] = []
  readonly #member: Member
  readonly #produced: [number, number] = [0, 0]
  /** Deliveries that are neither acknowledged nor requeued. */
  readonly #open: Delivery[] = []
  readonly #waiting = new Set<Promise<void>>()
  /** The acknowledged records of each delivery. */
  readonly #acked = new Map<Delivery, Set<string>>()

  constructor(member: Member) {
    this.#member = member
  }

  get total(): number {
    return this.#produced[0] + this.#produced[1]
  }

  produce(partition: 0 | 1, count: number): void {
    const from = this.#produced[partition]
    this.#produced[partition] = from + count
    this.#member.consumer.queue.push(...some(from, from + count, partition))
  }

  poll(maxRecords: number, leave: boolean): void {
    const leaver = new AbortController()
    const polling = this.#member
      .poll({ maxRecords, timeout: 1 }, leaver.signal)
      .then((delivery) => void this.#open.push(delivery))
      .catch(() => {})
      .finally(() => this.#waiting.delete(polling))
    this.#waiting.add(polling)
    if (leave) setTimeout(() => leaver.abort(), 0)
  }

  ack(delivery: Delivery | undefined): void {
    if (!delivery) return
    this.#markDelivered(delivery, 0, delivery.length)
    delivery.ack()
  }

  /** A part of a delivery, of which a part may be acknowledged already. */
  #ackPart(pick: number, count: number): void {
    const delivery = this.#open[pick % Math.max(1, this.#open.length)]
    if (!delivery) return
    const begin = pick % Math.max(1, delivery.length)
    const end = Math.min(delivery.length, begin + count)
    this.#markDelivered(delivery, begin, end)
    delivery.ackRange(begin, end)
  }

  #markDelivered(delivery: Delivery, begin: number, end: number): void {
    for (const { partition, offset } of delivery.decodeRecords().slice(begin, end)) {
      const place = `${partition}/${offset}`
      const acked = this.#acked.get(delivery) ?? new Set()
      this.#acked.set(delivery, acked)
      if (!acked.has(place)) this.delivered.push(place)
      acked.add(place)
    }
  }

  async apply({ kind, count, partition, pick }: ClientStep): Promise<void> {
    switch (kind) {
      case 'produce':
        this.produce(partition, count)
        break
      case 'poll':
      case 'leave':
        this.poll(count, kind === 'leave')
        break
      case 'wait':
        await settle()
        break
      case 'ack':
        this.ack(this.#pickOpen(pick))
        break
      case 'ack a part':
        this.#ackPart(pick, count)
        break
      case 'requeue':
        this.#pickOpen(pick)?.requeue()
        break
    }
  }

  #pickOpen(pick: number): Delivery | undefined {
    return this.#open.splice(pick % Math.max(1, this.#open.length), 1)[0]
  }

  async requeueAll(): Promise<void> {
    await Promise.all(this.#waiting)
    for (const delivery of this.#open.splice(0)) delivery.requeue()
  }

  /** Takes what was not delivered yet; gives the places of its records. */
  async takeRest(): Promise<string[]> {
    const rest: string[] = []
    while (this.delivered.length < this.total) {
      const delivery = await this.#member.poll({ timeout: 5 })
      rest.push(
        ...delivery.decodeRecords().map(({ partition, offset }) => `${partition}/${offset}`),
      )
      this.ack(delivery)
    }
    return rest
  }

  get isAllCommitted(): boolean {
    const { consumer } = this.#member
    return this.#produced.every((end, partition) => (consumer.committed(partition) ?? 0) === end)
  }

  checkCommits(): void {
    for (const partition of [0, 1]) {
      const committed = this.#member.consumer.committed(partition) ?? 0
      for (let offset = 0; offset < committed; offset++) {
        if (!this.delivered.includes(`${partition}/${offset}`)) {
          throw new Error(`${partition}/${offset} was committed and never delivered`)
        }
      }
    }
  }
}

function expectInOrder(places: readonly string[]): void {
  for (const partition of [0, 1]) {
    const inOrder = places.filter((place) => place.startsWith(`${partition}/`))
    expect(inOrder).toEqual(inOrder.toSorted((a, b) => Number(a.slice(2)) - Number(b.slice(2))))
  }
}

const clientStep = fc.record({
  kind: fc.constantFrom('produce', 'poll', 'ack', 'ack a part', 'requeue', 'leave', 'wait'),
  count: fc.integer({ min: 1, max: 6 }),
  partition: fc.constantFrom(0, 1),
  pick: fc.nat(),
})
type ClientStep = typeof clientStep extends fc.Arbitrary<infer Step> ? Step : never

test('whatever clients do, each record is delivered once, in order, and no commit passes an undelivered one', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(clientStep, { minLength: 5, maxLength: 40 }), async (steps) => {
      await using member = await new Member().with()
      const clients = new Clients(member)
      for (const each of steps) {
        await clients.apply(each)
        clients.checkCommits()
      }
      await clients.requeueAll()
      expectInOrder(await clients.takeRest())
      expect(new Set(clients.delivered).size).toBe(clients.total)
      expect(clients.delivered).toHaveLength(clients.total)
      await until(() => clients.isAllCommitted, 'all to be committed')
      clients.checkCommits()
    }),
    { numRuns: 40 },
  )
})
