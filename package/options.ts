/** The command line of `bun run package`. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { PLATFORMS, type Platform, platformOf } from '../native/cross/platforms.ts'
import { zigChecksum } from '../native/cross/sources.ts'
import packageJson from '../package.json' with { type: 'json' }

/** The command line is not valid: exit code 2. */
export class UsageError extends Error {}

export const usage = `Fills a folder that the npm package is packed from.

Usage: bun run package [FOLDER] [options]

  FOLDER            a new or empty folder, or one that this command filled before (default: dist)
  --platforms       also compiles the addon for all platforms, each a package in FOLDER-platforms,
                    which then has Confluent's client, too
  --platform NAME   the same for one platform; may be given several times
                    (${PLATFORMS.map(({ name }) => name).join(', ')})
  --addon FILE      takes this addon instead of compiling; needs exactly one --platform
  --help            prints this text`

export interface PackageOptions {
  readonly help: boolean
  /** The folder of the package, absolute. */
  readonly dist: string
  /** The platforms that the addon is packed for. */
  readonly platforms: readonly Platform[]
  /** A file with the addon of the only platform. Undefined: it is compiled. */
  readonly addon: string | undefined
}

/**
 * @param root The folder of the checkout.
 * @throws UsageError that names the argument and what is allowed.
 */
export function readOptions(args: string[], root: string): PackageOptions {
  const { values, positionals } = parse(args)
  if (positionals.length > 1) {
    throw new UsageError(`Cannot package: unexpected argument "${positionals[1]}" after the folder`)
  }
  const dist = resolve(positionals[0] ?? join(root, 'dist'))
  const { addon } = values
  const platforms = values.platforms
    ? PLATFORMS
    : values.platform.map((name) => orUsageError(() => platformOf(name)))
  if (addon !== undefined && platforms.length !== 1) {
    throw new UsageError('Cannot package: --addon needs exactly one --platform')
  }
  if (addon !== undefined && !existsSync(addon)) {
    throw new UsageError(`Cannot package: the file of --addon, ${addon}, does not exist`)
  }
  // Before anything is made, since the addons come last.
  if (addon === undefined && platforms.length > 0) orUsageError(zigChecksum)
  if (!values.help) assertReplaceable(dist)
  return { help: values.help, dist, platforms, addon }
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      options: {
        platforms: { type: 'boolean', default: false },
        platform: { type: 'string', multiple: true, default: [] as string[] },
        addon: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
      allowPositionals: true,
    })
  } catch (error) {
    const [state] = (error as Error).message.split('. ')
    throw new UsageError(`Cannot package: ${state}`)
  }
}

function orUsageError<T>(work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

/**
 * The command deletes what the folder holds, which must be a package that it made.
 *
 * @throws UsageError
 */
function assertReplaceable(folder: string): void {
  if (!existsSync(folder)) return
  if (!statSync(folder).isDirectory()) {
    throw new UsageError(`Cannot package: ${folder} is not a folder`)
  }
  const files = readdirSync(folder)
  if (files.length > 0 && !isPackage(folder)) {
    throw new UsageError(
      `Cannot package: the folder ${folder} holds other files, which would be deleted; name a new or empty folder`,
    )
  }
}

/** Whether the folder holds the package, whole or in part, rather than the checkout. */
function isPackage(folder: string): boolean {
  if (existsSync(join(folder, 'bunfig.toml'))) return false
  try {
    const { name } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
    return name === packageJson.name
  } catch {
    return false
  }
}
