/** Finds the compiled addon, and checks whether this runtime can load it. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

/** The JSON file beside the addon that describes it. */
export interface AddonManifest {
  /** A hash of everything that goes into the addon. */
  key: string
  target: string
  /** The addon's bytes. Another size shows that another file was put in its place, such as the stock build. */
  size: number
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
  const isMusl =
    existsSync('/lib') && readdirSync('/lib').some((name) => name.startsWith('ld-musl-'))
  return `${platform}-${arch}-${isMusl ? 'musl' : 'glibc'}`
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

/**
 * Checks that Confluent's client can be loaded. Loading the stock build, which `npm install` fetches,
 * would end the process.
 *
 * @throws Error whose message names the command that compiles the addon.
 */
export function assertAddon(): void {
  const require = createRequire(import.meta.url)
  let addon: string
  try {
    const manifest = require.resolve('@confluentinc/kafka-javascript/package.json')
    addon = addonPath(dirname(manifest))
  } catch {
    throw cannotLoad('its package @confluentinc/kafka-javascript is not installed')
  }
  if (!existsSync(addon)) throw cannotLoad('its addon is not compiled')
  const manifest = readManifest(addon)
  if (!manifest) throw cannotLoad('its addon was not compiled by this project')
  const target = currentTarget()
  if (manifest.target !== target) {
    throw cannotLoad(`its addon is compiled for ${manifest.target}, not ${target}`)
  }
  try {
    require(addon)
  } catch (error) {
    // Some runtimes add lines with details.
    const [reason] = (error instanceof Error ? error.message : String(error)).split('\n')
    throw cannotLoad(reason ?? 'it cannot be opened', error)
  }
}

function cannotLoad(state: string, cause?: unknown): Error {
  return new Error(`Cannot load the Kafka client: ${state}. Run \`${setupCommand()}\``, { cause })
}

/** The command for the set-up: an app that depends on this package does not have its scripts. */
export function setupCommand(): string {
  const isInstalled = import.meta.dirname.includes('node_modules')
  return isInstalled ? 'bunx hono-kafka-consume setup' : 'bun run setup'
}
