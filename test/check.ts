/**
 * `bun run check`: types, lint with the import boundary and formatting, the graph of folders, prose,
 * unused code. All of them run at once, and only a failing one shows its output. `--fix` first corrects
 * lint and formatting where that is safe.
 */
import { dirname, join } from 'node:path'

interface Check {
  readonly name: string
  /** A file of ours, or a program of an installed package, and its arguments. */
  readonly argv: readonly [string, ...string[]]
}

/** Milliseconds for one check: on a busy machine the slowest takes several times its usual 20 s. */
const LIMIT_MS = 300_000
const root = dirname(import.meta.dirname)

const checks: Check[] = [
  { name: 'types', argv: ['tsc', '--noEmit', '--project', root] },
  {
    name: 'lint, import boundary, formatting',
    argv: ['biome', 'ci', '--error-on-warnings', '--diagnostic-level=warn', '--colors=off'],
  },
  { name: 'folders without cycles', argv: ['test/structure.ts'] },
  { name: 'prose', argv: ['test/prose.ts'] },
  { name: 'unused code', argv: ['knip', '--no-progress'] },
]

async function main(args: string[]): Promise<number> {
  const unknown = args.find((arg) => arg !== '--fix')
  if (unknown !== undefined) {
    console.error(`Cannot run check: unknown argument ${unknown}; it knows --fix`)
    return 2
  }
  const fix = args.includes('--fix')
  if (fix) await run({ name: 'fix', argv: ['biome', 'check', '--write', '--log-level=error'] })
  const results = await Promise.all(
    checks.map(async (check) => {
      const started = performance.now()
      const result = await run(check)
      const seconds = ((performance.now() - started) / 1000).toFixed(1)
      console.log(`${result.ok ? 'ok    ' : 'FAILED'} ${check.name} (${seconds} s)`)
      if (!result.ok) console.log(`${indent(result.output)}\n`)
      return result.ok
    }),
  )
  return results.every(Boolean) ? 0 : 1
}

async function run({ argv: [program, ...args] }: Check): Promise<{ ok: boolean; output: string }> {
  const isOurs = program.endsWith('.ts')
  const path = join(root, isOurs ? program : join('node_modules', '.bin', program))
  const child = Bun.spawn([process.execPath, path, ...args], {
    cwd: root,
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
    timeout: LIMIT_MS,
  })
  const [output, errors] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ])
  await child.exited
  const end = child.signalCode
    ? `\nended by ${child.signalCode}, the limit is ${LIMIT_MS / 1000} s`
    : ''
  return { ok: child.exitCode === 0, output: `${output}${errors}${end}`.trim() }
}

function indent(text: string): string {
  return text.replaceAll(/^/gm, '  ')
}

process.exitCode = await main(process.argv.slice(2))
