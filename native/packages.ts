/** Installs the npm packages that the lockfile names. */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { run } from './command.ts'
import { step } from './progress.ts'

const stampName = '.hono-kafka-consume-setup'

/** The packages that are wanted: all, or those that the gateway needs, a quarter of the bytes. */
export type PackageChoice = 'all' | 'production'

/**
 * Whether node_modules agrees with package.json and the lockfile. Without a lockfile this is not a
 * checkout but an installed package, whose dependencies were installed with it.
 */
export function packagesAreInstalled(root: string, choice: PackageChoice): boolean {
  if (!existsSync(join(root, 'bun.lock'))) return true
  const stamp = join(root, 'node_modules', stampName)
  const found = existsSync(stamp) ? readFileSync(stamp, 'utf8') : ''
  return found === fingerprint(root, 'all') || found === fingerprint(root, choice)
}

export async function installPackages(
  root: string,
  choice: PackageChoice,
  log: string,
): Promise<void> {
  const wanted = fingerprint(root, choice)
  const omitted = choice === 'all' ? [] : ['--omit=dev', '--omit=peer']
  await step('Installing npm packages', ({ update }) =>
    run({
      // Scripts are off: the script of Confluent's client fetches a build that Bun cannot load.
      argv: [process.execPath, 'install', '--frozen-lockfile', '--ignore-scripts', ...omitted],
      cwd: root,
      log,
      onLine: update,
    }),
  )
  const stamp = join(root, 'node_modules', stampName)
  mkdirSync(join(root, 'node_modules'), { recursive: true })
  writeFileSync(`${stamp}.${process.pid}`, wanted)
  renameSync(`${stamp}.${process.pid}`, stamp)
}

function fingerprint(root: string, choice: PackageChoice): string {
  const hash = new Bun.CryptoHasher('sha256')
  if (choice !== 'all') hash.update(`${choice}\n`)
  for (const name of ['package.json', 'bun.lock']) {
    const content = readFileSync(join(root, name))
    hash.update(`${name} ${content.length}\n`).update(content)
  }
  return hash.digest('hex')
}
