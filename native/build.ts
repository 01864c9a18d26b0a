/** Compiles the addon: librdkafka by its own configure and make, then ours by ./Makefile. */
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
} from 'node:fs'
import { availableParallelism } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { addonName, currentTarget } from './addon.ts'
import { cacheFolder } from './cache.ts'
import { changeLibrdkafka, librdkafkaChanges } from './changes.ts'
import { run } from './command.ts'
import { step } from './progress.ts'

const native = import.meta.dirname
const makefile = join(native, 'Makefile')

/** What librdkafka must be able to do; its configure leaves out what it finds no library for. */
const requiredFeatures = [
  'ssl',
  'sasl_plain',
  'sasl_scram',
  'sasl_oauthbearer',
  'oidc',
  'gzip',
  'snappy',
  'lz4',
  'zstd',
]

const configureFlags = [
  '--disable-gssapi', // Kerberos would need libsasl2
  '--disable-lz4-ext', // the bundled one is always there
  '--disable-debug-symbols',
]

/** The variables of the environment that change what the compilers make. */
const compilerVariables = ['CC', 'CXX', 'CFLAGS', 'CPPFLAGS', 'CXXFLAGS', 'LDFLAGS', 'LIBS']

export interface Sources {
  /** The folder of @confluentinc/kafka-javascript. */
  package: string
  /** The folder of Node-API's headers. */
  nodeApi: string
}

/**
 * Wherever they were installed: beside us in a checkout, or with the app that depends on us.
 *
 * @throws Error when they are not.
 */
export function sources(): Sources {
  return {
    package: folderOf('@confluentinc/kafka-javascript'),
    nodeApi: join(folderOf('node-api-headers'), 'include'),
  }
}

/**
 * Looked for by hand: where there was no node_modules when this process began, Bun's own resolution
 * goes on to find none after the packages have been installed.
 */
function folderOf(name: string): string {
  for (let folder = native; folder !== dirname(folder); folder = dirname(folder)) {
    const found = join(folder, 'node_modules', name)
    if (existsSync(join(found, 'package.json'))) return realpathSync(found)
  }
  throw new Error(`Cannot find the package ${name}: it is not installed`)
}

function versionOf(name: string): string {
  const manifest = readFileSync(join(folderOf(name), 'package.json'), 'utf8')
  return (JSON.parse(manifest) as { version: string }).version
}

/** A hash of all that goes into the addon, led by what a person wants to know of it. */
export function addonKey(): string {
  const hash = new Bun.CryptoHasher('sha256')
  // A published version never changes; what we change of it is part of the key.
  const version = versionOf('@confluentinc/kafka-javascript')
  hash.update(`${version} ${versionOf('node-api-headers')}`)
  for (const folder of ['include', 'src']) {
    for (const name of readdirSync(join(native, folder)).sort()) {
      hash.update(`\n${name}\n`).update(readFileSync(join(native, folder, name)))
    }
  }
  hash.update(readFileSync(makefile)).update(configureFlags.join(' '))
  hash.update(librdkafkaChanges)
  for (const name of compilerVariables) hash.update(`\n${name}=${process.env[name] ?? ''}`)
  return `${version}-${currentTarget()}-${hash.digest('hex').slice(0, 16)}`
}

/** Returns the addon's content. The caller holds the lock. */
export async function buildAddon(log: string): Promise<Uint8Array> {
  const found = sources()
  const folder = join(cacheFolder(), 'build')
  rmSync(folder, { recursive: true, force: true }) // what an interrupted build has left
  mkdirSync(folder, { recursive: true })
  try {
    await configureLibrdkafka(found, folder, log)
    await compile(found, folder, log)
    const addon = join(folder, addonName)
    await checkAddon(addon, log)
    return readFileSync(addon)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** In another process, since a damaged addon can stop the one that loads it. */
export async function checkAddon(addon: string, log: string): Promise<void> {
  const features = new Set<string>()
  await run({
    argv: [process.execPath, '-e', 'console.log(require(process.argv[1]).features())', addon],
    cwd: native,
    log,
    onLine: (line) => {
      for (const feature of line.split(',')) features.add(feature)
    },
  })
  const missing = requiredFeatures.filter((feature) => !features.has(feature))
  if (missing.length > 0) {
    throw new Error(
      `Cannot compile the Kafka client: librdkafka lacks ${missing.join(', ')}\nThe whole log: ${log}`,
    )
  }
}

async function configureLibrdkafka(from: Sources, folder: string, log: string): Promise<void> {
  const librdkafka = join(folder, 'librdkafka')
  const { CFLAGS = '', CXXFLAGS = '' } = process.env
  await step('Configuring librdkafka', ({ update }) => {
    // A copy, since configure and make write into the source folder.
    cpSync(join(from.package, 'deps', 'librdkafka'), librdkafka, { recursive: true })
    changeLibrdkafka(librdkafka)
    return run({
      argv: ['bash', './configure', ...configureFlags],
      cwd: librdkafka,
      log,
      env: {
        ...process.env,
        CFLAGS: `-fvisibility=hidden ${CFLAGS}`,
        CXXFLAGS: `-fvisibility=hidden ${CXXFLAGS}`,
      },
      onLine: (line) => update(line.replace(/^checking for /, '')),
    })
  })
}

async function compile(from: Sources, folder: string, log: string): Promise<void> {
  // The compiler's flags now come from configure's Makefile.config.
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !compilerVariables.includes(name)),
  )
  const make = ['make', '-f', makefile, `PACKAGE=${from.package}`, `NODE_API=${from.nodeApi}`]
  const total = await countCompilations([...make, '-n'], folder, env)
  let done = 0
  await step('Compiling the Kafka client', ({ update }) =>
    run({
      argv: [...make, `-j${availableParallelism()}`],
      cwd: folder,
      log,
      env,
      onLine: (line) => {
        const source = compiledSource(line)
        if (source) update(source, ++done, total)
      },
    }),
  )
  if (!existsSync(join(folder, addonName))) {
    throw new Error(`Cannot compile the Kafka client: make left no ${addonName}\nThe log: ${log}`)
  }
}

async function countCompilations(
  argv: string[],
  cwd: string,
  env: Record<string, string | undefined>,
): Promise<number> {
  const child = Bun.spawn(argv, { cwd, env, stdout: 'pipe', stderr: 'ignore' })
  const lines = (await new Response(child.stdout).text()).split('\n')
  return lines.filter((line) => compiledSource(line)).length
}

function compiledSource(line: string): string | undefined {
  const source = / -c (\S+\.(?:c|cc|cpp)) -o /.exec(line)?.[1]
  return source && basename(source)
}
