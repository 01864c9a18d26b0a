/**
 * Packages with the addon of a platform are installed without a compiler, a script or a download: the
 * client by itself, this package, and a checkout. The addon in them is that of this machine.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { addonPath, currentTarget, prebuiltPackage } from '../../native/addon.ts'
import { sources } from '../../native/build.ts'
import { PLATFORMS, targetOf } from '../../native/cross/platforms.ts'
import packageJson from '../../package.json' with { type: 'json' }
import { GatewayProcess } from '../gateway/gateway-process.ts'
import { TestKafka } from '../support/kafka.ts'
import { npmTool } from '../support/npm-tool.ts'
import { run } from '../support/run-program.ts'

setDefaultTimeout(180_000)

const root = join(import.meta.dirname, '../..')
const bun = process.execPath
const parent = mkdtempSync(join(tmpdir(), 'platforms-'))
const platforms = join(parent, 'dist-platforms')
/** Tarballs by the name of their package. */
const tarballs = new Map<string, string>()
/** Variables that name the folders in which Bun and npm keep what they downloaded. */
let downloads: Record<string, string> = {}

let kafka: TestKafka
let topic = ''

beforeAll(async () => {
  downloads = {
    BUN_INSTALL_CACHE_DIR: (await run([bun, 'pm', 'cache'], root)).trim(),
    npm_config_cache: (await run(['npm', 'config', 'get', 'cache'], root)).trim(),
  }
  const platform = PLATFORMS.find((one) => targetOf(one) === currentTarget())
  const addon = ['--platform', platform?.name ?? '', '--addon', addonPath(sources().package)]
  await run([bun, 'package/build.ts', join(parent, 'dist'), ...addon], root)
  for (const folder of globSync(join(platforms, '*'))) await pack(folder)
  // A file takes the place of the package that a registry would have.
  const manifest = join(parent, 'dist/package.json')
  const ours = readFileSync(manifest, 'utf8')
  const alias = /"npm:confluent-kafka-napi@[^"]+"/
  expect(ours).toMatch(alias)
  const file = `file:${tarballs.get('confluent-kafka-napi')}`
  writeFileSync(manifest, ours.replace(alias, JSON.stringify(file)))
  await pack(join(parent, 'dist'))
  kafka = await TestKafka.real()
  topic = await kafka.createTopic(1)
  await kafka.produce(topic, [{ partition: 0, value: 'hello' }])
}, 180_000)

afterAll(async () => {
  rmSync(parent, { recursive: true, force: true })
  await kafka?.close()
})

async function pack(folder: string): Promise<void> {
  const { name } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  const packed = await run(['npm', 'pack', folder, '--silent'], parent)
  tarballs.set(name, join(parent, packed.trim()))
}

/** An app whose dependencies are tarballs, as a registry would have them. */
function appWith(name: string, dependencies: Record<string, string>): string {
  const folder = join(parent, name)
  mkdirSync(folder)
  const file = (of: string) => `file:${tarballs.get(of)}`
  const overrides = { [prebuiltPackage()]: file(prebuiltPackage()) }
  const manifest = { name, type: 'module', dependencies, overrides }
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest))
  return folder
}

/** The variables of a machine without a compiler, with a home of its own. It has the packages that were downloaded before. */
function bareEnvironment(): Record<string, string> {
  const home = mkdtempSync(join(parent, 'home-'))
  const bin = join(home, 'bin')
  mkdirSync(bin)
  for (const program of ['bun', 'node', 'npm', 'sh']) {
    const path = program === 'bun' ? bun : Bun.which(program)
    if (path) symlinkSync(path, join(bin, program))
  }
  const { npm_config_registry: registry } = process.env
  return {
    HOME: home,
    PATH: bin,
    ...downloads,
    ...(registry && { npm_config_registry: registry }),
  }
}

/**
 * Runs a command without a compiler, in a home of its own unless one is given.
 *
 * @returns All that it has written: the set-up reports on standard error.
 */
async function runBare(argv: string[], cwd: string, env = bareEnvironment()): Promise<string> {
  const child = Bun.spawn(argv, { cwd, env, stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' })
  const said = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ])
  if ((await child.exited) !== 0) throw new Error(`${argv.join(' ')} failed:\n${said.join('')}`)
  return said.join('')
}

/** Starts a gateway without a compiler, and reads the topic's record from it. */
async function expectToServe(command: string[], cwd: string): Promise<void> {
  const flags = ['--port', '0', '--admin-port', 'off', '--topics', topic]
  const argv = [...command, '--brokers', kafka.bootstrapServers, ...flags]
  await using gateway = GatewayProcess.spawnCommand(argv, bareEnvironment(), cwd)
  const answer = await fetch(`${await gateway.url()}/messages?start=earliest&format=value`)
  expect(await answer.json()).toEqual(['hello'])
}

const READ = `import { createRequire } from 'node:module'
import { KafkaJS } from 'confluent-kafka-napi'
const [, , brokers, topic] = process.argv
const kafka = new KafkaJS.Kafka({ kafkaJS: { brokers: [brokers], logLevel: 0 } })
const consumer = kafka.consumer({ kafkaJS: { groupId: topic + process.pid, fromBeginning: true } })
await consumer.connect()
await consumer.subscribe({ topic })
const value = await new Promise((resolve) =>
  consumer.run({ eachMessage: async ({ message }) => resolve(String(message.value)) }),
)
console.log('read', value)
await consumer.disconnect()
process.exit(0)
`

test('the packages of the addon describe their content: publint and attw find nothing', async () => {
  for (const name of ['confluent-kafka-napi', prebuiltPackage()]) {
    const tarball = tarballs.get(name) as string
    expect(await run([await npmTool('publint'), tarball, '--strict'], parent)).toContain('All good')
  }
  // Confluent's module has names that Node does not find; the package's README says so.
  const rules = ['--ignore-rules', 'named-exports', '--profile', 'node16']
  const client = tarballs.get('confluent-kafka-napi') as string
  await run([await npmTool('attw'), ...rules, client], parent)
})

describe('the client by itself', () => {
  test.each(['npm', 'bun'])(
    'is installed by %s, and runs on Bun, Deno and Node',
    async (manager) => {
      const file = `file:${tarballs.get('confluent-kafka-napi')}`
      const app = appWith(`client-${manager}`, { 'confluent-kafka-napi': file })
      await runBare([manager === 'bun' ? bun : 'npm', 'install'], app)
      expect(globSync('**/build/**', { cwd: join(app, 'node_modules') })).toEqual([])
      writeFileSync(join(app, 'read.mjs'), READ)
      const deno = [await npmTool('deno'), 'run', '-A']
      for (const command of [[bun], deno, [await npmTool('node22')], [await npmTool('node')]]) {
        const said = await runBare([...command, 'read.mjs', kafka.bootstrapServers, topic], app)
        expect(said).toContain('read hello')
      }
    },
  )

  test('without the package of its platform, it names that package', async () => {
    const app = appWith('alone', {})
    cpSync(
      join(platforms, 'confluent-kafka-napi'),
      join(app, 'node_modules/confluent-kafka-napi'),
      {
        recursive: true,
      },
    )
    writeFileSync(join(app, 'read.mjs'), READ)
    const failed = runBare([bun, 'read.mjs', 'localhost:1', 't'], app)
    await expect(failed).rejects.toThrow(`the package ${prebuiltPackage()} is not installed`)
  })
})

test('this package is installed without a compiler, a script or a set-up, and its command serves records', async () => {
  const ours = `file:${tarballs.get('hono-kafka-consume')}`
  const { hono } = packageJson.dependencies
  const app = appWith('app', { 'hono-kafka-consume': ours, hono })
  // Bun says "Blocked" of a package whose script it did not run.
  expect(await runBare([bun, 'install'], app)).not.toContain('Blocked')
  writeFileSync(
    join(app, 'app.ts'),
    `import { Hono } from 'hono'
import { kafkaConsume } from 'hono-kafka-consume'
const orders = kafkaConsume({ bootstrapServers: process.argv[2] ?? '', topics: [process.argv[3] ?? ''] })
const app = new Hono().get('/orders', orders)
console.log(await (await app.request('/orders?start=earliest&format=value')).text())
process.exit(0)
`,
  )
  expect(await runBare([bun, 'app.ts', kafka.bootstrapServers, topic], app)).toContain('"hello"')
  const command = [bun, 'x', 'hono-kafka-consume']
  expect(await runBare([...command, 'setup'], app)).toBe('All is set up.\n')
  await expectToServe([...command, 'server'], app)
})

test('where the addon of the platform was not installed, the set-up says that it compiles for this reason', async () => {
  const app = appWith('without-addon', {})
  const modules = join(app, 'node_modules')
  const confluent = join(modules, '@confluentinc/kafka-javascript')
  cpSync(join(parent, 'dist'), join(modules, 'hono-kafka-consume'), { recursive: true })
  cpSync(join(platforms, 'confluent-kafka-napi'), confluent, { recursive: true })
  symlinkSync(join(root, 'node_modules/node-api-headers'), join(modules, 'node-api-headers'))
  const setup = [bun, join(modules, 'hono-kafka-consume/native/setup.js')]
  await expect(runBare(setup, app)).rejects.toThrow(
    `Compiling the addon, since the package ${prebuiltPackage()} is not installed`,
  )
})

test('a checkout takes the addon from a folder that it is given, and compiles nothing', async () => {
  const checkout = join(parent, 'checkout')
  mkdirSync(checkout)
  const files = (await run(['git', 'ls-files', '-co', '--exclude-standard'], root))
    .trim()
    .split('\n')
  for (const file of files.filter((path) => existsSync(join(root, path)))) {
    mkdirSync(dirname(join(checkout, file)), { recursive: true })
    cpSync(join(root, file), join(checkout, file))
  }
  const env = bareEnvironment()
  const setup = [bun, 'native/setup.ts']
  const said = await runBare([...setup, '--prebuilt', platforms], checkout, env)
  expect(said).toContain(`Taking the addon from ${join(platforms, prebuiltPackage())}`)
  expect(said).not.toContain('Compiling')
  // The cache has kept it.
  rmSync(join(checkout, 'node_modules/@confluentinc/kafka-javascript/build'), { recursive: true })
  expect(await runBare(setup, checkout, env)).toBe('Set up.\n')
  await expectToServe([bun, 'src/server.ts'], checkout)
})

test('a folder whose addon was compiled from other sources is refused by name', async () => {
  const other = join(parent, 'other')
  const name = prebuiltPackage()
  cpSync(join(platforms, name), join(other, name), { recursive: true })
  const manifest = globSync(join(other, name, '*.node.json'))[0] as string
  const content = JSON.parse(readFileSync(manifest, 'utf8'))
  writeFileSync(manifest, JSON.stringify({ ...content, key: 'other' }))
  const checkout = join(parent, 'checkout')
  rmSync(join(checkout, 'node_modules/@confluentinc/kafka-javascript/build'), { recursive: true })
  const failed = runBare([bun, 'native/setup.ts', '--prebuilt', other], checkout)
  await expect(failed).rejects.toThrow('it is compiled from other sources')
})
