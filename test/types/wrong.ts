/**
 * The compiler's errors about wrong uses of typed topics, which users read. `bun test/types/wrong.ts`
 * writes them to `errors.txt`; `test/types/wrong.test.ts` fails while the two differ.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '../..')
const FILE = join(import.meta.dirname, 'wrong/errors.txt')

/** The output of `tsc` for the files in `wrong/`. */
export async function compilerErrors(): Promise<string> {
  // By one thread: several name the members of a union in any order.
  const tsc = join(root, 'node_modules/.bin/tsc')
  const child = Bun.spawn(
    [tsc, '--singleThreaded', '--pretty', 'false', '-p', 'test/types/wrong'],
    {
      cwd: root,
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
    },
  )
  return new Response(child.stdout).text()
}

export function readErrors(): string {
  return readFileSync(FILE, 'utf8')
}

if (import.meta.main) writeFileSync(FILE, await compilerErrors())
