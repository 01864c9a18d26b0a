/** Kong's `kafka-log` in a gateway whose handlers fail. */
import { expect, test } from 'bun:test'
import { createGateway } from '../../src/gateway/app.ts'
import type { KafkaRoute } from '../../src/gateway/supervisor.ts'
import { readDeclarative } from '../../src/kong/config/declarative.ts'
import { TestKafka } from '../support/kafka.ts'
import { readBack } from '../support/kcat.ts'
import { idleHandler } from '../unit/fakes.ts'

const brokers = process.env['TEST_KAFKA_BROKERS'] ?? ''

test('a request whose handler throws is answered as without the log, and logged', async () => {
  const kafka = await TestKafka.real()
  const topic = await kafka.createTopic(1)
  const fails = async (): Promise<Response> => {
    throw new Error('boom')
  }
  const gateway = createGateway({}, () =>
    Object.assign(fails as unknown as KafkaRoute, {
      start: async () => undefined,
      outage: () => undefined,
      ...idleHandler,
      close: async () => undefined,
    }),
  )
  const [host, port] = brokers.split(',')[0]?.split(':') ?? []
  const servers = `bootstrap_servers: [{host: ${host}, port: ${port}}]`
  const route = (plugins: string) => `_format_version: "3.0"
routes: [{name: r, paths: [/r], plugins: [{name: kafka-consume, config: {${servers}, topics: [{name: t}]}}]}]
plugins: [${plugins}]`
  const apply = async (text: string) =>
    gateway.apply(await readDeclarative(text, { environment: {}, ignoreUnknown: false }))
  const answer = async () => {
    const response = await gateway.app.request('/r')
    return [response.status, await response.json()]
  }
  await apply(route(''))
  const expected = await answer()
  expect(expected[0]).toBe(500)
  await apply(route(`{name: kafka-log, config: {${servers}, topic: ${topic}}}`))
  expect(await answer()).toEqual(expected)
  await gateway.close()
  const [record] = await readBack(brokers, topic, 1)
  const entry = JSON.parse(record?.payload ?? '')
  expect(entry).toMatchObject({ response: { status: 500 }, route: { name: 'r' } })
  expect(entry.response.size).toBeGreaterThan(JSON.stringify(expected[1]).length)
  await kafka.close()
}, 120_000)
