/** The package's client in a real browser: tabs that share a connection, and the hooks of view libraries. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
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

let kafka: TestKafka
let topic: string
let orders: ReturnType<typeof kafkaConsume>
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
  const app = new Hono().get('/orders', orders)
  for (const name of ['tabs', 'react', 'hono-jsx']) {
    app.get(`/${name}`, (c) =>
      c.html(`<!doctype html><div id=root></div><script type=module src=/${name}.js></script>`),
    )
    app.get(`/${name}.js`, async () => {
      const entrypoint = join(pages, name === 'tabs' ? 'tabs.ts' : `${name}.tsx`)
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
    await page.locator('#status', { hasText: 'open' }).waitFor({ timeout: 10_000 })
    const from = produced
    await produce(4)
    await untilNumbers(page, range(from, produced))
    await produce(100)
    // The order of partitions is open: either one's last record is the newest.
    const isNewest = (number?: number) => number === produced - 1 || number === produced - 2
    await until(async () => isNewest((await numbersOf(page)).at(-1)), 'the last record', 20_000)
    expect(await numbersOf(page)).toHaveLength(10)
    await page.locator('button').click()
    await until(() => orders.stats().subscribers === 0, 'the end of the stream')
    await page.close()
  },
  LIMIT,
)

test('the pages say nothing on their console', () => {
  expect(browser.errors).toEqual([])
})
