import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { cacheFolder } from '../../native/cache.ts'
import { run } from '../../native/command.ts'

/** Programs that some tests need and nothing else does: no dependencies of ours, so that a set-up stays short. */
const TOOLS = {
  deno: { package: 'deno@2.9.6', program: 'deno/deno' },
  node: { package: 'node@26.10.0', program: 'node/bin/node' },
  publint: { package: 'publint@0.3.25', program: '.bin/publint' },
  attw: { package: '@arethetypeswrong/cli@0.18.5', program: '.bin/attw' },
} as const

/** The path of a program, installed into the cache where it is missing. */
export async function npmTool(name: keyof typeof TOOLS): Promise<string> {
  const tool = TOOLS[name]
  const folder = join(cacheFolder(), 'test-tools', tool.package.replaceAll('/', '-'))
  const path = join(folder, 'node_modules', tool.program)
  if (existsSync(path)) return path
  console.log(`Installing ${tool.package} for its tests …`)
  const draft = `${folder}.${process.pid}`
  mkdirSync(draft, { recursive: true })
  const argv = ['npm', 'install', '--no-save', '--prefix', draft, tool.package]
  await run({ argv, cwd: draft, log: join(draft, 'install.log') })
  rmSync(folder, { recursive: true, force: true })
  renameSync(draft, folder)
  return path
}
