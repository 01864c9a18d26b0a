/**
 * `bun run package [FOLDER]`: the folder, `dist/` by default, from which the npm package is packed.
 * Published are JavaScript and declarations, since neither Node nor Deno reads TypeScript of a
 * dependency.
 */
import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import packageJson from '../package.json' with { type: 'json' }

const root = join(import.meta.dirname, '..')
const dist = resolve(process.argv[2] ?? join(root, 'dist'))

rmSync(dist, { recursive: true, force: true })
mkdirSync(dist)
compile()
for (const name of ['README.md', 'CHANGELOG.md', 'LICENSE'])
  cpSync(join(root, name), join(dist, name))
// What the addon is compiled from.
for (const name of ['Makefile', 'include', 'src']) {
  cpSync(join(root, 'native', name), join(dist, 'native', name), { recursive: true })
}
// What pages load.
for (const page of ['console', 'docs']) {
  const assets = join('src', page, 'assets')
  cpSync(join(root, assets), join(dist, assets), { recursive: true })
}
const scalar = join(root, 'node_modules', '@scalar', 'fastify-api-reference')
const docs = join(dist, 'src', 'docs', 'assets')
cpSync(join(scalar, 'dist', 'js', 'standalone.js'), join(docs, 'scalar.js'))
cpSync(join(scalar, 'LICENSE'), join(docs, 'scalar.LICENSE'))
writeFileSync(join(dist, 'package.json'), `${JSON.stringify(manifest(), null, 2)}\n`)
console.log(`${dist}: npm pack ./dist`)

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

/** The checkout's own, with what only a published package has. */
function manifest(): object {
  const { name, version, description, license, type, engines, dependencies, devDependencies } =
    packageJson
  const { hono, ...own } = dependencies
  const entry = (path: string) => ({ types: `./${path}.d.ts`, default: `./${path}.js` })
  return {
    name,
    version,
    description,
    keywords: ['hono', 'kafka', 'sse', 'server-sent-events', 'kong', 'bun'],
    license,
    type,
    engines: { ...engines, node: '>=22.1' },
    exports: {
      '.': entry('src/index'),
      './worker': entry('src/worker'),
      './node': entry('src/node'),
      './kafka': entry('kafka/index'),
      './package.json': './package.json',
    },
    bin: { [name]: './package/bin.js' },
    sideEffects: ['./src/runtime.js', './src/node.js'],
    dependencies: { ...own, 'node-api-headers': devDependencies['node-api-headers'] },
    // The app's own, so that there is one Hono in it; Node needs a server for it and for WebSockets.
    peerDependencies: {
      hono: `^${hono}`,
      '@hono/node-server': `^${devDependencies['@hono/node-server']}`,
      ws: `^${devDependencies.ws}`,
    },
    peerDependenciesMeta: { '@hono/node-server': { optional: true }, ws: { optional: true } },
  }
}
