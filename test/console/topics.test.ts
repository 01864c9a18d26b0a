/** The console's views of topics and of writing, in a real browser, on a gateway with many topics. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { GatewayProcess } from '../gateway/gateway-process.ts'
import { Browser } from '../support/chromium.ts'
import { TestKafka } from '../support/kafka.ts'
import { uniqueName } from '../support/names.ts'
import { until } from '../support/wait.ts'
import { needChromium } from './need-chromium.ts'

const { TEST_KAFKA_BROKERS: brokers = '' } = process.env
const TOPICS = 50
const PARTITIONS = 300
/** The longest name of a topic that Kafka allows. */
const MAX_NAME = 249

const topics: string[] = []
let kafka: TestKafka
let gateway: GatewayProcess
let url: string
let browser: Browser
/** A topic with records and a group, one of many partitions, and one with a long name. */
let orders: string
let wide: string
let long: string

needChromium()

beforeAll(async () => {
  if (!brokers) throw new Error('Cannot test: TEST_KAFKA_BROKERS names no Kafka')
  kafka = await TestKafka.connect(brokers, { autoCreate: false })
  const name = uniqueName('desk')
  orders = `${name}-orders`
  wide = `${name}-wide`
  long = `${name}-${'x'.repeat(MAX_NAME)}`.slice(0, MAX_NAME)
  const others = Array.from({ length: TOPICS - 3 }, (_, index) => `${name}-${index}`)
  for (const [topic, partitions] of [
    [orders, 2],
    [wide, PARTITIONS],
    [long, 1],
    ...others.map((other) => [other, 1] as const),
  ] as const) {
    topics.push(await kafka.createTopic(partitions, 1, topic))
  }
  await kafka.produce(
    orders,
    Array.from({ length: 40 }, (_, index) => ({
      partition: index % 2,
      key: `customer-${index}`,
      value: `{"id":${index},"big":12345678901234567890}`,
      headers: [
        ['trace', 'ä'],
        ['bytes', new Uint8Array([0xff, 0])],
      ],
    })),
  )
  const flags = ['--brokers', brokers, '--topics', topics.join(','), '--produce']
  const started = await GatewayProcess.listening(flags)
  gateway = started.gateway
  url = started.url
  await until(async () => (await fetch(`${url}/readyz`)).status === 200, 'readiness', 30_000)
  // A group that is 15 records behind.
  const polled = await fetch(`${url}/messages?max_records=25&timeout=10000`)
  expect(polled.status).toBe(200)
  browser = await Browser.start()
}, 120_000)

afterAll(async () => {
  await browser?.[Symbol.asyncDispose]()
  await gateway?.kill()
  for (const topic of topics) await kafka.deleteTopic(topic)
  await kafka?.close()
}, 120_000)

beforeEach(async () => {
  browser.errors.length = 0
  await browser.page.setViewportSize({ width: 1440, height: 900 })
})

const names = () => browser.page.locator('#topics .topic-name').allTextContents()

async function openTopics(query = ''): Promise<void> {
  await browser.page.goto(`${url}/?view=topics${query}`)
  await browser.page.locator('#topics tr').first().waitFor({ timeout: 60_000 })
}

describe('the view of topics', () => {
  test('lists all topics by name, finds one by a part of its name, and keeps that in the address', async () => {
    await openTopics()
    expect(await names()).toEqual([...topics].sort())
    const { page } = browser
    await page.keyboard.press('/')
    await page.keyboard.type('WIDE')
    expect(await names()).toEqual([wide])
    expect(page.url()).toBe(`${url}/?view=topics&search=WIDE`)
    await page.reload()
    await page.locator('#topics tr').first().waitFor({ timeout: 60_000 })
    expect(await names()).toEqual([wide])
    expect(browser.errors).toEqual([])
  }, 120_000)

  test('says at once who is behind, and by how much in which partition', async () => {
    await openTopics()
    const { page } = browser
    await page.locator('#groups .behind').first().waitFor({ timeout: 60_000 })
    const [first] = await page.locator('#groups tr').allInnerTexts()
    expect(first).toContain(orders)
    await page.getByRole('button', { name: 'Lag' }).click()
    expect((await names())[0]).toBe(orders)
    expect(page.url()).toContain('sort=-lag')
    await page.locator('#topics .topic-name').first().click()
    await page.locator('#partitions tr').first().waitFor({ timeout: 60_000 })
    await page.locator('.open').first().click()
    const lags = await page.locator('.partition .number:last-child').allTextContents()
    expect(lags.reduce((sum, lag) => sum + Number(lag), 0)).toBe(15)
    await page.goBack()
    await page.locator('#topics tr').first().waitFor({ timeout: 60_000 })
    expect((await names())[0]).toBe(orders)
    expect(browser.errors).toEqual([])
  }, 120_000)

  test.each([390, 1440])(
    'fits in %i px, with 50 topics, 300 partitions and a name of 249 characters',
    async (width) => {
      const { page } = browser
      await page.setViewportSize({ width, height: 900 })
      for (const query of ['', `&topic=${wide}`, `&topic=${long}`]) {
        await page.goto(`${url}/?view=topics${query}`)
        await page.locator('tbody tr').first().waitFor({ timeout: 60_000 })
        const [fullWidth, height] = await page.evaluate<number[]>(
          '[document.documentElement.scrollWidth, document.documentElement.scrollHeight]',
        )
        expect(fullWidth).toBe(width)
        expect(height).toBeLessThan(2_000)
      }
      expect(await page.locator('#topic-title').textContent()).toBe(long)
    },
    120_000,
  )

  test('leaves the focus and what is typed where they are, while its numbers change', async () => {
    await openTopics()
    const { page } = browser
    const records = () =>
      page.locator('#topics tr', { hasText: orders }).locator('td').first().textContent()
    await page.locator('#topic-search').fill('orders')
    await page.evaluate("document.querySelector('#topic-search').setSelectionRange(2, 4)")
    const before = await records()
    await kafka.produce(orders, [{ value: 'one more' }])
    await until(async () => (await records()) !== before, 'the new record', 20_000)
    expect(
      await page.evaluate(
        '[document.activeElement.id, document.activeElement.value, document.activeElement.selectionStart]',
      ),
    ).toEqual(['topic-search', 'orders', 2])
    // A link that has the focus keeps it, too.
    await page.locator('#topics .topic-name').first().focus()
    const then = await records()
    await kafka.produce(orders, [{ value: 'and one more' }])
    await until(async () => (await records()) !== then, 'the new record', 20_000)
    expect(await page.evaluate('document.activeElement.textContent')).toBe(orders)
  }, 120_000)
})

describe('the view that writes', () => {
  const written = () => browser.page.locator('#written a')

  test('sends a record again as it is, bytes and digits included', async () => {
    const { page } = browser
    await page.goto(`${url}/?view=produce&record=${orders}:1:3`)
    await until(
      async () => (await page.locator('#value').inputValue()) !== '',
      'the record',
      20_000,
    )
    expect(await page.locator('#key').inputValue()).toBe('customer-7')
    expect(await page.locator('#partition').inputValue()).toBe('1')
    await page.getByRole('button', { name: 'Send' }).click()
    await written().waitFor({ timeout: 60_000 })
    const link = (await written().getAttribute('href')) ?? ''
    const [, partition, offset] =
      /:(\d+):(\d+)$/.exec(new URL(link).searchParams.get('record') ?? '') ?? []
    const read = async (at: string | undefined) => {
      const place = `topic=${orders}&partition=1&cursor=${orders}:1=${at}&max_records=1&format=records`
      const { records } = await (await fetch(`${url}/messages?${place}`)).json()
      const { offset: _, timestamp: __, ...record } = records[0]
      return record
    }
    expect(partition).toBe('1')
    expect(await read(offset)).toEqual(await read('3'))
    expect(browser.errors).toEqual([])
  }, 120_000)

  test('writes what a form says: a key, bytes, headers that repeat, and a tombstone', async () => {
    const { page } = browser
    await page.goto(`${url}/?view=produce&topic=${orders}`)
    await page.getByLabel('Key as').selectOption('base64')
    await page.locator('#key').fill('AP8=')
    await page.getByLabel('Value as').selectOption('none')
    for (const [index, text] of ['a', 'b'].entries()) {
      await page.getByRole('button', { name: 'Add a header' }).click()
      await page.keyboard.type('trace')
      await page.getByLabel(`Value of header ${index + 1}`).fill(text)
    }
    await page.locator('#partition').fill('0')
    await page.keyboard.press('Control+Enter')
    await written().waitFor({ timeout: 60_000 })
    const [, offset] = /offset ([\d,]+)/.exec((await written().textContent()) ?? '') ?? []
    const place = `topic=${orders}&partition=0&cursor=${orders}:0=${offset}&format=records`
    const { records } = await (await fetch(`${url}/messages?${place}`)).json()
    expect(records[0]).toMatchObject({
      key: 'AP8=',
      value: null,
      headers: { trace: ['a', 'b'] },
      encoding: { key: 'base64' },
    })
  }, 120_000)

  test('tells mistakes at their fields, before anything is sent, and what Kafka refuses', async () => {
    const { page } = browser
    const requests: string[] = []
    page.on('request', (request) => {
      if (request.method() === 'POST') requests.push(request.url())
    })
    await page.goto(`${url}/?view=produce`)
    await page.getByRole('button', { name: 'Send' }).waitFor({ timeout: 60_000 })
    await page.getByLabel('Key as').selectOption('base64')
    await page.locator('#key').fill('not base64!')
    await page.getByRole('button', { name: 'Add a header' }).click()
    await page.getByRole('button', { name: 'Send' }).click()
    expect(await page.locator('.mistake').allTextContents()).toEqual([
      'Choose a topic.',
      'This is not base64.',
      'A header needs a name.',
    ])
    expect(await page.evaluate('document.activeElement.id')).toBe('topic')
    await page.locator('#topic').selectOption(orders)
    await page.locator('#partition').fill('7')
    await until(
      async () => (await page.locator('#partition-mistake').count()) === 1,
      'the partition to be refused',
      10_000,
    )
    expect(await page.locator('#partition-mistake').textContent()).toBe(
      'The topic has the partitions 0 to 1.',
    )
    expect(requests).toEqual([])
    await page.locator('#value').fill('{"a":')
    expect(await page.locator('#value-note').textContent()).toContain('This is not valid JSON')
    // Kafka's limit is 1 MB.
    await page.locator('#value').fill('x'.repeat(1_500_000))
    await page.locator('#partition').fill('')
    await page.getByLabel('Key as').selectOption('none')
    await page.getByRole('button', { name: 'Remove header 1' }).click()
    await page.getByRole('button', { name: 'Send' }).click()
    await until(
      async () => ((await page.locator('[role=alert].bad').textContent()) ?? '') !== '',
      'what Kafka refuses',
      20_000,
    )
    expect(requests).toHaveLength(1)
  }, 120_000)

  test('is not offered by a gateway that does not write', async () => {
    const started = await GatewayProcess.listening(['--brokers', brokers, '--topics', orders])
    await using _ = started.gateway
    const { page } = browser
    await page.goto(`${started.url}/?view=topics&topic=${orders}`)
    await page.locator('#partitions tr').first().waitFor({ timeout: 60_000 })
    expect(await page.getByRole('link', { name: 'Produce' }).count()).toBe(0)
    await page.goto(`${started.url}/?view=produce`)
    await page.getByText('--produce is off').waitFor({ timeout: 60_000 })
  }, 120_000)
})
