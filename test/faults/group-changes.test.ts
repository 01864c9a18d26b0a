/**
 * A topic changes while a group reads it: no record of Kafka is missed, and deleted records are
 * announced.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import type { Gap } from '../../src/port/kafka.ts'
import { TestKafka } from '../support/kafka.ts'
import { uniqueName } from '../support/names.ts'
import { Route, type RouteOptions } from '../support/route.ts'
import type { StreamedRecord } from '../support/sse.ts'
import { until } from '../support/wait.ts'

/** Topics are looked at each 5 s. */
const NOTICED = 40_000
const LIMIT = 90_000

let kafka: TestKafka
beforeAll(async () => {
  kafka = await TestKafka.real()
})
afterAll(() => kafka.close())

/** A member of a group, and what it was given. */
class Member implements AsyncDisposable {
  readonly values: string[] = []
  readonly gaps: Gap[] = []
  readonly #route: Route

  private constructor(route: Route) {
    this.#route = route
  }

  static async join(topic: string, options: Partial<RouteOptions> = {}): Promise<Member> {
    const route = await Route.mount(
      { kafka, close: async () => {} },
      {
        topics: [topic],
        autoOffsetReset: 'earliest',
        consumerGroup: { mode: 'manual', consumerGroupId: uniqueName('changes') },
        ...options,
      },
    )
    return new Member(route)
  }

  async poll(): Promise<void> {
    const response = await this.#route.fetch({ format: 'records', timeout: 500 })
    // A topic that is just gone cannot be read for a while.
    const { records = [], gaps = [] } = (await response.json()) as {
      records?: StreamedRecord[]
      gaps?: Gap[]
    }
    this.values.push(...records.map(({ value }) => String(value)))
    this.gaps.push(...gaps)
  }

  /** Reads until it has so many records. */
  reads(count: number): Promise<void> {
    return until(
      async () => {
        await this.poll()
        return this.values.length >= count
      },
      () => `${count} records; ${this.values.length} came`,
      NOTICED,
    )
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#route.close()
  }
}

function named(name: string, count: number, partition = 0) {
  return Array.from({ length: count }, (_, index) => ({ partition, value: `${name}${index}` }))
}

const values = (records: ReadonlyArray<{ value: string }>) => records.map(({ value }) => value)

test.each(['classic', 'consumer'] as const)(
  'partitions that are added are read from their first record, though the group begins at the end, with the protocol %s',
  async (groupProtocol) => {
    const group = { mode: 'manual', consumerGroupId: uniqueName('added'), groupProtocol } as const
    const topic = await kafka.createTopic(1)
    await kafka.produce(topic, named('before', 5))
    await using member = await Member.join(topic, {
      consumerGroup: group,
      autoOffsetReset: 'latest',
    })
    await member.poll()
    await kafka.addPartitions(topic, 3)
    const added = [...named('b', 10, 1), ...named('c', 10, 2)]
    await kafka.produce(topic, added)
    await member.reads(20)
    expect(member.values.toSorted()).toEqual(values(added).toSorted())
    expect(member.gaps).toEqual([])
  },
  LIMIT,
)

test(
  'records that are deleted before the group has read them are announced as a gap',
  async () => {
    const topic = await kafka.createTopic(1)
    const group = { mode: 'manual', consumerGroupId: uniqueName('retention') } as const
    await kafka.produce(topic, named('old', 10))
    {
      await using member = await Member.join(topic, { consumerGroup: group })
      await member.reads(10)
    }
    await kafka.produce(topic, named('gone', 10))
    await kafka.expire(topic, 0, 20)
    await kafka.produce(topic, named('new', 5))
    // A group goes on with the first record that Kafka has, even one whose `autoOffsetReset` is latest.
    await using member = await Member.join(topic, {
      consumerGroup: group,
      autoOffsetReset: 'latest',
    })
    await member.reads(5)
    expect(member.values).toEqual(values(named('new', 5)))
    expect(member.gaps).toEqual([{ topic, partition: 0, from: 10, to: 20, reason: 'retention' }])
  },
  LIMIT,
)

test.each([
  ['fewer', 10, 5],
  ['more', 5, 50],
])(
  'a topic that is re-created with %s records is announced, and read from its beginning',
  async (_, before, after) => {
    const topic = await kafka.createTopic(1)
    await kafka.produce(topic, named('old', before))
    await using member = await Member.join(topic)
    await member.reads(before)
    await kafka.recreateTopic(topic, 1)
    const newValues = named('new', after)
    await kafka.produce(topic, newValues)
    // A part may come twice: what was read before the change was noticed.
    await until(
      async () => {
        await member.poll()
        return values(newValues).every((value) => member.values.includes(value))
      },
      () => `all records of the new topic; ${member.values.length - before} came`,
      NOTICED,
    )
    expect(member.values.slice(-after)).toEqual(values(newValues))
    expect(member.gaps).toEqual([
      { topic, partition: 0, from: expect.any(Number), to: 0, reason: 'out-of-range' },
    ] as unknown as Gap[])
  },
  LIMIT,
)
