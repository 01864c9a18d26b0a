/** The price of the package for an app that installs it: the bytes of its packages, and the time of the compiler. */
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { run } from '../../test/support/run-program.ts'
import { type Figure, figure, limited } from '../figure.ts'
import { alternate, statisticOf } from '../rounds.ts'
import type { Bench } from '../scenario.ts'

const root = join(import.meta.dirname, '..', '..')
const PLAIN = "import { Hono } from 'hono'\nexport default new Hono().all('/', (c) => c.text(''))\n"
/** The highest ratio of compiling the README's app to compiling one of Hono alone. */
const COMPILE_LIMIT = 1.3
const COMPILER_OPTIONS = {
  target: 'esnext',
  module: 'preserve',
  lib: ['esnext', 'dom'],
  types: [],
  strict: true,
  skipLibCheck: true,
  noEmit: true,
}

/**
 * @param built The folder of the package.
 * @param platforms The folder of the client's package and of this machine's addon.
 */
export async function sizes(built: string, platforms: string): Promise<Figure[]> {
  const folders = [built, ...readdirSync(platforms).map((name) => join(platforms, name))]
  const figures: Figure[] = []
  for (const folder of folders) {
    const argv = ['npm', 'pack', folder, '--dry-run', '--json', '--silent']
    const [packed] = JSON.parse(await run(argv, root)) as [Packed]
    const name = packed.name === 'hono-kafka-consume' ? 'the package' : packed.name
    figures.push(figure(`bytes of ${name}, packed`, 'B', packed.size))
    figures.push(figure(`bytes of ${name}, installed`, 'B', packed.unpackedSize))
  }
  return figures
}

/** A package, as npm describes it. */
interface Packed {
  readonly name: string
  readonly size: number
  readonly unpackedSize: number
}

/** Compiles the README's first app, beside one that uses Hono alone. */
export async function compileTime(built: string, bench: Bench): Promise<Figure> {
  // Inside the checkout's packages, so that the compiler finds Hono.
  const folder = mkdtempSync(join(root, 'node_modules', '.compile-'))
  try {
    const [, readme = ''] =
      /## In a Hono app.*?```ts\n(.*?)```/s.exec(readFileSync(join(root, 'README.md'), 'utf8')) ??
      []
    const apps = { readme, plain: PLAIN }
    for (const [name, code] of Object.entries(apps)) {
      mkdirSync(join(folder, name, 'node_modules'), { recursive: true })
      symlinkSync(built, join(folder, name, 'node_modules', 'hono-kafka-consume'))
      // The app's own, without which the package's name would mean the checkout.
      writeFileSync(join(folder, name, 'package.json'), '{"name": "app", "type": "module"}')
      writeFileSync(join(folder, name, 'index.ts'), code)
      const options = { compilerOptions: COMPILER_OPTIONS, files: ['index.ts'] }
      writeFileSync(join(folder, name, 'tsconfig.json'), JSON.stringify(options))
    }
    const measured = await alternate(
      {
        readme: () => compile(join(folder, 'readme')),
        plain: () => compile(join(folder, 'plain')),
      },
      bench.quick ? 3 : 9,
      (side, round, ms) => bench.say(`  tsc ${round}: ${side.padEnd(6)} ${ms.toFixed(0)} ms`),
    )
    const of = (side: keyof typeof measured) => statisticOf(measured[side], (time) => time)
    return limited("tsc of the README's app, CPU", 'ms', of('readme'), of('plain'), COMPILE_LIMIT)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** The processor time of the compiler, in milliseconds. */
async function compile(app: string): Promise<number> {
  const argv = [join(root, 'node_modules/.bin/tsc'), '-p', app]
  const child = Bun.spawn(argv, { cwd: app, stdin: 'ignore', stdout: 'pipe' })
  const errors = await new Response(child.stdout).text()
  if ((await child.exited) !== 0) throw new Error(`Cannot compile the app: ${errors}`)
  return Number(child.resourceUsage()?.cpuTime.total) / 1_000
}
