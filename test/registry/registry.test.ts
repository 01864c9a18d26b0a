/**
 * A real Kafka and a real schema registry: records with schemas, as clients see them. The file has more
 * than 400 lines because its tests share both servers.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import avro from 'avsc'
import { Hono } from 'hono'
import protobuf from 'protobufjs'
import { healthRoutes } from '../../src/gateway/health.ts'
import { type KafkaConsumeOptions, kafkaConsume } from '../../src/index.ts'
import { startRegistry, type TestRegistry } from '../../tools/registry/registry.ts'
import { TestKafka } from '../support/kafka.ts'
import { uniqueName } from '../support/names.ts'
import { framed, RegistryDoor, register } from '../support/registry.ts'
import { Route, type Target } from '../support/route.ts'
import { sleep, until } from '../support/wait.ts'

setDefaultTimeout(120_000)

let registry: TestRegistry
let target: Target
beforeAll(async () => {
  registry = await startRegistry()
  const kafka = await TestKafka.real()
  target = { kafka, close: () => kafka.close() }
}, 240_000)
afterAll(async () => {
  await target?.close()
  await registry?.stop()
})

type Confluent = NonNullable<NonNullable<KafkaConsumeOptions['schemaRegistry']>['confluent']>

const at = (more: Confluent = {}) => ({ confluent: { url: registry.url, ...more } })

/** A payload of each version of a schema, and what it is in JSON. */
interface Format {
  readonly name: string
  /** How records name their schema, besides its id. */
  readonly schema: { readonly type: string; readonly name?: string }
  write(subject: string): Promise<ReadonlyArray<readonly [payload: Uint8Array, json: unknown]>>
}

const formats: readonly Format[] = [
  {
    name: 'Avro',
    schema: { type: 'AVRO', name: 'Order' },
    async write(subject) {
      const first = { type: 'record', name: 'Order', fields: [{ name: 'id', type: 'long' }] }
      const second = {
        ...first,
        fields: [...first.fields, { name: 'note', type: ['null', 'string'], default: null }],
      }
      const ids = [
        await register(registry.url, subject, JSON.stringify(first)),
        await register(registry.url, subject, JSON.stringify(second)),
      ]
      expect(ids[0]).not.toBe(ids[1] as number)
      const old = avro.Type.forSchema(first as never).toBuffer({ id: 1 })
      const type = avro.Type.forSchema(second as never)
      return [
        [framed(ids[0] as number, old), { id: 1 }],
        [framed(ids[1] as number, type.toBuffer({ id: 2, note: 'new' })), { id: 2, note: 'new' }],
        [framed(ids[1] as number, type.toBuffer({ id: 3, note: null })), { id: 3, note: null }],
        [framed(ids[0] as number, old), { id: 1 }],
      ]
    },
  },
  {
    name: 'JSON Schema',
    schema: { type: 'JSON', name: 'An order' },
    async write(subject) {
      const properties = { id: { type: 'integer' } }
      const first = { title: 'An order', type: 'object', properties }
      const second = {
        ...first,
        properties: { ...first.properties, note: { type: 'string' } },
      }
      const [a, b] = [
        await register(registry.url, subject, JSON.stringify(first), 'JSON'),
        await register(registry.url, subject, JSON.stringify(second), 'JSON'),
      ]
      return [
        [framed(a, '{"id":1}'), { id: 1 }],
        [framed(b, '{"id":2,\n"note":"new"}'), { id: 2, note: 'new' }],
        [framed(a, '{"id":3}'), { id: 3 }],
      ]
    },
  },
  {
    name: 'Protobuf, with an import and a nested message',
    schema: { type: 'PROTOBUF', name: 'shop.Shop.Order' },
    async write(subject) {
      const common =
        'syntax = "proto3"; package common; message Money { int64 cents = 1; string currency = 2; }'
      const commons = uniqueName('common')
      await register(registry.url, commons, common, 'PROTOBUF')
      const file = (more: string) => `syntax = "proto3"; package shop; import "common/money.proto";
        message Unused { int32 x = 1; }
        message Shop { message Order { int64 id = 1; common.Money total = 2; ${more} } }`
      const references = [{ name: 'common/money.proto', subject: commons, version: 1 }]
      const texts = [file(''), file('string note = 3;')]
      const payloads: Array<readonly [Uint8Array, unknown]> = []
      for (const [index, text] of texts.entries()) {
        const id = await register(registry.url, subject, text, 'PROTOBUF', references)
        const root = new protobuf.Root()
        for (const one of [text, common]) protobuf.parse(one, root)
        const type = root.lookupType('shop.Shop.Order')
        const total = { cents: '9007199254740993', currency: 'EUR' }
        const order = { id: `${index + 1}`, total, ...(index === 1 && { note: 'new' }) }
        const body = type.encode(type.fromObject(order)).finish()
        payloads.push([framed(id, Uint8Array.of(4, 2, 0), body), order])
      }
      return payloads
    },
  },
]

/** The id of the schema that a payload begins with. */
function idIn(payload: Uint8Array): number {
  return new DataView(payload.buffer, payload.byteOffset + 1, 4).getUint32(0)
}

async function stream(route: Route, count: number) {
  await using client = await route.stream({ start: 'earliest' })
  await client.until(count)
  return client.records()
}

describe.each(formats)('$name', ({ write, schema }) => {
  test.each(['value', 'key'] as const)(
    'as %s, by GET and on a stream, whichever version it was written with',
    async (field) => {
      const topic = await target.kafka.createTopic()
      const subject = `${topic}-${field}`
      const payloads = await write(subject)
      // The other field is a tombstone or plain: each may be without a schema.
      const records = payloads.map(([payload]) =>
        field === 'value' ? { key: 'plain', value: payload } : { key: payload, value: null },
      )
      await target.kafka.produce(topic, records)
      await using route = await Route.mount(target, {
        topics: [topic],
        mode: 'auto',
        autoOffsetReset: 'earliest',
        schemaRegistry: at(),
      })
      const expected = payloads.map(([, json], offset) => ({
        offset,
        ...(field === 'value' ? { key: 'plain', value: json } : { key: json, value: null }),
      }))
      for (const seen of [
        await route.records({ start: 'earliest', timeout: 5_000 }),
        await route.drain(payloads.length),
        await stream(route, payloads.length),
      ]) {
        expect(seen).toMatchObject(expected)
        expect(seen.every(({ error, encoding }) => !error && !encoding)).toBe(true)
        expect(seen.map(({ schema }) => schema)).toEqual(
          payloads.map(([payload]) => ({ [field]: { id: idIn(payload), ...schema } })),
        )
      }
    },
  )
})

describe('registries of topics', () => {
  test('may be missing for some topics; numbers keep their digits', async () => {
    const [plain, typed] = [await target.kafka.createTopic(), await target.kafka.createTopic()]
    const id = await register(registry.url, `${typed}-value`, '"long"')
    const long = Uint8Array.of(0xfe, ...new Array(8).fill(0xff), 0x01)
    await target.kafka.produce(plain, [{ value: '{"id":12345678901234567890}' }])
    await target.kafka.produce(typed, [{ value: framed(id, long) }])
    await using route = await Route.mount(target, {
      topics: [plain, { name: typed, schemaRegistry: at() }],
      messageDeserializer: 'json',
    })
    const response = await route.fetch({ start: 'earliest', format: 'records' })
    const text = await response.text()
    expect(text).toContain('"value":{"id":12345678901234567890}')
    expect(text).toContain('"value":9223372036854775807')
  })

  test('records are searched by the text of their values, which text() has of any value', async () => {
    const topic = await target.kafka.createTopic()
    const schema = { type: 'record', name: 'N', fields: [{ name: 'note', type: 'string' }] }
    const id = await register(registry.url, `${topic}-value`, JSON.stringify(schema))
    const type = avro.Type.forSchema(schema as never)
    const values = ['Ada Łoś', 'Grace', 'says "ada"', 'nobody'].map((note) => {
      return framed(id, type.toBuffer({ note }))
    })
    await target.kafka.produce(
      topic,
      [...values, 'Ada in plain'].map((value) => ({ value })),
    )
    await using route = await Route.mount(target, { topics: [topic], schemaRegistry: at() })
    const found = async (text: string) => {
      const filter = `text(value).lowerAscii().contains(${JSON.stringify(text)})`
      const records = await route.records({ start: 'earliest', timeout: 5_000, filter })
      return records.map(({ offset }) => offset)
    }
    expect(await found('ada')).toEqual([0, 2])
    expect(await found('ada łoś')).toEqual([0])
    expect(await found('says \\"ada\\"')).toEqual([2])
  })

  test('a record that cannot be deserialized leaves its neighbours intact, and the group goes on', async () => {
    const topic = await target.kafka.createTopic()
    const id = await register(registry.url, `${topic}-value`, '"string"')
    const good = framed(id, Uint8Array.of(2, 0x61))
    const values = [good, 'no schema', good, framed(id), good, framed(4_000_000, 'x'), good]
    await target.kafka.produce(
      topic,
      values.map((value) => ({ value })),
    )
    const consumerGroupId = uniqueName('group')
    await using route = await Route.mount(target, {
      topics: [topic],
      mode: 'auto',
      autoOffsetReset: 'earliest',
      consumerGroup: { mode: 'manual', consumerGroupId },
      schemaRegistry: at(),
    })
    for (const seen of [await stream(route, 7), await route.drain(7)]) {
      expect(seen.filter(({ offset }) => offset % 2 === 0).map(({ value }) => value)).toEqual(
        new Array(4).fill('a'),
      )
      for (const record of seen.filter(({ offset }) => offset % 2 === 1)) {
        expect(record).toMatchObject({
          value: Buffer.from(values[record.offset] as string).toString('base64'),
          encoding: { value: 'base64' },
          error: { code: 'DESERIALIZATION_FAILED' },
        })
      }
    }
    await route.close()
    expect((await target.kafka.committed(consumerGroupId, topic))[0]).toBe(7)
  })
})

describe('dead letters', () => {
  test('get records that do not fit their schema, unchanged, and no client gets these records', async () => {
    const topic = await target.kafka.createTopic()
    const dead = await target.kafka.createTopic(1)
    const id = await register(registry.url, `${topic}-value`, '"string"')
    const good = framed(id, Uint8Array.of(2, 0x61))
    await target.kafka.produce(topic, [
      { value: good },
      { key: 'k', value: framed(id) },
      { value: good },
    ])
    await using route = await Route.mount(target, {
      topics: [topic],
      mode: 'auto',
      autoOffsetReset: 'earliest',
      schemaRegistry: at(),
      enableDlq: true,
      dlqTopic: dead,
    })
    for (const seen of [await route.drain(2), await stream(route, 2)]) {
      expect(seen).toMatchObject([{ offset: 0 }, { offset: 2 }])
    }
    await using graves = await Route.mount(target, { topics: [dead] })
    expect(await graves.records({ start: 'earliest' })).toMatchObject([
      {
        key: 'k',
        value: Buffer.from(framed(id)).toString(),
        headers: { '__connect.errors.exception.class.name': 'DESERIALIZATION_FAILED' },
      },
    ])
  })
})

/** A topic with one record, and a registry that requires authentication. */
async function behindDoor() {
  const door = await RegistryDoor.before(registry.url)
  const topic = await target.kafka.createTopic()
  const id = await register(registry.url, `${topic}-value`, '"string"')
  const other = await register(registry.url, `${topic}-value`, '["string","null"]')
  const value = framed(id, Uint8Array.of(2, 0x61))
  await target.kafka.produce(topic, [{ value }])
  return { door, topic, value, unseen: framed(other, Uint8Array.of(0, 2, 0x62)) }
}

describe('authentication', () => {
  test('basic: by name and password', async () => {
    const { door, topic } = await behindDoor()
    door.guard = ({ headers }) =>
      headers.get('authorization') === `Basic ${btoa('ann:s3cret')}`
        ? undefined
        : new Response('', { status: 401 })
    const route = (password: string) =>
      Route.mount(target, {
        topics: [topic],
        schemaRegistry: {
          confluent: {
            url: door.url,
            authentication: { mode: 'basic', basic: { username: 'ann', password } },
          },
        },
      })
    await using good = await route('s3cret')
    expect(await good.records({ start: 'earliest' })).toMatchObject([{ value: 'a' }])
    await using bad = await route('wr0ng')
    const response = await bad.fetch({ timeout: 0 })
    expect(response.status).toBe(200) // A new group begins at the end: nothing is to be decoded.
    await target.kafka.produce(topic, [{ value: framed(1) }])
    const refused = await bad.fetch({ timeout: 5_000 })
    expect(refused.status).toBe(502)
    const body = await refused.text()
    expect(JSON.parse(body)).toMatchObject({ code: 'SCHEMA_REGISTRY_REFUSED', retryable: true })
    expect(body).not.toContain('wr0ng')
    await door.shut()
  })

  test.each(['client_credentials', 'password'] as const)('OAuth2, %s', async (grantType) => {
    const { door, topic } = await behindDoor()
    let tokens = 0
    door.guard = async (request) => {
      if (request.url.endsWith('/token')) {
        const form = new URLSearchParams(await request.text())
        const isGood =
          form.get('grant_type') === grantType &&
          form.get('client_secret') === 'cs' &&
          (grantType === 'client_credentials' || form.get('password') === 'pw')
        return isGood
          ? Response.json({ access_token: `t${++tokens}`, expires_in: 60 })
          : Response.json({ error: 'invalid_grant' }, { status: 400 })
      }
      const isGood = request.headers.get('authorization') === `Bearer t${tokens}`
      return isGood ? undefined : new Response('', { status: 401 })
    }
    await using route = await Route.mount(target, {
      topics: [topic],
      schemaRegistry: {
        confluent: {
          url: door.url,
          authentication: {
            mode: 'oauth2',
            oauth2: {
              tokenEndpoint: `${door.url}/token`,
              grantType,
              clientId: 'me',
              clientSecret: 'cs',
              username: 'ann',
              password: 'pw',
            },
          },
        },
      },
    })
    expect(await route.records({ start: 'earliest' })).toMatchObject([{ value: 'a' }])
    expect(tokens).toBe(1)
    await door.shut()
  })
})

describe('while the registry cannot be reached', () => {
  test('from the start, group reads are 503 and requeue, a stream waits, and both go on later', async () => {
    const { door, topic } = await behindDoor()
    await door.shut()
    await using route = await Route.mount(target, {
      topics: [topic],
      mode: 'auto',
      autoOffsetReset: 'earliest',
      schemaRegistry: { confluent: { url: door.url } },
    })
    await using client = await route.stream({ start: 'earliest' })
    const refused = await route.fetch({ timeout: 5_000 })
    expect(refused.status).toBe(503)
    expect(refused.headers.get('retry-after')).toBe('2')
    expect(await refused.json()).toMatchObject({ code: 'SCHEMA_REGISTRY_UNAVAILABLE' })
    expect(client.events).toEqual([])
    door.open()
    await client.until(1)
    expect(client.records()).toMatchObject([{ offset: 0, value: 'a' }])
    expect(await route.drain(1)).toMatchObject([{ offset: 0, value: 'a' }])
    await door.shut()
  })

  test('a route with group reads has an error until a read succeeds', async () => {
    const { door, topic } = await behindDoor()
    await door.shut()
    const handler = kafkaConsume({
      bootstrapServers: target.kafka.bootstrapServers,
      topics: [topic],
      autoOffsetReset: 'earliest',
      schemaRegistry: { confluent: { url: door.url } },
    })
    const app = new Hono().get('/', handler)
    await handler.start()
    const gateway = healthRoutes(() => [handler.outage() ?? []].flat())
    expect((await gateway.request('/readyz')).status).toBe(200)
    expect((await app.request('/')).status).toBe(503)
    const told = await gateway.request('/readyz')
    expect(told.status).toBe(503)
    expect(await told.json()).toMatchObject({ reasons: [{ code: 'SCHEMA_REGISTRY_UNAVAILABLE' }] })
    door.open()
    await until(async () => (await app.request('/')).ok, 'the record')
    expect((await gateway.request('/readyz')).status).toBe(200)
    await handler.close()
    await door.shut()
  })

  test('known schemas are served; a stream with an unknown one waits, reports it, and goes on later', async () => {
    const { door, topic, value, unseen } = await behindDoor()
    await using route = await Route.mount(target, {
      topics: [topic],
      mode: 'auto',
      heartbeat: 500,
      schemaRegistry: { confluent: { url: door.url } },
    })
    await using client = await route.stream({ start: 'earliest' })
    await client.until(1)
    await door.shut()
    await target.kafka.produce(topic, [{ value }])
    await client.until(2)
    await target.kafka.produce(topic, [{ value: unseen }, { value }])
    const told = await client.untilNamed('error', 40_000)
    expect(JSON.parse(told.data)).toMatchObject({
      code: 'SCHEMA_REGISTRY_UNAVAILABLE',
      retryable: true,
    })
    expect(client.records()).toHaveLength(2)
    const refused = await route.fetch({ start: 'latest' })
    expect(refused.status).toBe(503)
    door.open()
    await until(
      async () => (await route.fetch({ start: 'latest', timeout: 0 })).ok,
      'the outage to end',
    )
    await using resumed = await route.stream({}, { 'Last-Event-ID': client.lastEventId as string })
    await resumed.until(2)
    expect(resumed.records()).toMatchObject([
      { offset: 2, value: 'b' },
      { offset: 3, value: 'a' },
    ])
    await door.shut()
  })

  test('a stream that waits for the registry ends when its client leaves', async () => {
    const { door, topic } = await behindDoor()
    await door.shut()
    await using route = await Route.mount(target, {
      topics: [topic],
      mode: 'server-sent-events',
      schemaRegistry: { confluent: { url: door.url } },
    })
    const client = await route.stream({ start: 'earliest' })
    // Time to ask the registry in vain: nothing tells a client so.
    await sleep(300)
    await client.close()
    await route.untilSubscribers(0)
  })
})
