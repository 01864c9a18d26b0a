/** Compiles the addon: librdkafka with its own configure and make, then the addon's sources with ./Makefile. */
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

/** librdkafka's own Makefile with additions; make runs it in the folder src. */
export const librdkafkaMakefile = join(native, 'librdkafka.mk')

/** Features that librdkafka must have; its configure leaves out features whose libraries it does not find. */
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

/** Flags of librdkafka's configure. */
export const CONFIGURE_FLAGS = [
  '--disable-gssapi', // Kerberos would need libsasl2
  '--disable-lz4-ext', // the bundled one is always there
  '--disable-debug-symbols',
]

/** Environment variables that change the compilers' output. */
const compilerVariables = ['CC', 'CXX', 'CFLAGS', 'CPPFLAGS', 'CXXFLAGS', 'LDFLAGS', 'LIBS']

export interface Sources {
  /** The folder of @confluentinc/kafka-javascript. */
  package: string
  /** The folder of Node-API's headers. */
  nodeApi: string
}

/**
 * The folders of the sources: beside this package in a checkout, or with the app that depends on it.
 *
 * @throws Error if a package is not installed.
 */
export function sources(): Sources {
  return {
    package: folderOf('@confluentinc/kafka-javascript'),
    nodeApi: join(folderOf('node-api-headers'), 'include'),
  }
}

/**
 * Searches parent folders itself: if node_modules did not exist when this process began, Bun's own
 * resolution does not find packages that were installed since.
 */
function folderOf(name: string): string {
  for (let folder = native; folder !== dirname(folder); folder = dirname(folder)) {
    const found = join(folder, 'node_modules', name)
    if (existsSync(join(found, 'package.json'))) return realpathSync(found)
  }
  throw new Error(`Cannot find the package ${name}: it is not installed`)
}

/** The version of a package's sources. This project's edition of the client (package/client/) names Confluent's. */
function versionOf(name: string): string {
  const manifest = readFileSync(join(folderOf(name), 'package.json'), 'utf8')
  const { version, confluentVersion } = JSON.parse(manifest) as {
    version: string
    confluentVersion?: string
  }
  return confluentVersion ?? version
}

/**
 * The package's version, the target and a hash of everything that goes into the addon.
 *
 * @param environment Has the variables that change what compilers make; an addon that was compiled elsewhere has none.
 */
export function addonKey(
  target = currentTarget(),
  environment: Readonly<Record<string, string | undefined>> = process.env,
): string {
  const hash = new Bun.CryptoHasher('sha256')
  // A published version never changes; our changes of it are hashed below.
  const version = versionOf('@confluentinc/kafka-javascript')
  hash.update(`${version} ${versionOf('node-api-headers')}`)
  for (const folder of ['include', 'src']) {
    for (const name of readdirSync(join(native, folder)).sort()) {
      hash.update(`\n${name}\n`).update(readFileSync(join(native, folder, name)))
    }
  }
  for (const file of [makefile, librdkafkaMakefile]) hash.update(readFileSync(file))
  hash.update(CONFIGURE_FLAGS.join(' '))
  hash.update(librdkafkaChanges)
  for (const name of compilerVariables) hash.update(`\n${name}=${environment[name] ?? ''}`)
  return `${version}-${target}-${hash.digest('hex').slice(0, 16)}`
}

/** Compiles the addon and returns its content. The caller holds the lock. */
export async function buildAddon(log: string): Promise<Uint8Array> {
  const found = sources()
  const folder = join(cacheFolder(), 'build')
  rmSync(folder, { recursive: true, force: true }) // An interrupted build may have left files.
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

/** Loads the addon in another process, since a damaged addon can end the process that loads it. */
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
      argv: ['bash', './configure', ...CONFIGURE_FLAGS],
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
  // The compiler's flags now come from Makefile.config, which configure wrote.
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
