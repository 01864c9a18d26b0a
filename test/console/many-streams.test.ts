/** Many streams of one page in Chromium: on HTTP/2 they share one connection. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { createHash, X509Certificate } from 'node:crypto'
import { GatewayProcess } from '../gateway/gateway-process.ts'
import { Certificates } from '../support/certificate.ts'
import { Browser } from '../support/chromium.ts'
import { TestKafka } from '../support/kafka.ts'
import { until } from '../support/wait.ts'
import { needChromium } from './need-chromium.ts'

const STREAMS = 60
const RECORDS = 50

let kafka: TestKafka
let topic: string
let certificates: Certificates
let gateway: GatewayProcess
let url: string

needChromium()

beforeAll(async () => {
  kafka = await TestKafka.real()
  topic = await kafka.createTopic(4)
  certificates = new Certificates()
  certificates.make('localhost')
  const started = await GatewayProcess.listening([
    ...['--brokers', kafka.bootstrapServers, '--topics', topic, '--https-port', '0'],
    ...['--tls-cert', certificates.file('localhost.crt')],
    ...['--tls-key', certificates.file('localhost.key')],
  ])
  gateway = started.gateway
  url = gateway.httpsUrl
  await until(
    async () => (await fetch(`${started.url}/readyz`)).status === 200,
    'readiness',
    20_000,
  )
}, 120_000)

afterAll(async () => {
  await gateway?.kill()
  certificates?.[Symbol.dispose]()
  await kafka?.close()
})

test('60 EventSources share one connection, and each gets each record once', async () => {
  await using browser = await Browser.start({ ignoreHTTPSErrors: true })
  const { page } = browser
  const protocol = await page.context().newCDPSession(page)
  const connections = new Map<string, Set<number>>()
  protocol.on('Network.responseReceived', ({ response }) => {
    if (!response.url.includes('/stream')) return
    const ids = connections.get(response.protocol ?? '') ?? new Set()
    connections.set(response.protocol ?? '', ids.add(response.connectionId))
  })
  await protocol.send('Network.enable')
  await page.goto(`${url}/healthz`)
  await page.evaluate((streams) => {
    const page = globalThis as unknown as { offsets: string[][]; open: number; errors: number }
    page.offsets = []
    page.open = 0
    page.errors = 0
    for (let index = 0; index < streams; index++) {
      const offsets: string[] = []
      page.offsets.push(offsets)
      const source = new EventSource('/stream')
      source.addEventListener('cursor', () => page.open++, { once: true })
      source.onerror = () => page.errors++
      source.onmessage = ({ data }) => {
        const { partition, offset } = JSON.parse(data)
        offsets.push(`${partition}/${offset}`)
      }
    }
  }, STREAMS)
  const inPage = <T>(expression: string) => page.evaluate(expression) as Promise<T>
  await until(async () => (await inPage('open')) === STREAMS, `${STREAMS} streams`, 20_000)
  const values = Array.from({ length: RECORDS }, (_, n) => ({ partition: n % 4, value: `${n}` }))
  await kafka.produce(topic, values)
  await until(
    () => inPage<boolean>(`offsets.every(({ length }) => length >= ${RECORDS})`),
    `${RECORDS} records on each stream`,
    20_000,
  )
  const all = await inPage<string[][]>('offsets')
  for (const offsets of all) {
    expect(offsets).toHaveLength(RECORDS)
    expect(new Set(offsets).size).toBe(RECORDS)
  }
  expect(await inPage<number>('errors')).toBe(0)
  expect([...connections].map(([name, ids]) => [name, ids.size])).toEqual([['h2', 1]])

  const frames = await page.evaluate(
    async (address) => {
      const socket = new WebSocket(`${address}/socket?start=earliest`)
      let frames = 0
      await new Promise<void>((resolve, reject) => {
        socket.onmessage = () => {
          frames++
          if (frames > 50) resolve()
        }
        socket.onerror = () => reject(new Error('no WebSocket'))
      })
      socket.close()
      return frames
    },
    url.replace('https', 'wss'),
  )
  expect(frames).toBeGreaterThan(RECORDS)
}, 120_000)

test('--http3 on serves a page and its streams by HTTP/3', async () => {
  certificates.make('h3.test')
  const file = (type: string) => certificates.file(`h3.test.${type}`)
  const started = await GatewayProcess.listening([
    ...['--brokers', kafka.bootstrapServers, '--topics', topic, '--https-port', '0'],
    ...['--tls-cert', file('crt'), '--tls-key', file('key'), '--http3', 'on'],
  ])
  await using _ = started.gateway
  const { port } = new URL(started.gateway.httpsUrl)
  const curl = Bun.spawnSync(['curl', '-ski', '--http1.1', `https://127.0.0.1:${port}/healthz`])
  expect(curl.stdout.toString().toLowerCase()).toContain(`alt-svc: h3=":${port}"`)
  // QUIC ignores errors of certificates only where their keys are named.
  const publicKey = new X509Certificate(certificates.read('h3.test.crt')).publicKey
  const spki = createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('base64')
  await using browser = await Browser.start({
    args: [
      ...['--no-sandbox', '--disable-gpu', '--host-resolver-rules=MAP h3.test 127.0.0.1'],
      `--origin-to-force-quic-on=h3.test:${port}`,
      `--ignore-certificate-errors-spki-list=${spki}`,
    ],
  })
  const { page } = browser
  const protocol = await page.context().newCDPSession(page)
  const protocols = new Set<string | undefined>()
  protocol.on('Network.responseReceived', ({ response }) => protocols.add(response.protocol))
  await protocol.send('Network.enable')
  await page.goto(`https://h3.test:${port}/healthz`)
  await page.evaluate(() => {
    const page = globalThis as unknown as { ids: string[] }
    page.ids = []
    const source = new EventSource('/stream?start=earliest')
    source.onmessage = ({ lastEventId }) => page.ids.push(lastEventId)
  })
  await until(
    async () => new Set((await page.evaluate('ids')) as string[]).size >= RECORDS,
    `${RECORDS} records by HTTP/3`,
    20_000,
  )
  expect([...protocols]).toEqual(['h3'])
}, 120_000)
