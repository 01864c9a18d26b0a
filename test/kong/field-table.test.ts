import { expect, test } from 'bun:test'
import { readFieldPage, withFieldTable } from './field-table.ts'

test('docs/kong-fields.md has each field of each plugin, its default and how a wrong value is refused', () => {
  const page = readFieldPage()
  expect(page).toBe(withFieldTable(page))
  expect(page.split('\n').filter((line) => line.startsWith('| `')).length).toBeGreaterThan(90)
})
