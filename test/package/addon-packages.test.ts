/**
 * The npm packages that a release has beside the main one: the client, and the addon of each platform.
 * The addon in them is a stub, since these tests load none.
 */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { globSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { prebuiltPackage } from '../../native/addon.ts'
import { PLATFORMS, targetOf } from '../../native/cross/platforms.ts'
import packageJson from '../../package.json' with { type: 'json' }
import { clientDependency, fillPlatforms } from '../../package/platforms.ts'
import { BuiltPackage } from '../support/built-package.ts'

// The main package may be built here.
setDefaultTimeout(300_000)

const root = join(import.meta.dirname, '../..')
const CLIENT = 'confluent-kafka-napi'
const ADDONS = PLATFORMS.map((platform) => prebuiltPackage(targetOf(platform)))
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
  const confluent = '@confluentinc/kafka-javascript'
  expect(clientDependency()).toEqual({ [confluent]: `npm:${CLIENT}@${version}` })
  expect(client.confluentVersion).toBe(dependencies[confluent])
  expect(read(CLIENT, 'README.md')).toContain(`Confluent's version ${dependencies[confluent]},`)
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
