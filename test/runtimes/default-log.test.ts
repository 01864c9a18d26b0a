/** The log of an app that has not configured LogTape, or does so before or after its first request. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { AppProcess } from '../support/app-process.ts'
import { npmTool } from '../support/npm-tool.ts'
import { freePort } from '../support/port.ts'
import { run } from '../support/run-program.ts'
import { until } from '../support/wait.ts'

const root = join(import.meta.dirname, '../..')
let folder = ''
// In the checkout, so that packages are found.
beforeAll(() => {
  folder = mkdtempSync(join(root, 'node_modules/.default-log-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const CONFIGURE = `configureSync({
  sinks: { own: ({ category, level }) => console.log('OWN', level, category.join('.')) },
  loggers: [{ category: 'hono-kafka-consume', sinks: ['own'] }],
})`

/** @param before, later Code that runs before the handler is made, and at GET /later. */
async function start(before: string, later: string): Promise<AppProcess> {
  const broker = `127.0.0.1:${await freePort()}`
  const name = `${Bun.hash(before + later)}.ts`
  writeFileSync(
    join(folder, name),
    `import { configureSync } from '@logtape/logtape'
import { Hono } from 'hono'
import { kafkaConsume } from '${root}/src/index.ts'
${before}
const app = new Hono()
app.get('/later', (c) => {
  ${later}
  return c.text('ok')
})
app.get('/messages', kafkaConsume({ bootstrapServers: '${broker}', topics: ['t'] }))
export default app
`,
  )
  return AppProcess.start([process.execPath, name], folder)
}

const WARNING = ' WARNING cluster: 127.0.0.1:'

test('without a configuration warnings are on stderr, and nothing below', async () => {
  await using app = await start('', '')
  expect((await fetch(`${app.url}/messages?start=earliest`)).status).toBe(503)
  await until(() => app.stderr.includes(WARNING), 'the warning', 15_000)
  expect(app.stderr).not.toMatch(/ (INFO|DEBUG|TRACE) /)
  expect(app.stderr).toContain('Cannot read from Kafka: all brokers are down')
}, 120_000)

test('with a configuration of the app the library prints nothing itself', async () => {
  await using app = await start(CONFIGURE, '')
  expect((await fetch(`${app.url}/messages?start=earliest`)).status).toBe(503)
  await until(() => app.stdout.includes('OWN warning hono-kafka-consume.cluster'), 'the app’s sink')
  expect(app.stderr).not.toContain(WARNING)
}, 120_000)

test('a configuration after the first request is accepted and takes over', async () => {
  await using app = await start('', CONFIGURE)
  await fetch(`${app.url}/messages?start=earliest`)
  await until(() => app.stderr.includes(WARNING), 'the warning', 15_000)
  expect((await fetch(`${app.url}/later`)).status).toBe(200)
  const printed = app.stderr
  await fetch(`${app.url}/messages`)
  await until(() => app.stdout.includes('OWN '), 'the app’s sink', 15_000)
  expect(app.stderr).toBe(printed)
}, 120_000)

test("the README's configuration has lines printed by the app's LogTape", async () => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8')
  const [code = ''] = /(?<=`)configure\(\{[^`]+\}\)(?=`)/.exec(readme) ?? []
  expect(code).toContain("category: 'hono-kafka-consume'")
  const imported = "import { configure, getConsoleSink } from '@logtape/logtape'"
  await using app = await start(`${imported}\nawait ${code}`, '')
  expect((await fetch(`${app.url}/messages?start=earliest`)).status).toBe(503)
  await until(
    () => app.stderr.includes('hono-kafka-consume·cluster'),
    () => app.stderr,
  )
  expect(app.stderr).not.toContain(WARNING)
}, 120_000)

test.each(['bun', 'deno', 'node22', 'node'] as const)(
  'on %s an app gets all lines that it asks for, in order, whichever copy of LogTape it has configured',
  async (tool) => {
    const program = `
      const { logOf } = await import(${JSON.stringify(`${root}/src/core/log.ts`)})
      const log = logOf('test')
      log.info('not asked for')
      const { configureSync } = await import('@logtape/logtape')
      const sinks = { own: ({ level, message }) => console.log(level, message.join('')) }
      const loggers = [{ category: 'hono-kafka-consume', lowestLevel: 'info', sinks: ['own'] }]
      const meta = { category: ['logtape', 'meta'], sinks: [] }
      configureSync({ sinks, loggers: [...loggers, meta] })
      log.debug('not asked for')
      log.info('one {value}', { value: 1 })
      log.warn('two')
      logOf('other').error('three')`
    const runtime = tool === 'bun' ? process.execPath : await npmTool(tool)
    const argv =
      tool === 'deno'
        ? [runtime, 'eval', '--ext=ts', program]
        : tool === 'bun'
          ? [runtime, '--eval', program]
          : [runtime, '--input-type=module', '--eval', program]
    expect(await run(argv, root)).toBe('info one 1\nwarning two\nerror three\n')
  },
  60_000,
)
