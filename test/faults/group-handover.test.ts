/** Members of a group come and go at unlucky moments: no partition is left unread. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { kafkaSide } from '../../kafka/index.ts'
import type { GroupSession, KafkaCluster } from '../../src/port/kafka.ts'
import { TestKafka } from '../support/kafka.ts'
import { uniqueName } from '../support/names.ts'
import { sleep, until, within } from '../support/wait.ts'

const LIMIT = 120_000
const JOINED = 40_000

let kafka: TestKafka
let source: KafkaCluster
beforeAll(async () => {
  kafka = await TestKafka.real()
  source = kafkaSide.connect({ bootstrapServers: kafka.bootstrapServers.split(',') })
})
afterAll(async () => {
  await source?.close()
  await kafka?.close()
}, 120_000)

function join(topic: string, groupId: string, protocol: 'classic' | 'consumer'): GroupSession {
  return source.group({
    groupId,
    protocol,
    topics: [topic],
    autoOffsetReset: 'earliest',
    commitStrategy: 'auto',
  })
}

test.each(['classic', 'consumer'] as const)(
  'partitions that were taken while they were paused flow when they come back, with the protocol %s',
  async (protocol) => {
    const topic = await kafka.createTopic(2)
    const groupId = uniqueName('paused')
    const records = Array.from({ length: 6_000 }, (_, n) => ({
      partition: n % 2,
      value: String(n),
    }))
    await kafka.produce(topic, records)
    const first = join(topic, groupId, protocol)
    await within(first.ready(), 'the first member', JOINED)
    const owned = () => first.stats().partitions.length
    // Nobody asks: it reads ahead until its buffer is full, and pauses.
    await until(
      () => first.stats().partitions.every(({ end }) => end === 3_000),
      'it to read',
      JOINED,
    )
    // No event marks that the buffer is full and the partitions are paused.
    await sleep(1_000)
    const second = join(topic, groupId, protocol)
    await until(() => owned() === 1, 'the second member to have its share', JOINED)
    await within(second.ready(), 'the second member', JOINED)
    await within(second.close(), 'the second member to leave', JOINED)
    await until(() => owned() === 2, 'its share to come back', JOINED)
    const seen = new Set<string>()
    await until(
      async () => {
        const delivery = await first.poll({ maxRecords: 500, maxBytes: 1e6, timeout: 500 })
        for (const { value } of delivery.decodeRecords()) seen.add(String(value))
        delivery.ack()
        return seen.size === records.length
      },
      () => `all records; ${seen.size} came`,
      JOINED,
    )
    await within(first.close(), 'the first member to leave')
    expect(seen.size).toBe(records.length)
  },
  LIMIT,
)

test(
  'a process that is blocked for longer than max.poll.interval.ms joins again and loses nothing',
  async () => {
    const blocked = kafkaSide.connect({
      bootstrapServers: kafka.bootstrapServers.split(','),
      librdkafka: { 'max.poll.interval.ms': 6_000, 'session.timeout.ms': 6_000 },
    })
    const topic = await kafka.createTopic(2)
    const groupId = uniqueName('blocked')
    const named = (from: number) =>
      Array.from({ length: 10 }, (_, n) => ({ partition: n % 2, value: String(from + n) }))
    await kafka.produce(topic, named(0))
    const group = blocked.group({
      groupId,
      topics: [topic],
      autoOffsetReset: 'earliest',
      commitStrategy: 'auto',
    })
    const came: string[] = []
    const poll = async (maxRecords = 100) => {
      const delivery = await group.poll({ maxRecords, maxBytes: 1e6, timeout: 500 })
      came.push(
        ...delivery
          .decodeRecords()
          .map(({ value }) => new TextDecoder().decode(value ?? undefined)),
      )
      return delivery
    }
    await within(group.ready(), 'the member', JOINED)
    ;(await poll(4)).ack()
    const inHand = await poll(4)
    // Its other threads go on and tell Kafka that it lives.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 9_000)
    inHand.ack()
    await kafka.produce(topic, named(10))
    await until(
      async () => {
        const delivery = await poll().catch(() => undefined)
        delivery?.ack()
        return new Set(came).size === 20
      },
      () => `20 records; ${new Set(came).size} came`,
      JOINED,
    )
    expect(came.length - 20).toBeLessThanOrEqual(group.stats().uncertain)
    await within(group.close(), 'the member to leave', JOINED)
    await blocked.close()
  },
  LIMIT,
)
