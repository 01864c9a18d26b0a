/**
 * `bun run package [FOLDER]` fills the folder, `dist/` by default, that the npm package is packed from. The
 * package has JavaScript and declarations, since neither Node nor Deno runs TypeScript of a dependency.
 *
 * With `--platforms`, or `--platform NAME` for some of them, the addon is also compiled for other machines.
 * FOLDER-platforms then has a package for each platform, and one with Confluent's client, which loads it.
 * `--addon FILE` takes an addon that was compiled on such a machine.
 */
import { cpSync, globSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { rolldown } from 'rolldown'
import { dts } from 'rolldown-plugin-dts'
import packageJson from '../package.json' with { type: 'json' }
import { bundleModules } from './bundle.ts'
import { type PackageOptions, readOptions, UsageError, usage } from './options.ts'
import { clientDependency, fillPlatforms } from './platforms.ts'

/** The modules that apps import by `exports`. */
const ENTRIES = [
  'src/index',
  'src/worker',
  'src/node',
  'src/threads',
  'kafka/index',
  'src/client/index',
  'src/client/react',
  'src/client/hono-jsx',
] as const
const root = join(import.meta.dirname, '..')
const { dist, platforms, addon } = optionsOrExit(process.argv.slice(2))

rmSync(dist, { recursive: true, force: true })
mkdirSync(dist, { recursive: true })
compile()
await Promise.all([bundleDeclarations(), bundleModules(dist, ENTRIES)])
for (const name of ['README.md', 'CHANGELOG.md', 'LICENSE'])
  cpSync(join(root, name), join(dist, name))
// The sources of the addon.
for (const name of ['Makefile', 'librdkafka.mk', 'include', 'src']) {
  cpSync(join(root, 'native', name), join(dist, 'native', name), { recursive: true })
}
// The files that pages load.
const OPENAPI_ASSETS = 'src/observability/openapi/assets'
for (const assets of ['src/gateway/console/assets', OPENAPI_ASSETS]) {
  cpSync(join(root, assets), join(dist, assets), { recursive: true })
}
const scalar = join(root, 'node_modules', '@scalar', 'fastify-api-reference')
const docs = join(dist, OPENAPI_ASSETS)
cpSync(join(scalar, 'dist', 'js', 'standalone.js'), join(docs, 'scalar.js'))
cpSync(join(scalar, 'LICENSE'), join(docs, 'scalar.LICENSE'))
// In place of the one that the compiler has copied, since modules import it.
writeFileSync(join(dist, 'package.json'), `${JSON.stringify(manifest(), null, 2)}\n`)
console.log(`${dist}: npm pack ${relative(process.cwd(), dist) || '.'}`)
if (platforms.length > 0) {
  await fillPlatforms(`${dist}-platforms`, platforms, addon)
  console.log(`${dist}-platforms: ${readdirSync(`${dist}-platforms`).join(', ')}`)
}

function optionsOrExit(args: string[]): PackageOptions {
  try {
    const options = readOptions(args, root)
    if (!options.help) return options
    console.log(usage)
    process.exit(0)
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    console.error(`${error.message}\n\n${usage}`)
    process.exit(2)
  }
}

function compile(): void {
  const { exitCode, stdout } = Bun.spawnSync(
    [
      process.execPath,
      'x',
      'tsc',
      '-p',
      join(import.meta.dirname, 'tsconfig.json'),
      '--outDir',
      dist,
    ],
    { cwd: root, stderr: 'inherit' },
  )
  if (exitCode === 0) return
  console.error(stdout.toString())
  process.exit(1)
}

/**
 * Bundles the declarations of each entry into one file. Without that, an app's compiler and editor would
 * read the declarations of all modules, and of the packages that they import.
 */
async function bundleDeclarations(): Promise<void> {
  const declarations = (path: string) => join(dist, `${path}.d.ts`)
  const bundles = await Promise.all(
    ENTRIES.map(async (path) => {
      const bundle = await rolldown({
        input: declarations(path),
        external: (id) => !id.startsWith('.') && !id.startsWith('/'),
        plugins: [dts({ dtsOnly: true, generator: 'oxc', tsconfig: false })],
      })
      const { output } = await bundle.generate({ format: 'es' })
      return [path, output[0].code] as const
    }),
  )
  for (const file of globSync('**/*.d.ts', { cwd: dist })) rmSync(join(dist, file))
  for (const [path, code] of bundles) writeFileSync(declarations(path), code)
}

/** The checkout's package.json, with the fields that only a published package has. */
function manifest(): object {
  const { name, version, description, license, type, engines, dependencies, devDependencies } =
    packageJson
  // The package has a copy of the one file of Scalar's that the docs page loads.
  const { hono, '@scalar/fastify-api-reference': _, ...own } = dependencies
  const entry = (path: string) => ({ types: `./${path}.d.ts`, default: `./${path}.js` })
  return {
    name,
    version,
    description,
    keywords: ['hono', 'kafka', 'sse', 'server-sent-events', 'kong', 'bun'],
    license,
    type,
    engines: { ...engines, node: '>=22.12' },
    exports: {
      '.': entry('src/index'),
      './worker': entry('src/worker'),
      './node': entry('src/node'),
      './threads': entry('src/threads'),
      './kafka': entry('kafka/index'),
      './client': entry('src/client/index'),
      './client/react': entry('src/client/react'),
      './client/hono-jsx': entry('src/client/hono-jsx'),
      './package.json': './package.json',
    },
    bin: { [name]: './package/bin.js' },
    sideEffects: ['./src/core/runtime.js', './src/node.js'],
    dependencies: {
      ...own,
      // Confluent's package has a script that fetches a binary; this one has its JavaScript, and no script.
      ...(platforms.length > 0 && clientDependency()),
    },
    // The app installs Hono, so that it has one. Node needs a server for Hono and one for WebSockets.
    // React is for the client's hook.
    peerDependencies: {
      hono: `^${hono}`,
      '@hono/node-server': `^${devDependencies['@hono/node-server']}`,
      ws: `^${devDependencies.ws}`,
      react: '>=18',
    },
    peerDependenciesMeta: {
      '@hono/node-server': { optional: true },
      ws: { optional: true },
      react: { optional: true },
    },
  }
}
