import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { cacheFolder } from '../../native/cache.ts'
import { run } from '../../native/command.ts'

const here = `${process.platform}-${process.arch}`
const deno = `@deno/${here}${process.platform === 'linux' ? '-glibc' : ''}`
const node = `node-${here}`
const bunArm64 = '@oven/bun-linux-aarch64'
const bunArm64Musl = '@oven/bun-linux-aarch64-musl'
const bunX64Musl = '@oven/bun-linux-x64-musl'
const bun = { version: '1.4.5' }

/**
 * Programs that some tests need and nothing else does: no dependencies of ours, so that a set-up
 * stays short. Runtimes by the packages that hold the program itself, which need no script to run.
 */
const TOOLS = {
  deno: { name: deno, version: '2.9.6', program: `${deno}/deno` },
  node: { name: node, version: '26.10.0', program: `${node}/bin/node` },
  node24: { name: node, version: '24.22.3', program: `${node}/bin/node` },
  node22: { name: node, version: '22.23.5', program: `${node}/bin/node` },
  // Older than what is served.
  node20: { name: node, version: '20.20.2', program: `${node}/bin/node` },
  // For other machines than this one.
  bunArm64: { ...bun, name: bunArm64, program: `${bunArm64}/bin/bun`, cpu: 'arm64' },
  bunArm64Musl: { ...bun, name: bunArm64Musl, program: `${bunArm64Musl}/bin/bun`, cpu: 'arm64' },
  bunX64Musl: { ...bun, name: bunX64Musl, program: `${bunX64Musl}/bin/bun`, cpu: 'x64' },
  // Ours, 7, has no language service for programs.
  typescript: { name: 'typescript', version: '5.9.3', program: 'typescript/lib/typescript.js' },
  publint: { name: 'publint', version: '0.3.25', program: '.bin/publint' },
  attw: { name: '@arethetypeswrong/cli', version: '0.18.5', program: '.bin/attw' },
} as const

/** The path of a program, installed into the cache where it is missing. */
export async function npmTool(tool: keyof typeof TOOLS): Promise<string> {
  const { name, version, program, ...machine } = TOOLS[tool]
  const folder = join(cacheFolder(), 'test-tools', `${name.replaceAll('/', '-')}-${version}`)
  const path = join(folder, 'node_modules', program)
  if (existsSync(path)) return path
  console.log(`Installing ${name} ${version} for its tests …`)
  const draft = `${folder}.${process.pid}`
  mkdirSync(draft, { recursive: true })
  await Bun.write(
    join(draft, 'package.json'),
    JSON.stringify({ dependencies: { [name]: version } }),
  )
  const argv = [process.execPath, 'install', '--ignore-scripts']
  if ('cpu' in machine) argv.push('--os=linux', `--cpu=${machine.cpu}`)
  await run({ argv, cwd: draft, log: join(draft, 'install.log') })
  rmSync(folder, { recursive: true, force: true })
  renameSync(draft, folder)
  return path
}
