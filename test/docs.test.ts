/** The Markdown files: the files and headings that they link to exist, and so do the types of the glossary. */
import { describe, expect, test } from 'bun:test'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'

const root = dirname(import.meta.dirname)
const pages = ['*.md', 'docs/**/*.md', 'native/*.md', 'examples/**/*.md']
  .flatMap((pattern) => [...new Bun.Glob(pattern).scanSync({ cwd: root })])
  .sort()

interface Page {
  /** Ids of headings, as GitHub makes them. */
  readonly ids: ReadonlySet<string>
  /** Targets of links and images within the repository. */
  readonly targets: readonly string[]
}

function readPage(path: string): Page {
  const html = Bun.markdown.html(readFileSync(join(root, path), 'utf8'), {
    headings: { ids: true },
  })
  const ids = new Set<string>()
  const targets: string[] = []
  new HTMLRewriter()
    .on('[id]', { element: (element) => void ids.add(element.getAttribute('id') ?? '') })
    .on('a[href], img[src]', {
      element(element) {
        const target = element.getAttribute('href') ?? element.getAttribute('src') ?? ''
        if (!/^[a-z]+:/.test(target)) targets.push(decodeURI(target))
      },
    })
    .transform(html)
  return { ids, targets }
}

/** Targets of a page that do not exist. */
function findBrokenTargets(path: string): string[] {
  return readPage(path).targets.filter((target) => {
    const [file = '', id] = target.split('#')
    const linked = file === '' ? path : normalize(join(dirname(path), file))
    if (!existsSync(join(root, linked))) return true
    return id !== undefined && !readPage(linked).ids.has(id)
  })
}

/** Characters of a table's cell: longer texts belong under the table. */
const MAX_CELL = 200
/** The README's table of options is made of the schema's descriptions. */
const GENERATED = /<!-- options -->[\s\S]*<!-- \/options -->/

function cellsOf(text: string): string[] {
  const rows = text.split('\n').filter((line) => line.startsWith('|'))
  return rows.flatMap((row) => row.split(/(?<!\\)\|/)).map((cell) => cell.trim())
}

describe('pages of Markdown', () => {
  test('include the README, the protocol and the glossary', () => {
    expect(pages).toContain('README.md')
    expect(pages).toContain('docs/protocol.md')
    expect(pages).toContain('docs/glossary.md')
  })

  test.each(pages)('%s: every relative link and anchor resolves', (path) => {
    expect(findBrokenTargets(path)).toEqual([])
  })

  test.each(pages)('%s: no cell of a table holds a paragraph', (path) => {
    const text = readFileSync(join(root, path), 'utf8').replace(GENERATED, '')
    expect(cellsOf(text).filter((cell) => cell.length > MAX_CELL)).toEqual([])
  })

  test('every page of docs/ is linked from another page', () => {
    const linked = new Set(
      pages.flatMap((path) =>
        readPage(path).targets.map((target) => join(dirname(path), target.split('#')[0] ?? '')),
      ),
    )
    const alone = pages.filter((path) => path.startsWith('docs/') && !linked.has(path))
    expect(alone).toEqual([])
  })
})

test('every type that the glossary names is declared in the code', () => {
  const sources = [...new Bun.Glob('{src,kafka}/**/*.ts').scanSync({ cwd: root })]
  const code = sources.map((path) => readFileSync(join(root, path), 'utf8')).join('\n')
  const glossary = readFileSync(join(root, 'docs/glossary.md'), 'utf8')
  const names = [...glossary.matchAll(/\| `([A-Z]\w+)` \|$/gm)].map(([, name]) => name)
  expect(names.length).toBeGreaterThan(20)
  const missing = names.filter(
    (name) => !new RegExp(`\\b(?:class|interface|type) ${name}\\b`).test(code),
  )
  expect(missing).toEqual([])
})
