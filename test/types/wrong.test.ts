import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { compilerErrors, readErrors } from './wrong.ts'

test('wrong uses of typed topics are errors that name the field or the topic: `bun test/types/wrong.ts` writes them', async () => {
  const errors = await compilerErrors()
  expect(errors).toBe(readErrors())
}, 60_000)

test('each wrong use is an error of its own, within three lines after the comment that describes it', () => {
  const places = [...readErrors().matchAll(/^test\/types\/(wrong\/\w+\.ts)\((\d+),/gm)]
  const lines = new Map<string, number[]>()
  for (const [, file = '', line] of places) {
    lines.set(file, [...(lines.get(file) ?? []), Number(line)])
  }
  const missing = [...new Bun.Glob('wrong/*.ts').scanSync(import.meta.dirname)].flatMap((file) => {
    const text = readFileSync(join(import.meta.dirname, file), 'utf8').split('\n')
    return text.flatMap((line, index) => {
      const isComment = line.trim().startsWith('// ')
      const isFound = lines.get(file)?.some((at) => at > index + 1 && at <= index + 4)
      return isComment && !isFound ? [`${file}: ${line.trim()}`] : []
    })
  })
  expect(missing).toEqual([])
})
