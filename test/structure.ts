/**
 * The structure of the code, as part of `bun run check`: folders import each other without a cycle,
 * types included, no type name is declared in more than one file, and a file of more than 400 lines gives
 * the reason in its head. `bun test/structure.ts` prints the graph, each folder above those that it
 * imports.
 */
import { readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'

const root = dirname(import.meta.dirname)
const FOLDERS = ['src', 'kafka', 'native', 'tools']
/** The folders whose files have a limit of lines. */
const LONG_FOLDERS = [...FOLDERS, 'test', 'bench', 'package', 'examples']
const MAX_LINES = 400
const IMPORT = /(?:\bfrom|\bimport|\bimport\()\s*'(\.{1,2}\/[^']+)'/g
const TYPE =
  /^(?:export )?(?:declare )?(?:abstract )?(?:class|interface|type) ([A-Z]\w*)(?=[ <{=(])/gm

interface SourceFile {
  readonly path: string
  readonly text: string
}

function readSources(folders = FOLDERS): SourceFile[] {
  const glob = new Bun.Glob(`{${folders.join(',')}}/**/*.{ts,tsx}`)
  const paths = [...glob.scanSync({ cwd: root })].sort()
  return paths.map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }))
}

/** The folders that each folder imports, by its path. */
function graphOf(files: readonly SourceFile[]): Map<string, Set<string>> {
  const graph = new Map<string, Set<string>>()
  for (const { path, text } of files) {
    const folder = folderOf(path)
    const imported = graph.get(folder) ?? new Set()
    graph.set(folder, imported)
    for (const [, specifier = ''] of text.matchAll(IMPORT)) {
      const target = normalize(join(dirname(path), specifier))
      const isOurs = FOLDERS.some((name) => target.startsWith(`${name}/`))
      if (isOurs && folderOf(target) !== folder) imported.add(folderOf(target))
    }
  }
  return graph
}

/** Files that lie in a top folder themselves are what the outside calls: each is a room of its own. */
function folderOf(path: string): string {
  return dirname(path).includes('/') ? dirname(path) : path
}

/** Folders from the top down. A folder that is part of a cycle comes with the cycle. */
function sortFolders(graph: ReadonlyMap<string, ReadonlySet<string>>): {
  readonly order: string[]
  readonly cycles: string[][]
} {
  const order: string[] = []
  const cycles: string[][] = []
  const done = new Set<string>()
  const visit = (folder: string, path: readonly string[]) => {
    const at = path.indexOf(folder)
    if (at >= 0) cycles.push([...path.slice(at), folder])
    if (at >= 0 || done.has(folder)) return
    for (const next of graph.get(folder) ?? []) visit(next, [...path, folder])
    done.add(folder)
    order.unshift(folder)
  }
  for (const folder of graph.keys()) visit(folder, [])
  return { order, cycles }
}

/** Names of types that several files declare, with these files. */
function repeatedTypes(files: readonly SourceFile[]): string[] {
  const declaring = new Map<string, Set<string>>()
  for (const { path, text } of files) {
    for (const [, name = ''] of text.matchAll(TYPE)) {
      declaring.set(name, (declaring.get(name) ?? new Set()).add(path))
    }
  }
  return [...declaring]
    .filter(([, paths]) => paths.size > 1)
    .map(([name, paths]) => `${name} is declared in ${[...paths].join(' and in ')}`)
}

/** Files of more than 400 lines whose head does not give a reason. */
function longFiles(files: readonly SourceFile[]): string[] {
  return files
    .filter(({ text }) => text.split('\n').length > MAX_LINES + 1)
    .filter(({ text }) => !/\b400\b/.test(text.slice(0, text.indexOf('*/'))))
    .map(
      ({ path }) =>
        `${path} has more than ${MAX_LINES} lines: divide it, or give the reason in its head`,
    )
}

const files = readSources()
const graph = graphOf(files)
const { order, cycles } = sortFolders(graph)
for (const folder of order) {
  const imported = order.filter((other) => graph.get(folder)?.has(other))
  console.log(`${folder}${imported.length > 0 ? ` → ${imported.join(', ')}` : ''}`)
}
const faults = [
  ...cycles.map((cycle) => `These folders import each other: ${cycle.join(' → ')}`),
  ...repeatedTypes(files),
  ...longFiles(readSources(LONG_FOLDERS)),
]
for (const fault of faults) console.error(fault)
process.exitCode = faults.length > 0 ? 1 : 0
