/** Every view by axe (WCAG 2.2 AA), in both themes, at the width of a desktop and of a phone. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { GatewayProcess } from '../gateway/gateway-process.ts'
import { axeFindings, dress, THEMES_AND_WIDTHS } from '../support/axe.ts'
import { Browser } from '../support/chromium.ts'
import { TestKafka } from '../support/kafka.ts'
import { until } from '../support/wait.ts'
import { needChromium } from './need-chromium.ts'

const { TEST_KAFKA_BROKERS: brokers = '' } = process.env
const KEY = 'planted-key-of-the-operator'
const SCOPED_KEY = 'planted-key-of-the-shop'
const folder = mkdtempSync(join(tmpdir(), 'accessibility-'))

let kafka: TestKafka
let gateway: GatewayProcess
let url: string
let browser: Browser

let topic: string

/** Each view with its address, and an action that brings the page there. */
const VIEWS: Array<[name: string, path: () => string, show: () => Promise<unknown>]> = [
  ['the login page', () => '/login', async () => browser.page.getByLabel('Key').waitFor()],
  [
    'the login page after a wrong key',
    () => '/login',
    async () => {
      await browser.page.getByLabel('Key').fill('wrong')
      await browser.page.keyboard.press('Enter')
      await browser.page.getByRole('alert').waitFor()
    },
  ],
  ['the view of records', () => '/?start=earliest', () => seen('#main [role=region], #records')],
  ['the view of live records', () => '/', () => seen('[data-state=live]')],
  [
    'an opened record',
    () => `/?topic=${topic}&start=earliest&record=${topic}:0:0`,
    () => seen('a.button'),
  ],
  ['the view of topics', () => '/?view=topics', () => seen('#groups .behind')],
  [
    'the view of a topic',
    () => `/?view=topics&topic=${topic}`,
    async () => {
      await seen('.open')
      await browser.page.locator('.open').first().click()
      await browser.page.locator('.configuration summary').click()
    },
  ],
  [
    'the view of a topic that is not there',
    () => '/?view=topics&topic=none',
    () => seen('.topic-error:not([hidden])'),
  ],
  [
    'the view that writes, with a record and mistakes',
    () => `/?view=produce&record=${topic}:0:0`,
    async () => {
      const { page } = browser
      await until(async () => (await page.locator('#key').inputValue()) === 'k', 'a key', 20_000)
      await page.getByLabel('Key as').selectOption('none')
      await page.getByLabel('Value as').selectOption('base64')
      await page.getByRole('button', { name: 'Add a header' }).click()
      await page.getByRole('button', { name: 'Send' }).click()
      await seen('.mistake')
    },
  ],
  ['the view of the gateway', () => '/?view=gateway', () => seen('#routes tr')],
  [
    'the list of keys',
    () => '/?view=gateway',
    async () => {
      await seen('#routes tr')
      await browser.page.keyboard.press('?')
      await seen('dialog[open]')
    },
  ],
  ['the records of a client with a scope', () => '/login', () => asScopedClient('/', '.scope')],
  [
    'the page for a client with a scope in place of one that shows all',
    () => '/login',
    () => asScopedClient('/docs', '.quiet'),
  ],
]

/** Logs in as a client with a scope, in place of the operator. */
async function asScopedClient(path: string, selector: string): Promise<void> {
  await logIn(SCOPED_KEY)
  await browser.page.goto(url + path)
  await seen(selector)
}

async function logIn(key: string): Promise<void> {
  await browser.page.getByLabel('Key').fill(key)
  await browser.page.keyboard.press('Enter')
  await seen('#main section')
}

async function seen(selector: string): Promise<void> {
  await browser.page.locator(selector).first().waitFor({ timeout: 60_000 })
}

needChromium()

beforeAll(async () => {
  if (!brokers) throw new Error('Cannot test: TEST_KAFKA_BROKERS names no Kafka')
  kafka = await TestKafka.connect(brokers, { autoCreate: false })
  topic = await kafka.createTopic(2)
  await kafka.produce(
    topic,
    Array.from({ length: 30 }, (_, index) => ({
      key: 'k',
      value: '{"a":[1,true]}',
      partition: index % 2,
    })),
  )
  const clients = join(folder, 'clients.yaml')
  const only = `{topics: [${topic}], partitions: [0], keys: [k], filters: ["partition == 0"]}`
  writeFileSync(clients, `clients: [{name: shop, key: ${SCOPED_KEY}, only: ${only}}]`)
  const flags = ['--brokers', brokers, '--topics', topic, '--produce', '--clients', clients]
  const started = await GatewayProcess.listening(flags, { BEARER_KEYS: `ops=${KEY}` })
  gateway = started.gateway
  url = started.url
  await until(async () => (await fetch(`${url}/readyz`)).status === 200, 'readiness', 20_000)
  // The page's content security policy would refuse the script that axe is.
  browser = await Browser.start({ bypassCSP: true })
  // The group is then some records behind.
  const headers = { authorization: `Bearer ${KEY}` }
  await fetch(`${url}/messages?max_records=3&timeout=10000`, { headers })
  await browser.page.goto(url)
  await logIn(KEY)
}, 120_000)

afterAll(async () => {
  await browser?.[Symbol.asyncDispose]()
  await gateway?.kill()
  rmSync(folder, { recursive: true })
  await kafka?.deleteTopic(topic)
  await kafka?.close()
}, 120_000)

describe.each(VIEWS)('%s', (_, path, show) => {
  test.each(THEMES_AND_WIDTHS)(
    'at %i px in the %s theme has no findings of axe, and fits in its width',
    async (width, theme) => {
      await dress(browser.page, width, theme)
      await browser.page.goto(url + path())
      await show()
      expect(await axeFindings(browser.page)).toEqual([])
    },
    120_000,
  )
})
