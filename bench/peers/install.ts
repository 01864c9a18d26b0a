/** Installs the peers into the cache when they are measured: they are not dependencies of the project. */
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { cacheFolder } from '../../native/cache.ts'
import { step } from '../../native/progress.ts'
import { runCommand } from '../../tools/kafka/command.ts'
import { withLock } from '../../tools/kafka/lock.ts'

const LIMIT_MS = 10 * 60_000

/** @returns The folder whose `node_modules` has the packages of `package.json`, none of them compiled. */
export function installPackages(): Promise<string> {
  return provide('packages', ['package.json', 'bun.lock'], (folder) =>
    run("Installing the peers' packages", [
      ...[process.execPath, 'install', '--cwd', folder],
      ...['--frozen-lockfile', '--ignore-scripts'],
    ]),
  )
}

/**
 * Compiles node-rdkafka, which KafkaSSE reads with, for Node and with its own librdkafka.
 *
 * @param packages The folder that `installPackages` returned.
 */
export async function compileNodeRdkafka(packages: string): Promise<void> {
  const addon = join(packages, 'node_modules/node-rdkafka/build/Release/node-librdkafka.node')
  await withLock(join(cacheFolder(), 'bench-node-rdkafka.lock'), LIMIT_MS, async () => {
    if (existsSync(addon)) return
    const npm = tool('npm')
    await run('Compiling node-rdkafka for KafkaSSE', [
      ...[npm, 'rebuild', '--prefix', packages, '--foreground-scripts', 'node-rdkafka'],
    ])
  })
}

/** @returns The path of the compiled program. */
export async function buildBenthos(): Promise<string> {
  const folder = await provide('benthos', ['go.mod', 'go.sum', 'main.go'], (into) =>
    // At most two compilers run at a time: each Go compiler takes up to 1 GB.
    run('Compiling Benthos', [tool('go'), '-C', into, 'build', '-p', '2', '-o', 'benthos', '.']),
  )
  return join(folder, 'benthos')
}

/** A folder of the cache, named by a hash of the files that it is made from. It appears only when complete. */
async function provide(
  name: 'packages' | 'benthos',
  files: readonly string[],
  fill: (folder: string) => Promise<void>,
): Promise<string> {
  const from = join(import.meta.dirname, name)
  const hash = new Bun.CryptoHasher('sha256')
  for (const file of files) hash.update(readFileSync(join(from, file)))
  const folder = join(cacheFolder(), `bench-${name}-${hash.digest('hex').slice(0, 12)}`)
  await withLock(join(cacheFolder(), `bench-${name}.lock`), LIMIT_MS, async () => {
    if (existsSync(folder)) return
    const passing = `${folder}.part`
    rmSync(passing, { recursive: true, force: true })
    mkdirSync(passing, { recursive: true })
    for (const file of files) cpSync(join(from, file), join(passing, file))
    await fill(passing)
    renameSync(passing, folder)
  })
  return folder
}

function run(title: string, argv: string[]): Promise<void> {
  return step(title, ({ update }) =>
    runCommand({
      argv,
      log: join(cacheFolder(), 'bench-peers.log'),
      limit: LIMIT_MS,
      onLine(line) {
        const source = /([\w.-]+)\.(c|cc|cpp|o)$/.exec(line)?.[0]
        if (source) update(source)
      },
    }),
  )
}

function tool(name: 'npm' | 'go'): string {
  const found = Bun.which(name)
  if (!found) throw new Error(`Cannot compile it: this machine lacks ${name}`)
  return found
}
