import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { npmTool } from '../support/npm-tool.ts'
import { type RemoteHost, startHost } from './remote.ts'

export const runtimes = ['deno', 'node'] as const

const root = join(import.meta.dirname, '../..')
const launcher = (runtime: string) => join(import.meta.dirname, `${runtime}.ts`)

/** Runs a program of the checkout to its end. */
export async function run(...argv: string[]): Promise<void> {
  const child = Bun.spawn(argv, {
    cwd: root,
    env: { ...process.env, NO_COLOR: '1' },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [said, complained] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ])
  if ((await child.exited) !== 0) throw new Error(`${argv.join(' ')}:\n${said}${complained}`)
}

/** The package as it is published, which Node runs: it reads no TypeScript of a dependency. */
export class BuiltPackage implements Disposable {
  readonly folder: string

  private constructor() {
    // Inside the checkout, so that the package finds its dependencies.
    const parent = join(root, 'node_modules', '.cache')
    mkdirSync(parent, { recursive: true })
    this.folder = mkdtempSync(join(parent, 'package-'))
  }

  static async build(): Promise<BuiltPackage> {
    const built = new BuiltPackage()
    try {
      await run(process.execPath, 'package/build.ts', built.folder)
      return built
    } catch (error) {
      built[Symbol.dispose]()
      throw error
    }
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** Serves handlers on another runtime. */
export async function launch(
  runtime: (typeof runtimes)[number],
  { folder }: BuiltPackage,
): Promise<RemoteHost> {
  const program = await npmTool(runtime)
  return startHost((port) =>
    runtime === 'node'
      ? [program, launcher(runtime), folder, String(port)]
      : [
          ...[program, 'serve', '--allow-all', '--host', '127.0.0.1', '--port', String(port)],
          launcher(runtime),
        ],
  )
}
