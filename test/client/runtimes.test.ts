/** `stream` in programs of other runtimes than the tests' own. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { join } from 'node:path'
import { npmTool } from '../support/npm-tool.ts'
import { run } from '../support/run-program.ts'
import { type Answer, event, events, silence } from './answers.ts'

const root = join(import.meta.dirname, '..', '..')
const MODULE = join(root, 'src/client/index.ts')
const RUNTIMES = {
  deno: ['eval'],
  node: ['--input-type=module', '--eval'],
} as const

beforeAll(async () => {
  for (const runtime of ['deno', 'node'] as const) await npmTool(runtime)
}, 600_000)

let server: Bun.Server<undefined>
let answers: Answer[] = []
let cursors: Array<string | null> = []

beforeAll(() => {
  server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch(request) {
      cursors.push(new URL(request.url).searchParams.get('cursor'))
      return answers.shift()?.(request) ?? new Response(null, { status: 410 })
    },
  })
})
afterAll(() => server.stop(true))

test.each(['deno', 'node'] as const)(
  'on %s a stream resumes behind connections that end or are silent, and a loop that is left lets the program end',
  async (runtime) => {
    answers = [events(event(0)), silence(event(1)), silence(event(2))]
    cursors = []
    const program = `import { stream } from ${JSON.stringify(MODULE)}
const onRetry = ({ code }) => console.log(code)
for await (const { offset } of stream('${server.url}', { silenceTimeout: 1_000, onRetry })) {
  console.log(offset)
  if (offset === 2) break
}`
    const said = await run([await npmTool(runtime), ...RUNTIMES[runtime], program], root)
    expect(said.trim().split('\n')).toEqual(['0', 'DISCONNECTED', '1', 'SILENT', '2'])
    expect(cursors).toEqual([null, 'orders:0=1', 'orders:0=2'])
  },
  60_000,
)
