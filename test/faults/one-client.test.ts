/** The costliest requests of one client: other clients are answered, and all memory is freed. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { GatewayProcess } from '../gateway/gateway-process.ts'
import { TestKafka } from '../support/kafka.ts'
import { Exposition } from '../support/metrics.ts'
import { RawClient } from '../support/raw.ts'
import { range } from '../support/route.ts'
import { until } from '../support/wait.ts'
import { report } from './support/report.ts'
import { memoryOf } from './support/usage.ts'

const MIB = 1024 * 1024
const BUDGET = 64 * MIB
const LIMIT = 120_000

let kafka: TestKafka
let gateway: GatewayProcess
let url: string
beforeAll(async () => {
  kafka = await TestKafka.real()
  const topic = await kafka.createTopic(1)
  const value = JSON.stringify({ text: 'x'.repeat(10_000) })
  await kafka.produce(
    topic,
    range(0, 4_000).map(() => ({ partition: 0, value })),
  )
  const flags = ['--brokers', kafka.bootstrapServers, '--topics', topic]
  const started = await GatewayProcess.listening([...flags, '--max-answer-bytes', String(BUDGET)])
  gateway = started.gateway
  url = started.url
}, LIMIT)
afterAll(async () => {
  await gateway[Symbol.asyncDispose]()
  await kafka.close()
})

const PAGE = '/messages?start=earliest&max_records=10000&max_bytes=16777216&timeout=10000'

async function metric(name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text()
  return new Exposition(text).value(name) ?? Number.NaN
}

/** Asks for the health of the gateway until an attack is over; every answer must be good. */
async function whileHealthy(what: string, attack: () => Promise<void>): Promise<void> {
  const late: number[] = []
  const over = attack().finally(() => late.push(-1))
  over.catch(() => undefined)
  let worst = 0
  while (late.length === 0) {
    const begin = performance.now()
    expect((await fetch(`${url}/healthz`)).status).toBe(200)
    worst = Math.max(worst, performance.now() - begin)
    // The pace of a health check.
    await Bun.sleep(10)
  }
  await over
  report(what, {
    'ms of the slowest /healthz': Math.round(worst),
    MiB: Math.round(memoryOf(gateway.pid)),
  })
}

test(
  'clients that read none of the largest answers keep nobody waiting, and cost bounded memory',
  async () => {
    await using stack = new AsyncDisposableStack()
    const before = memoryOf(gateway.pid)
    await whileHealthy('60 clients that read nothing', async () => {
      for (const _ of range(0, 60)) stack.use(await RawClient.open(`${url}${PAGE}`))
      await until(async () => (await metric('hono_kafka_answer_bytes')) > BUDGET / 4, 'the answers')
      expect(await metric('hono_kafka_answer_bytes')).toBeLessThanOrEqual(BUDGET)
      await until(async () => {
        const other = await fetch(`${url}/messages?start=earliest&format=records`)
        const body = (await other.json()) as { records?: unknown[]; code?: string }
        if (other.status === 200) return (body.records ?? []).length > 0
        // There are so many catch-up reads only; the next one has its turn.
        expect(body.code).toBe('TOO_MANY_CATCH_UP_READS')
        return false
      }, 'the answer to another client')
    })
    // Beside the answers: catch-up reads with what their consumers have prefetched.
    expect(memoryOf(gateway.pid) - before).toBeLessThan(1_000)
    await stack.disposeAsync()
    await until(async () => (await metric('hono_kafka_answer_bytes')) === 0, 'their memory', 30_000)
  },
  LIMIT,
)

test(
  'clients that ask for the most expensive compression, of which half do not wait, keep nobody waiting',
  async () => {
    await whileHealthy('40 clients that ask for brotli', async () => {
      const ask = async (n: number) => {
        const signal = n % 2 === 0 ? AbortSignal.timeout(50 + n) : null
        const headers = { 'accept-encoding': 'br' }
        const answer = await fetch(`${url}${PAGE}`, { headers, signal }).catch(() => undefined)
        await answer?.bytes().catch(() => undefined)
      }
      await Promise.all(range(0, 40).map(ask))
    })
    await until(async () => (await metric('hono_kafka_answer_bytes')) === 0, 'their memory', 30_000)
  },
  LIMIT,
)

test(
  'expressions and documents that take other engines minutes keep nobody waiting',
  async () => {
    const admin = gateway.adminUrl
    const post = (path: string, type: string, body: string) =>
      fetch(`${admin}${path}`, { method: 'POST', headers: { 'content-type': type }, body })
    await whileHealthy('expressions and YAML', async () => {
      const routes = ['/(a+)+$', '/\\w+\\w+\\w+\\w+x', `/${'(a|a)'.repeat(28)}b$`, '(?i)/(aA*)*b']
      for (const path of routes) {
        const made = await post(
          '/routes',
          'application/json',
          JSON.stringify({ paths: [`~${path}`] }),
        )
        // An expression begins with a slash, as in Kong.
        expect(made.status).toBe(path.startsWith('/') ? 201 : 400)
      }
      const header = { headers: { k: ['~*^(a+)+$'] } }
      expect((await post('/routes', 'application/json', JSON.stringify(header))).status).toBe(201)
      const large = { paths: ['~/(((((a?){3}){3}){3}){3}){3}b'] }
      expect((await post('/routes', 'application/json', JSON.stringify(large))).status).toBe(400)
      for (const path of ['a'.repeat(1_000), `${'a'.repeat(900)}!`]) {
        await fetch(`${url}/${path}`, { headers: { k: `${'a'.repeat(1_000)}b` } })
      }
      const document = `{${range(0, 70_000)
        .map((n) => `k${n}: `)
        .join(', ')}}`
      const refused = await post('/config', 'application/yaml', document)
      expect(refused.status).toBe(400)
      expect(await refused.text()).toContain('further errors')
    })
  },
  LIMIT,
)

test(
  'many values of a header by which requests are limited keep nobody waiting',
  async () => {
    const admin = gateway.adminUrl
    const plugins = {
      name: 'rate-limiting',
      config: { hour: 5, limit_by: 'header', header_name: 'x-tenant' },
    }
    const headers = { 'content-type': 'application/json' }
    const send = (path: string, body: object) =>
      fetch(`${admin}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
    expect((await send('/routes', { name: 'limited', hosts: ['limited.test'] })).status).toBe(201)
    expect((await send('/routes/limited/plugins', plugins)).status).toBe(201)
    const same = { headers: { host: 'limited.test', 'x-tenant': 'y'.repeat(12_000) } }
    const statuses: number[] = []
    for (const _ of range(0, 6)) statuses.push((await fetch(`${url}/x`, same)).status)
    expect(statuses.map((status) => status === 429)).toEqual([...Array(5).fill(false), true])
    const before = memoryOf(gateway.pid)
    await whileHealthy('5,000 values of 12 KB', async () => {
      const value = 'x'.repeat(12_000)
      for (const from of range(0, 50)) {
        await Promise.all(
          range(0, 100).map(async (n) => {
            const sent = { host: 'limited.test', 'x-tenant': `${value}${from * 100 + n}` }
            await (await fetch(`${url}/x`, { headers: sent })).text()
          }),
        )
      }
    })
    expect(memoryOf(gateway.pid) - before).toBeLessThan(500)
  },
  LIMIT,
)
