import { expect, test } from 'bun:test'
import { readReadme, withOptionTable } from './readme.ts'

test("the README's table of options is the schema's: `bun test/readme.ts` writes it", () => {
  expect(readReadme()).toBe(withOptionTable(readReadme()))
})
