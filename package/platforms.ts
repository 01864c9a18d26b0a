/** Fills folders that npm packages are packed from: the addon of each platform, and the client that loads it. */
import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { addonName, manifestPath, prebuiltPackage, sourcesHash } from '../native/addon.ts'
import { addonKey, sources } from '../native/build.ts'
import { crossCompile } from '../native/cross/build.ts'
import { type Platform, targetOf } from '../native/cross/platforms.ts'
import { licencesOf, provideSources } from '../native/cross/sources.ts'
import packageJson from '../package.json' with { type: 'json' }

/** The name of the package with Confluent's client. */
const CLIENT_PACKAGE = 'confluent-kafka-napi'

const here = join(import.meta.dirname, 'client')

/**
 * Fills a folder for each platform's package, and one for the client.
 *
 * @param addon An addon that was compiled on such a machine, for one platform. Default: it is cross-compiled.
 */
export async function fillPlatforms(
  folder: string,
  platforms: readonly Platform[],
  addon?: string,
): Promise<void> {
  const log = join(tmpdir(), 'hono-kafka-consume-cross.log')
  for (const platform of platforms) {
    // An addon that was compiled on such a machine uses that machine's libraries, which are not in it.
    if (addon !== undefined) fillPlatform(folder, platform, addon, {})
    else {
      const from = await provideSources(log)
      fillPlatform(folder, platform, await crossCompile(platform, from, log), licencesOf(from))
    }
  }
  await fillClient(join(folder, CLIENT_PACKAGE), platforms)
}

/** @param licences Texts of the licences of the libraries in the addon beside librdkafka, by the name of a file. */
function fillPlatform(
  folder: string,
  platform: Platform,
  addon: string,
  licences: Readonly<Record<string, string>>,
): void {
  const target = targetOf(platform)
  const filled = join(folder, prebuiltPackage(target))
  rmSync(filled, { recursive: true, force: true })
  mkdirSync(filled, { recursive: true })
  cpSync(addon, join(filled, addonName))
  const { size } = statSync(addon)
  const manifest = { key: addonKey(target, {}), sources: sourcesHash(), target, size }
  writeJson(manifestPath(join(filled, addonName)), manifest)
  for (const [name, text] of Object.entries(licences)) writeFileSync(join(filled, name), text)
  copyLicences(filled)
  // The licences of librdkafka and of all sources that it has from others, such as lz4 and snappy.
  copyLicence(join(librdkafkaSources(), 'LICENSES.txt'), filled, 'librdkafka')
  writeJson(join(filled, 'package.json'), platformManifest(platform))
  writeFileSync(join(filled, 'README.md'), platformReadme(platform))
}

function platformReadme({ name }: Platform): string {
  return `The addon of [${CLIENT_PACKAGE}](https://www.npmjs.com/package/${CLIENT_PACKAGE}) for ${name}: Confluent's Kafka client for Bun, Deno and Node.

Package managers install it with that package, on machines that it fits. It is made by the project ${packageJson.name}.

The files \`LICENSE.*\` are those of the sources that it was compiled from.
`
}

function platformManifest(platform: Platform): object {
  const { os, cpu, libc, name } = platform
  return {
    name: prebuiltPackage(targetOf(platform)),
    version: packageJson.version,
    description: `The addon of ${CLIENT_PACKAGE} and ${packageJson.name} for ${name}`,
    license: 'Apache-2.0 AND MIT AND BSD-2-Clause AND BSD-3-Clause AND Zlib AND curl',
    os: [os],
    cpu: [cpu],
    ...(libc && { libc: [libc] }),
    type: 'commonjs',
    exports: { './package.json': './package.json' },
  }
}

/** The client's JavaScript and types as they are, with another file that loads the addon, and without a script. */
async function fillClient(folder: string, platforms: readonly Platform[]): Promise<void> {
  const { package: client } = sources()
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  for (const name of ['lib', 'types', 'index.d.ts', 'src', 'CHANGELOG.md', 'MIGRATION.md']) {
    cpSync(join(client, name), join(folder, name), { recursive: true })
  }
  // For a platform without a package: `setup` compiles these.
  for (const name of ['configure', 'configure.self', 'Makefile', 'lds-gen.py', 'dev-conf.sh']) {
    copyLibrdkafka(name, folder)
  }
  for (const name of ['mklove', 'src', 'src-cpp', 'CONFIGURATION.md']) {
    copyLibrdkafka(name, folder)
  }
  for (const name of globSync('LICENSE*', { cwd: librdkafkaSources() })) {
    copyLibrdkafka(name, folder)
  }
  copyLicences(folder)
  for (const name of ['librdkafka.js', 'README.md']) cpSync(join(here, name), join(folder, name))
  await Bun.build({
    entrypoints: [join(here, 'addon.ts')],
    outdir: folder,
    target: 'node',
    format: 'cjs',
  })
  writeJson(join(folder, 'package.json'), clientManifest(platforms))
}

function librdkafkaSources(): string {
  return join(sources().package, 'deps', 'librdkafka')
}

function copyLibrdkafka(name: string, folder: string): void {
  const from = join(librdkafkaSources(), name)
  if (existsSync(from)) {
    cpSync(from, join(folder, 'deps', 'librdkafka', name), { recursive: true })
  }
}

/** The manifest of Confluent's own package. */
function confluentManifest() {
  return JSON.parse(readFileSync(join(sources().package, 'package.json'), 'utf8')) as Record<
    'name' | 'version' | 'description' | 'librdkafka',
    string
  > & { readonly keywords: readonly string[] }
}

/** Copies the licences of Confluent's client and of this project, whose code both packages have. */
function copyLicences(folder: string): void {
  const { package: client } = sources()
  for (const name of globSync('LICENSE*', { cwd: client })) {
    cpSync(join(client, name), join(folder, name))
  }
  copyLicence(join(here, '../../LICENSE'), folder, packageJson.name)
}

function copyLicence(from: string, folder: string, of: string): void {
  cpSync(from, join(folder, `LICENSE.${of}`))
}

function clientManifest(platforms: readonly Platform[]): object {
  const { version: confluentVersion, description, librdkafka, keywords } = confluentManifest()
  return {
    name: CLIENT_PACKAGE,
    // Not Confluent's: each release has addons of its own sources, and npm takes a version once.
    version: packageJson.version,
    description: `${description}, by Node-API: for Bun, Deno and Node`,
    keywords: [...keywords, 'bun', 'deno', 'napi'],
    // It has Confluent's JavaScript, this project's, and librdkafka's sources.
    license: 'MIT AND Apache-2.0 AND BSD-2-Clause AND BSD-3-Clause AND Zlib',
    confluentVersion,
    librdkafka,
    type: 'commonjs',
    main: 'lib/index.js',
    types: 'index.d.ts',
    engines: { bun: '>=1.4.5', node: '>=22' },
    optionalDependencies: platformDependencies(platforms),
  }
}

/** The packages of the addons, one of which a package manager installs. */
function platformDependencies(platforms: readonly Platform[]): Record<string, string> {
  return Object.fromEntries(
    platforms.map((platform) => [prebuiltPackage(targetOf(platform)), packageJson.version]),
  )
}

/** The dependency of the published package that has the name of Confluent's client. */
export function clientDependency(): Record<string, string> {
  return { [confluentManifest().name]: `npm:${CLIENT_PACKAGE}@${packageJson.version}` }
}

function writeJson(path: string, value: object): void {
  writeFileSync(path, `${JSON.stringify(value, null, 2)}\n`)
}
