/** The console page in a real browser, on a gateway in a process of its own and a real Kafka. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { GatewayProcess } from '../gateway/gateway-process.ts'
import { Browser, provideChromium } from '../support/chromium.ts'
import { TestKafka, type TestRecord } from '../support/kafka.ts'
import { stays, until, within } from '../support/wait.ts'

let topic: string
let kafka: TestKafka
let gateway: GatewayProcess
let url: string
let browser: Browser

/** Values of the rows that can be seen, the newest first. */
async function shown(): Promise<string[]> {
  return browser.page.locator('#records > li:not([hidden]) .value').allTextContents()
}

async function produce(...records: TestRecord[]): Promise<void> {
  await kafka.produce(topic, records)
}

async function untilShown(wanted: readonly string[]): Promise<void> {
  let last: string[] = []
  await until(
    async () => {
      last = await shown()
      return JSON.stringify(last) === JSON.stringify(wanted)
    },
    () => `rows ${JSON.stringify(wanted)}; they are ${JSON.stringify(last)}`,
    15_000,
  )
}

async function openView(page: Page, name: string): Promise<void> {
  await page.getByRole('navigation', { name: 'Views' }).getByRole('link', { name }).click()
}

async function untilState(state: string): Promise<void> {
  await browser.page.locator(`#state[data-state=${state}]`).waitFor({ timeout: 15_000 })
}

beforeAll(async () => {
  await provideChromium()
}, 600_000)

beforeAll(async () => {
  const { TEST_KAFKA_BROKERS: brokers } = process.env
  if (!brokers) throw new Error('Cannot test: TEST_KAFKA_BROKERS names no Kafka')
  kafka = await TestKafka.connect(brokers, { autoCreate: false })
  topic = await kafka.createTopic(4, 1, undefined, {
    'message.timestamp.after.max.ms': String(2n ** 63n - 1n),
  })
  await produce({ value: 'before' })
  const started = await GatewayProcess.listening(['--brokers', brokers, '--topics', topic])
  gateway = started.gateway
  url = started.url
  await until(async () => (await fetch(`${url}/readyz`)).status === 200, 'readiness', 20_000)
  browser = await Browser.start()
}, 60_000)

afterAll(async () => {
  await browser?.[Symbol.asyncDispose]()
  await kafka?.close().catch(() => undefined)
  await gateway?.kill()
}, 30_000)

describe('the console page behind a guard', () => {
  const { TEST_KAFKA_BROKERS: brokers = '' } = process.env
  const open = async (flags: readonly string[]) => {
    const started = await GatewayProcess.listening(
      ['--brokers', brokers, '--topics', topic, ...flags],
      { BEARER_KEYS: 'ops=planted-key-of-the-operator' },
    )
    const isReady = async () => (await fetch(`${started.url}/readyz`)).status === 200
    await until(isReady, 'readiness', 20_000)
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
    await other.page.locator('#state[data-state=live]').waitFor({ timeout: 15_000 })
    await other.page.locator('#curl').click()
    expect(await other.page.evaluate('navigator.clipboard.readText()')).not.toContain('planted')
    await openView(other.page, 'Topics')
    await other.page.locator('#topics .open').waitFor({ timeout: 15_000 })
    await openView(other.page, 'Gateway')
    await other.page.locator('.plot canvas').nth(3).waitFor({ timeout: 15_000 })
    await other.page.locator('header a', { hasText: 'API' }).click()
    await other.page.getByText('/messages').first().waitFor({ timeout: 30_000 })
    expect(other.errors).toEqual([])
    expect([...new Set(asked)]).toEqual([`${url} `])
    expect(gateway.stdout + gateway.stderr).not.toContain('planted')
  }, 90_000)

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
    await other.page.locator('#state[data-state=live]').waitFor({ timeout: 15_000 })
    await openView(other.page, 'Topics')
    await other.page.locator('#topics .open').waitFor({ timeout: 15_000 })
    expect(other.errors).toEqual([])
    rmSync(folder, { recursive: true })
  }, 60_000)
})

describe('the console page', () => {
  beforeEach(async () => {
    browser.errors.length = 0
    await browser.page.goto(url)
    await untilState('live')
  })

  test('shows topics, routes and records as they come, without a word in the browser’s console', async () => {
    await produce({ key: 'k', value: '{"id":12345678901234567890,"ok":true}' })
    await untilShown(['{"id":12345678901234567890,"ok":true}'])
    const { page } = browser
    await page.locator('.row').first().click()
    expect(await page.locator('.detail pre').textContent()).toBe(
      '{\n  "id": 12345678901234567890,\n  "ok": true\n}',
    )

    await openView(page, 'Topics')
    expect(await page.locator('#topics .open').textContent()).toBe(topic)
    await page.locator('#topics .open').click()
    expect(await page.locator('#topics .partition').count()).toBe(4)

    await openView(page, 'Gateway')
    await page.locator('#routes tr').nth(2).waitFor({ timeout: 15_000 })
    expect(await page.locator('#routes small').allTextContents()).toEqual([
      'http-get',
      'server-sent-events',
      'websocket',
    ])
    await page.locator('.plot canvas').nth(3).waitFor({ timeout: 15_000 })
    const streams = page.locator('#subscribers-value')
    await until(async () => (await streams.textContent()) === '0', 'no open stream', 15_000)
    await page.goBack()
    await page.goBack()
    await untilState('live')
    await page.goForward()
    await page.locator('#topics .open').waitFor({ timeout: 15_000 })
    // Nothing came from elsewhere, and the policy that sees to it was not violated.
    expect(browser.errors).toEqual([])
  }, 45_000)

  test('a pause misses nothing, a filter hides the rest', async () => {
    await produce({ value: 'one' })
    await untilShown(['one'])
    const { page } = browser
    await page.locator('h1').click()
    await page.keyboard.press('Space')
    await untilState('paused')
    await produce({ value: 'two' }, { key: 'Needle', value: 'three' })
    await stays(async () => (await shown()).join() === 'one', 'only the first record is shown', 500)
    await page.keyboard.press('Space')
    await untilShown(['three', 'two', 'one'])

    await page.keyboard.press('/')
    await page.keyboard.type('needle')
    await untilShown(['three'])
    await produce({ value: 'four' }, { value: 'a needle, too' })
    await untilShown(['a needle, too', 'three'])
    await page.keyboard.press('Escape')
    await untilShown(['a needle, too', 'four', 'three', 'two', 'one'])
    expect(browser.errors).toEqual([])
  }, 45_000)

  test('begins at the chosen start, in the chosen partition', async () => {
    await produce({ partition: 3, value: 'in partition 3' })
    const { page } = browser
    await page.selectOption('#start', 'earliest')
    await until(async () => (await shown()).includes('before'), 'the oldest record')
    await page.selectOption('#partition', '3')
    await untilShown(['in partition 3'])
    expect(browser.errors).toEqual([])
  }, 45_000)

  test('contents of records are shown as text, and never become a part of the page', async () => {
    const hostile = '<img src=x onerror="alert(1)"><script>alert(2)</script>'
    await produce({
      key: hostile,
      value: JSON.stringify({ [hostile]: hostile }),
      headers: [[hostile, hostile]],
    })
    await until(async () => (await shown()).length === 1, 'the record')
    const { page } = browser
    await page.locator('.row').first().click()
    expect(await page.locator('.detail pre').textContent()).toContain('<img src=x onerror=')
    expect(await page.locator('.detail .headers td').textContent()).toBe(hostile)
    expect(await page.locator('#records :is(img, script)').count()).toBe(0)
    expect(browser.errors).toEqual([])
  }, 45_000)

  test('records are shown whatever their timestamps, and JSON however deep', async () => {
    const deep = `${'['.repeat(20_000)}${']'.repeat(20_000)}`
    await produce(
      { partition: 0, value: 'nanoseconds', timestamp: 1_795_875_915_705_000_000 },
      { partition: 0, value: deep },
      { partition: 0, value: '[1]' },
    )
    await until(async () => (await shown()).length === 3, 'the records')
    const { page } = browser
    await page.locator('.row', { hasText: 'nanoseconds' }).click()
    expect(await page.locator('.detail .facts').textContent()).toContain(
      '1795875915705000000, which is not a time',
    )
    for (const row of await page.locator('.row').all()) await row.click()
    expect(browser.errors).toEqual([])
  }, 45_000)

  test('a copied command reads from the record on which it was copied', async () => {
    await produce({ value: 'a' }, { value: "it's b" }, { value: 'c' })
    await untilShown(['c', "it's b", 'a'])
    const { page } = browser
    await page.locator('.row', { hasText: "it's b" }).click()
    await page.locator('.detail button', { hasText: 'curl' }).click()
    const command = await page.evaluate(() => navigator.clipboard.readText())
    expect(command).toStartWith("curl -N '")
    const child = Bun.spawn(['sh', '-c', `${command} -s --max-time 2`], { stdout: 'pipe' })
    const output = await within(new Response(child.stdout).text(), 'the command')
    const values = [...output.matchAll(/^data: (\{"topic".*)$/gm)].map(([, json = '']) =>
      JSON.parse(json),
    )
    expect(values.map(({ value }) => value)).toEqual(["it's b", 'c'])
  }, 45_000)

  test('reconnects by itself when the gateway is back, and shows each record once', async () => {
    await produce({ value: 'first' })
    await untilShown(['first'])
    const { port } = new URL(url)
    gateway.signal('SIGTERM')
    await gateway.exited(15_000)
    await produce({ value: 'meanwhile' })
    const flags = ['--brokers', kafka.bootstrapServers, '--topics', topic, '--port', port]
    gateway = (await GatewayProcess.listening(flags)).gateway
    await untilShown(['meanwhile', 'first'])
    await untilState('live')
    await produce({ value: 'later' })
    await untilShown(['later', 'meanwhile', 'first'])
  }, 60_000)

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
    await page.getByText('200 OK').first().waitFor({ timeout: 15_000 })
    expect(elsewhere).toEqual([])
    expect(browser.errors).toEqual([])
  }, 45_000)

  test('reports that Kafka cannot be reached', async () => {
    // A port that nobody listens on.
    const away = await GatewayProcess.listening(['--brokers', '127.0.0.1:1', '--topics', 't'])
    await using _ = away.gateway
    await browser.page.goto(away.url)
    const banner = browser.page.locator('#banner:not([hidden])')
    await banner.waitFor({ timeout: 20_000 })
    expect(await banner.textContent()).toStartWith('Cannot read from Kafka: all brokers are down')
  }, 45_000)
})
