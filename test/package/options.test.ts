/** `bun run package` refuses a command line that would delete other files than its own, or that it does not know. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { zigChecksum } from '../../native/cross/sources.ts'
import { run } from '../support/run-program.ts'

const root = join(import.meta.dirname, '..', '..')
const build = [process.execPath, join(root, 'package', 'build.ts')]
const folder = mkdtempSync(join(tmpdir(), 'package-options-'))
const others = join(folder, 'others')

beforeAll(() => {
  mkdirSync(others)
  writeFileSync(join(others, 'notes.txt'), 'mine')
})
afterAll(() => rmSync(folder, { recursive: true }))

test.each<[args: string[], message: string]>([
  [[others], `the folder ${others} holds other files`],
  [[root], `the folder ${root} holds other files`],
  [[join(root, 'src')], 'holds other files'],
  [[join(others, 'notes.txt')], 'is not a folder'],
  [['--platform', 'plan9'], 'Cannot compile for "plan9": the platforms are linux-x64-gnu'],
  [['--wrong'], "Unknown option '--wrong'"],
  [['one', 'two'], 'unexpected argument "two"'],
  [['--addon', 'addon.node'], '--addon needs exactly one --platform'],
  [['--platform', 'linux-x64-gnu', '--addon', join(folder, 'none')], 'does not exist'],
])('%j ends with code 2: %s', async (args, message) => {
  const before = readdirSync(root)
  const output = await run([...build, ...args], folder).catch((error: Error) => error.message)
  expect(output).toContain('ended with 2:')
  expect(output).toContain(message)
  expect(output).toContain('Usage: bun run package')
  expect(output).not.toContain('    at ')
  expect(readdirSync(root)).toEqual(before)
  expect(readdirSync(others)).toEqual(['notes.txt'])
})

test('--help prints the usage', async () => {
  expect(await run([...build, '--help'], folder)).toContain('Usage: bun run package')
})

test('a machine for which no compiler is pinned is refused by name, before pip reports checksums', () => {
  expect(() => zigChecksum('linux-arm64')).toThrow(
    'Cannot cross-compile on linux-arm64: the compiler is pinned for linux-x64 only',
  )
  expect(zigChecksum('linux-x64')).toMatch(/^[0-9a-f]{64}$/)
})
