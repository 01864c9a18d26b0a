/** Finds an addon that was compiled elsewhere: in a given folder, or in an installed package of the platform. */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { addonName, currentTarget, isOwnEdition, prebuiltPackage, readManifest } from './addon.ts'
import { addonKey, sources } from './build.ts'
import { say } from './progress.ts'

/**
 * The content of an addon that fits this machine and these sources.
 *
 * @param given A folder of `bun run package --platforms`, or one with the addon itself.
 * @throws Error if the given folder has no addon that fits.
 */
export function findPrebuilt(given: string | undefined): Uint8Array | undefined {
  const name = prebuiltPackage()
  const folders = given
    ? [resolve(given), join(resolve(given), name)]
    : parentsOf(import.meta.dirname).map((folder) => join(folder, 'node_modules', name))
  const addon = folders.map((folder) => join(folder, addonName)).find((path) => existsSync(path))
  const state = addon ? stateOf(addon) : `it does not have ${name}/${addonName}`
  if (addon && !state) {
    say(`Taking the addon from ${dirname(addon)}`)
    return readFileSync(addon)
  }
  if (given) throw new Error(`Cannot take the addon from ${given}: ${state}`)
  if (addon) say(`Compiling the addon, since that in ${dirname(addon)} does not fit: ${state}`)
  else if (isOwnEdition(sources().package)) {
    say(`Compiling the addon, since the package ${name} is not installed`)
  }
  return undefined
}

/** Why an addon does not fit; undefined if it does. */
function stateOf(addon: string): string | undefined {
  const manifest = readManifest(addon)
  if (!manifest) return 'its manifest is missing or names another size'
  const target = currentTarget()
  if (manifest.target !== target) return `it is compiled for ${manifest.target}, not ${target}`
  if (manifest.key !== addonKey(target, {})) return 'it is compiled from other sources'
  if (addonKey() !== manifest.key) return 'variables such as CFLAGS ask for an addon of their own'
  return undefined
}

function parentsOf(folder: string): string[] {
  const parent = dirname(folder)
  return parent === folder ? [folder] : [folder, ...parentsOf(parent)]
}
