/** Where the compiled addon is, and whether this runtime can load it. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

/** Lies beside the addon and says what it is. */
export interface AddonManifest {
  /** Changes with anything that goes into the addon. */
  key: string
  target: string
  /** Tells the file from another one put in its place, such as the stock build. */
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

/** Undefined when the addon is missing or is not one that setup.ts has put there. */
export function readManifest(addon: string): AddonManifest | undefined {
  try {
    const manifest: AddonManifest = JSON.parse(readFileSync(manifestPath(addon), 'utf8'))
    return manifest.size === statSync(addon).size ? manifest : undefined
  } catch {
    return undefined
  }
}

/**
 * Throws an error that says what to do when requiring Confluent's client would fail, or would
 * stop the process, as the build that `npm install` fetches does.
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
    // Some runtimes add lines of details.
    const [reason] = (error instanceof Error ? error.message : String(error)).split('\n')
    throw cannotLoad(reason ?? 'it cannot be opened', error)
  }
}

function cannotLoad(state: string, cause?: unknown): Error {
  return new Error(`Cannot load the Kafka client: ${state}. Run \`${setupCommand()}\``, { cause })
}

/** Where we are a dependency, our scripts are not those of the app. */
export function setupCommand(): string {
  const isInstalled = import.meta.dirname.includes('node_modules')
  return isInstalled ? 'bunx hono-kafka-consume setup' : 'bun run setup'
}
