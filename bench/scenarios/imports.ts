/**
 * The processor time of a process that imports the main entry: of the package, as apps have it, and of a
 * checkout. Also the bytes of the packages, and the compiler's time.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { addonPath, currentTarget } from '../../native/addon.ts'
import { sources } from '../../native/build.ts'
import { PLATFORMS, targetOf } from '../../native/cross/platforms.ts'
import { npmTool } from '../../test/support/npm-tool.ts'
import { run } from '../../test/support/run-program.ts'
import { type Figure, figure, limited } from '../figure.ts'
import { alternate, type Statistic, statisticOf } from '../rounds.ts'
import type { Scenario } from '../scenario.ts'
import { compileTime, sizes } from './package-cost.ts'

const root = join(import.meta.dirname, '..', '..')
/** Milliseconds by which importing the main entry may exceed importing Hono. */
const LIMIT_MS = 40

export const imports: Scenario = {
  name: 'imports',
  summary:
    'processor time of importing the main entry, beside that of Hono, on Bun, Node and Deno, and of compiling an app; bytes of the packages',
  async run(bench) {
    // Modules in node_modules find the packages beside them, and Deno takes them for a package.
    const parent = mkdtempSync(join(root, 'node_modules', '.package-'))
    const built = join(parent, 'dist')
    try {
      const platform = PLATFORMS.find((one) => targetOf(one) === currentTarget())
      const addon = ['--platform', platform?.name ?? '', '--addon', addonPath(sources().package)]
      await run([process.execPath, 'package/build.ts', built, ...addon], root)
      const packaged = pathToFileURL(join(built, 'src/index.js')).href
      const checkout = pathToFileURL(join(root, 'src/index.ts')).href
      const bun = [process.execPath, '--eval']
      const node = [await npmTool('node22'), '--input-type=module', '--eval']
      const deno = [await npmTool('deno'), 'eval']
      const measured = await alternate(
        {
          bun: () => importTime(bun, packaged),
          bunHono: () => importTime(bun, 'hono'),
          checkout: () => importTime(bun, checkout),
          node: () => importTime(node, packaged),
          nodeHono: () => importTime(node, 'hono'),
          deno: () => importTime(deno, packaged),
          denoHono: () => importTime(deno, 'hono'),
        },
        bench.quick ? 5 : 15,
        (side, round, milliseconds) =>
          bench.say(`  import ${round}: ${side.padEnd(8)} ${milliseconds.toFixed(0)} ms`),
      )
      const of = (side: keyof typeof measured) => statisticOf(measured[side], (time) => time)
      const figures: Figure[] = [
        limitedImport('Bun', of('bun'), of('bunHono')),
        limitedImport('Node 22', of('node'), of('nodeHono')),
        limitedImport('Deno', of('deno'), of('denoHono')),
        figure('import in a checkout, Bun, CPU', 'ms', of('checkout'), of('bunHono')),
        await compileTime(built, bench),
        ...(await sizes(built, `${built}-platforms`)),
      ]
      return figures
    } finally {
      rmSync(parent, { recursive: true, force: true })
    }
  },
}

/** The processor time of a process that imports a module, in milliseconds. */
async function importTime(evaluate: readonly string[], specifier: string): Promise<number> {
  const argv = [...evaluate, `await import(${JSON.stringify(specifier)})`]
  const child = Bun.spawn(argv, { cwd: root, stdout: 'ignore' })
  if ((await child.exited) !== 0) throw new Error(`Cannot import ${specifier}`)
  return Number(child.resourceUsage()?.cpuTime.total) / 1_000
}

/** The limit is a difference, which the row has as a ratio to what Hono takes. */
function limitedImport(runtime: string, main: Statistic, hono: Statistic): Figure {
  const goal = Number(((hono.median + LIMIT_MS) / hono.median).toFixed(1))
  return limited(`import of the main entry, ${runtime}, CPU`, 'ms', main, hono, goal)
}
