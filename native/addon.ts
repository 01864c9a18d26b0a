/** Finds the compiled addon, and checks whether this runtime can load it. */
import { createHash } from 'node:crypto'
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  statSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

/** The JSON file beside the addon that describes it. */
export interface AddonManifest {
  /** A hash of everything that goes into the addon. */
  key: string
  /** {@link sourcesHash} of the sources that it is compiled from. Manifests of older set-ups lack it. */
  sources?: string | undefined
  target: string
  /** The addon's bytes. Another size shows that another file was put in its place, such as the stock build. */
  size: number
}

/**
 * A hash of the addon's own sources, by which JavaScript recognizes an addon that is older or newer than
 * itself. Undefined in a bundle, which is without the sources.
 */
export function sourcesHash(native = import.meta.dirname): string | undefined {
  const hash = createHash('sha256')
  try {
    for (const folder of ['include', 'src']) {
      for (const name of readdirSync(join(native, folder)).sort()) {
        hash.update(`\n${name}\n`).update(readFileSync(join(native, folder, name)))
      }
    }
  } catch {
    return undefined
  }
  return hash.digest('hex').slice(0, 16)
}

export const addonName = 'confluent-kafka-javascript.node'

/** The path at which the package looks for its addon. */
export function addonPath(packageFolder: string): string {
  return join(packageFolder, 'build', 'Release', addonName)
}

export function manifestPath(addon: string): string {
  return `${addon}.json`
}

/** The machine that an addon is compiled for, e.g. "linux-x64-glibc". */
export function currentTarget(): string {
  const { platform, arch } = process
  if (platform !== 'linux') return `${platform}-${arch}`
  return `${platform}-${arch}-${usesMusl() ? 'musl' : 'glibc'}`
}

/** The beginning of a program has the path of its dynamic loader. */
const LOADER_WITHIN_BYTES = 4_096

/** Whether the running program is linked with musl. A machine may have both C libraries. */
function usesMusl(): boolean {
  const program = openSync(process.execPath, 'r')
  try {
    const beginning = new Uint8Array(LOADER_WITHIN_BYTES)
    readSync(program, beginning)
    return new TextDecoder('latin1').decode(beginning).includes('/ld-musl-')
  } finally {
    closeSync(program)
  }
}

/** The npm package that has the addon for a machine, compiled elsewhere. */
export function prebuiltPackage(target = currentTarget()): string {
  return `hono-kafka-consume-${target.replace('glibc', 'gnu')}`
}

/**
 * Whether the client is this project's edition (package/client/), which looks for the package of its platform.
 *
 * @param packageFolder The client's folder.
 */
export function isOwnEdition(packageFolder: string): boolean {
  const manifest = readFileSync(join(packageFolder, 'package.json'), 'utf8')
  return (JSON.parse(manifest) as { name: string }).name !== PACKAGE
}

/**
 * The addon that Confluent's client loads: the one in its folder, or that of the platform's package.
 *
 * @param packageFolder The client's folder.
 */
export function findAddon(packageFolder: string): string | undefined {
  const own = addonPath(packageFolder)
  if (existsSync(own)) return own
  if (!isOwnEdition(packageFolder)) return undefined
  try {
    const require = createRequire(join(packageFolder, 'package.json'))
    const prebuilt = require.resolve(`${prebuiltPackage()}/package.json`)
    return join(dirname(prebuilt), addonName)
  } catch {
    return undefined
  }
}

/**
 * Loads the addon for Confluent's client, as package/client/librdkafka.js asks.
 *
 * @throws Error that says which package is missing.
 */
export function loadAddon(packageFolder: string): unknown {
  const addon = findAddon(packageFolder)
  if (addon) return createRequire(join(packageFolder, 'package.json'))(addon)
  throw new Error(
    `Cannot load the Kafka client: the package ${prebuiltPackage()} is not installed. It is an optional dependency`,
  )
}

/** The manifest; undefined if the addon is missing or does not come from setup.ts. */
export function readManifest(addon: string): AddonManifest | undefined {
  try {
    const manifest: AddonManifest = JSON.parse(readFileSync(manifestPath(addon), 'utf8'))
    return manifest.size === statSync(addon).size ? manifest : undefined
  } catch {
    return undefined
  }
}

/** Why Confluent's client cannot be loaded. */
export class AddonError extends Error {
  /** The message for clients: the reason of the runtime names paths of this machine. */
  readonly publicMessage: string

  constructor(message: string, publicMessage = message, cause?: unknown) {
    super(message, { cause })
    this.publicMessage = publicMessage
  }
}

const PACKAGE = '@confluentinc/kafka-javascript'
/**
 * Requires modules of Confluent's client. This module may be part of a bundle, or of a program
 * compiled from one, which cannot hold the addon: packages are then those of the folder of the
 * bundle or program, or of a folder above.
 */
export function requireClient(module = ''): unknown {
  return createRequire(clientHome() ?? import.meta.url)(`${PACKAGE}${module}`)
}

function clientHome(): string | undefined {
  return [import.meta.url, process.execPath].find(hasClient)
}

function hasClient(from: string): boolean {
  try {
    createRequire(from).resolve(`${PACKAGE}/package.json`)
    return true
  } catch {
    return false
  }
}

/**
 * Checks that Confluent's client can be loaded. Loading the stock build, which `npm install` fetches,
 * would end the process.
 *
 * @throws AddonError whose message names the command that compiles the addon.
 */
export function assertAddon(): void {
  const from = clientHome()
  if (from === undefined) throw cannotLoad(`its package ${PACKAGE} is not installed`)
  const require = createRequire(from)
  const addon = findAddon(dirname(require.resolve(`${PACKAGE}/package.json`)))
  if (!addon) throw cannotLoad('its addon is not compiled')
  const manifest = readManifest(addon)
  if (!manifest) throw cannotLoad('its addon was not compiled by this project')
  const target = currentTarget()
  if (manifest.target !== target) {
    throw cannotLoad(`its addon is compiled for ${manifest.target}, not ${target}`)
  }
  const expected = sourcesHash()
  if (expected !== undefined && manifest.sources !== undefined && manifest.sources !== expected) {
    throw cannotLoad('its addon is compiled from other sources than those of this version')
  }
  try {
    require(addon)
  } catch (error) {
    // Some runtimes add lines with details.
    const [reason] = (error instanceof Error ? error.message : String(error)).split('\n')
    throw cannotLoad(reason ?? CANNOT_OPEN, CANNOT_OPEN, error)
  }
  assertResolved(require)
}

/** @throws AddonError in a program of `bun build --compile` that does not read package.json, which names the entry of a package. */
function assertResolved(require: NodeJS.Require): void {
  try {
    require.resolve(PACKAGE)
  } catch (cause) {
    const flag = '--compile-autoload-package-json'
    const message = `Cannot load the Kafka client: this program does not read package.json. Compile it with ${flag}`
    throw new AddonError(message, message, cause)
  }
}

const CANNOT_OPEN = 'its addon cannot be opened'

function cannotLoad(state: string, publicState = state, cause?: unknown): AddonError {
  const [message, publicMessage] = [state, publicState].map(
    (text) => `Cannot load the Kafka client: ${text}. ${setupAdvice()}`,
  ) as [string, string]
  return new AddonError(message, publicMessage, cause)
}

/** The way to an addon that can be loaded, as a sentence without a full stop. */
export function setupAdvice(): string {
  const then = `\`${setupCommand()}\`, then restart`
  if (!isBundled()) return `Run ${then}`
  const place = 'in the folder of this bundle or program, or above'
  return `The package hono-kafka-consume must be installed ${place}: install it there, run ${then}`
}

/** Whether this module is part of a bundle, or of a program compiled from one: the package keeps it as a file. */
function isBundled(): boolean {
  return !/\/native\/addon\.[cm]?[jt]s$/.test(import.meta.url)
}

/** The command for the set-up: an app that depends on this package does not have its scripts. */
export function setupCommand(): string {
  // A package and a bundle hold JavaScript.
  const isCheckout = import.meta.url.endsWith('.ts')
  return isCheckout ? 'bun run setup' : 'bunx hono-kafka-consume setup'
}
