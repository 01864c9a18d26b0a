/** Lists of records in the console: live, from a position, and by a search. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { sleep, stays, until } from '../support/wait.ts'
import { needChromium } from './need-chromium.ts'
import { numbered, outputOf, RecordsPage } from './records-page.ts'

const LIMIT = 120_000

let view: RecordsPage

needChromium()

beforeAll(async () => {
  view = await RecordsPage.start(12)
}, LIMIT)

beforeEach(() => view.nextTopic())

afterAll(() => view?.[Symbol.asyncDispose](), 30_000)

describe('live records', () => {
  test(
    'begin with the newest ones, a pause misses nothing, and each is shown once',
    async () => {
      await view.produce({ value: 'old' })
      await view.open()
      await view.untilState('live')
      await view.untilShown(['old'])
      await view.produce({ value: 'one' })
      await view.untilShown(['one', 'old'])
      await view.page.locator('h1').click()
      await view.page.keyboard.press('Space')
      await view.untilState('paused')
      await view.produce({ value: 'two' }, { value: 'three' })
      await stays(async () => (await view.shown()).length === 2, 'no further record is shown', 500)
      await view.page.keyboard.press('Space')
      await view.untilShown(['three', 'two', 'one', 'old'])
      expect(view.browser.errors).toEqual([])
    },
    LIMIT,
  )

  test(
    'are only those that a search finds',
    async () => {
      await view.produce({ value: 'hay' }, { value: 'an old NEEDLE' })
      await view.open()
      await view.untilShown(['an old NEEDLE', 'hay'])
      await view.page.keyboard.press('/')
      await view.page.keyboard.type('needle')
      await view.page.keyboard.press('Enter')
      await view.untilShown(['an old NEEDLE'])
      await view.produce({ value: 'hay' }, { key: 'needle', value: 'by key' })
      await view.untilShown(['by key', 'an old NEEDLE'])
      expect(view.browser.errors).toEqual([])
    },
    LIMIT,
  )

  test(
    'stand still under a pointer, so that a row can be clicked, and the focus stays on its record',
    async () => {
      await view.produce({ value: 'first' })
      await view.open()
      await view.untilState('live')
      await view.untilShown(['first'])
      let isFlowing = true
      const flow = (async () => {
        for (; isFlowing; await sleep(20)) await view.produce(...numbered(40))
      })()
      flow.catch(() => {}) // It is awaited at the end.
      try {
        await until(async () => (await view.shown()).length > 20, 'records to flow', 45_000)
        const box = await view.page.locator('#records').boundingBox()
        await view.page.mouse.move((box?.x ?? 0) + 200, (box?.y ?? 0) + 100)
        await view.page.mouse.move((box?.x ?? 0) + 205, (box?.y ?? 0) + 100)
        await view.page.locator('#newest').waitFor({ timeout: 60_000 })
        const row = view.page.locator('#rows > li[aria-posinset="5"] .row')
        const place = await row.locator('.place').textContent()
        await row.click()
        await view.page.locator('#detail h2').waitFor()
        expect(
          (await view.page.locator('#detail h2').textContent())?.replaceAll(',', ''),
        ).toContain(place ?? '')
        await view.page.keyboard.press('Escape')
        await view.page.locator('#detail').waitFor({ state: 'hidden' })
        await view.page.keyboard.press('j')
        const focused = () =>
          view.page.evaluate(
            () =>
              document.activeElement?.closest('#rows > li')?.querySelector('.place')?.textContent,
          )
        const next = await focused()
        expect(next).toBeTruthy()
        const before = await view.page.locator('#newest').textContent()
        await until(
          async () => (await view.page.locator('#newest').textContent()) !== before,
          'further records',
          15_000,
        )
        expect(await focused()).toBe(next)
        await view.page.locator('#newest').click()
        await until(async () => (await focused()) === undefined, 'the list to flow again', 45_000)
      } finally {
        isFlowing = false
      }
      await flow
      expect(view.browser.errors).toEqual([])
    },
    LIMIT,
  )

  test(
    'go on by themselves when the gateway is back, and each is shown once',
    async () => {
      await view.open()
      await view.untilState('live')
      await view.produce({ value: 'first' })
      await view.untilShown(['first'])
      await view.restart(() => view.produce({ value: 'meanwhile' }))
      await view.untilShown(['meanwhile', 'first'])
      await view.untilState('live')
      await view.produce({ value: 'later' })
      await view.untilShown(['later', 'meanwhile', 'first'])
    },
    LIMIT,
  )
})

describe('pages of records', () => {
  test(
    'begin at the oldest record, go on and back, and each of them is a link',
    async () => {
      await view.produce(...numbered(250))
      await view.open()
      await view.page.selectOption('#start', 'earliest')
      await view.untilFirst('value 0')
      expect(await view.page.locator('#rows > li').first().getAttribute('aria-setsize')).toBe('100')
      await view.page.locator('#newer').click()
      await view.untilFirst('value 100')
      const second = view.page.url()
      await view.page.locator('#newer').click()
      await view.untilFirst('value 200')
      expect(await view.page.locator('#rows > li').first().getAttribute('aria-setsize')).toBe('50')
      await view.page.locator('#older').click()
      await view.untilFirst('value 100')
      await view.page.goBack()
      await view.untilFirst('value 200')
      await view.page.goBack()
      await view.untilFirst('value 100')
      expect(view.page.url()).toBe(second)
      await view.page.reload()
      await view.untilFirst('value 100')
      await view.page.goBack()
      await view.untilFirst('value 0')
      await view.page.goForward()
      await view.untilFirst('value 100')
      expect(view.browser.errors).toEqual([])
    },
    LIMIT,
  )

  test(
    'begin at a duration, a time, an offset, and in one partition',
    async () => {
      const hour = 3_600_000
      const now = Date.now()
      await view.produce(
        { value: 'two hours ago', timestamp: now - 2 * hour },
        { value: 'half an hour ago', timestamp: now - hour / 2 },
        { value: 'now', timestamp: now },
        { partition: 1, value: 'in partition 1', timestamp: now },
      )
      await view.open('&partition=0')
      await view.page.selectOption('#start', '-1h')
      await view.untilShown(['half an hour ago', 'now'])
      await view.page.selectOption('#start', 'time')
      const local = new Date(now - 1.5 * hour - new Date().getTimezoneOffset() * 60_000)
      await view.page.fill('#time', local.toISOString().slice(0, 19))
      await view.page.press('#time', 'Enter')
      await view.untilShown(['half an hour ago', 'now'])
      await view.page.selectOption('#start', 'offset')
      await view.page.fill('#offset', '2')
      await view.page.press('#offset', 'Enter')
      await view.untilShown(['now'])
      await view.page.selectOption('#start', 'newest')
      await view.untilShown(['now', 'half an hour ago', 'two hours ago'])
      await view.page.selectOption('#partition', '1')
      await view.untilShown(['in partition 1'])
      expect(view.browser.errors).toEqual([])
    },
    LIMIT,
  )
})

describe('records of several partitions', () => {
  const begin = Date.UTC(2026, 0, 31)
  /** Records a second apart, in runs of ten in each partition. */
  const inRuns = (count: number) =>
    Array.from({ length: count }, (_, n) => ({
      partition: Math.floor(n / 10) % 2,
      value: `at ${n}`,
      key: n % 40 === 7 ? 'rare' : `k${n}`,
      timestamp: begin + n * 1_000,
    }))
  const shown = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, n) => `at ${from + n}`)

  test(
    'come in the order of time, page by page, also those that a search finds and those of a copied command',
    async () => {
      await view.produce(...inRuns(250))
      await view.open('&start=earliest')
      await view.untilFirst('at 0')
      const first = await view.shown()
      expect(first.length).toBeGreaterThan(15)
      expect(first).toEqual(shown(0, first.length))
      await view.page.locator('#newer').click()
      await view.untilFirst('at 100')
      await view.page.locator('#curl').click()
      await view.page.locator('#toast.shown').waitFor()
      const { records } = JSON.parse(await outputOf(await view.clipboard())) as {
        records: Array<{ value: string }>
      }
      expect(records.map(({ value }) => value)).toEqual(shown(100, 200))
      await view.page.locator('#older').click()
      await view.untilFirst('at 0')
      await view.search('rare', 'key')
      await view.untilShown(['at 7', 'at 47', 'at 87', 'at 127', 'at 167', 'at 207', 'at 247'])
      expect(view.browser.errors).toEqual([])
    },
    LIMIT,
  )

  test(
    'name their topic where a route has several, also on a phone',
    async () => {
      await view.produce({ key: 'k', value: 'of this topic', timestamp: Date.now() })
      const { page } = view
      for (const width of [1440, 360]) {
        await page.setViewportSize({ width, height: 800 })
        await page.goto(`${view.url}/?start=newest`)
        const row = page.locator('.row', { hasText: 'of this topic' })
        await row.waitFor()
        const topic = row.locator('.topic')
        expect(await topic.textContent()).toBe(view.topic)
        const [line, cell, value] = await Promise.all(
          [row, topic, row.locator('.value')].map((each) => each.boundingBox()),
        )
        if (!line || !cell || !value) throw new Error('A part of the row cannot be seen')
        expect(cell.width).toBeGreaterThan(50)
        expect(cell.y + cell.height).toBeLessThanOrEqual(line.y + line.height)
        expect(value.y + value.height).toBeLessThanOrEqual(line.y + line.height)
        if (width === 360) expect(value.y).toBeGreaterThanOrEqual(cell.y + cell.height)
      }
      await page.setViewportSize({ width: 1440, height: 900 })
      expect(view.browser.errors).toEqual([])
    },
    LIMIT,
  )
})

describe('a search', () => {
  test(
    'finds records of the whole topic by text, key, header and expression, oldest or newest first',
    async () => {
      await view.produce(
        ...numbered(3_000).map((record, n) => ({
          ...record,
          ...(n % 1_000 === 7 && {
            key: `rare-${n}`,
            value: JSON.stringify({ total: n, note: 'it’s "here"' }),
            headers: [['trace', `t-${n}`] as const],
          }),
        })),
      )
      await view.open('&start=earliest')
      await view.search('IT’S "here"'.replace('"here"', ''))
      const found = [7, 1007, 2007].map((n) => JSON.stringify({ total: n, note: 'it’s "here"' }))
      await view.untilShown(found)
      await until(
        async () => /^3 found · 3,000 of 3,000/.test((await view.page.textContent('#count')) ?? ''),
        'the progress',
        15_000,
      )
      await view.search('rare-1007', 'key')
      await view.untilShown([found[1] as string])
      await view.search('trace=t-2007', 'header')
      await view.untilShown([found[2] as string])
      await view.search('trace', 'header')
      await view.untilShown(found)
      let requests = 0
      const count = (request: { url(): string }) => {
        if (request.url().includes('/messages?')) requests++
      }
      view.page.on('request', count)
      await view.page.selectOption('#start', 'newest')
      await view.untilShown(found.toReversed())
      await view.page.locator('#state', { hasText: 'done' }).waitFor()
      view.page.off('request', count)
      // The search ends where the topic begins.
      expect(requests).toBeLessThan(15)
      await view.search('value.total > 1000', 'cel')
      await view.untilShown(found.slice(1).toReversed())
      await view.page.reload()
      await view.untilShown(found.slice(1).toReversed())
      expect(view.browser.errors).toEqual([])
    },
    LIMIT,
  )

  test(
    'by an expression that is wrong says so at its field, and offers the filters of the route and examples',
    async () => {
      await view.produce({ value: '{"type":"order.placed","total":120}' })
      await view.open('&start=earliest')
      await view.search('value.total >', 'cel')
      const error = view.page.locator('#filter-error:not([hidden])')
      await error.waitFor({ timeout: 60_000 })
      expect(await error.textContent()).toMatch(/at character \d+$/)
      expect(await view.page.getAttribute('#search', 'aria-invalid')).toBe('true')
      await view.page.locator('.examples summary').click()
      await view.page.locator('.examples button', { hasText: '@dear' }).click()
      await view.untilShown(['{"type":"order.placed","total":120}'])
      await error.waitFor({ state: 'hidden' })
      expect(await view.page.inputValue('#search')).toBe('@dear')
      await view.page.locator('.examples button').nth(1).click()
      await view.untilShown(['{"type":"order.placed","total":120}'])
      expect(await view.page.inputValue('#search')).toContain('order.placed')
    },
    LIMIT,
  )

  test(
    'shows its progress, and ends when it is stopped',
    async () => {
      // An answer has 1 MiB at most, so that a search for these records takes several requests.
      const value = 'x'.repeat(700_000)
      for (let n = 0; n < 5; n++) await view.produce({ key: 'large', value })
      await view.open('&start=earliest')
      let requests = 0
      await view.page.route('**/messages?*', async (route) => {
        // The second request of the search gets no answer.
        if (!route.request().url().includes('key=large') || ++requests === 1) await route.continue()
      })
      await view.search('large', 'key')
      await view.page.locator('progress').waitFor()
      await view.page.locator('#count', { hasText: /1 found · 1 of \d+ searched/ }).waitFor()
      await view.page.locator('#stop').click()
      await view.untilState('off')
      expect(await view.page.textContent('#state')).toBe('stopped')
      expect(await view.page.textContent('#newer')).toBe('Search newer →')
      await view.page.unrouteAll({ behavior: 'ignoreErrors' })
      await view.page.locator('#newer').click()
      await view.page.locator('#count', { hasText: '4 found' }).waitFor()
      expect(view.browser.errors).toEqual([])
    },
    LIMIT,
  )
})
