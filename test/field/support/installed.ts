/** The clients of `clients/`, installed by the package managers of their languages into the cache. */
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs'
import { join } from 'node:path'
import { cacheFolder } from '../../../native/cache.ts'
import { run } from '../../../native/command.ts'
import { step } from '../../../native/progress.ts'
import { npmTool } from '../../support/npm-tool.ts'

const clients = join(import.meta.dirname, '..', 'clients')

/** The command of a program that needs no more than an address. */
export type Command = (program: string) => string[]

/** The clients of npm, on Node. */
export async function npmClients(): Promise<Command> {
  const node = await npmTool('node')
  const folder = await installed('npm', async (draft, log) => {
    const argv = [process.execPath, 'install', '--frozen-lockfile', '--ignore-scripts']
    await run({ argv, cwd: draft, log })
  })
  return (program) => [node, join(folder, `${program}.js`)]
}

/** The clients of this package, on Node, or on Deno where the name ends with `-deno`. */
export async function ownClients(): Promise<Command> {
  const node = [await npmTool('node')]
  const deno = [await npmTool('deno'), 'run', '--allow-all']
  return (name) => {
    const [, program, isDeno] = /^(.*?)(-deno)?$/.exec(name) as RegExpExecArray
    return [...(isDeno ? deno : node), join(clients, 'own', `${program}.ts`)]
  }
}

/** The clients of PyPI, in an environment of their own. */
export async function pythonClients(): Promise<Command> {
  const python = needed('python3', 'Python 3.11 or newer, with venv')
  const folder = await installed('python', async (draft, log) => {
    await run({ argv: [python, '-m', 'venv', '--copies', 'venv'], cwd: draft, log })
    const pip = [join('venv', 'bin', 'python'), '-m', 'pip', '--disable-pip-version-check']
    const argv = [...pip, 'install', '--no-deps', '--requirement', 'requirements.txt']
    await run({ argv, cwd: draft, log })
  })
  return (program) => [join(folder, 'venv', 'bin', 'python'), '-u', join(folder, `${program}.py`)]
}

/** The clients of Go, compiled. */
export async function goClients(): Promise<Command> {
  const go = needed('go', 'Go')
  const folder = await installed('go', async (draft, log) => {
    await run({ argv: [go, 'build', '-mod=readonly', '-o', 'bin/', './...'], cwd: draft, log })
  })
  return (program) => [join(folder, 'bin', program)]
}

function needed(program: string, name: string): string {
  const path = Bun.which(program)
  if (path) return path
  throw new Error(`Cannot run clients: this machine lacks ${name}. Install it`)
}

/**
 * A copy of a language's folder, with what its programs need.
 *
 * @param work Installs in the folder, and passes the lines of the log to its argument.
 */
async function installed(
  language: string,
  work: (folder: string, log: string) => Promise<void>,
): Promise<string> {
  const source = join(clients, language)
  const folder = join(cacheFolder(), 'field-clients', `${language}-${hashOf(source)}`)
  if (existsSync(folder)) return folder
  await step(`Installing the clients of ${language}`, async () => {
    const draft = `${folder}.${process.pid}`
    mkdirSync(draft, { recursive: true })
    cpSync(source, draft, { recursive: true })
    await work(draft, join(draft, 'install.log'))
    rmSync(folder, { recursive: true, force: true })
    renameSync(draft, folder)
  })
  return folder
}

/** Changes with every file of a folder, and with its place: an installation may hold its path. */
function hashOf(folder: string): string {
  const hasher = new Bun.CryptoHasher('sha256')
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
  for (const file of files
    .filter((entry) => entry.isFile())
    .map(pathOf)
    .sort()) {
    hasher.update(`${file.slice(folder.length)}\n`).update(readFileSync(file))
  }
  return hasher.digest('hex').slice(0, 16)
}

function pathOf({ parentPath, name }: { readonly parentPath: string; readonly name: string }) {
  return join(parentPath, name)
}
