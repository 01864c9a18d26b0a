/** A group's answers about a partition with an open transaction. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { TestKafka } from '../support/kafka.ts'
import { uniqueName } from '../support/names.ts'
import { type KongBody, type KongPartition, Route } from '../support/route.ts'
import { TransactionalWriter } from '../support/transactions.ts'
import { until } from '../support/wait.ts'

let kafka: TestKafka
beforeAll(async () => {
  kafka = await TestKafka.real()
})
afterAll(() => kafka.close())

function group(topic: string): Promise<Route> {
  return Route.mount(
    { kafka, close: async () => {} },
    {
      topics: [topic],
      autoOffsetReset: 'earliest',
      consumerGroup: { mode: 'manual', consumerGroupId: uniqueName('transactions') },
    },
  )
}

async function answer(route: Route, topic: string, maxRecords: number): Promise<KongPartition> {
  const response = await route.fetch({ max_records: maxRecords, timeout: 500 })
  const body = (await response.json()) as KongBody
  return body[topic]?.partitions['0'] as KongPartition
}

const values = (count: number) => Array.from({ length: count }, (_, n) => `v${n}`)

test('last_stable_offset is never beyond an open transaction, from the first answer on', async () => {
  const topic = await kafka.createTopic(1)
  await using writer = await TransactionalWriter.connect(kafka.bootstrapServers)
  await kafka.produce(
    topic,
    values(4).map((value) => ({ partition: 0, value })),
  )
  await writer.begin()
  await writer.write(topic, values(5))
  await using route = await group(topic)
  for (const expected of [2, 2, 0]) {
    const { records, ...told } = await answer(route, topic, 2)
    expect(records).toHaveLength(expected)
    expect(told).toMatchObject({ high_watermark: 9 })
    // An uncertain last stable offset is left out.
    expect([-1, 4]).toContain(told.last_stable_offset)
  }
  expect(await answer(route, topic, 2)).toMatchObject({ high_watermark: 9, last_stable_offset: 4 })
  await writer.commit()
  const seen: number[] = []
  await until(async () => {
    const {
      records,
      last_stable_offset: stable,
      high_watermark: end,
    } = await answer(route, topic, 9)
    seen.push(...records.map(({ offset }) => offset))
    // The mark that ends the transaction has an offset of its own.
    return stable === 10 && end === 10
  }, 'the transaction to be decided')
  expect(seen).toEqual([4, 5, 6, 7, 8])
})

test('last_stable_offset is the high watermark while no transaction is open, also before the records are read', async () => {
  const topic = await kafka.createTopic(1)
  await kafka.produce(
    topic,
    values(40).map((value) => ({ partition: 0, value })),
  )
  await using route = await group(topic)
  expect(await answer(route, topic, 2)).toMatchObject({
    high_watermark: 40,
    last_stable_offset: 40,
  })
})
