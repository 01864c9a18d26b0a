import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { compilerErrors, readErrors } from './wrong.ts'

test('wrong uses of typed topics are errors that name the field or the topic: `bun test/types/wrong.ts` writes them', async () => {
  const errors = await compilerErrors()
  expect(withoutUnions(errors)).toBe(withoutUnions(readErrors()))
}, 120_000)

test('each wrong use is an error of its own, behind the comment that describes it', () => {
  const places = [...readErrors().matchAll(/^test\/types\/(wrong\/\w+\.ts)\((\d+),/gm)]
  const lines = new Map<string, number[]>()
  for (const [, file = '', line] of places) {
    lines.set(file, [...(lines.get(file) ?? []), Number(line)])
  }
  const missing = [...new Bun.Glob('wrong/*.ts').scanSync(import.meta.dirname)].flatMap((file) => {
    const text = readFileSync(join(import.meta.dirname, file), 'utf8').split('\n')
    return text.flatMap((line, index) => {
      if (!isComment(line)) return []
      const next = text.findIndex((line, later) => later > index && isComment(line))
      const end = next < 0 ? text.length : next
      const isFound = lines.get(file)?.some((at) => at > index + 1 && at <= end)
      return isFound ? [] : [`${file}: ${line.trim()}`]
    })
  })
  expect(missing).toEqual([])
})

/** Errors without types that have several members, which the compiler names in any order. */
function withoutUnions(errors: string): string {
  return errors.replaceAll(/'[^']*[|<][^']*'/g, "'…'")
}

function isComment(line: string): boolean {
  return line.trim().startsWith('// ')
}
