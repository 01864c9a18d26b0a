/** The package's client in a real browser: tabs that share a connection, a worker, and the hooks of view libraries. */
import { afterAll, afterEach, beforeAll, expect, test } from 'bun:test'
import { join } from 'node:path'
import { Hono } from 'hono'
import type { Page } from 'playwright-core'
import { kafkaConsume } from '../../src/index.ts'
import { Browser, provideChromium } from '../support/chromium.ts'
import { TestKafka } from '../support/kafka.ts'
import { range } from '../support/route.ts'
import { serve, type TestServer } from '../support/server.ts'
import { until } from '../support/wait.ts'

const LIMIT = 90_000
const pages = join(import.meta.dirname, 'pages')
const PAGE =
  '<!doctype html><link rel=icon href=data:,><div id=root></div><script type=module src=/NAME.js></script>'
const REFUSAL = { message: 'Cannot read: it is not for you', code: 'FORBIDDEN' }

let kafka: TestKafka
let topic: string
let orders: ReturnType<typeof kafkaConsume>
let app: Hono
let server: TestServer
let browser: Browser

beforeAll(async () => {
  await provideChromium()
}, 600_000)

beforeAll(async () => {
  kafka = await TestKafka.real()
  topic = await kafka.createTopic(2)
  orders = kafkaConsume({
    bootstrapServers: kafka.bootstrapServers,
    topics: [topic],
    mode: 'server-sent-events',
    messageDeserializer: 'json',
  })
  app = new Hono().get('/orders', orders).get('/refused', (c) => c.json(REFUSAL, 403))
  for (const file of ['tabs.ts', 'react.tsx', 'hono-jsx.tsx', 'worker.ts', 'in-worker.ts']) {
    const [name = ''] = file.split('.')
    app.get(`/${name}`, (c) => c.html(PAGE.replace('NAME', name)))
    app.get(`/${name}.js`, async () => {
      const entrypoint = join(pages, file)
      const { outputs } = await Bun.build({ entrypoints: [entrypoint], target: 'browser' })
      return new Response(outputs[0], { headers: { 'Content-Type': 'text/javascript' } })
    })
  }
  server = serve(app)
  browser = await Browser.start()
}, LIMIT)

afterAll(async () => {
  await browser?.[Symbol.asyncDispose]()
  await orders?.close()
  await server?.close()
  await kafka?.close()
}, 120_000)

afterEach(async () => {
  // A test that has failed leaves its pages open.
  for (const page of browser.page.context().pages()) if (page !== browser.page) await page.close()
})

let produced = 0

/** Writes records with numbers that go on over all tests. */
async function produce(count: number): Promise<void> {
  const numbers = range(produced, produced + count)
  produced += count
  await kafka.produce(
    topic,
    numbers.map((number) => ({ partition: number % 2, value: JSON.stringify({ number }) })),
  )
}

async function open(path: string): Promise<Page> {
  const page = await browser.page.context().newPage()
  await page.goto(`${server.url}/${path}`)
  return page
}

/** The numbers that a page shows. */
async function numbersOf(page: Page): Promise<number[]> {
  return (await page.locator('li').allTextContents()).map(Number)
}

async function untilNumbers(page: Page, wanted: readonly number[]): Promise<void> {
  let shown: number[] = []
  await until(
    async () => {
      shown = await numbersOf(page)
      return shown.length >= wanted.length
    },
    () => `numbers ${wanted}; the page shows ${shown}`,
    20_000,
  )
  expect([...shown].sort((one, other) => one - other)).toEqual([...wanted])
}

async function untilStatus(page: Page, status: string): Promise<void> {
  await page.locator('#status', { hasText: status }).waitFor({ timeout: 20_000 })
}

test(
  'three tabs share one connection, and lose and repeat nothing when its tab is closed',
  async () => {
    const tabs: Page[] = []
    for (let i = 0; i < 3; i++) {
      tabs.push(await open('tabs'))
      await until(() => orders.stats().subscribers === 1, 'one open stream')
      // A tab counts from when it has a position.
      await tabs[i]
        ?.locator('#root[data-status=open]')
        .waitFor({ state: 'attached', timeout: 10_000 })
    }
    const [first, second, third] = tabs as [Page, Page, Page]
    const from = produced
    await produce(20)
    for (const tab of tabs) await untilNumbers(tab, range(from, produced))
    expect(orders.stats().subscribers).toBe(1)

    const writing = (async () => {
      for (let i = 0; i < 20; i++) await produce(5)
    })()
    await first.close()
    await writing
    await produce(5)
    for (const tab of [second, third]) await untilNumbers(tab, range(from, produced))
    await until(() => orders.stats().subscribers === 1, 'one open stream again')
    await second.close()
    await third.close()
    await until(() => orders.stats().subscribers === 0, 'no open stream')
  },
  LIMIT,
)

test.each(['react', 'hono-jsx'])(
  'a component of %s shows the newest records, and ends its stream with it',
  async (library) => {
    const page = await open(library)
    await untilStatus(page, 'open')
    const from = produced
    await produce(4)
    await untilNumbers(page, range(from, produced))
    await produce(100)
    // The order of partitions is open: either one's last record is the newest.
    const isNewest = (number?: number) => number === produced - 1 || number === produced - 2
    await until(async () => isNewest((await numbersOf(page)).at(-1)), 'the last record', 20_000)
    expect(await numbersOf(page)).toHaveLength(10)
    await page.locator('button', { hasText: 'Close' }).click()
    await until(() => orders.stats().subscribers === 0, 'the end of the stream')
    await page.close()
  },
  LIMIT,
)

test.each(['react', 'hono-jsx'])(
  'a component of %s whose address changes shows the records of the new one alone',
  async (library) => {
    const page = await open(library)
    await untilStatus(page, 'open')
    let from = produced
    await produce(4)
    await untilNumbers(page, range(from, produced))

    await page.locator('button', { hasText: 'Change' }).click()
    await until(async () => (await numbersOf(page)).length === 0, 'no record of the old address')
    await untilStatus(page, 'open')
    from = produced
    await produce(4)
    const odd = range(from, produced).filter((number) => number % 2 === 1)
    await untilNumbers(page, odd)
    await until(() => orders.stats().subscribers === 1, 'the stream of the new address alone')
    await page.close()
    await until(() => orders.stats().subscribers === 0, 'no open stream')
  },
  LIMIT,
)

test(
  'a component that <StrictMode> mounts twice has one stream, and each record once',
  async () => {
    const page = await open('react?strict')
    await untilStatus(page, 'open')
    expect(await page.locator('body').getAttribute('data-mounts')).toBe('2')
    await until(() => orders.stats().subscribers === 1, 'one open stream')
    const from = produced
    await produce(6)
    await untilNumbers(page, range(from, produced))
    expect(orders.stats().subscribers).toBe(1)
    await page.close()
    await until(() => orders.stats().subscribers === 0, 'no open stream')
  },
  LIMIT,
)

test(
  'components of two tabs share one stream',
  async () => {
    const tabs = [await open('react?shared')]
    await untilStatus(tabs[0] as Page, 'open')
    tabs.push(await open('hono-jsx?shared'))
    await untilStatus(tabs[1] as Page, 'open')
    const from = produced
    await produce(6)
    for (const tab of tabs) await untilNumbers(tab, range(from, produced))
    expect(orders.stats().subscribers).toBe(1)
    for (const tab of tabs) await tab.close()
    await until(() => orders.stats().subscribers === 0, 'no open stream')
  },
  LIMIT,
)

test(
  'a component says that it is retrying while the server is away, and misses nothing of that time',
  async () => {
    const page = await open('react')
    await untilStatus(page, 'open')
    const from = produced
    await produce(2)
    await untilNumbers(page, range(from, produced))
    await server.close()
    try {
      await untilStatus(page, 'retrying')
      expect(await page.locator('#error').textContent()).toStartWith('Cannot read the stream: ')
      await produce(4)
    } finally {
      server = serve(app, server.port)
    }
    await untilStatus(page, 'open')
    await untilNumbers(page, range(from, produced))
    expect(await page.locator('#error').textContent()).toBe('')
    await page.close()
    await until(() => orders.stats().subscribers === 0, 'no open stream')
  },
  LIMIT,
)

test.each(['react', 'hono-jsx'])(
  'a component of %s tells why its stream has failed',
  async (library) => {
    const page = await open(`${library}?address=/refused`)
    await untilStatus(page, 'failed')
    expect(await page.locator('#error').textContent()).toBe(REFUSAL.message)
    await page.close()
  },
  LIMIT,
)

test(
  'a Web Worker reads a stream, which ends with its page',
  async () => {
    const page = await open('worker')
    await page.locator('#root[data-status=open]').waitFor({ state: 'attached', timeout: 10_000 })
    const from = produced
    await produce(6)
    await untilNumbers(page, range(from, produced))
    await page.close()
    await until(() => orders.stats().subscribers === 0, 'no open stream')
  },
  LIMIT,
)

test('the pages say nothing on their console but that a connection failed', () => {
  const failed = /^Failed to load resource: (?:net::|.* 403 )/
  expect(browser.errors.filter((error) => !failed.test(error))).toEqual([])
})
