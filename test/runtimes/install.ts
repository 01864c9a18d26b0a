import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { cacheFolder } from '../../native/cache.ts'
import { run } from '../../native/command.ts'

/** Other runtimes, as npm packages that bring the program itself. */
const RUNTIMES = {
  deno: { version: '2.9.6', program: 'deno/deno' },
  node: { version: '26.10.0', program: 'node/bin/node' },
} as const

export type Runtime = keyof typeof RUNTIMES

/** The path of a runtime's program, installed into the cache where it is missing. */
export async function installRuntime(runtime: Runtime): Promise<string> {
  const { version, program } = RUNTIMES[runtime]
  const folder = join(cacheFolder(), 'runtimes', `${runtime}-${version}`)
  const path = join(folder, 'node_modules', program)
  if (existsSync(path)) return path
  console.log(`Installing ${runtime} ${version} for its tests …`)
  const draft = `${folder}.${process.pid}`
  mkdirSync(draft, { recursive: true })
  const packages = ['install', '--no-save', '--prefix', draft, `${runtime}@${version}`]
  await run({ argv: ['npm', ...packages], cwd: draft, log: join(draft, 'install.log') })
  rmSync(folder, { recursive: true, force: true })
  renameSync(draft, folder)
  return path
}
