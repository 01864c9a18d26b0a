/** The packages that an app loads, with the main entry and with what it uses of it. */
import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { npmTool } from '../support/npm-tool.ts'
import { run } from '../support/run-program.ts'

const root = join(import.meta.dirname, '../..')

/** The packages that are loaded with the main entry. */
const MAIN = ['hono', 'valibot']

/**
 * @param use A part of a program, for which `main` is what the entry exports.
 * @returns The packages of all modules that the program has loaded.
 */
async function packagesOf(entry: string, use = ''): Promise<string[]> {
  const program = `
    const main = await import(process.argv.at(-1))
    ${use}
    const names = Object.keys(require.cache).map((file) => /.*\\/node_modules\\/((?:@[^/]+\\/)?[^/]+)/.exec(file)?.[1])
    console.log(JSON.stringify([...new Set(names.filter(Boolean))].sort()))
    process.exit()`
  const argv = [process.execPath, '--eval', program, join(root, entry)]
  return JSON.parse(await run(argv, root)) as string[]
}

/** Uses of the main entry, and the packages that each loads besides. */
const USES: ReadonlyArray<readonly [what: string, use: string, packages: readonly string[]]> = [
  ['a handler', "main.kafkaConsume({ bootstrapServers: 'k:1', topics: ['t'] })", []],
  [
    'a handler with schemas, a registry and a transform',
    `main.kafkaConsume({ bootstrapServers: 'k:1', topics: [{ name: 't', schema: { '~standard': { version: 1, vendor: 'x', validate: (value) => ({ value }) } } }], messageDeserializer: 'json', transform: (record) => record })`,
    [],
  ],
  ['a console and a status', 'main.kafkaConsole(); main.kafkaStatus({}); main.kafkaTopics({})', []],
  ['docs', 'main.kafkaDocs({})', []],
  [
    'a description by OpenAPI',
    "await main.kafkaDocs({}).request('/openapi.json')",
    ['@valibot/to-json-schema'],
  ],
  [
    'a named filter',
    "main.kafkaConsume({ bootstrapServers: 'k:1', topics: ['t'], filters: { a: 'value.x > 1' } })",
    ['@marcbachmann/cel-js'],
  ],
  [
    'a filter with a regular expression',
    `main.kafkaConsume({ bootstrapServers: 'k:1', topics: ['t'], filters: { a: 'key.matches("a+")' } })`,
    ['@marcbachmann/cel-js', 're2js'],
  ],
  [
    'Lua functions',
    "main.kafkaConsume({ bootstrapServers: 'k:1', topics: ['t'], messageByLuaFunctions: ['return function(message) return message end'] })",
    ['luaparse'],
  ],
  [
    'metrics',
    'await main.kafkaMetrics({}).printMetrics({ header() {}, text: () => new Response() })',
    ['@opentelemetry/api', 'bintrees', 'prom-client', 'tdigest'],
  ],
  [
    'metrics in the registry of an app',
    'main.kafkaMetrics({}, { registry: { registerMetric() {} } })',
    [],
  ],
]

test('the main entry loads few packages, and none that only some apps need', async () => {
  expect(await packagesOf('src/index.ts')).toEqual(MAIN)
})

test.each(USES)('no other packages are loaded for %s', async (_, use, packages) => {
  expect(await packagesOf('src/index.ts', use)).toEqual([...MAIN, ...packages].sort())
})

test('LogTape is loaded with the first line that is printed', async () => {
  const log = 'const log = main.logOf("test"); log.debug("one"); log.info("two");'
  expect(await packagesOf('src/core/log.ts', log)).toEqual([])
  expect(await packagesOf('src/core/log.ts', `${log} log.warn("three")`)).toEqual([
    '@logtape/logtape',
  ])
})

test('the client loads one package', async () => {
  expect(await packagesOf('src/client/index.ts')).toEqual(['eventsource-parser'])
})

test.each(['deno', 'node22', 'node24', 'node'] as const)(
  'on %s, too, wrong expressions and Lua functions are refused at once, although their languages are loaded then',
  async (tool) => {
    const program = `
      import { kafkaConsume } from ${JSON.stringify(join(root, 'src/index.ts'))}
      const options = { bootstrapServers: 'k:1', topics: ['t'] }
      const refused = (more) => {
        try { kafkaConsume({ ...options, ...more }) } catch (error) { return error.message }
        return 'accepted'
      }
      console.log([
        refused({ filters: { a: 'key.matches("a+") && value.x > 1' } }),
        refused({ filters: { a: 'value.x >' } }),
        refused({ filters: { a: 'key.matches("(")' } }),
        refused({ messageByLuaFunctions: ['return function('] }),
      ].join('\\n'))`
    const runtime = await npmTool(tool)
    const argv =
      tool === 'deno'
        ? [runtime, 'eval', '--ext=ts', program]
        : [runtime, '--input-type=module', '--eval', program]
    const [right, ...wrong] = (await run(argv, root)).trim().split('\n')
    expect(right).toBe('accepted')
    expect(wrong).toEqual([
      expect.stringContaining('filters.a: cannot use the expression'),
      expect.stringContaining('it is not a valid regular expression'),
      expect.stringContaining('it is not valid Lua'),
    ])
  },
  60_000,
)
