/** The example app, by the command of docs/client.md, in Chromium. */
import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { needChromium } from '../console/need-chromium.ts'
import { AppProcess } from '../support/app-process.ts'
import { Browser } from '../support/chromium.ts'
import { until } from '../support/wait.ts'

const root = join(import.meta.dirname, '..', '..')
const PATIENCE = 30_000

needChromium()

test("the example app shows the shop's events, follows a filter that changes, and says why one is refused", async () => {
  const page = readFileSync(join(root, 'docs/client.md'), 'utf8')
  const [, program = ''] = /^npx -y bun@\S+ (examples\/react-app\/\S+)/m.exec(page) ?? []
  await using app = await AppProcess.start([process.execPath, program], root)
  await using browser = await Browser.start()
  const { page: tab } = browser
  await tab.goto(app.url)
  const status = (state: string) => tab.locator(`[role=status][data-status=${state}]`)
  const rows = tab.locator('tbody tr')
  const filterBy = async (filter: string) => {
    await tab.locator('input').fill(filter)
    await tab.locator('button').click()
  }

  await status('open').waitFor({ timeout: PATIENCE })
  await until(async () => (await rows.count()) === 50, 'the newest 50 events', PATIENCE)

  await filterBy('value.type == "order.placed"')
  await until(
    async () => {
      const events = await tab.locator('td:nth-child(2)').allTextContents()
      return events.length > 0 && events.every((event) => event === 'order.placed')
    },
    'orders alone',
    PATIENCE,
  )
  expect(await tab.locator('td:nth-child(4)').first().textContent()).toMatch(/^\d+\.\d\d$/)
  expect(browser.errors).toEqual([])

  await filterBy('value.type ==')
  await status('failed').waitFor({ timeout: PATIENCE })
  expect(await status('failed').textContent()).toContain('parameter "filter"')
  await filterBy('')
  await status('open').waitFor({ timeout: PATIENCE })
  await until(async () => (await rows.count()) === 50, 'the newest 50 events again', PATIENCE)
}, 120_000)
