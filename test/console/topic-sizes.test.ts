/** Sizes of topics and partitions in the console, in a real browser. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { bytes } from '../../src/gateway/console/assets/format.js'
import { retentionText } from '../../src/gateway/console/assets/topics/sizes.js'
import { GatewayProcess } from '../gateway/gateway-process.ts'
import { Browser, provideChromium } from '../support/chromium.ts'
import { TestKafka } from '../support/kafka.ts'
import { uniqueName } from '../support/names.ts'
import { until } from '../support/wait.ts'

let kafka: TestKafka
let large: string
let small: string
let empty: string
let gateway: GatewayProcess
let url: string
let browser: Browser

beforeAll(async () => {
  await provideChromium()
}, 600_000)

beforeAll(async () => {
  kafka = await TestKafka.real()
  const name = uniqueName('sizes')
  // By name and by size, the topics have different orders, and so have the partitions.
  large = await kafka.createTopic(3, 1, `${name}-b`, {
    'retention.ms': '7200000',
    'retention.bytes': '2000000000',
  })
  small = await kafka.createTopic(1, 1, `${name}-c`)
  empty = await kafka.createTopic(1, 1, `${name}-a`)
  await kafka.produce(
    large,
    [20_000, 80_000, 40_000].map((length, partition) => ({ partition, value: 'x'.repeat(length) })),
  )
  await kafka.produce(small, [{ value: 'x'.repeat(500) }])
  const flags = ['--brokers', kafka.bootstrapServers, '--topics', [large, small, empty].join(',')]
  const started = await GatewayProcess.listening(flags)
  gateway = started.gateway
  url = started.url
  browser = await Browser.start()
}, 120_000)

afterAll(async () => {
  await browser?.[Symbol.asyncDispose]()
  await gateway?.kill()
  for (const topic of [large, small, empty]) if (topic) await kafka.deleteTopic(topic)
  await kafka?.close()
}, 120_000)

/** The texts of a column, once the first row has the expected one. */
async function column(table: string, index: number, first: string): Promise<string[]> {
  const cells = browser.page.locator(`${table} tr > :nth-child(${index})`)
  let texts: string[] = []
  await until(
    async () => {
      texts = (await cells.allTextContents()).map((text) => text.trim())
      return texts[0] === first
    },
    () => `"${first}" above all; the column is ${JSON.stringify(texts)}`,
    40_000,
  )
  return texts
}

test('the size of each topic and partition is shown with its unit, and sorts the table', async () => {
  const { page } = browser
  await page.goto(`${url}/?view=topics`)
  await column('#topics', 1, empty)
  await page.getByRole('button', { name: 'Size' }).click()
  expect(await column('#topics', 1, large)).toEqual([large, small, empty])
  expect(page.url()).toEndWith('sort=-size')
  const told = await (await fetch(`${url}/topics/${large}`)).json()
  expect(told.bytes).toBeGreaterThan(140_000)
  const sizes = await column('#topics', 3, bytes(told.bytes))
  expect(sizes[2]).toBe('0')
  expect(sizes[1]).toMatch(/^\d+ B$/)

  await page.locator('#topics .topic-name').first().click()
  await column('#partitions', 1, '0')
  await page.getByRole('button', { name: 'Size' }).click()
  expect(await column('#partitions', 1, '1')).toEqual(['1', '2', '0'])
  const largest = told.partitions[1].bytes
  await column('#partitions', 4, bytes(largest))
  const title = await page.locator('#partitions [title]').first().getAttribute('title')
  expect(title?.replaceAll(',', '')).toStartWith(`${largest} bytes; ${largest} bytes with all`)
  const facts = await page.locator('.topic-facts div').allTextContents()
  expect(facts).toContain(`Size${bytes(told.bytes)}`)
  expect(facts).toContain('Retention2 h, 2 GB a partition')
  expect(browser.errors).toEqual([])
}, 120_000)

test('the reason is shown where Kafka does not report sizes', async () => {
  const embedded = await GatewayProcess.listening([])
  await using _ = embedded.gateway
  const { page } = browser
  await page.goto(`${embedded.url}/?view=topics`)
  const note = page.locator('.size-note')
  await note.waitFor({ timeout: 60_000 })
  const reason = 'Cannot read the sizes of partitions: the brokers do not support this request.'
  expect(await note.textContent()).toBe(reason)
  expect(await column('#topics', 3, '–')).toHaveLength(1)
  await page.locator('#topics .topic-name').first().click()
  await page.locator('#partitions tr').first().waitFor({ timeout: 60_000 })
  expect(await page.locator('.size-note').textContent()).toBe(reason)
}, 120_000)

describe('the retention of a topic', () => {
  const settings = (values: Record<string, string>) =>
    Object.entries(values).map(([name, value]) => ({ name, value, isDefault: false }))

  test.each([
    [
      { 'cleanup.policy': 'delete', 'retention.ms': '604800000', 'retention.bytes': '-1' },
      '7 days',
    ],
    [{ 'cleanup.policy': 'delete', 'retention.ms': '86400000' }, '1 day'],
    [{ 'cleanup.policy': 'delete', 'retention.ms': '90000' }, '1.5 min'],
    [{ 'cleanup.policy': 'delete', 'retention.ms': '-1', 'retention.bytes': '-1' }, 'no limit'],
    [{ 'cleanup.policy': 'delete', 'retention.bytes': '1000' }, '1 kB a partition'],
    [{ 'cleanup.policy': 'compact', 'retention.ms': '604800000' }, 'newest of each key'],
    [{ 'cleanup.policy': 'compact,delete', 'retention.ms': '3600000' }, 'newest of each key, 1 h'],
  ])('of the settings %j is told as "%s"', (values, text) => {
    expect(retentionText(settings(values))).toBe(text)
  })

  test('is left out where the settings are unknown', () => {
    expect(retentionText(null)).toBeUndefined()
    expect(retentionText([])).toBeUndefined()
  })
})
