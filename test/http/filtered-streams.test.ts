/** Many filtered streams of a real Kafka, read by a client of another author that reconnects by itself. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { Hono } from 'hono'
import { kafkaConsume } from '../../src/index.ts'
import { ReconnectingClient } from '../support/eventsource.ts'
import { TestKafka } from '../support/kafka.ts'
import { range } from '../support/route.ts'
import { sleep } from '../support/wait.ts'

const KEYS = 10
const ROUNDS = 40
const PARTITIONS = 3

let kafka: TestKafka
beforeAll(async () => {
  kafka = await TestKafka.real()
})
afterAll(() => kafka.close())

/** Filters that let the records of one key pass, each in another way. */
const filters = (key: number): string[] => [
  `key=key-${key}`,
  `filter=${encodeURIComponent(`value.key == ${key} && value.round >= 0`)}`,
  `filter=${encodeURIComponent(`headers.key=='${key}'`)}`,
  `filter=${encodeURIComponent(`key.endsWith("-${key}")`)}`,
  // By the part of the records that the client may see.
  `scope=key-${key}`,
]

test('each client gets the records that pass its filter once and in order, while its connections end again and again', async () => {
  const topic = await kafka.createTopic(PARTITIONS)
  const route = kafkaConsume({
    bootstrapServers: kafka.bootstrapServers,
    topics: [topic],
    mode: 'server-sent-events',
    heartbeat: 1_000,
    maxStreamAge: 2_000,
  })
  const app = new Hono()
  app.use(async (c, next) => {
    const scope = c.req.query('scope')
    const only = scope === undefined ? {} : { keys: [scope] }
    c.set('kafkaClient', { only, credentialParameters: ['scope'] })
    await next()
  })
  app.get('/', route)
  await using server = Bun.serve({
    port: 0,
    fetch: (request, server) => app.fetch(request, server),
  })
  const clients = range(0, KEYS).flatMap((key) =>
    filters(key).map((query) => ({
      key,
      client: new ReconnectingClient(`${server.url}?${query}`),
    })),
  )
  try {
    for (const { client } of clients) await client.untilOpened(1)
    for (const round of range(0, ROUNDS)) {
      await kafka.produce(
        topic,
        range(0, KEYS).map((key) => ({
          partition: (key + round) % PARTITIONS,
          key: `key-${key}`,
          value: JSON.stringify({ key, round }),
          headers: [['key', `${key}`]],
        })),
      )
      // Over some seconds, so that each connection has ended meanwhile.
      await sleep(150)
    }
    for (const { key, client } of clients) {
      await client.until(ROUNDS)
      expect(client.opened).toBeGreaterThan(1)
      const places = client.records.map(({ partition, offset }) => `${partition}/${offset}`)
      expect(new Set(places).size).toBe(ROUNDS)
      expect(client.records.map(({ key }) => key)).toEqual(range(0, ROUNDS).map(() => `key-${key}`))
      const offsets = client.records.filter(({ partition }) => partition === 0)
      expect(offsets).toEqual(offsets.toSorted((a, b) => a.offset - b.offset))
    }
  } finally {
    for (const { client } of clients) client[Symbol.dispose]()
    await route.close()
  }
}, 120_000)
