/** A typed client of Hono, and the package's own, of an app on a real port. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { hc } from 'hono/client'
import { kafkaSide } from '../../kafka/index.ts'
import { stream } from '../../src/client/index.ts'
import { TestKafka } from '../support/kafka.ts'
import { serve, type TestServer } from '../support/server.ts'
import { until } from '../support/wait.ts'
import { topics } from './app.ts'
import { appOf } from './clients.ts'

const AT = '2026-11-28T10:00:00.000Z'

let broker: Awaited<ReturnType<typeof kafkaSide.startEmbeddedBroker>>
let kafka: TestKafka
let server: TestServer
let client: ReturnType<typeof hc<ReturnType<typeof appOf>>>
beforeAll(async () => {
  broker = await kafkaSide.startEmbeddedBroker({
    topic: 'orders',
    records: 0,
    recordsPerSecond: 0,
  })
  kafka = await TestKafka.connect(broker.bootstrapServers.join(','), { autoCreate: true })
  for (const topic of ['payments', 'refunds']) await kafka.createTopic(4, 1, topic)
  const bootstrapServers = broker.bootstrapServers.join(',')
  const app = appOf({ bootstrapServers, topics })
  server = serve(app)
  client = hc<typeof app>(server.url)
}, 120_000)
afterAll(async () => {
  await server?.close()
  await kafka?.close()
  await broker?.close()
})

/** @returns What the attempt has found, as soon as it finds something. */
async function eventually<T>(attempt: () => Promise<T | false | undefined>): Promise<T> {
  let found: T | false | undefined
  await until(async () => {
    found = await attempt()
    return Boolean(found)
  }, 'all records in one answer')
  return found as T
}

test('a client of hc gets what its types say: written, read in each form, streamed and refused', async () => {
  const written = await client.all.$post({
    json: {
      records: [
        { topic: 'orders', partition: 0, value: { total: 5, at: AT } },
        { topic: 'payments', partition: 0, value: { paid: true, at: new Date(AT) } },
      ],
    },
  })
  expect(written.ok && (await written.json()).records).toEqual([
    { topic: 'orders', partition: 0, offset: 0 },
    { topic: 'payments', partition: 0, offset: 0 },
  ])

  const query = { start: 'earliest', max_records: 10, timeout: 5_000 }
  // An answer has the records that Kafka has sent by then, and topics have no order among them.
  const both = await eventually(async () => {
    const read = await client.records.$get({ query: { ...query, topic: ['orders', 'payments'] } })
    const { records } = read.ok ? await read.json() : { records: [] }
    return records.length === 2 && records
  })
  expect(both.toSorted((one, other) => (one.topic < other.topic ? -1 : 1))).toMatchObject([
    { topic: 'orders', value: { total: 5, at: AT } },
    { topic: 'payments', value: { paid: true, at: AT } },
  ])
  const payments = await eventually(async () => {
    const kong = await client.kong.$get({ query })
    return kong.ok && (await kong.json()).payments?.partitions['0']?.records
  })
  expect(payments).toMatchObject([{ offset: 0, value: { paid: true } }])
  const values = await client.values.$get({ query: { ...query, topic: 'orders' } })
  expect(values.ok && (await values.json())).toEqual([{ total: 5, at: AT }])
  const own = await client.own.$get({ query: { ...query, topic: 'orders' } })
  expect(own.ok && (await own.json())).toEqual([{ offset: 0 }])

  const topicsOfStream: string[] = []
  for await (const record of stream(client.stream, { start: 'earliest' })) {
    topicsOfStream.push(record.topic)
    if (topicsOfStream.length === 2) break
  }
  expect(topicsOfStream.sort()).toEqual(['orders', 'payments'])

  const auto = client[':shop'].auto
  const param = { shop: 'berlin' }
  const ofAuto = await eventually(async () => {
    const read = await auto.$get({ param, query: { ...query, topic: 'orders' } })
    return read.ok && (await read.json()).records[0]
  })
  expect(ofAuto).toMatchObject({ topic: 'orders', value: { total: 5, at: AT } })
  for await (const { topic } of stream(auto, { param, start: 'earliest', topic: 'payments' })) {
    expect(topic).toBe('payments')
    break
  }

  const refused = await client.records.$get({ query: { max_records: 0 } })
  expect(refused.ok ? undefined : [refused.status, (await refused.json()).code]).toEqual([
    400,
    'INVALID_PARAMETER',
  ])
}, 120_000)
