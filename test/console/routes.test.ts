/** The console of an app whose routes only stream, only answer single reads, or have a format of their own. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { Hono } from 'hono'
import { kafkaConsole, kafkaConsume, kafkaMetrics, kafkaStatus } from '../../src/index.ts'
import { Browser } from '../support/chromium.ts'
import { TestKafka } from '../support/kafka.ts'
import { serve } from '../support/server.ts'
import { until } from '../support/wait.ts'
import { needChromium } from './need-chromium.ts'
import { numbered, outputOf, shownIn } from './records-page.ts'

const LIMIT = 120_000

let kafka: TestKafka
let browser: Browser

needChromium()

beforeAll(async () => {
  kafka = await TestKafka.real()
  browser = await Browser.start()
}, LIMIT)

afterAll(async () => {
  await browser?.[Symbol.asyncDispose]()
  await kafka?.close()
}, 120_000)

describe.each(['server-sent-events', 'http-get'] as const)('a route of mode %s', (mode) => {
  test(
    'alone gives live records, pages, searches, and commands that read them',
    async () => {
      const topic = await kafka.createTopic(2)
      const records = numbered(250).map((record) => ({ ...record, partition: 0 }))
      await kafka.produce(topic, records)
      const orders = kafkaConsume({
        bootstrapServers: kafka.bootstrapServers,
        topics: [topic],
        mode,
      })
      const app = new Hono()
        .all('/orders', orders)
        .get('/status', kafkaStatus({ '/orders': orders }))
        .get('/metrics', kafkaMetrics({ '/orders': orders }).printMetrics)
        .route('/ops', kafkaConsole())
      const server = serve(app)
      const { page } = browser
      browser.errors.length = 0
      const untilFirst = (value: string) =>
        until(async () => (await shownIn(page))[0] === value, `the first row ${value}`, 20_000)
      try {
        await page.goto(`${server.url}/ops`)
        await page.locator('#state[data-state=live]').waitFor()
        await untilFirst('value 249')
        await kafka.produce(topic, [{ partition: 1, value: 'now' }])
        await untilFirst('now')
        await page.goto(`${server.url}/ops?start=earliest&partition=0`)
        await untilFirst('value 0')
        await page.locator('#newer').click()
        await untilFirst('value 100')
        await page.locator('#newer').click()
        await untilFirst('value 200')
        await page.locator('#older').click()
        await untilFirst('value 100')
        await page.locator('#curl').click()
        const command = await page.evaluate(() => navigator.clipboard.readText())
        const output = await outputOf(command)
        expect([...(output.match(/"value":"value \d+"/g) ?? [])]).toEqual(
          Array.from({ length: 100 }, (_, n) => `"value":"value ${100 + n}"`),
        )
        await page.goto(`${server.url}/ops?start=newest&find=key&search=k7&record=${topic}:0:3`)
        await untilFirst('value 247')
        await until(async () => (await page.textContent('#detail pre')) === 'value 3', 'the record')
        expect(browser.errors).toEqual([])
      } finally {
        await page.goto('about:blank')
        await orders.close()
        await server.close()
      }
    },
    LIMIT,
  )
})

describe('a route with a format of its own', () => {
  const format = ({ key, value }: { key: unknown; value: unknown }) => ({ from: key, said: value })

  /** Opens the console of an app with such a route. */
  async function open(
    mode: 'auto' | 'server-sent-events',
    work: (base: string, topic: string) => Promise<void>,
  ): Promise<void> {
    const topic = await kafka.createTopic(2)
    const records = numbered(250).map((record, n) => ({
      ...record,
      partition: n % 2,
      timestamp: Date.UTC(2026, 0, 31) + n,
    }))
    await kafka.produce(topic, records)
    const { bootstrapServers } = kafka
    const orders = kafkaConsume({ bootstrapServers, topics: [topic], mode, format })
    const app = new Hono()
      .all('/orders', orders)
      .get('/status', kafkaStatus({ '/orders': orders }))
      .get('/metrics', kafkaMetrics({ '/orders': orders }).printMetrics)
      .route('/ops', kafkaConsole())
    const server = serve(app)
    browser.errors.length = 0
    try {
      await work(`${server.url}/ops`, topic)
      expect(browser.errors).toEqual([])
    } finally {
      await browser.page.goto('about:blank')
      await orders.close()
      await server.close()
    }
  }

  const said = (n: number) => JSON.stringify({ from: `k${n % 10}`, said: `value ${n}` })

  test(
    'gives pages in the order of time, searches, live records, and each of them opened',
    async () => {
      await open('auto', async (base, topic) => {
        const { page } = browser
        const untilFirst = (row: string) =>
          until(async () => (await shownIn(page))[0] === row, `the first row ${row}`, 20_000)
        await page.goto(`${base}?start=earliest`)
        await untilFirst(said(0))
        await page.locator('#newer').click()
        await untilFirst(said(100))
        await page.locator('.row', { hasText: '"value 103"' }).click()
        await page.locator('#detail .tree', { hasText: 'value 103' }).waitFor()
        const opened = page.url()
        await page.goto('about:blank')
        await page.goto(opened)
        await page.locator('#detail .tree', { hasText: 'value 103' }).waitFor()
        await page.goto(`${base}?start=earliest&search=value 249`)
        await untilFirst(said(249))
        await page.goto(base)
        await page.locator('#state[data-state=live]').waitFor()
        await untilFirst(said(249))
        await kafka.produce(topic, [{ partition: 1, key: 'k0', value: 'now' }])
        await untilFirst(JSON.stringify({ from: 'k0', said: 'now' }))
      })
    },
    LIMIT,
  )

  test(
    'that only streams can be followed live, and says so where a page is asked for',
    async () => {
      await open('server-sent-events', async (base, topic) => {
        const { page } = browser
        await page.goto(`${base}?start=earliest`)
        await page.locator('#no-records', { hasText: 'can be followed live' }).waitFor()
        await page.goto(base)
        await page.locator('#state[data-state=live]').waitFor()
        await kafka.produce(topic, [{ partition: 1, key: 'k0', value: 'now' }])
        const now = JSON.stringify({ from: 'k0', said: 'now' })
        await until(async () => (await shownIn(page))[0] === now, 'the live record', 20_000)
      })
    },
    LIMIT,
  )
})
