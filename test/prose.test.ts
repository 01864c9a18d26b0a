/** The prose check of `bun run check` reports each fault with its place, and nothing else. */
import { afterAll, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const folder = mkdtempSync(join(tmpdir(), 'prose-'))
afterAll(() => rmSync(folder, { recursive: true }))

function check(name: string, text: string): string[] {
  const path = join(folder, name)
  writeFileSync(path, text)
  const script = join(import.meta.dirname, 'prose.ts')
  const { stderr, exitCode } = Bun.spawnSync([process.execPath, script, path])
  const lines = stderr.toString().trim().split('\n').filter(Boolean)
  expect(exitCode).toBe(lines.length > 0 ? 1 : 0)
  return lines.map((line) => line.replaceAll(path, name))
}

test.each([
  ['/** What a route answers. */', 'a.ts:1 the comment begins with "What"'],
  ['const a = 1\n// Of the newest batch only.\n', 'a.ts:2 the comment begins with "Of"'],
  ['/** Has a thread end. */', 'a.ts:1 the comment begins with "Has"'],
  ['/**\n * Those of a group.\n */', 'a.ts:1 the comment begins with "Those"'],
  ["throw new Error('the value is no JSON')", 'a.ts:1 "is no JSON": say'],
  ['const text = `sizes: brokers do not tell them`', 'a.ts:1 "do not tell them": say'],
  ['// A topic may be created anew.', 'a.ts:1 "anew": say'],
  ['const givenLedger = 1', 'a.ts:1 the name givenLedger: "ledger" is "offset tracker"'],
  ['const maxReplays = 1', 'a.ts:1 the name maxReplays: "replays" is "catch-up reads"'],
])('%j is refused', (text, fault) => {
  const faults = check('a.ts', text)
  expect(faults).toHaveLength(1)
  expect(faults[0]).toStartWith(fault)
})

test('a page is checked for phrases, not for names', () => {
  expect(check('a.md', 'A key is no secret.\n\nconst replay = 1\n')).toEqual([
    'a.md: "is no secret": say "is not a …" or "is not valid …"',
  ])
})

test('sentences with a subject, texts in quotes and other names are accepted', () => {
  const text = [
    '/** The records of a group. There is no other copy, and it is no longer kept. */',
    '// A comment of several lines may continue with any word.',
    '// What follows belongs to it.',
    "const words = ['ledger', 'tail']",
    'const maxCatchUpReads = 16',
  ]
  expect(check('b.ts', text.join('\n'))).toEqual([])
})
