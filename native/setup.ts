/** `bun run setup`: installs npm packages and system packages and compiles the Kafka client, if missing. */
import { mkdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import {
  type AddonManifest,
  addonPath,
  currentTarget,
  manifestPath,
  readManifest,
  setupCommand,
} from './addon.ts'
import { addonKey, buildAddon, checkAddon, sources } from './build.ts'
import { cachedAddon, cacheFolder, dropAddon, storeAddon, withLock, writeWhole } from './cache.ts'
import { installPackages, packagesAreInstalled } from './packages.ts'
import { say } from './progress.ts'
import { provideSystem } from './system.ts'

const usage = `Usage: ${setupCommand()} [options]

Installs the npm packages of the lockfile, installs the compiler and libraries that the Kafka client
needs, and compiles that client. Does only what is missing.

  --packages-only  install only the npm packages
  --force          compile the Kafka client again
  --quiet          print nothing if everything is set up
  --help           show this text`

const flags = ['--packages-only', '--force', '--quiet', '--help'] as const
type Flag = (typeof flags)[number]

const root = dirname(import.meta.dirname)
const log = join(cacheFolder(), 'setup.log')

async function setup(given: Set<Flag>): Promise<void> {
  const packagesOnly = given.has('--packages-only')
  const force = given.has('--force')
  const isDone = () => packagesAreInstalled(root) && (packagesOnly || addonIsInstalled())
  if (!isDone() || force) {
    await withLock(async () => {
      rmSync(log, { force: true })
      if (!packagesAreInstalled(root)) await installPackages(root, log)
      if (!packagesOnly && (force || !addonIsInstalled())) await installAddon(force)
    })
    say('Set up.')
  } else if (!given.has('--quiet')) {
    say('All is set up.')
  }
}

function addonIsInstalled(): boolean {
  return readManifest(addonPath(sources().package))?.key === addonKey()
}

async function installAddon(force: boolean): Promise<void> {
  const key = addonKey()
  const cached = force ? undefined : cachedAddon(key)
  if (cached) {
    place(cached, key)
    if (await loads(key)) return
  }
  await provideSystem(log)
  const built = await buildAddon(log)
  storeAddon(key, built)
  place(built, key)
}

function place(content: Uint8Array, key: string): void {
  const addon = addonPath(sources().package)
  mkdirSync(dirname(addon), { recursive: true })
  writeWhole(addon, content)
  const manifest: AddonManifest = { key, target: currentTarget(), size: content.length }
  writeWhole(manifestPath(addon), `${JSON.stringify(manifest)}\n`)
}

/** Whether the addon loads. An addon of the cache may not, if the system's libraries have changed since. */
async function loads(key: string): Promise<boolean> {
  const addon = addonPath(sources().package)
  try {
    await checkAddon(addon, log)
    return true
  } catch {
    rmSync(manifestPath(addon))
    dropAddon(key)
    return false
  }
}

const unknown = process.argv.slice(2).filter((flag) => !flags.some((known) => known === flag))
const given = new Set(flags.filter((flag) => process.argv.includes(flag)))
if (unknown.length > 0) {
  console.error(`Cannot set up: unknown option ${unknown.join(', ')}\n\n${usage}`)
  process.exit(2)
}
if (given.has('--help')) {
  console.log(usage)
} else {
  try {
    await setup(given)
  } catch (error) {
    console.error(error instanceof Error ? error.message : error)
    process.exit(1)
  }
}
