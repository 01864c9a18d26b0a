/** Runs the examples of docstrings in src/: what a reader copies must work. */
import { afterAll, expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

interface Example {
  readonly file: string
  readonly symbol: string
  readonly code: string
}

const LIMIT = 90_000
const KEYWORDS = /\b(?:export|async|function|class|const|interface|type|readonly) /g
const root = dirname(import.meta.dirname)
const examples = await findExamples()

// Inside the package, so that it can import itself by its name, as its users do.
const parent = join(root, 'node_modules', '.cache')
mkdirSync(parent, { recursive: true })
const folder = mkdtempSync(join(parent, 'examples-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

test('docstrings have examples', () => {
  expect(examples.length).toBeGreaterThan(0)
})

examples.forEach(({ file, symbol, code }, i) => {
  test(
    `example of ${symbol} in ${file}`,
    async () => {
      const path = join(folder, `${symbol}-${i}.ts`)
      writeFileSync(path, code)
      const child = Bun.spawn([process.execPath, path], {
        cwd: root,
        stdin: 'ignore',
        stdout: 'pipe',
        stderr: 'pipe',
        timeout: LIMIT,
      })
      const [output, errors] = await Promise.all([
        new Response(child.stdout).text(),
        new Response(child.stderr).text(),
      ])
      const exitCode = await child.exited
      if (exitCode !== 0) throw new Error(`It ended with ${exitCode}:\n${output}${errors}`)
    },
    LIMIT + 5000,
  )
})

async function findExamples(): Promise<Example[]> {
  const files = await Array.fromAsync(new Bun.Glob('src/**/*.ts').scan({ cwd: root }))
  const found = files.sort().map(async (file) => {
    const text = await Bun.file(join(root, file)).text()
    // A docstring, and the line that it is about.
    const docstrings = text.matchAll(/\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*(.*)/g)
    return [...docstrings].flatMap(([, comment = '', declaration = '']) => {
      const [symbol = 'module'] = /\w+/.exec(declaration.replaceAll(KEYWORDS, '')) ?? []
      return codeOfExamples(comment).map((code) => ({ file, symbol, code }))
    })
  })
  return (await Promise.all(found)).flat()
}

function codeOfExamples(comment: string): string[] {
  const text = comment.replaceAll(/^[ \t]*\* ?/gm, '')
  return text
    .split(/^@/m)
    .filter((tag) => tag.startsWith('example'))
    .flatMap((tag) => [...tag.matchAll(/^```ts\n([\s\S]*?)^```/gm)].map(([, code = '']) => code))
}
