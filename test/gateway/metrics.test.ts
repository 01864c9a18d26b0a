/** `/metrics` of a gateway in use, read by a parser that is not ours, and the dashboard and alerts that ask for it. */
import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { Exposition } from '../support/metrics.ts'
import { promtool } from '../support/promtool.ts'
import { run } from '../support/run-program.ts'
import { SseClient } from '../support/sse.ts'
import { until, within } from '../support/wait.ts'
import { GatewayProcess } from './gateway-process.ts'

const alertRules = join(import.meta.dirname, '../../docs/alerts.yaml')
const requests = 'hono_kafka_http_requests_total'

async function scrape(url: string): Promise<Exposition> {
  const response = await within(fetch(`${url}/metrics`), 'an answer of /metrics')
  expect(response.status).toBe(200)
  return new Exposition(await response.text())
}

/** Names of metrics in a query, without the endings that a histogram adds. */
function metricsOf(query: string): string[] {
  const names = query.match(/\b(?:hono_kafka|process|nodejs)_\w+/g) ?? []
  return names.map((name) => name.replace(/_(bucket|count|sum)$/, ''))
}

test('requests, records, streams, lag and latency are counted; the dashboard and the alerts use only these metrics', async () => {
  const { gateway, url } = await GatewayProcess.listening()
  await using _ = gateway
  await until(async () => (await fetch(`${url}/readyz`)).status === 200, 'readiness')
  const { records } = (await (
    await fetch(`${url}/messages?format=records&max_records=7`)
  ).json()) as { records: unknown[] }
  await fetch(`${url}/messages?start=earliest&max_records=3`)
  await fetch(`${url}/messages?max_records=0`)
  await fetch(`${url}/nowhere?secret=1`)

  const client = await SseClient.open(`${url}/stream`)
  await client.until(2)
  const open = await scrape(url)
  const ofStream = { route: '/stream', form: 'event-stream' }
  expect(open.value('hono_kafka_open_streams', ofStream)).toBe(1)
  expect(open.value('hono_kafka_subscribers', { route: '/stream' })).toBe(1)
  expect(open.value(requests, { route: '/stream' })).toBeUndefined()
  await client[Symbol.asyncDispose]()

  await until(
    async () => (await scrape(url)).value(requests, { route: '/stream' }) === 1,
    'the stream to be counted at its end',
  )
  // librdkafka reports brokers every 10 s.
  await until(
    async () => (await scrape(url)).value('hono_kafka_broker_rtt_p99_seconds') !== undefined,
    'statistics of the broker',
    25_000,
  )
  const metrics = await scrape(url)
  const sent = (kind: string, route: string) =>
    metrics.value('hono_kafka_records_total', { kind, route })
  expect(sent('group', '/messages')).toBe(records.length)
  expect(sent('read', '/messages')).toBe(3)
  expect(sent('stream', '/stream')).toBeGreaterThanOrEqual(2)
  expect(metrics.value('hono_kafka_sent_bytes_total', { kind: 'stream' })).toBeGreaterThan(100)
  expect(metrics.value(requests, { route: '/messages', status: '200' })).toBe(2)
  expect(metrics.value(requests, { route: '/messages', status: '400' })).toBe(1)
  expect(metrics.value(requests, { route: '(none)', status: '404' })).toBe(1)
  expect(metrics.value('hono_kafka_stream_duration_seconds_count', { route: '/stream' })).toBe(1)
  expect(metrics.value('hono_kafka_event_latency_seconds_count')).toBeGreaterThanOrEqual(1)
  expect(metrics.value('hono_kafka_open_streams')).toBe(0)
  expect(metrics.value('hono_kafka_cluster_up')).toBe(1)
  expect(metrics.value('hono_kafka_broker_up')).toBe(1)
  expect(metrics.value('hono_kafka_ring_bytes')).toBeGreaterThan(0)
  expect(metrics.value('hono_kafka_group_lag_records')).toBeGreaterThan(0)
  const end = metrics.value('hono_kafka_partition_end_offset') ?? 0
  expect(end).toBeGreaterThan(1_000)
  const text = await (await fetch(`${url}/metrics`)).text()
  expect(text).not.toContain('nowhere')
  expect(text).not.toContain('secret')

  const dashboard = Bun.file(join(import.meta.dirname, '..', '..', 'docs', 'grafana.json'))
  const queries = JSON.stringify(await dashboard.json()).match(
    /"(?:expr|query)":"(?:[^"\\]|\\.)*"/g,
  )
  const asked = new Set((queries ?? []).flatMap(metricsOf))
  expect(asked.size).toBeGreaterThan(20)
  const alerts = metricsOf(await Bun.file(alertRules).text())
  expect(alerts.length).toBeGreaterThan(5)
  for (const name of alerts) asked.add(name)
  for (const name of asked) expect(metrics.names).toContain(name)
}, 120_000)

test('promtool: the metrics of a gateway in use are clean, alerts are valid and fire', async () => {
  const program = await promtool()
  const { gateway, url } = await GatewayProcess.listening()
  await using _ = gateway
  await fetch(`${url}/messages?start=earliest`)
  await using client = await SseClient.open(`${url}/stream`)
  await client.until(1)
  const metrics = await (await fetch(`${url}/metrics`)).blob()
  const check = Bun.spawn([program, 'check', 'metrics'], { stdin: metrics, stderr: 'pipe' })
  expect(await new Response(check.stderr).text()).toBe('')
  expect(await check.exited).toBe(0)

  expect(await run([program, 'check', 'rules', alertRules], '.')).toContain('5 rules found')
  const cases = join(import.meta.dirname, 'alerts.yaml')
  expect(await run([program, 'test', 'rules', cases], '.')).toContain('SUCCESS')
}, 300_000)

test('--metrics off: /metrics is not found', async () => {
  const { gateway, url } = await GatewayProcess.listening(['--metrics', 'off'])
  await using _ = gateway
  expect((await fetch(`${url}/metrics`)).status).toBe(404)
}, 120_000)
