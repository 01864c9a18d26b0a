/** The packages that an app loads with the main entry: what only the gateway uses is not among them. */
import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { run } from '../support/packed.ts'

const root = join(import.meta.dirname, '../..')

/** Prints the packages of all modules that an entry has loaded. */
const PROGRAM = `
await import(process.argv.at(-1))
const names = Object.keys(require.cache).map((file) => /.*\\/node_modules\\/((?:@[^/]+\\/)?[^/]+)/.exec(file)?.[1])
console.log(JSON.stringify([...new Set(names.filter(Boolean))].sort()))
`

async function packagesOf(entry: string): Promise<string[]> {
  const argv = [process.execPath, '--eval', PROGRAM, join(root, entry)]
  return JSON.parse(await run(argv, root)) as string[]
}

test('the main entry loads these packages, and nothing that only the gateway, Lua functions or a page need', async () => {
  expect(await packagesOf('src/index.ts')).toEqual([
    '@logtape/logtape',
    '@marcbachmann/cel-js',
    '@noble/hashes',
    '@opentelemetry/api',
    '@valibot/to-json-schema',
    'bintrees',
    'fastest-levenshtein',
    'hono',
    'luaparse',
    'prom-client',
    're2js',
    'tdigest',
    'valibot',
  ])
})

test('the client loads one package', async () => {
  expect(await packagesOf('src/client/index.ts')).toEqual(['eventsource-parser'])
})
