import { afterAll, beforeAll, expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describeWireContract } from '../contract/contract.ts'
import { TestKafka } from '../support/kafka.ts'
import { npmTool } from '../support/npm-tool.ts'
import { startHost } from './remote.ts'

const root = join(import.meta.dirname, '../..')
const launcher = (runtime: string) => join(import.meta.dirname, `${runtime}.ts`)

// Inside the checkout, so that the package finds its dependencies.
const parent = join(root, 'node_modules', '.cache')
mkdirSync(parent, { recursive: true })
const built = mkdtempSync(join(parent, 'package-'))
afterAll(() => rmSync(built, { recursive: true, force: true }))

async function run(...argv: string[]): Promise<void> {
  const child = Bun.spawn(argv, {
    cwd: root,
    env: { ...process.env, NO_COLOR: '1' },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [said, complained] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ])
  if ((await child.exited) !== 0) throw new Error(`${argv.join(' ')}:\n${said}${complained}`)
}

beforeAll(() => run(process.execPath, 'package/build.ts', built), 120_000)

const COMMANDS = {
  deno: (program: string, port: number) => {
    const where = ['--host', '127.0.0.1', '--port', String(port)]
    return [program, 'serve', '--allow-all', ...where, launcher('deno')]
  },
  node: (program: string, port: number) => [program, launcher('node'), built, String(port)],
}

for (const runtime of ['deno', 'node'] as const) {
  describeWireContract(`a real Kafka, served by ${runtime}`, async () => {
    const program = await npmTool(runtime)
    const host = await startHost((port) => COMMANDS[runtime](program, port))
    const kafka = await TestKafka.real()
    return {
      kafka,
      host,
      async close() {
        await host.close()
        await kafka.close()
      },
    }
  })
}

test('deno check finds nothing', async () => {
  const entries = ['src/index.ts', 'src/worker.ts', 'kafka/index.ts', 'examples/deno.ts']
  await expect(run(await npmTool('deno'), 'check', ...entries)).resolves.toBeUndefined()
}, 120_000)
