/** Many tabs of the console in Chromium on plain HTTP/1.1, of which a browser opens six connections. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'bun:test'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { GatewayProcess } from '../gateway/gateway-process.ts'
import { Browser } from '../support/chromium.ts'
import { TestKafka } from '../support/kafka.ts'
import { Exposition } from '../support/metrics.ts'
import { until, within } from '../support/wait.ts'
import { needChromium } from './need-chromium.ts'
import { shownIn } from './records-page.ts'

const root = join(import.meta.dirname, '../..')
const TABS = 8
const PATIENCE = 60_000

let kafka: TestKafka
let topic: string
let gateway: GatewayProcess
let url: string

needChromium()

beforeAll(async () => {
  kafka = await TestKafka.real()
})

beforeEach(async () => {
  topic = await kafka.createTopic(4)
  const flags = ['--brokers', kafka.bootstrapServers, '--topics', topic]
  const started = await GatewayProcess.listening(flags)
  gateway = started.gateway
  url = started.url
  await until(async () => (await fetch(`${url}/readyz`)).status === 200, 'readiness', PATIENCE)
}, 120_000)

afterEach(() => gateway?.kill())

afterAll(async () => {
  await kafka?.close()
})

async function produce(...values: string[]): Promise<void> {
  await kafka.produce(
    topic,
    values.map((value) => ({ partition: 0, value })),
  )
}

async function openTab(browser: Browser): Promise<Page> {
  const page = await browser.page.context().newPage()
  await page.goto(url)
  return page
}

async function untilState(page: Page, state: string): Promise<void> {
  await page.locator(`#state[data-state=${state}]`).waitFor({ timeout: PATIENCE })
}

function untilShown(page: Page, wanted: string): Promise<void> {
  return until(
    async () => {
      const values = await shownIn(page)
      return values.join() === wanted
    },
    `records ${wanted}`,
    PATIENCE,
  )
}

async function untilStreams(count: number): Promise<void> {
  let open: number | undefined
  await until(
    async () => {
      const metrics = new Exposition(await (await fetch(`${url}/metrics`)).text())
      open = metrics.value('hono_kafka_open_streams', { route: '/stream' })
      return open === count
    },
    () => `${count} open streams, there are ${open}`,
    PATIENCE,
  )
}

test('8 tabs share one stream, which outlives any of them, and none misses a record', async () => {
  await using browser = await Browser.start()
  const tabs: Page[] = []
  for (let index = 0; index < TABS; index++) tabs.push(await openTab(browser))
  for (const tab of tabs) await untilState(tab, 'live')
  await untilStreams(1)
  await produce('one')
  for (const tab of tabs) await untilShown(tab, 'one')

  const [first, second, ...others] = tabs
  await first?.close()
  await second?.locator('#pause').click()
  await produce('two')
  for (const tab of others) await untilShown(tab, 'two,one')
  await second?.locator('#pause').click()
  await produce('three')
  for (const tab of tabs.slice(1)) await untilShown(tab, 'three,two,one')
  // The tab that read on from its own position has caught up with the others.
  await untilStreams(1)

  await second?.selectOption('#start', 'earliest')
  if (second) await untilShown(second, 'one,two,three')
  await untilStreams(1)
  await second?.goBack()
  if (second) await untilShown(second, 'three,two,one')
  await produce('four')
  for (const tab of tabs.slice(1)) await untilShown(tab, 'four,three,two,one')
  await untilStreams(1)
  for (const tab of tabs.slice(1)) await tab.close()
  await untilStreams(0)
  expect(browser.errors).toEqual([])
}, 120_000)

test('tabs that read different records leave connections free, and wait for their turn', async () => {
  await using browser = await Browser.start()
  const tabs: Page[] = []
  for (const partition of ['0', '1', '2', '3', '']) {
    const tab = await openTab(browser)
    await untilState(tab, tabs.length < 4 ? 'live' : 'wait')
    await tab.locator('#partition option').nth(4).waitFor({ state: 'attached' })
    if (partition !== '') {
      await tab.selectOption('#partition', partition)
      await untilState(tab, 'live')
    }
    tabs.push(tab)
  }
  const last = tabs.at(-1) as Page
  await until(
    async () => (await last.locator('#state').textContent()) === 'waiting for other tabs …',
    'the fifth tab to wait',
    PATIENCE,
  )
  await untilStreams(4)
  // Further tabs load, and their figures go on.
  const further = await openTab(browser)
  await further.locator('#kafka[data-state=live]').waitFor({ timeout: PATIENCE })
  await tabs[0]?.close()
  await untilState(last, 'live')
  await untilState(further, 'live')
  await untilStreams(4)
  await produce('all')
  await untilShown(last, 'all')
  await untilShown(further, 'all')
}, 120_000)

test('the example of a page shares one connection among 8 tabs', async () => {
  const child = Bun.spawn([process.execPath, join(root, 'examples/tabs.ts')], {
    env: {
      ...process.env,
      KAFKA_BROKERS: kafka.bootstrapServers,
      KAFKA_TOPICS: topic,
      PORT: '0',
    },
    stdout: 'pipe',
  })
  try {
    const first = await within(child.stdout.getReader().read(), 'the address', PATIENCE)
    const address = new TextDecoder().decode(first.value).trim()
    await using browser = await Browser.start()
    const tabs: Page[] = []
    for (let index = 0; index < TABS; index++) {
      const page = await browser.page.context().newPage()
      await page.goto(address)
      tabs.push(page)
    }
    const show = async (value: string, some: readonly Page[]) => {
      const all = () =>
        Promise.all(some.map(async (page) => (await page.textContent('#records'))?.includes(value)))
      await until(
        async () => {
          // The stream may begin after a record that is written too soon.
          await produce(value)
          return (await all()).every(Boolean)
        },
        `${value} in ${some.length} tabs`,
        PATIENCE,
      )
    }
    await show('one', tabs)
    await tabs[0]?.close()
    await show('two', tabs.slice(1))
    expect(browser.errors).toEqual([])
  } finally {
    child.kill('SIGKILL')
    await child.exited
  }
}, 120_000)
