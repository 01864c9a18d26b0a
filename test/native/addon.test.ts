import { afterAll, beforeAll, expect, test } from 'bun:test'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { features, librdkafkaVersion } from '@confluentinc/kafka-javascript'
import { addonPath, assertAddon, currentTarget, manifestPath } from '../../native/addon.ts'

const root = join(import.meta.dirname, '..', '..')
const installed = join(root, 'node_modules', '@confluentinc', 'kafka-javascript')

test('librdkafka has TLS, the SASL mechanisms and all codecs', () => {
  expect(features).toEqual(
    expect.arrayContaining([
      ...['ssl', 'sasl_plain', 'sasl_scram', 'sasl_oauthbearer', 'oidc'],
      ...['gzip', 'snappy', 'lz4', 'zstd'],
    ]),
  )
  expect(librdkafkaVersion).toBe('2.15.1')
})

test('assertAddon accepts what setup has compiled', () => {
  expect(() => assertAddon()).not.toThrow()
})

test('the addon names its sources by no path of the machine that compiled it', async () => {
  const addon = await Bun.file(addonPath(installed)).text()
  expect(addon).toContain('src/workers.cc')
  expect(addon).not.toContain('/src/workers.cc')
})

/** A project of its own, in which the addon may be anything. */
let project: string
const packageFolder = () => join(project, 'node_modules', '@confluentinc', 'kafka-javascript')

beforeAll(async () => {
  project = mkdtempSync(join(tmpdir(), 'native-addon-'))
  // As in the package: Node does not run TypeScript in all versions.
  const source = await Bun.file(join(root, 'native', 'addon.ts')).text()
  const transpiled = new Bun.Transpiler({ loader: 'ts' }).transformSync(source)
  for (const folder of ['src', 'include']) {
    cpSync(join(root, 'native', folder), join(project, 'native', folder), { recursive: true })
  }
  writeFileSync(join(project, 'native', 'addon.mjs'), transpiled)
  writeFileSync(
    join(project, 'main.mjs'),
    `import { assertAddon } from './native/addon.mjs'
     try { assertAddon(); console.log('loaded') } catch (error) { console.log(error.message); console.log(error.publicMessage) }`,
  )
})
afterAll(() => rmSync(project, { recursive: true }))

function install(content: string | Buffer | undefined, manifest?: object): void {
  rmSync(join(project, 'node_modules'), { recursive: true, force: true })
  const addon = addonPath(packageFolder())
  mkdirSync(join(addon, '..'), { recursive: true })
  cpSync(join(installed, 'package.json'), join(packageFolder(), 'package.json'))
  if (content !== undefined) writeFileSync(addon, content)
  if (manifest) writeFileSync(manifestPath(addon), JSON.stringify(manifest))
}

const garbage = Buffer.alloc(10_000, 'not an addon')
const good = { key: 'key', target: currentTarget(), size: garbage.length }

const cases: [string, () => void, RegExp][] = [
  [
    'no package',
    () => rmSync(join(project, 'node_modules'), { recursive: true, force: true }),
    /its package @confluentinc\/kafka-javascript is not installed/,
  ],
  ['no addon', () => install(undefined), /its addon is not compiled/],
  [
    'an addon that setup has not compiled',
    () => install(garbage),
    /its addon was not compiled by this project/,
  ],
  [
    'another addon in the place of ours',
    () => install(garbage, { ...good, size: 3_000_000 }),
    /its addon was not compiled by this project/,
  ],
  [
    'an addon for another machine',
    () => install(garbage, { ...good, target: 'darwin-arm64' }),
    /its addon is compiled for darwin-arm64, not /,
  ],
  [
    'an addon of other sources',
    () => install(garbage, { ...good, sources: 'older' }),
    /its addon is compiled from other sources than those of this version/,
  ],
  ['a damaged addon', () => install(garbage, good), /confluent-kafka-javascript\.node/],
]

const runtimes: Record<string, string[]> = { Bun: [process.execPath] }
const node = Bun.which('node')
if (node) runtimes['Node'] = [node]
const deno = Bun.which('deno')
if (deno) runtimes['Deno'] = [deno, 'run', '--allow-all']

for (const [runtime, command] of Object.entries(runtimes)) {
  for (const [name, prepare, state] of cases) {
    test(`assertAddon on ${runtime} says what is wrong with ${name}, to clients without a path`, async () => {
      prepare()
      const child = Bun.spawn([...command, join(project, 'main.mjs')], { stderr: 'pipe' })
      const output = await new Response(child.stdout).text()
      await child.exited
      expect(child.exitCode).toBe(0)
      const [message = '', publicMessage = ''] = output.split('\n')
      for (const said of [message, publicMessage]) {
        expect(said).toMatch(
          /^Cannot load the Kafka client: .*\. Run `bunx hono-kafka-consume setup`, then restart$/,
        )
      }
      expect(message).toMatch(state)
      expect(publicMessage).not.toContain(project)
    }, 120_000)
  }
}
