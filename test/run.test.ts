/** `bun run test` ends with the count of all tests, however they end. */
import { afterAll, expect, test } from 'bun:test'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { until } from './support/wait.ts'

const folder = mkdtempSync(join(tmpdir(), 'run-'))
afterAll(() => rmSync(folder, { recursive: true }))

const PASSES = "test('passes', () => {})"

test.each<[what: string, source: string, last: string, code: number]>([
  ['that pass', PASSES, '1 passed, 0 failed', 0],
  ['that are skipped', `${PASSES}\ntest.skip('is skipped')`, '1 passed, 0 failed, 1 skipped', 0],
  [
    'that fail',
    `${PASSES}\ntest('fails', () => { throw new Error('no') })`,
    '1 passed, 1 failed',
    1,
  ],
  ['that end their process', "test('exits', () => process.exit(0))", '0 passed, 1 failed', 1],
  [
    'that crash',
    "test('crashes', () => process.kill(process.pid, 'SIGSEGV'))",
    '0 passed, 1 failed',
    1,
  ],
  [
    'beside an error outside of all',
    `${PASSES}\nthrow new Error('outside')`,
    '0 passed, 1 failed',
    1,
  ],
])('tests %s are counted in the last line', async (_, source, last, code) => {
  const path = join(folder, `${crypto.randomUUID()}.test.ts`)
  writeFileSync(path, `import { test } from 'bun:test'\n${source}\n`)
  expect(await run(path)).toEqual({ last, code })
})

test.each(['named', 'found'])(
  'a process of %s tests that crashes is a failure, and each other test has its result',
  async (kind) => {
    const own = mkdtempSync(join(folder, 'crash-'))
    const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].map(
      (name) => `${crypto.randomUUID()}-${name}`,
    )
    const mark = join(folder, crypto.randomUUID())
    const paths = names.map((name, index) => {
      const path = join(own, `${name}.test.ts`)
      const crash = `
      test('ends in good order', () => Bun.sleep(50))
      test('crashes once', async () => {
        if (await Bun.file('${mark}').exists()) return
        await Bun.write('${mark}', '')
        process.kill(process.pid, 'SIGSEGV')
        await Bun.sleep(60_000)
      })`
      const source = index === 2 ? crash : "test('takes a while', () => Bun.sleep(100))"
      writeFileSync(path, `import { test } from 'bun:test'\n${source}\n`)
      return path
    })
    const { text, code } = await output(kind === 'named' ? paths : [], own)
    expect(text.trimEnd().split('\n').slice(-3)).toEqual([
      expect.stringMatching(/^Failed: the process of the tests crashed \(.*-c\.test\.ts\)$/),
      expect.stringContaining('after the test "ends in good order" had ended'),
      '9 passed, 1 failed',
    ])
    expect(code).toBe(1)
  },
)

test('a file of tests that does not exist counts as a failure', async () => {
  expect(await run(join(folder, 'none.test.ts'))).toEqual({ last: '0 passed, 1 failed', code: 1 })
})

test('tests that are interrupted count as a failure', async () => {
  const path = join(folder, 'slow.test.ts')
  const begun = join(folder, 'begun')
  writeFileSync(
    path,
    `import { test } from 'bun:test'\ntest('waits', async () => {\n  await Bun.write('${begun}', '')\n  await Bun.sleep(60_000)\n}, 60_000)\n`,
  )
  const running = run(path, async (child) => {
    await until(() => Bun.file(begun).exists(), 'the test to begin')
    child.kill('SIGINT')
  })
  expect(await running).toEqual({ last: '0 passed, 1 failed', code: 1 })
})

test('files that are under way when a run is ended are said to have been ended, not to have crashed', async () => {
  const own = mkdtempSync(join(folder, 'ended-'))
  const begun = (name: string) => join(own, `${name}.begun`)
  const names = ['a', 'b']
  const paths = names.map((name) => {
    const path = join(own, `${name}.test.ts`)
    const waits = `
      test('has ended', () => {})
      test('waits', async () => {
        await Bun.write('${begun(name)}', '')
        await Bun.sleep(60_000)
      }, 60_000)`
    writeFileSync(path, `import { test } from 'bun:test'\n${waits}\n`)
    return path
  })
  const { text, code } = await output(paths, undefined, async (child) => {
    await until(() => names.every((name) => existsSync(begun(name))), 'the tests to begin', 60_000)
    child.kill('SIGTERM')
  })
  expect(text).not.toContain('crashed')
  for (const path of paths) {
    expect(text).toContain('Failed: the tests did not come to their end')
    expect(text).toMatch(
      new RegExp(`${path.split('/').at(-1)}\\)\\n  The tests were ended by SIGTERM, `),
    )
  }
  expect(code).toBe(1)
}, 90_000)

/** Runs a file of tests as `bun run test` does. */
async function run(path: string, meanwhile?: (child: Bun.Subprocess) => Promise<void>) {
  const { text, code } = await output([path], undefined, meanwhile)
  return { last: text.trimEnd().split('\n').at(-1), code }
}

async function output(
  paths: readonly string[],
  cwd = process.cwd(),
  meanwhile?: (child: Bun.Subprocess) => Promise<void>,
) {
  const child = Bun.spawn([process.execPath, join(import.meta.dirname, 'run.ts'), ...paths], {
    cwd,
    env: { ...process.env, TEST_KAFKA_BROKERS: 'localhost:1' },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'ignore',
  })
  const [text] = await Promise.all([new Response(child.stdout).text(), meanwhile?.(child)])
  return { text, code: await child.exited }
}
