import { expect, test } from 'bun:test'
import { startEmbeddedBroker } from '../../kafka/embedded/embedded.ts'
import { LatePort } from '../support/late-port.ts'
import { SseClient } from '../support/sse.ts'
import { until, within } from '../support/wait.ts'
import { BrokerProcess } from './broker-process.ts'
import { GatewayProcess } from './gateway-process.ts'

/** librdkafka tries again after up to 10 s. */
const RECOVERY = 25_000

async function status(url: string): Promise<number> {
  const response = await within(fetch(url), url, 15_000)
  await response.arrayBuffer()
  return response.status
}

test('brokers that cannot be reached: 503 with a reason, then recovery, each logged once', async () => {
  using late = await LatePort.reserve()
  const flags = ['--brokers', `127.0.0.1:${late.port}`, '--topics', 'kong-test']
  const { gateway, url } = await GatewayProcess.listening(flags)
  await using _ = gateway
  expect(gateway.stdout).toContain(`127.0.0.1:${late.port}`)
  expect(gateway.stdout).toContain('kong-test')
  expect(await status(`${url}/healthz`)).toBe(200)

  for (const path of ['/readyz', '/messages', '/stream']) {
    const response = await within(fetch(`${url}${path}`), path, 15_000)
    const body = await response.text()
    expect([path, response.status, body]).toEqual([path, 503, body])
    expect(response.headers.get('retry-after')).toMatch(/^\d+$/)
    expect(body).toMatch(/"message":"[^"]+"/)
  }
  await until(() => gateway.logged('Waiting for Kafka') > 0, 'the log line')

  const broker = await startEmbeddedBroker({
    topic: 'kong-test',
    records: 10,
    recordsPerSecond: 20,
  })
  try {
    await late.open(broker.bootstrapServers[0] ?? '')
    await until(async () => (await status(`${url}/readyz`)) === 200, 'readiness', RECOVERY)
    expect(await status(`${url}/messages`)).toBe(200)
    await using stream = await SseClient.open(`${url}/stream?start=earliest`)
    await stream.until(10)
    await until(() => gateway.logged('can be read again') > 0, 'the log line of recovery')
  } finally {
    late.close()
    await broker.close()
  }
  expect(gateway.logged('Waiting for Kafka')).toBe(1)
  expect(gateway.logged('can be read again')).toBe(1)

  await until(
    async () => (await status(`${url}/readyz`)) === 503,
    'the outage to be seen',
    RECOVERY,
  )
  gateway.signal('SIGTERM')
  expect(await gateway.exited()).toBe(0)
  // Each request has its line; the outages have few.
  const lines = gateway.stderr.split('\n').filter((line) => !/ (GET|POST) /.test(line))
  expect(lines.length).toBeLessThan(10)
}, 90_000)

test('a broker that hangs, with its connections open: 503 within 20 s, until it answers again', async () => {
  await using broker = await BrokerProcess.start('kong-test')
  const flags = ['--brokers', broker.address, '--topics', 'kong-test']
  const { gateway, url } = await GatewayProcess.listening(flags)
  await using _ = gateway
  await until(async () => (await status(`${url}/readyz`)) === 200, 'readiness', RECOVERY)
  expect(await status(`${url}/messages`)).toBe(200)

  broker.freeze()
  await until(async () => (await status(`${url}/readyz`)) === 503, 'the outage to be seen', 20_000)
  expect(await status(`${url}/messages`)).toBe(503)
  broker.thaw()
  await until(async () => (await status(`${url}/readyz`)) === 200, 'readiness again', RECOVERY)
  await until(async () => (await status(`${url}/messages`)) === 200, 'a group read', RECOVERY)
}, 90_000)
