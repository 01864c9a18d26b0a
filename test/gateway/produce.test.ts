/** `/produce` of the gateway: who may write, and what a real Kafka has then. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { createGateway, type Gateway, type GatewayOptions } from '../../src/gateway/app.ts'
import { parseKeys } from '../../src/gateway/auth/clients.ts'
import { readDeclarative } from '../../src/kong/config/declarative.ts'
import { TestKafka } from '../support/kafka.ts'

const ORIGIN = 'http://gateway.test'
const [ops, shop] = parseKeys('ops=planted-key-of-ops,shop=planted-key-of-shop') as [
  ReturnType<typeof parseKeys>[0],
  ReturnType<typeof parseKeys>[0],
]

let kafka: TestKafka
let topic: string
const gateways: Gateway[] = []

beforeAll(async () => {
  kafka = await TestKafka.real()
  topic = await kafka.createTopic(2)
}, 120_000)

afterAll(async () => {
  for (const gateway of gateways) await gateway.close()
  await kafka.deleteTopic(topic)
  await kafka.close()
}, 120_000)

function gatewayWith(options: Partial<GatewayOptions>): Gateway {
  const cluster = { brokers: [kafka.bootstrapServers], topics: [topic] }
  const gateway = createGateway({ cluster, produce: true, ...options })
  gateways.push(gateway)
  return gateway
}

const post = (gateway: Gateway, body: string, headers: Record<string, string> = {}) =>
  gateway.app.request(`${ORIGIN}/produce`, { method: 'POST', body, headers })

test('writes records that the routes then read', async () => {
  const gateway = gatewayWith({})
  const record = { key: 'k', value: 'one', headers: { trace: ['a', 'b'] }, partition: 1 }
  const written = await post(gateway, JSON.stringify({ records: [record] }), {
    'content-type': 'application/json',
  })
  expect(await written.json()).toEqual({ records: [{ topic, partition: 1, offset: 0 }] })
  const read = await gateway.app.request(`${ORIGIN}/messages?start=earliest&format=records`)
  const { records } = await read.json()
  expect(records).toHaveLength(1)
  expect(records[0]).toMatchObject(record)
}, 120_000)

test('is at its own path alone', async () => {
  const gateway = gatewayWith({})
  const init = { method: 'POST', body: 'x' }
  const below = await gateway.app.request(`${ORIGIN}/produce/offsets`, init)
  expect(below.status).toBe(404)
})

test('is not there unless it is switched on', async () => {
  const gateway = gatewayWith({ produce: false })
  expect((await post(gateway, 'x')).status).toBe(404)
})

test('writes a body in which a key of Kong’s was found', async () => {
  const gateway = gatewayWith({})
  const document = `
_format_version: "3.0"
plugins: [{name: key-auth, config: {key_in_body: true}}]
consumers: [{username: ann, keyauth_credentials: [{key: planted-ann}]}]`
  gateway.apply(await readDeclarative(document, { environment: {}, ignoreUnknown: false }))
  const json = { 'content-type': 'application/json' }
  const write = (apikey: string) =>
    post(gateway, JSON.stringify({ apikey, records: [{ value: 'keyed' }] }), json)
  expect((await write('wrong')).status).toBe(401)
  expect(await (await write('planted-ann')).json()).toEqual({
    records: [{ topic, partition: expect.any(Number), offset: expect.any(Number) }],
  })
}, 120_000)

test('is refused to pages of other origins, also where no credentials are required', async () => {
  const open = gatewayWith({ guard: { corsOrigins: ['*'] } })
  const some = gatewayWith({ guard: { corsOrigins: ['https://shop.test'] } })
  const before = await count()
  const foreign = { origin: 'https://evil.test', 'content-type': 'text/plain' }
  for (const gateway of [open, some]) {
    const refused = await post(gateway, 'x', foreign)
    expect(refused.status).toBe(403)
    expect(await refused.json()).toEqual({
      message: 'Cannot write records: pages of this origin may not',
      code: 'FORBIDDEN',
    })
    expect((await post(gateway, 'x', { 'sec-fetch-site': 'cross-site' })).status).toBe(403)
  }
  expect(await count()).toBe(before)
  expect((await post(some, 'x', { origin: 'https://shop.test' })).status).toBe(200)
  expect((await post(some, 'x', { origin: ORIGIN })).status).toBe(200)
  expect(await count()).toBe(before + 2)
}, 120_000)

test('is refused to clients that may see a part of the records only', async () => {
  const gateway = gatewayWith({ guard: { clients: [ops, { ...shop, only: { partitions: [0] } }] } })
  const by = (key: string | undefined) => ({ authorization: `Bearer ${key}` })
  const before = await count()
  expect((await post(gateway, 'x')).status).toBe(401)
  const refused = await post(gateway, 'x', by(shop.key))
  expect(refused.status).toBe(403)
  expect((await refused.json()).message).toBe(
    'Cannot write records: this client may see a part of the records only',
  )
  expect(await count()).toBe(before)
  expect((await post(gateway, 'x', by(ops.key))).status).toBe(200)
}, 120_000)

/** The number of records in the topic: a page of records need not have all of them. */
async function count(): Promise<number> {
  const ends = await Promise.all([0, 1].map((partition) => kafka.watermarks(topic, partition)))
  return ends.reduce((sum, { highOffset }) => sum + highOffset, 0)
}
