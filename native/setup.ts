/** `bun run setup`: installs npm packages and system packages and compiles the Kafka client, if missing. */
import { mkdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import {
  type AddonManifest,
  addonPath,
  currentTarget,
  findAddon,
  manifestPath,
  readManifest,
  setupCommand,
  sourcesHash,
} from './addon.ts'
import { addonKey, buildAddon, checkAddon, sources } from './build.ts'
import { cachedAddon, cacheFolder, dropAddon, storeAddon, withLock, writeWhole } from './cache.ts'
import { describeError } from './file-errors.ts'
import { installPackages, packagesAreInstalled } from './packages.ts'
import { findPrebuilt } from './prebuilt.ts'
import { say } from './progress.ts'
import { provideSystem } from './system.ts'

const usage = `Usage: ${setupCommand()} [options]

Installs the npm packages of the lockfile, installs the compiler and libraries that the Kafka client
needs, and compiles that client. Does only what is missing.

  --packages-only    install only the npm packages
  --production       of these, only those that the gateway needs, without the developers' tools
  --prebuilt FOLDER  take the addon from a folder of \`bun run package --platforms\` instead of
                     compiling it; also by the variable HONO_KAFKA_CONSUME_PREBUILT
  --force            compile the Kafka client again
  --quiet            print nothing if everything is set up
  --help             show this text`

const options = {
  'packages-only': { type: 'boolean', default: false },
  production: { type: 'boolean', default: false },
  prebuilt: { type: 'string' },
  force: { type: 'boolean', default: false },
  quiet: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const

const root = dirname(import.meta.dirname)
const log = join(cacheFolder(), 'setup.log')

interface SetupFlags {
  readonly 'packages-only': boolean
  readonly production: boolean
  readonly prebuilt?: string | undefined
  readonly force: boolean
  readonly quiet: boolean
}

async function setup(flags: SetupFlags): Promise<void> {
  const { 'packages-only': packagesOnly, force, quiet } = flags
  const prebuilt = flags.prebuilt ?? process.env['HONO_KAFKA_CONSUME_PREBUILT']
  const choice = flags.production ? 'production' : 'all'
  const isDone = () => packagesAreInstalled(root, choice) && (packagesOnly || addonIsInstalled())
  if (!isDone() || force) {
    await withLock(async () => {
      rmSync(log, { force: true })
      if (!packagesAreInstalled(root, choice)) await installPackages(root, choice, log)
      if (!packagesOnly && (force || !addonIsInstalled())) await installAddon(force, prebuilt)
    })
    say('Set up.')
  } else if (!quiet) {
    say('All is set up.')
  }
}

function addonIsInstalled(): boolean {
  const addon = findAddon(sources().package)
  const manifest = addon === undefined ? undefined : readManifest(addon)
  return manifest?.key === addonKey() && manifest.sources === sourcesHash()
}

async function installAddon(force: boolean, prebuilt: string | undefined): Promise<void> {
  const key = addonKey()
  const cached = force ? undefined : cachedAddon(key)
  const present = force ? undefined : (cached ?? findPrebuilt(prebuilt))
  if (present) {
    place(present, key)
    if (await loads(key)) {
      // Another checkout then needs neither the folder of the addon nor a compiler.
      if (!cached) storeAddon(key, present)
      return
    }
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
  const target = currentTarget()
  const manifest: AddonManifest = { key, sources: sourcesHash(), target, size: content.length }
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

function parseFlags(): SetupFlags & { readonly help: boolean } {
  try {
    return parseArgs({ options, allowPositionals: false }).values
  } catch (error) {
    const { message } = error as Error
    const [, option] = /^Unknown option '([^']+)'/.exec(message) ?? []
    const state = option === undefined ? message : `unknown option ${option}`
    console.error(`Cannot set up: ${state}\n\n${usage}`)
    process.exit(2)
  }
}

const flags = parseFlags()
if (flags.help) {
  console.log(usage)
} else {
  try {
    await setup(flags)
  } catch (error) {
    console.error(describeError(error))
    process.exit(1)
  }
}
