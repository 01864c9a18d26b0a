import { describe, expect, test } from 'bun:test'
import { Hono } from 'hono'
import { type KafkaConsumeOptions, kafkaConsume } from '../../src/index.ts'
import { readPluginConfig } from '../../src/kong/config/plugin-config.ts'

// Nobody listens there: what is looked at comes before Kafka.
const LEAST = { bootstrapServers: '127.0.0.1:1', topics: ['orders'] }

function mounted(options: Partial<KafkaConsumeOptions>): Hono {
  const kafka = kafkaConsume({ ...LEAST, ...options })
  return new Hono().all('/messages', kafka).all('/messages/*', kafka)
}

async function post(app: Hono, body: BodyInit, path = '/messages/offsets') {
  const response = await app.request(path, { method: 'POST', body })
  return [response.status, ((await response.json()) as { message: string }).message] as const
}

describe('POST offsets', () => {
  test('is served at a path that ends in /offsets, with commitStrategy off and no streams', async () => {
    const off = mounted({ commitStrategy: 'off' })
    expect((await post(off, ''))[0]).toBe(400)
    expect((await post(off, '', '/messages'))[0]).toBe(405)
    expect((await post(off, '', '/messages/offsets/more'))[0]).toBe(405)
    const put = await off.request('/messages/offsets', { method: 'PUT', body: '{}' })
    expect([put.status, put.headers.get('allow')]).toEqual([405, 'GET, HEAD, POST'])
    expect(await put.json()).toEqual({
      message: 'Cannot answer PUT: this route allows GET, HEAD and POST',
      code: 'METHOD_NOT_ALLOWED',
    })
    for (const options of [{}, { commitStrategy: 'off', mode: 'server-sent-events' }] as const) {
      const response = await mounted(options).request('/messages/offsets', { method: 'POST' })
      expect([response.status, response.headers.get('allow')]).toEqual([405, 'GET, HEAD'])
    }
  })

  test('is there for a plugin of Kong whose commit_strategy is off', async () => {
    const { made } = readPluginConfig(
      {
        bootstrap_servers: [{ host: '127.0.0.1', port: 1 }],
        topics: [{ name: 'orders' }],
        commit_strategy: 'off',
      },
      { name: 'kafka-consume', id: crypto.randomUUID() },
    )
    const options = made.options as KafkaConsumeOptions
    expect(await post(mounted(options), '[]')).toEqual([400, expect.stringContaining('cursor')])
  })

  test.each<[what: string, body: () => BodyInit, says: string]>([
    ['bytes that are not valid UTF-8', () => new Uint8Array([123, 0xff, 125]), 'UTF-8'],
    ['a character that is cut off', () => new Uint8Array([123, 0xe2, 0x82]), 'UTF-8'],
    ['a body without an end', endless, '65536'],
    ['a body that breaks off', broken, 'did not arrive'],
    ['deep nesting', () => '['.repeat(60_000), 'JSON'],
    ['a prototype', () => '{"__proto__":{"0":1}}', '__proto__'],
    [
      'a time',
      () => '{"cursor":"[{\\"topic\\":\\"orders\\",\\"partition\\":0,\\"timestamp\\":1}]"}',
      'time',
    ],
  ])('%s is a 400 that says so', async (_, body, says) => {
    const [status, message] = await post(mounted({ commitStrategy: 'off' }), body())
    expect([status, message]).toEqual([400, expect.stringContaining(says)])
  })
})

function endless(): ReadableStream {
  const bytes = new TextEncoder().encode('"'.padEnd(10_000))
  return new ReadableStream({ pull: (controller) => controller.enqueue(bytes) })
}

function broken(): ReadableStream {
  return new ReadableStream({ pull: (controller) => controller.error(new Error('gone')) })
}
