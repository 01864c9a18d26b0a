/** A gateway is one member of a group, whatever its routes and reloads. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { createGateway } from '../../src/gateway/app.ts'
import { readDeclarative } from '../../src/kong/config/declarative.ts'
import { TestKafka } from '../support/kafka.ts'
import { uniqueName } from '../support/names.ts'
import type { FlatBody } from '../support/route.ts'
import { serve } from '../support/server.ts'
import { SocketClient } from '../support/socket.ts'
import { until, within } from '../support/wait.ts'

const JOINED = 40_000

let kafka: TestKafka
beforeAll(async () => {
  kafka = await TestKafka.real()
})
afterAll(() => kafka.close())

test('a reload keeps the member of a group that it does not change', async () => {
  const topic = await kafka.createTopic(6)
  const groupId = uniqueName('reloaded')
  const [host, port] = kafka.bootstrapServers.split(':')
  const document = (deserializer: string) => `
_format_version: "3.0"
plugins:
- name: kafka-consume
  config:
    bootstrap_servers: [{host: ${host}, port: ${port}}]
    topics: [{name: ${topic}}]
    auto_offset_reset: earliest
    message_deserializer: ${deserializer}
    consumer_group: {mode: manual, consumer_group_id: ${groupId}}
routes:
- {name: a, paths: [/a]}
- {name: b, paths: [/b]}
`
  const read = (text: string) => readDeclarative(text, { environment: {}, ignoreUnknown: false })
  const gateway = createGateway({ console: 'off' })
  gateway.apply(await read(document('noop')))
  await within(gateway.start(), 'the gateway to start', JOINED)
  try {
    const before = await kafka.memberIds(groupId)
    expect(before).toHaveLength(1)
    const seen: unknown[] = []
    for (const [index, deserializer] of ['json', 'noop', 'json'].entries()) {
      gateway.apply(await read(document(deserializer)))
      const records = Array.from({ length: 60 }, (_, n) => ({
        partition: n % 6,
        value: `${index * 60 + n}`,
      }))
      await kafka.produce(topic, records)
      await until(
        async () => {
          const path = seen.length % 2 ? '/a' : '/b'
          const url = `${path}?format=records&timeout=500&max_records=35`
          const response = await within(
            Promise.resolve(gateway.app.request(url)),
            `GET ${path}`,
            JOINED,
          )
          const body = (await response.json()) as FlatBody
          seen.push(...body.records.map(({ value }) => Number(value)))
          return seen.length >= (index + 1) * 60
        },
        () => `the records of reload ${index}; ${seen.length} came in all`,
        JOINED,
      )
      expect(await kafka.memberIds(groupId)).toEqual(before)
    }
    expect(new Set(seen).size).toBe(180)
  } finally {
    await within(gateway.close(), 'the gateway to close', JOINED)
  }
  expect(await kafka.memberIds(groupId)).toEqual([])
}, 90_000)

test.each<[kind: string, groupInstanceId: string | undefined]>([
  ['dynamic', undefined],
  ['static', 'node-1'],
])(
  '/messages and /socket are one %s member',
  async (_, groupInstanceId) => {
    const topic = await kafka.createTopic(6)
    const records = Array.from({ length: 600 }, (_, n) => ({ partition: n % 6, value: `${n}` }))
    await kafka.produce(topic, records)
    const gateway = createGateway({
      cluster: { brokers: kafka.bootstrapServers.split(','), topics: [topic] },
      groupInstanceId,
    })
    await within(gateway.start(), 'the gateway to start', JOINED)
    try {
      await using server = serve(gateway.app)
      await using socket = await SocketClient.open(
        `${server.url}/socket?acks=true&max_unacked=1000`,
      )
      await socket.until(600)
      const status = await gateway.app.request('/status')
      const { groups } = (await status.json()) as { groups: Array<{ id: string }> }
      expect(groups).toHaveLength(1)
      expect(await kafka.memberIds(groups[0]?.id ?? '')).toHaveLength(1)
    } finally {
      await within(gateway.close(), 'the gateway to close', JOINED)
    }
  },
  120_000,
)
