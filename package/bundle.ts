/**
 * Bundles the package's modules: an entry is then one file with a few chunks, where a runtime would read,
 * parse and link some 180 files. What is imported at its first use stays a chunk of its own. Names are kept,
 * and a comment names the source of each part, so that stack traces can be read.
 */
import { cpSync, globSync, rmSync } from 'node:fs'
import { dirname, isAbsolute, join, relative } from 'node:path'
import { type OutputOptions, type RolldownOutput, rolldown } from 'rolldown'

const root = join(import.meta.dirname, '..')

/** Modules that are loaded by their path: programs, and those of threads (`threadProgram`). */
const PROGRAMS = [
  'package/bin',
  'src/server',
  'src/gateway/process/app-thread',
  'src/gateway/process/gateway-thread',
  'src/records/lua/thread',
  'src/kong/model/yaml-thread',
] as const

/** Entries that do without most of what the main one loads. */
const APART = [
  'kafka/index',
  'src/client/index',
  'src/records/lua/thread',
  'src/kong/model/yaml-thread',
] as const

/**
 * Modules that are not bundled: those that find other files by their own path, with the errors that they
 * throw; one whose calls of `require` an app's bundler must see as they are; and the check of the runtime,
 * which comes before anything else.
 */
const UNBUNDLED = /^(?:native\/.*|src\/core\/(?:package-url|errors|packages|runtime))\.js$/

/**
 * A package that becomes part of the bundle: the modules use an eighth of valibot's one file, and runtimes
 * took 5 to 9 ms to load all of it.
 */
const BUNDLED = 'valibot'

/**
 * Replaces the compiled modules of a folder.
 *
 * @param entries The modules that apps import, from the folder and without an extension.
 */
export async function bundleModules(folder: string, entries: readonly string[]): Promise<void> {
  const bundle = await rolldown({
    cwd: folder,
    input: Object.fromEntries([...entries, ...PROGRAMS].map((path) => [path, `${path}.js`])),
    external: (id, importer) => isExternal(folder, id, importer),
    // The folder may lie anywhere.
    resolve: { modules: [join(root, 'node_modules')] },
    onLog(_level, { code, message }) {
      // An entry keeps its directives: 'use client' of client/react.
      if (code === 'MODULE_LEVEL_DIRECTIVE') return
      // Otherwise rolldown would leave out what it does not find.
      throw new Error(`Cannot bundle: ${code} ${message}`)
    },
    platform: 'node',
    transform: { target: 'esnext' },
  })
  const options: OutputOptions = {
    format: 'es',
    comments: false,
    entryFileNames: '[name].js',
    chunkFileNames: 'chunks/[name].js',
  }
  // Without groups there would be a chunk for each set of entries that share a module: 30 with the main entry.
  const loadedWith = staticModules((await bundle.generate(options)).output)
  const main = loadedWith('src/index')
  const apart = new Set(APART.flatMap((entry) => [...loadedWith(entry)]))
  const { output } = await bundle.generate({
    ...options,
    codeSplitting: {
      groups: [
        { name: 'core', test: (id) => main.has(id) && apart.has(id) },
        { name: 'main', test: (id) => main.has(id) },
      ],
    },
  })
  for (const file of globSync('{src,kafka,package}/**/*.js', { cwd: folder })) {
    if (!UNBUNDLED.test(file)) rmSync(join(folder, file))
  }
  for (const part of output) {
    if (part.type === 'chunk') await Bun.write(join(folder, part.fileName), part.code)
  }
  const licence = join(root, 'node_modules', BUNDLED, 'LICENSE.md')
  cpSync(licence, join(folder, 'chunks', `${BUNDLED}.LICENSE.md`))
}

/** Returns the modules that are loaded with an entry, and not later. */
function staticModules(output: RolldownOutput['output']): (entry: string) => ReadonlySet<string> {
  const chunks = new Map(
    output.flatMap((part) => (part.type === 'chunk' ? [[part.fileName, part] as const] : [])),
  )
  return (entry) => {
    const names = new Set([`${entry}.js`])
    // A set's iteration goes on with what is added meanwhile.
    for (const name of names) for (const next of chunks.get(name)?.imports ?? []) names.add(next)
    return new Set([...names].flatMap((name) => chunks.get(name)?.moduleIds ?? []))
  }
}

function isExternal(folder: string, id: string, importer: string | undefined): boolean {
  // Helpers of the bundler.
  if (id.startsWith('\0') || id.startsWith('@oxc-project/runtime/')) return false
  if (!isAbsolute(id) && !id.startsWith('.')) return importer !== undefined && id !== BUNDLED
  const path = isAbsolute(id) ? id : join(dirname(importer ?? folder), id)
  return UNBUNDLED.test(relative(folder, path))
}
