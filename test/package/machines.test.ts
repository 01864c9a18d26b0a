/**
 * The gateway of a package that was installed for another machine, with the addon that was cross-compiled
 * for it, reads records compressed by zstd from a Kafka with TLS and SASL. Tests whose parts are missing
 * are skipped, and say what is missing.
 *
 *   TEST_PLATFORMS        a folder of `bun run package --platforms` (default: dist-platforms)
 *   TEST_GLIBC_X64        a folder with the files of a system of glibc, such as an unpacked image of Debian
 *   TEST_MUSL_X64         such a folder of musl, such as an unpacked image of Alpine
 *   TEST_MUSL_ARM64       such a folder of musl for arm64
 *
 * Without images, packages make such folders. For glibc: `apt-get download libc6 && dpkg -x libc6_*.deb FOLDER`.
 * For musl: `dpkg -x` of Debian 13's package `musl` (that of Debian 12 is too old for Bun), whose `lib` must be a
 * link to `usr/lib`. Bun also needs libraries of C++, which wheels of PyPI have: `pip download numpy --no-deps
 * --only-binary=:all: --platform musllinux_1_2_x86_64`. Of its numpy.libs, usr/lib/x86_64-linux-musl gets
 * libgcc_s-*.so.1 as it is, and libstdc++-*.so.6.* as libstdc++.so.6. For arm64 the names have aarch64.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { addonName, prebuiltPackage, readManifest } from '../../native/addon.ts'
import { addonKey } from '../../native/build.ts'
import { platformOf, targetOf } from '../../native/cross/platforms.ts'
import packageJson from '../../package.json' with { type: 'json' }
import { reader } from '../../tools/kafka/credentials.ts'
import { GatewayProcess } from '../gateway/gateway-process.ts'
import { Secured } from '../security/secured.ts'
import { uniqueName } from '../support/names.ts'
import { npmTool } from '../support/npm-tool.ts'
import { run } from '../support/run-program.ts'
import { until } from '../support/wait.ts'

/** A machine that is emulated is ten times as slow. */
const SLOW_MS = 120_000
const RECORDS = 2_000

/** Where Debian, Alpine and Fedora keep the certificates of authorities. */
const STORES = [
  'etc/ssl/certs/ca-certificates.crt',
  'etc/ssl/cert.pem',
  'etc/pki/tls/certs/ca-bundle.crt',
]

setDefaultTimeout(10 * 60_000)

const root = join(import.meta.dirname, '../..')
const {
  TEST_PLATFORMS: platforms = join(root, 'dist-platforms'),
  TEST_GLIBC_X64: glibcX64 = '',
  TEST_MUSL_X64: muslX64 = '',
  TEST_MUSL_ARM64: muslArm64 = '',
} = process.env
const qemu = 'qemu-aarch64'
const glibcArm64 = '/usr/aarch64-linux-gnu'

/** A machine on which the gateway of a package is started. */
interface Machine {
  readonly platform: string
  /** Whether each part of the machine is there, by the reason to skip its test. */
  readonly needs: Readonly<Record<string, boolean>>
  /** Default: the one that runs the tests. */
  readonly bun?: Parameters<typeof npmTool>[0]
  /** The folder with the machine's files, of which it sees a copy. */
  readonly files: string
  /** Whether the machine sees only these files. Otherwise they come before those of the one that runs the tests. */
  readonly isAlone: boolean
}

const chroot = {
  'only root may run chroot': process.getuid?.() === 0,
  'this machine is not x64': process.arch === 'x64',
}

const MACHINES: readonly Machine[] = [
  {
    platform: 'linux-arm64-gnu',
    needs: {
      [`${qemu} is not installed (Debian: qemu-user)`]: Bun.which(qemu) !== null,
      [`${glibcArm64} does not exist (Debian: libc6-arm64-cross)`]: existsSync(glibcArm64),
    },
    bun: 'bunArm64',
    files: glibcArm64,
    isAlone: false,
  },
  {
    platform: 'linux-arm64-musl',
    needs: {
      [`${qemu} is not installed (Debian: qemu-user)`]: Bun.which(qemu) !== null,
      'TEST_MUSL_ARM64 is not set': muslArm64 !== '',
    },
    bun: 'bunArm64Musl',
    files: muslArm64,
    isAlone: false,
  },
  {
    platform: 'linux-x64-gnu',
    needs: { ...chroot, 'TEST_GLIBC_X64 is not set': glibcX64 !== '' },
    files: glibcX64,
    isAlone: true,
  },
  {
    platform: 'linux-x64-musl',
    needs: { ...chroot, 'TEST_MUSL_X64 is not set': muslX64 !== '' },
    bun: 'bunX64Musl',
    files: muslX64,
    isAlone: true,
  },
]

/** The folder of an app, and its path as the machine sees it. */
class Place implements Disposable {
  /** The copy of the machine's files. */
  readonly files: string
  readonly folder: string
  readonly runner: readonly string[]
  readonly #parent = mkdtempSync(join(tmpdir(), 'machine-'))
  /** The folder that the machine sees as its root. */
  readonly #root: string

  constructor({ files, isAlone }: Machine) {
    this.files = join(this.#parent, 'files')
    this.#root = isAlone ? this.files : '/'
    this.folder = join(isAlone ? this.files : this.#parent, 'place')
    // Devices cannot be copied.
    const filter = (path: string) => path !== join(files, 'dev')
    cpSync(files, this.files, { recursive: true, verbatimSymlinks: true, filter })
    for (const stores of ['etc/ssl', 'etc/pki']) {
      rmSync(join(this.files, stores), { recursive: true, force: true })
    }
    if (isAlone) {
      for (const name of ['etc', 'proc']) mkdirSync(join(this.files, name), { recursive: true })
      writeFileSync(join(this.files, 'etc/hosts'), '127.0.0.1 localhost\n')
    }
    // Bun needs /proc. The mount ends with the process.
    const enter = `mount -t proc proc '${this.files}/proc' && exec chroot '${this.files}' "$@"`
    this.runner = isAlone
      ? ['unshare', '--mount', 'sh', '-c', enter, 'sh']
      : [qemu, '-L', this.files]
    mkdirSync(this.folder)
  }

  path(name: string): string {
    return join(this.folder, name)
  }

  inside(name: string): string {
    return join('/', relative(this.#root, this.path(name)))
  }

  [Symbol.dispose](): void {
    rmSync(this.#parent, { recursive: true, force: true })
  }
}

/** Why a test is skipped; undefined if it is not. */
function missing({ platform, needs }: Machine): string | undefined {
  const target = targetOf(platformOf(platform))
  const manifest = readManifest(join(platforms, prebuiltPackage(target), addonName))
  if (!manifest) return `${platforms} has no addon of it (bun run package --platform ${platform})`
  if (manifest.key !== addonKey(target, {})) return 'its addon was compiled from other sources'
  return Object.entries(needs).find(([, isMet]) => !isMet)?.[0]
}

const usable = MACHINES.filter((machine) => missing(machine) === undefined)
for (const machine of MACHINES.filter((one) => !usable.includes(one))) {
  test.skip(`${machine.platform}: ${missing(machine)}`, () => {})
}

/** An app with the packages that npm chooses for a machine. */
async function install(folder: string, machine: Machine): Promise<void> {
  const platform = platformOf(machine.platform)
  const name = prebuiltPackage(targetOf(platform))
  const addon = join(platforms, name, addonName)
  const dist = join(folder, 'dist')
  const build = ['package/build.ts', dist, '--platform', platform.name, '--addon', addon]
  await run([process.execPath, ...build], root)
  const packed: Record<string, string> = {}
  const pack = async (of: string, from: string) => {
    packed[of] =
      `file:${join(folder, (await run(['npm', 'pack', from, '--silent'], folder)).trim())}`
  }
  await pack(name, join(`${dist}-platforms`, name))
  await pack('client', join(`${dist}-platforms`, 'confluent-kafka-napi'))
  const manifest = join(dist, 'package.json')
  const ours = readFileSync(manifest, 'utf8')
  writeFileSync(manifest, ours.replace(/npm:confluent-kafka-napi@[^"]+/, packed['client'] ?? ''))
  await pack('hono-kafka-consume', dist)
  const app = join(folder, 'app')
  mkdirSync(app)
  const dependencies = {
    hono: packageJson.dependencies.hono,
    'hono-kafka-consume': packed['hono-kafka-consume'],
  }
  const content = { type: 'module', dependencies, overrides: { [name]: packed[name] } }
  writeFileSync(join(app, 'package.json'), JSON.stringify(content))
  const chosen = ['--os=linux', `--cpu=${platform.cpu}`, `--libc=${platform.libc}`]
  await run(['npm', 'install', '--no-audit', '--no-fund', ...chosen], app)
  expect(globSync('node_modules/hono-kafka-consume-*', { cwd: app })).toEqual([
    `node_modules/${name}`,
  ])
}

describe.if(usable.length > 0)('a package that was installed for another machine', () => {
  let secured: Secured
  beforeAll(async () => {
    secured = await Secured.start()
  })
  afterAll(() => secured?.close())

  /** A topic of records compressed by zstd, which `reader` may read. */
  async function fillTopic(): Promise<string> {
    const compressed = { 'compression.type': 'zstd' }
    const topic = await secured.kafka.createTopic(1, 1, uniqueName('machines'), compressed)
    await secured.tool(
      ...(['kafka-acls', '--add', '--allow-principal', `User:${reader.name}`] as const),
      ...['--operation', 'Read', '--topic', topic, '--group', '*'],
    )
    const value = (n: number) => `${n} ${'again and '.repeat(20)}`
    const records = Array.from({ length: RECORDS }, (_, n) => ({ value: value(n) }))
    await secured.kafka.produce(topic, records)
    return topic
  }

  test.each(usable.map((machine) => [machine.platform, machine] as const))(
    '%s serves a read, a stream and a group, by TLS and SASL',
    async (_, machine) => {
      using place = new Place(machine)
      await install(place.folder, machine)
      cpSync(machine.bun ? await npmTool(machine.bun) : process.execPath, place.path('bun'))
      cpSync(secured.file('ca.pem'), place.path('ca.pem'))
      await serve(place, await fillTopic())
      // Where this machine's files are seen, too, librdkafka would find its store before most others.
      for (const store of machine.isAlone ? STORES : STORES.slice(0, 1)) await trust(place, store)
    },
  )

  function spawn(place: Place, ...flags: readonly string[]): GatewayProcess {
    const main = place.inside('app/node_modules/hono-kafka-consume/src/server.js')
    const command = [
      ...place.runner,
      place.inside('bun'),
      main,
      '--host',
      '127.0.0.1',
      '--port',
      '0',
    ]
    command.push('--admin-port', 'off', '--kafka-tls', '--kafka-mechanism', 'SCRAM-SHA-512')
    command.push('--brokers', secured.bootstrapServers('SASL_SSL', '127.0.0.1'))
    command.push('--kafka-user', reader.name, ...flags)
    return GatewayProcess.spawnCommand(command, { KAFKA_PASSWORD: reader.password }, place.folder)
  }

  /** The address, once the gateway can read from Kafka. */
  async function ready(gateway: GatewayProcess): Promise<string> {
    const log = () => gateway.stderr
    await until(() => gateway.stdout.includes('http://'), log, SLOW_MS)
    const url = await gateway.url()
    await until(async () => (await fetch(`${url}/readyz`)).ok, log, SLOW_MS)
    return url
  }

  /** Starts a gateway that knows the authority only by the system's certificates. */
  async function trust(place: Place, store: string): Promise<void> {
    const file = join(place.files, store)
    mkdirSync(dirname(file), { recursive: true })
    cpSync(secured.file('ca.pem'), file)
    await using gateway = spawn(place, '--topics', secured.topic)
    await ready(gateway)
    rmSync(file)
  }

  async function serve(place: Place, topic: string): Promise<void> {
    await using gateway = spawn(place, '--topics', topic, '--kafka-ca', place.inside('ca.pem'))
    const url = await ready(gateway)

    const read = await fetch(`${url}/messages?start=earliest&format=value&max_records=5`)
    const values = (await read.json()) as string[]
    expect(values.map((value) => value.split(' ')[0])).toEqual(['0', '1', '2', '3', '4'])

    const stream = await fetch(`${url}/stream?start=earliest&format=records`)
    let said = ''
    for await (const chunk of stream.body ?? []) {
      said += new TextDecoder().decode(chunk)
      if (said.split('"offset":').length > RECORDS) break
    }
    expect(said.split('"offset":').length - 1).toBe(RECORDS)

    const offsets: number[] = []
    await until(
      async () => {
        const answer = await fetch(`${url}/messages?format=records&timeout=10000`)
        const { records } = (await answer.json()) as { records: { offset: number }[] }
        offsets.push(...records.map(({ offset }) => offset))
        return offsets.length >= RECORDS
      },
      () => `the group to read all; it read ${offsets.length}`,
      SLOW_MS,
    )
    expect(offsets).toEqual(Array.from({ length: RECORDS }, (_, n) => n))
    gateway.signal('SIGTERM')
    expect(await gateway.exited(30_000)).toBe(0)
  }
})
