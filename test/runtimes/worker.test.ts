/** The gateway as a module, by the commands of the README, in a checkout and where it is installed. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { npmTool } from '../support/npm-tool.ts'
import { PackedApp } from '../support/packed.ts'
import { until, within } from '../support/wait.ts'
import { expectServes } from './worker.ts'

const root = join(import.meta.dirname, '../..')
const installed = 'node_modules/hono-kafka-consume'

const SETTINGS = { KAFKA_BROKERS: 'localhost:1', KAFKA_TOPICS: 'orders', PORT: '0' }

const COMMANDS = [
  ['Bun', async (name: string) => [process.execPath, `${name}`], 'worker'],
  [
    'Deno',
    async (name: string) => [await npmTool('deno'), 'serve', '-A', '--port', '0', name],
    'worker',
  ],
  ['Node 26', async (name: string) => [await npmTool('node'), name], 'node'],
  ['Node 24', async (name: string) => [await npmTool('node24'), name], 'node'],
  ['Node 22', async (name: string) => [await npmTool('node22'), name], 'node'],
] as const

describe('in a checkout', () => {
  test.each(COMMANDS)(
    '%s serves, and ends at SIGTERM',
    async (_, command, name) => {
      await expectServes(await command(`src/${name}.ts`), root)
    },
    120_000,
  )

  test.each(COMMANDS)(
    '%s says that only the gateway on Bun serves by several threads',
    async (_, command, name) => {
      const child = Bun.spawn(await command(`src/${name}.ts`), {
        cwd: root,
        env: { ...process.env, NO_COLOR: '1', ...SETTINGS, WORKERS: '2' },
        stdout: 'pipe',
        stderr: 'pipe',
      })
      const said = new Response(child.stderr).text()
      expect(await within(child.exited, 'its exit', 60_000)).not.toBe(0)
      expect(await said).toContain(
        'Cannot start: WORKERS is not read here; `bun run server` serves',
      )
    },
    90_000,
  )

  test('Deno that may not read files says so in its log, and answers without their paths', async () => {
    const allowed = ['net', 'env', 'sys', 'ffi'].map((permission) => `--allow-${permission}`)
    const argv = [await npmTool('deno'), 'serve', '--no-prompt', ...allowed]
    const child = Bun.spawn([...argv, '--host', '127.0.0.1', '--port', '0', 'src/worker.ts'], {
      cwd: root,
      env: { ...process.env, NO_COLOR: '1', ...SETTINGS },
      stdout: 'pipe',
      stderr: 'pipe',
    })
    let said = ''
    const decoder = new TextDecoder()
    const ended = Promise.all(
      [child.stdout, child.stderr].map(async (output) => {
        for await (const chunk of output) said += decoder.decode(chunk)
      }),
    )
    try {
      const port = () => /http:\/\/\S+?:(\d+)/.exec(said)?.[1]
      await until(
        () => port() !== undefined,
        () => `an address in: ${said}`,
        60_000,
      )
      for (const path of ['/messages', '/stream', '/readyz']) {
        const response = await within(fetch(`http://127.0.0.1:${port()}${path}`), path, 30_000)
        const answer = await response.text()
        expect(answer).toContain('"code":"INTERNAL"')
        expect(answer).toContain('Cannot load the Kafka client: its files cannot be read')
        expect(answer).not.toContain(root)
      }
      expect(said).toContain('Requires read access to')
    } finally {
      child.kill('SIGKILL')
      await ended
    }
  }, 120_000)

  test.each([
    ['Deno', async (code: string) => [await npmTool('deno'), 'eval', code]],
    ['Node 22', async (code: string) => [await npmTool('node22'), '-e', code]],
  ] as const)(
    '%s says that only Bun serves an app by several threads',
    async (_, command) => {
      const code = `import('${pathToFileURL(join(root, 'src/threads.ts'))}')
        .then(({ serveThreads }) => serveThreads({ module: new URL('file:///app.ts') }))
        .catch(({ message }) => console.log(message))`
      const child = Bun.spawn(await command(code), { cwd: root, stdout: 'pipe', stderr: 'ignore' })
      expect((await new Response(child.stdout).text()).trim()).toBe(
        'Cannot serve by threads: only Bun has listeners that share a port',
      )
    },
    90_000,
  )
})

describe('where it is installed', () => {
  let app: PackedApp
  beforeAll(async () => {
    app = await PackedApp.install('hono', '@hono/node-server', 'ws')
  }, 600_000)
  afterAll(() => app?.[Symbol.dispose]())

  test.each(COMMANDS)(
    '%s serves, and ends at SIGTERM',
    async (_, command, name) => {
      await expectServes(await command(`${installed}/src/${name}.js`), app.folder)
    },
    120_000,
  )

  test.each(['.', './node', './worker', './threads', './kafka'])(
    'Node 20 is refused at once as too old for %s',
    async (entry) => {
      const specifier = `hono-kafka-consume${entry.slice(1)}`
      const argv = [await npmTool('node20'), '-e', `import(${JSON.stringify(specifier)})`]
      const child = Bun.spawn(argv, { cwd: app.folder, stderr: 'pipe' })
      expect(await new Response(child.stderr).text()).toMatch(
        /^Error: Cannot run on Node 20: it has no Promise\.withResolvers/m,
      )
      expect(await child.exited).toBe(1)
    },
  )
})
