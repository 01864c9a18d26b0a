/** The console of an app whose routes only stream, or only answer single reads. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { Hono } from 'hono'
import { kafkaConsole, kafkaConsume, kafkaMetrics, kafkaStatus } from '../../src/index.ts'
import { Browser } from '../support/chromium.ts'
import { TestKafka } from '../support/kafka.ts'
import { serve } from '../support/server.ts'
import { until } from '../support/wait.ts'
import { needChromium } from './need-chromium.ts'
import { numbered, outputOf, shownIn } from './records-page.ts'

const LIMIT = 60_000

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
}, 60_000)

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
