/**
 * The npm packages that a release has beside the main one: the client, and the addon of each platform.
 * The addon in them is a stub, since these tests load none.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { globSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { currentTarget, prebuiltPackage } from '../../native/addon.ts'
import { PLATFORMS, targetOf } from '../../native/cross/platforms.ts'
import { clientDependency, fillPlatforms } from '../../package/platforms.ts'
import packageJson from '../../package.json' with { type: 'json' }
import { BuiltPackage } from '../support/built-package.ts'
import { NpmRegistry } from '../support/npm-registry.ts'

// The main package may be built here.
setDefaultTimeout(300_000)

const root = join(import.meta.dirname, '../..')
const CLIENT = 'confluent-kafka-napi'
const CONFLUENT = '@confluentinc/kafka-javascript'
const ADDONS = PLATFORMS.map((platform) => prebuiltPackage(targetOf(platform)))
/** The platforms that this machine does not have. */
const others = PLATFORMS.filter((platform) => targetOf(platform) !== currentTarget())
const parent = mkdtempSync(join(tmpdir(), 'addon-packages-'))
const packages = join(parent, 'dist-platforms')

beforeAll(async () => {
  const addon = join(parent, 'addon.node')
  writeFileSync(addon, 'an addon')
  await fillPlatforms(packages, PLATFORMS, addon)
})
afterAll(() => rmSync(parent, { recursive: true }))

const licencesIn = (folder: string) =>
  readdirSync(folder)
    .filter((name) => name.startsWith('LICENSE'))
    .sort()
const read = (...path: string[]) => readFileSync(join(packages, ...path), 'utf8')

test('a package with an addon has the licences of all code that is compiled into it', () => {
  for (const name of ADDONS) {
    expect(licencesIn(join(packages, name))).toEqual([
      'LICENSE.hono-kafka-consume',
      'LICENSE.kafkajs',
      'LICENSE.librdkafka',
      'LICENSE.node-rdkafka',
      'LICENSE.txt',
    ])
    expect(read(name, 'LICENSE.hono-kafka-consume')).toContain('Apache License')
    expect(read(name, 'LICENSE.txt')).toContain('Confluent')
    const parts = [...read(name, 'LICENSE.librdkafka').matchAll(/^LICENSE\.?(\w*)$/gm)]
    expect(parts.map(([, part]) => part)).toEqual([
      ...['', 'cjson', 'crc32c', 'fnv1a', 'hdrhistogram', 'lz4', 'murmur2', 'nanopb'],
      ...['opentelemetry', 'pycrc', 'queue', 'regexp', 'snappy', 'tinycthread', 'wingetopt'],
    ])
  }
})

test('the package of the client has the licences of its JavaScript, and of the sources that it brings', () => {
  expect(licencesIn(join(packages, CLIENT))).toEqual([
    'LICENSE.hono-kafka-consume',
    'LICENSE.kafkajs',
    'LICENSE.node-rdkafka',
    'LICENSE.txt',
  ])
  const librdkafka = licencesIn(join(packages, CLIENT, 'deps/librdkafka'))
  expect(librdkafka).toContain('LICENSE')
  expect(librdkafka).toContain('LICENSE.lz4')
  expect(librdkafka).toContain('LICENSES.txt')
})

test('the packages of a release have its version and name each other by it, since npm takes a version once', () => {
  const { version, dependencies } = packageJson
  const client = JSON.parse(read(CLIENT, 'package.json'))
  for (const name of ADDONS) {
    expect(JSON.parse(read(name, 'package.json'))).toMatchObject({ name, version })
  }
  expect(client).toMatchObject({ name: CLIENT, version })
  expect(client.optionalDependencies).toEqual(
    Object.fromEntries(ADDONS.map((name) => [name, version])),
  )
  expect(clientDependency()).toEqual({ [CONFLUENT]: `npm:${CLIENT}@${version}` })
  expect(client.confluentVersion).toBe(dependencies[CONFLUENT])
  expect(read(CLIENT, 'README.md')).toContain(`Confluent's version ${dependencies[CONFLUENT]},`)
})

test('no file of a package holds the path of the checkout, which another machine does not have', async () => {
  using built = await BuiltPackage.build()
  for (const folder of [packages, built.folder]) {
    const files = globSync('**/*', { cwd: folder, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
    expect(files.length).toBeGreaterThan(50)
    expect(files.filter((file) => readFileSync(file).includes(root))).toEqual([])
  }
})

describe('a package manager installs the addon of one platform only', () => {
  const name = 'hono-kafka-consume'
  const npm = ['npm', 'install', '--no-audit', '--no-fund']
  let registry: NpmRegistry
  beforeAll(async () => {
    const { version } = packageJson
    registry = await NpmRegistry.serve([
      // The client is its only dependency here. Confluent's own package is not there: nothing may ask for it.
      { name, version, dependencies: clientDependency() },
      ...[CLIENT, ...ADDONS].map((one) => JSON.parse(read(one, 'package.json'))),
    ])
  })
  afterAll(() => registry?.[Symbol.dispose]())

  /** The packages of an app after an install. */
  async function install(dependency: string, command: readonly string[]): Promise<string> {
    const app = mkdtempSync(join(parent, 'app-'))
    writeFileSync(
      join(app, 'package.json'),
      JSON.stringify({ dependencies: { [dependency]: '*' } }),
    )
    const env = { PATH: process.env['PATH'], HOME: app, npm_config_registry: registry.url }
    const child = Bun.spawn([...command], { cwd: app, env, stdin: 'ignore', stderr: 'pipe' })
    const errors = await new Response(child.stderr).text()
    expect(await child.exited, errors).toBe(0)
    return join(app, 'node_modules')
  }
  const addonsIn = (modules: string) => readdirSync(modules).filter((one) => ADDONS.includes(one))

  test.each([[npm], [[process.execPath, 'install']]])(
    'that of this machine by %j, with the client under the name of Confluent’s',
    async (command) => {
      const modules = await install(name, command)
      expect(addonsIn(modules)).toEqual([prebuiltPackage()])
      const client = readFileSync(join(modules, CONFLUENT, 'package.json'), 'utf8')
      expect(JSON.parse(client).name).toBe(CLIENT)
    },
  )

  test.each(others.map((platform) => [platform.name, platform] as const))(
    'that of %s by npm for such a machine',
    async (_, platform) => {
      const { os, cpu, libc } = platform
      const chosen = [`--os=${os}`, `--cpu=${cpu}`, ...(libc ? [`--libc=${libc}`] : [])]
      const modules = await install(CLIENT, [...npm, ...chosen])
      expect(readdirSync(modules)).toContain(CLIENT)
      expect(addonsIn(modules)).toEqual([prebuiltPackage(targetOf(platform))])
    },
  )
})

test('the package of a platform says what it is', () => {
  for (const { name } of PLATFORMS) {
    const readme = read(`hono-kafka-consume-${name}`, 'README.md')
    expect(readme).toStartWith(`The addon of [${CLIENT}](`)
    expect(readme).toContain(`for ${name}: `)
  }
})
