/** One record in the console, and the commands that show again what the console shows. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { until } from '../support/wait.ts'
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

describe('an opened record', () => {
  test(
    'is a link, which shows it wherever the list is',
    async () => {
      await view.produce(...numbered(500))
      await view.open('&start=earliest')
      await view.untilFirst('value 0')
      await view.page
        .locator('.row', { has: view.page.getByText('value 3', { exact: true }) })
        .click()
      await view.page.locator('#detail pre').waitFor()
      expect(await view.page.locator('#detail pre').textContent()).toBe('value 3')
      const link = view.page.url()
      expect(link).toContain(`record=${view.topic}:0:3`)
      await view.page.keyboard.press('j')
      await until(
        async () => (await view.page.textContent('#detail pre')) === 'value 4',
        'the next',
      )
      await view.page.keyboard.press('Escape')
      await view.page.locator('#detail').waitFor({ state: 'hidden' })
      await view.page.goto(link.replace('start=earliest', 'start=newest'))
      await until(
        async () => (await view.page.textContent('#detail pre')) === 'value 3',
        'the record',
      )
      await view.page.locator('#detail button', { hasText: 'Copy link' }).click()
      expect(await view.clipboard()).toContain(`record=${view.topic}:0:3`)
      await view.page.goto(link.replace(':0:3', ':0:99999'))
      await view.page.locator('#detail', { hasText: 'does not have this record' }).waitFor()
      expect(view.browser.errors).toEqual([])
    },
    LIMIT,
  )

  test(
    'has the JSON as a tree with paths, and its text with all digits of its numbers',
    async () => {
      const json = '{"id":12345678901234567890,"items":[{"sku":"TEA-201"}],"a b":1.50}'
      await view.produce({ value: json })
      await view.open()
      await view.openRow('TEA-201')
      const tree = view.page.locator('#detail .tree')
      await tree.waitFor()
      expect(await tree.textContent()).toContain('12345678901234567890')
      expect(await tree.textContent()).toContain('1.50')
      await tree.getByRole('button', { name: 'Copy the path value.items[0].sku' }).click()
      expect(await view.clipboard()).toBe('value.items[0].sku')
      await tree.getByRole('button', { name: 'Copy the path value["a b"]' }).click()
      expect(await view.clipboard()).toBe('value["a b"]')
      await view.page.getByRole('button', { name: 'Text', exact: true }).click()
      expect(await view.page.locator('#detail pre').textContent()).toBe(json)
      await view.page.getByRole('button', { name: 'Copy value' }).click()
      expect(await view.clipboard()).toBe(json)
      expect(view.browser.errors).toEqual([])
    },
    LIMIT,
  )

  test(
    'has its bytes in hex and base64, their number, a download, and a hint for a framed value',
    async () => {
      const bytes = new Uint8Array([0, 0, 0, 0, 42, 0xff, 0xfe, 0x41])
      await view.produce({ key: 'poison', value: bytes })
      await view.open()
      await view.openRow('poison')
      const dump = view.page.locator('#detail pre')
      await dump.waitFor()
      expect(await dump.textContent()).toContain('00000000  00 00 00 00 2a ff fe 41')
      expect(await view.page.textContent('#detail')).toContain('8 bytes')
      expect(await view.page.textContent('#detail .hint')).toContain('with schema 42')
      await view.page.getByRole('button', { name: 'Base64' }).click()
      expect(await dump.textContent()).toBe(Buffer.from(bytes).toString('base64'))
      const [download] = await Promise.all([
        view.page.waitForEvent('download'),
        view.page.getByRole('button', { name: 'Download' }).click(),
      ])
      expect(download.suggestedFilename()).toBe(`${view.topic}-0-0.bin`)
      const file = await Bun.file((await download.path()) ?? '').bytes()
      expect([...file]).toEqual([...bytes])
      await view.page.getByRole('button', { name: 'Hex' }).click()
      expect(view.browser.errors).toEqual([])
    },
    LIMIT,
  )

  test(
    'stays usable with a value of 1 MB and 300 headers',
    async () => {
      const items = Array.from({ length: 20_000 }, (_, n) => ({ n, text: 'y'.repeat(30) }))
      const value = JSON.stringify({ items })
      expect(value.length).toBeGreaterThan(900_000)
      const headers = Array.from({ length: 300 }, (_, n) => [`header-${n}`, `${n}`] as const)
      await view.produce({ value, headers })
      await view.open()
      await view.openRow('"items"')
      await view.page.locator('#detail .tree summary', { hasText: '20,000' }).click()
      await view.page.locator('#detail .tree', { hasText: '19,900 more' }).waitFor()
      expect(await view.page.locator('#detail .headers tr').count()).toBe(50)
      await view.page.getByRole('button', { name: '250 more' }).click()
      expect(await view.page.locator('#detail .headers tr').count()).toBe(300)
      for (const form of ['Text', 'Hex', 'Base64']) {
        await view.page.getByRole('button', { name: form, exact: true }).click()
        await view.page.locator('#detail button', { hasText: 'more' }).first().waitFor()
      }
      await view.page.getByRole('button', { name: 'Tree', exact: true }).click()
      expect(view.browser.errors).toEqual([])
    },
    LIMIT,
  )

  test(
    'is shown as text, and never becomes a part of the page',
    async () => {
      const hostile = '<img src=x onerror="alert(1)"><script>alert(2)</script>'
      const value = JSON.stringify({ [hostile]: hostile })
      await view.produce({ key: hostile, value, headers: [[hostile, hostile]] })
      await view.open()
      await view.page.locator('.row').first().click()
      await view.page.locator('#detail .tree').waitFor()
      expect(await view.page.locator('#detail .tree').textContent()).toContain(
        '<img src=x onerror=',
      )
      expect(await view.page.locator('#detail .headers td').textContent()).toContain(hostile)
      expect(await view.page.locator('main :is(img, script)').count()).toBe(0)
      expect(view.browser.errors).toEqual([])
    },
    LIMIT,
  )

  test(
    'is shown whatever its timestamp, and JSON however deep',
    async () => {
      const deep = `${'['.repeat(20_000)}${']'.repeat(20_000)}`
      await view.produce(
        { value: 'nanoseconds', timestamp: 1_795_875_915_705_000_000 },
        { value: deep },
        { value: '[1]' },
      )
      await view.open('&start=earliest')
      await until(async () => (await view.shown()).length === 3, 'the records')
      await view.openRow('nanoseconds')
      await view.page.locator('#detail .facts').waitFor()
      expect(await view.page.locator('#detail .facts').textContent()).toContain(
        '1795875915705000000, which is not a time',
      )
      await view.page.keyboard.press('j')
      await view.page.locator('#detail h2', { hasText: '0/1' }).waitFor()
      await view.page.keyboard.press('j')
      await view.page.locator('#detail h2', { hasText: '0/2' }).waitFor()
      expect(view.browser.errors).toEqual([])
    },
    LIMIT,
  )
})

describe('a copied command', () => {
  test(
    'reads exactly the records of a page, of a search and of a record',
    async () => {
      await view.produce(...numbered(250), { key: 'quote', value: "it's the last" })
      await view.open('&start=earliest')
      await view.untilFirst('value 0')
      await view.page.locator('#newer').click()
      await view.untilFirst('value 100')
      await view.page.locator('#curl').click()
      const { records } = JSON.parse(await outputOf(await view.clipboard()))
      expect(records.map(({ value }: { value: string }) => value)).toEqual(
        Array.from({ length: 100 }, (_, n) => `value ${100 + n}`),
      )
      await view.open('&start=earliest&find=key&search=k3')
      await view.untilFirst('value 3')
      await view.page.locator('#curl').click()
      const lines = (await outputOf(await view.clipboard()))
        .split('\n')
        .filter((line) => line !== '')
      expect(lines.map((line) => JSON.parse(line).value)).toEqual(
        Array.from({ length: 25 }, (_, n) => `value ${n * 10 + 3}`),
      )
      await view.open()
      await view.openRow("it's the last")
      await view.page.locator('#detail button', { hasText: 'curl' }).click()
      const one = JSON.parse(await outputOf(await view.clipboard()))
      expect(one.records.map(({ value }: { value: string }) => value)).toEqual(["it's the last"])
    },
    LIMIT,
  )

  test(
    'of live records reads those that are shown, and goes on',
    async () => {
      await view.produce({ value: 'a' }, { value: "it's b" })
      await view.open()
      await view.untilState('live')
      await view.untilShown(["it's b", 'a'])
      await view.page.locator('#curl').click()
      const command = await view.clipboard()
      expect(command).toStartWith("curl -N '")
      await view.produce({ value: 'c' })
      const output = await outputOf(command)
      const values = [...output.matchAll(/^data: (\{"topic".*)$/gm)].map(
        ([, json = '']) => JSON.parse(json).value,
      )
      expect(values).toEqual(['a', "it's b", 'c'])
    },
    LIMIT,
  )
})
