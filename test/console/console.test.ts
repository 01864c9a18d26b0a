/** The console page as a whole in a real browser: its frame, its views, who may open it. It runs on a gateway in a process of its own and a real Kafka. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { startEmbeddedBroker } from '../../kafka/embedded/embedded.ts'
import { GatewayProcess } from '../gateway/gateway-process.ts'
import { Browser } from '../support/chromium.ts'
import { TestKafka } from '../support/kafka.ts'
import { LatePort } from '../support/late-port.ts'
import { until } from '../support/wait.ts'
import { needChromium } from './need-chromium.ts'

let topic: string
let kafka: TestKafka
let gateway: GatewayProcess
let url: string
let browser: Browser

async function openView(page: Page, name: string): Promise<void> {
  await page.getByRole('navigation', { name: 'Views' }).getByRole('link', { name }).click()
}

async function untilState(state: string): Promise<void> {
  await browser.page.locator(`#state[data-state=${state}]`).waitFor({ timeout: 60_000 })
}

needChromium()

beforeAll(async () => {
  const { TEST_KAFKA_BROKERS: brokers } = process.env
  if (!brokers) throw new Error('Cannot test: TEST_KAFKA_BROKERS names no Kafka')
  kafka = await TestKafka.connect(brokers, { autoCreate: false })
  topic = await kafka.createTopic(4)
  await kafka.produce(topic, [{ value: 'before' }])
  const started = await GatewayProcess.listening(['--brokers', brokers, '--topics', topic])
  gateway = started.gateway
  url = started.url
  await until(async () => (await fetch(`${url}/readyz`)).status === 200, 'readiness', 20_000)
  browser = await Browser.start()
}, 120_000)

afterAll(async () => {
  await browser?.[Symbol.asyncDispose]()
  await kafka?.close().catch(() => undefined)
  await gateway?.kill()
}, 120_000)

describe('the console page behind a guard', () => {
  const { TEST_KAFKA_BROKERS: brokers = '' } = process.env
  const open = async (flags: readonly string[]) => {
    const started = await GatewayProcess.listening(
      ['--brokers', brokers, '--topics', topic, ...flags],
      { BEARER_KEYS: 'ops=planted-key-of-the-operator' },
    )
    const isReady = async () => (await fetch(`${started.url}/readyz`)).status === 200
    await until(isReady, 'readiness')
    return started
  }

  test('a page that is opened with a token in its address works, and its requests do not send the token on', async () => {
    const { gateway, url } = await open(['--token-query', 'token', '--log-level', 'debug'])
    await using _ = gateway
    await using other = await Browser.start()
    const asked: string[] = []
    other.page.on('request', (request) => {
      asked.push(`${new URL(request.url()).origin} ${request.headers()['referer'] ?? ''}`)
    })
    await other.page.goto(`${url}/?token=planted-key-of-the-operator`)
    await other.page.locator('#state[data-state=live]').waitFor({ timeout: 60_000 })
    await other.page.locator('#curl').click()
    expect(await other.page.evaluate('navigator.clipboard.readText()')).not.toContain('planted')
    await openView(other.page, 'Topics')
    await other.page.locator('#topics .topic-name').waitFor({ timeout: 60_000 })
    await openView(other.page, 'Gateway')
    await other.page.locator('.plot canvas').nth(3).waitFor({ timeout: 60_000 })
    await other.page.locator('header a', { hasText: 'API' }).click()
    await other.page.getByText('/messages').first().waitFor({ timeout: 60_000 })
    expect(other.errors).toEqual([])
    expect([...new Set(asked)]).toEqual([`${url} `])
    expect(gateway.stdout + gateway.stderr).not.toContain('planted')
  }, 120_000)

  test('with the login switched off a browser asks its user for a name and a password', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'console-'))
    const clients = join(folder, 'clients.yaml')
    writeFileSync(clients, 'clients: [{name: ann, password: planted-of-ann}]')
    const { gateway, url } = await open(['--clients', clients, '--login', 'off'])
    await using _ = gateway
    await using other = await Browser.start({
      httpCredentials: { username: 'ann', password: 'planted-of-ann' },
    })
    const answer = await other.page.goto(url)
    expect(answer?.status()).toBe(200)
    await other.page.locator('#state[data-state=live]').waitFor({ timeout: 60_000 })
    await openView(other.page, 'Topics')
    await other.page.locator('#topics .topic-name').waitFor({ timeout: 60_000 })
    expect(other.errors).toEqual([])
    rmSync(folder, { recursive: true })
  }, 120_000)
})

describe('the console page', () => {
  beforeEach(async () => {
    browser.errors.length = 0
    await browser.page.goto(url)
    await untilState('live')
  })

  test('shows topics, routes and records as they come, without a word in the browser’s console', async () => {
    const { page } = browser
    await page.locator('.row', { hasText: 'before' }).waitFor()
    await kafka.produce(topic, [{ key: 'k', value: 'now' }])
    await page.locator('.row', { hasText: 'now' }).waitFor()
    await openView(page, 'Topics')
    await page.locator('#topics .topic-name').waitFor({ timeout: 60_000 })
    expect(await page.locator('#topics .topic-name').textContent()).toBe(topic)
    await page.locator('#topics .topic-name').click()
    await page.locator('#partitions tr').nth(3).waitFor({ timeout: 60_000 })
    await page.goBack()

    await openView(page, 'Gateway')
    await page.locator('#routes tr').nth(2).waitFor({ timeout: 60_000 })
    expect(await page.locator('#routes small').allTextContents()).toEqual([
      'http-get',
      'server-sent-events',
      'websocket',
    ])
    await page.locator('.plot canvas').nth(3).waitFor({ timeout: 60_000 })
    const streams = page.locator('#subscribers-value')
    await until(async () => (await streams.textContent()) === '0', 'no open stream', 15_000)
    await page.goBack()
    await page.goBack()
    await untilState('live')
    await page.goForward()
    await page.locator('#topics .topic-name').waitFor({ timeout: 60_000 })
    // Nothing came from elsewhere, and the policy that sees to it was not violated.
    expect(browser.errors).toEqual([])
  }, 120_000)

  test('leads to the API docs, which show and try operations, without a word in the console or a request elsewhere', async () => {
    const { page } = browser
    const elsewhere: string[] = []
    page.on('request', (request) => {
      if (!request.url().startsWith(url) && !request.url().startsWith('data:')) {
        elsewhere.push(request.url())
      }
    })
    await page.locator('header a', { hasText: 'API' }).click()
    const paths = page.locator('.endpoint-path')
    const known = ['/messages', '/stream', '/socket', '/healthz', '/metrics']
    await until(async () => {
      const shown = await paths.allTextContents()
      return known.every((path) => shown.includes(path))
    }, 'every operation')
    await page.locator('.endpoint', { hasText: '/healthz' }).click()
    await page.getByRole('button', { name: /Test Request.*healthz/ }).click()
    await page.getByRole('button', { name: /^Send get request/ }).click()
    await page.getByText('200 OK').first().waitFor({ timeout: 60_000 })
    expect(elsewhere).toEqual([])
    expect(browser.errors).toEqual([])
  }, 120_000)

  test('reports once that Kafka is away, and no more when it is back', async () => {
    using late = await LatePort.reserve()
    const flags = ['--brokers', `127.0.0.1:${late.port}`, '--topics', 'kong-test']
    const away = await GatewayProcess.listening(flags)
    await using _ = away.gateway
    const { page } = browser
    await page.goto(away.url)
    const banner = page.locator('#banner:not([hidden])')
    await banner.waitFor({ timeout: 60_000 })
    expect(await banner.textContent()).toStartWith('Cannot read from Kafka: all brokers are down')
    const notes = page.getByText('all brokers are down').filter({ visible: true })
    expect(await notes.count()).toBe(1)
    const broker = await startEmbeddedBroker({
      topic: 'kong-test',
      records: 10,
      recordsPerSecond: 20,
    })
    try {
      await late.open(broker.bootstrapServers[0] ?? '')
      await banner.waitFor({ state: 'hidden', timeout: 60_000 })
      await untilState('live')
      await page.locator('.row').nth(10).waitFor({ timeout: 60_000 })
      expect(await notes.count()).toBe(0)
      expect(await page.locator('#rows .note:not([hidden])').count()).toBe(0)
    } finally {
      late.close()
      await broker.close()
    }
  }, 120_000)
})
