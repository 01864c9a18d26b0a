/** CONTRIBUTING.md: its map of folders and its walk for newcomers are held to the code. */
import { describe, expect, test } from 'bun:test'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'

const root = dirname(import.meta.dirname)
const IMPORT = /(?:\bfrom|\bimport|\bimport\()\s*'(\.{1,2}\/[^']+)'/g
/** `12. back in `src/a.ts`, …`: without "back in" the file is imported by that of the step before. */
const STEP = /^\d+\. (back in )?`([^`]+)`/gm

const page = readFileSync(join(root, 'CONTRIBUTING.md'), 'utf8')

interface Step {
  readonly file: string
  /** Whether control returns to a file of an earlier step. */
  readonly isBack: boolean
}

interface Walk {
  readonly title: string
  readonly steps: readonly Step[]
}

function readWalks(): Walk[] {
  const [, chapter = ''] = /^## Three requests, file by file\n([\s\S]*?)(?=^## )/m.exec(page) ?? []
  return chapter
    .split(/^### /m)
    .slice(1)
    .map((text) => ({
      title: text.slice(0, text.indexOf('\n')),
      steps: [...text.matchAll(STEP)].map(([, back, file = '']) => ({
        file,
        isBack: back !== undefined,
      })),
    }))
}

function importsOf(file: string): Set<string> {
  const text = readFileSync(join(root, file), 'utf8')
  return new Set(
    [...text.matchAll(IMPORT)].map(([, path = '']) => normalize(join(dirname(file), path))),
  )
}

describe('the walk in CONTRIBUTING.md', () => {
  const walks = readWalks()

  test('it has three requests', () => {
    expect(walks.map(({ steps }) => steps.length > 10)).toEqual([true, true, true])
  })

  test.each(walks)('$title: its files exist', ({ steps }) => {
    expect(steps.filter(({ file }) => !existsSync(join(root, file)))).toEqual([])
  })

  test.each(walks)(
    '$title: each file imports that of the next step, or was passed before',
    ({ steps }) => {
      const broken = steps.flatMap(({ file, isBack }, index) => {
        if (index === 0) return []
        const before = steps[index - 1] as Step
        if (isBack) {
          const isPassed = steps.slice(0, index).some((earlier) => earlier.file === file)
          return isPassed ? [] : [`${file} was not passed before`]
        }
        return importsOf(before.file).has(file) ? [] : [`${before.file} does not import ${file}`]
      })
      expect(broken).toEqual([])
    },
  )
})

test('a GET as the group passes at most 33 files, none of which serves other requests only', () => {
  const command = [process.execPath, 'test/request-files.ts']
  const { stdout } = Bun.spawnSync(command, { cwd: root, stderr: 'ignore' })
  const files = stdout.toString().match(/\b(?:src|kafka)\/\S+\.ts$/gm) ?? []
  expect(files).toContain('src/http/consume/get.ts')
  expect(files).toContain('kafka/group/group.ts')
  expect(files.filter((file) => /^src\/(?:feed|kong|http\/stream)\//.test(file))).toEqual([])
  expect(files.length).toBeLessThanOrEqual(33)
}, 120_000)

/** The imports of each folder of `src/` and `kafka/`, as `bun test/structure.ts` prints them. */
function readGraph(): Map<string, readonly string[]> {
  const { stdout } = Bun.spawnSync([process.execPath, 'test/structure.ts'], { cwd: root })
  const lines = stdout.toString().trim().split('\n')
  return new Map(
    lines.flatMap((line) => {
      const [folder = '', imported = ''] = line.split(' → ')
      if (!/^(src|kafka)\//.test(folder)) return []
      const ours = imported.split(', ').filter((name) => /^(src|kafka)\//.test(name))
      return [[folder, ours] as const]
    }),
  )
}

/** Numbers of the map's rows by the folders that they name. */
function readMap(): (folder: string) => number {
  const [, table = ''] = /^## The map\n[\s\S]*?(^\|[\s\S]*?)^$/m.exec(page) ?? []
  const rows = new Map<string, number>()
  table.split('\n').forEach((line, index) => {
    const [, folders = ''] = line.split('|')
    for (const [, folder = ''] of folders.matchAll(/`([^`]+)`/g)) {
      rows.set(folder.replace(/\/$/, ''), index)
    }
  })
  return (folder) => rows.get(folder) ?? -1
}

describe('the map in CONTRIBUTING.md', () => {
  const graph = readGraph()
  const rowOf = readMap()

  test('it lists every folder of src/ and kafka/', () => {
    expect(graph.size).toBeGreaterThan(20)
    expect([...graph.keys()].filter((folder) => rowOf(folder) < 0)).toEqual([])
  })

  test('each folder is above those that it imports', () => {
    const wrong = [...graph].flatMap(([folder, imported]) =>
      imported
        .filter((other) => rowOf(other) < rowOf(folder))
        .map((other) => `${folder} imports ${other}`),
    )
    expect(wrong).toEqual([])
  })
})
