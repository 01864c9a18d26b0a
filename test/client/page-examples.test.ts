/** The programs of docs/client.md, as they stand there, with the gateway that they name. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { GatewayProcess } from '../gateway/gateway-process.ts'
import { until, within } from '../support/wait.ts'

const root = join(import.meta.dirname, '..', '..')
const page = readFileSync(join(root, 'docs/client.md'), 'utf8')
const programs = [...page.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code]) => code as string)
/** The address of `bun run server`, which the programs name. */
const DEFAULT_PORT = 'localhost:8000'

let gateway: GatewayProcess
let address: string
beforeAll(async () => {
  const started = await GatewayProcess.listening()
  gateway = started.gateway
  address = new URL(started.url).host
}, 120_000)
afterAll(() => gateway?.[Symbol.asyncDispose]())

/** Runs a program until its output is as expected. */
async function runUntil(program: string, expected: RegExp): Promise<void> {
  expect(program).toContain(DEFAULT_PORT)
  const child = Bun.spawn([process.execPath, 'run', '-'], {
    cwd: root,
    stdin: new Blob([program.replace(DEFAULT_PORT, address)]),
    stdout: 'pipe',
    stderr: 'pipe',
  })
  let said = ''
  const read = [child.stdout, child.stderr].map(async (output) => {
    for await (const chunk of output) said += new TextDecoder().decode(chunk)
  })
  try {
    await until(
      () => expected.test(said),
      () => `${expected} in: ${said.slice(0, 2_000)}`,
      40_000,
    )
    expect(said).not.toContain('left out')
  } finally {
    child.kill('SIGKILL')
    await within(Promise.all([...read, child.exited]), 'the program to end')
  }
}

test('the first program prints the orders of the demo, and leaves none out', async () => {
  const [first = ''] = programs
  await runUntil(first, /^\d+(?:\.\d+)? kong-test:/m)
}, 120_000)

test('the program with acknowledgements prints values of the demo', async () => {
  const acks = programs.find((program) => program.includes('acks: true')) ?? ''
  await runUntil(acks, /^\{"type":"/m)
}, 120_000)
