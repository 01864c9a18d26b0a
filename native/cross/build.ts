/** Cross-compiles the addon for one platform, with all libraries in it, by zig. */
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { availableParallelism } from 'node:os'
import { basename, join } from 'node:path'
import { addonName } from '../addon.ts'
import { addonKey, CONFIGURE_FLAGS, librdkafkaMakefile, sources } from '../build.ts'
import { cacheFolder } from '../cache.ts'
import { changeLibrdkafka, librdkafkaChanges } from '../changes.ts'
import { run } from '../command.ts'
import { step } from '../progress.ts'
import { curlBuildOf } from './curl.ts'
import { type Platform, targetOf } from './platforms.ts'
import { type CrossSources, hashOf, SOURCES_VERSION } from './sources.ts'

const native = join(import.meta.dirname, '..')
const makefile = join(import.meta.dirname, 'Makefile')

/** A file in place of curl's own, which needs headers of macOS that zig does not have. */
const MACOS_REPLACEMENT = join(import.meta.dirname, 'macos.c')

/**
 * Definitions for librdkafka. An OpenSSL that is linked statically knows one place of certificates, so
 * librdkafka then searches the places of all systems.
 */
const STATIC_DEFINITIONS = '-DCURL_STATICLIB -DWITH_STATIC_LIB_libcrypto=1'

/**
 * Compiles what has changed since the last time.
 *
 * @returns The addon's path in the cache.
 */
export async function crossCompile(
  platform: Platform,
  crossSources: CrossSources,
  log: string,
): Promise<string> {
  const libraries = await provideLibraries(platform, crossSources, log)
  const env = environmentOf(platform, crossSources, libraries)
  const librdkafka = await provideLibrdkafka(platform, libraries, env, log)
  // zig makes a program of what is to be a bundle of macOS. A library can be loaded as well.
  const darwinFlags = `-L${join(libraries, 'lib')} -dynamiclib -undefined dynamic_lookup -Wl,-dead_strip`
  const linkFlags = platform.os === 'darwin' ? [`LDFLAGS=${darwinFlags}`] : []
  const key = hashOf(basename(librdkafka), addonKey(targetOf(platform), {}), ...linkFlags)
  const folder = join(cacheFolder(), 'cross', `${platform.name}-addon-${key}`)
  const addon = join(folder, addonName)
  if (existsSync(addon)) return addon
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  symlinkSync(join(librdkafka, 'librdkafka'), join(folder, 'librdkafka'))
  const found = sources()
  await step(`${platform.name}: the addon`, ({ update }) =>
    run({
      argv: [
        ...['make', `-j${availableParallelism()}`, '-f', join(native, 'Makefile')],
        ...[`PACKAGE=${found.package}`, `NODE_API=${found.nodeApi}`],
        ...[`SYSTEM=${platform.os === 'darwin' ? 'Darwin' : 'Linux'}`, 'LINKER=zig'],
        ...linkFlags,
      ],
      cwd: folder,
      log,
      env,
      onLine: showSource(update),
    }),
  )
  for (const name of readdirSync(folder)) {
    if (name !== addonName) rmSync(join(folder, name), { recursive: true })
  }
  return addon
}

/** The folder with librdkafka/, compiled for a platform. */
async function provideLibrdkafka(
  platform: Platform,
  libraries: string,
  env: Record<string, string | undefined>,
  log: string,
): Promise<string> {
  const { package: client } = sources()
  const { librdkafka: version } = JSON.parse(
    readFileSync(join(client, 'package.json'), 'utf8'),
  ) as { librdkafka: string }
  const key = hashOf(
    ...[basename(libraries), version, librdkafkaChanges, ...CONFIGURE_FLAGS, STATIC_DEFINITIONS],
    readFileSync(librdkafkaMakefile),
  )
  const folder = join(cacheFolder(), 'cross', `${platform.name}-librdkafka-${key}`)
  if (existsSync(join(folder, 'done'))) return folder
  const librdkafka = join(folder, 'librdkafka')
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  cpSync(join(client, 'deps', 'librdkafka'), librdkafka, { recursive: true })
  changeLibrdkafka(librdkafka)
  const include = `-I${join(libraries, 'include')}`
  await step(`${platform.name}: librdkafka`, async ({ update }) => {
    await run({
      argv: ['bash', './configure', ...CONFIGURE_FLAGS],
      cwd: librdkafka,
      log,
      env: {
        ...env,
        // The libraries of this machine must not be found.
        PKG_CONFIG_LIBDIR: '/nonexistent',
        CFLAGS: `-fvisibility=hidden ${include}`,
        CXXFLAGS: '-fvisibility=hidden',
        CPPFLAGS: `${include} ${STATIC_DEFINITIONS}`,
        LDFLAGS: `-L${join(libraries, 'lib')}`,
        LIBS: '-lcurl -lssl -lcrypto -lz -lzstd',
        STRIP: 'true',
      },
    })
    const make = ['make', `-j${availableParallelism()}`, '-C', 'src', '-f', librdkafkaMakefile]
    await run({
      argv: [...make, 'LINKER=zig', 'librdkafka.a'],
      cwd: librdkafka,
      log,
      env,
      onLine: showSource(update),
    })
  })
  writeFileSync(join(folder, 'done'), '')
  return folder
}

/** Shows the file that a line of make compiles. */
function showSource(update: (detail: string) => void): (line: string) => void {
  return (line) => {
    const source = / -c (?:-o \S+ )?(\S+\.(?:c|cc|cpp))\b/.exec(line)?.[1]
    if (source) update(basename(source))
  }
}

/** The folder with zlib, zstd, OpenSSL and curl for a platform. */
async function provideLibraries(
  platform: Platform,
  from: CrossSources,
  log: string,
): Promise<string> {
  const replaced = platform.os === 'darwin' ? [MACOS_REPLACEMENT] : []
  const key = hashOf(
    ...[SOURCES_VERSION, JSON.stringify(platform), readFileSync(makefile)],
    ...replaced.map((path) => readFileSync(path)),
  )
  const folder = join(cacheFolder(), 'cross', `${platform.name}-libraries-${key}`)
  if (existsSync(join(folder, 'done'))) return folder
  mkdirSync(folder, { recursive: true })
  writeTools(platform, from.zig, folder)
  const { files, header } = curlBuildOf(from.curl, platform.os)
  writeFileSync(join(folder, 'curl.mk'), curlMakefile(files, replaced))
  writeFileSync(join(folder, 'curl.h'), header)
  const { CC, CXX, AR, RANLIB } = environmentOf(platform, from, folder)
  await step(`${platform.name}: zlib, zstd, OpenSSL and curl`, ({ update }) =>
    run({
      argv: [
        ...['make', `-j${availableParallelism()}`, '-f', makefile],
        ...[`CC=${CC}`, `CXX=${CXX}`, `AR=${AR}`, `RANLIB=${RANLIB}`],
        ...[`ZLIB=${from.zlib}`, `ZSTD=${from.zstd}`, `OPENSSL=${from.openssl}`],
        ...[`CURL=${from.curl}`, `OPENSSL_TARGET=${platform.openssl}`],
      ],
      cwd: folder,
      log,
      env: environmentOf(platform, from, folder),
      onLine: showSource(update),
    }),
  )
  for (const rest of ['openssl', 'objects']) rmSync(join(folder, rest), { recursive: true })
  writeFileSync(join(folder, 'done'), '')
  return folder
}

/** The part of the makefile that lists curl's files, and says how others that stand in for them are compiled. */
function curlMakefile(files: readonly string[], replaced: readonly string[]): string {
  const added = replaced.map((path) => join('replaced', basename(path)))
  return `CURL_FILES := ${[...files, ...added].join(' ')}
objects/curl/replaced/%.o: ${import.meta.dirname}/%.c
\t@mkdir -p $(@D)
\t$(CC) $(CFLAGS) -c $< -o $@
`
}

/** Programs of the names that configure scripts and make expect. */
function writeTools(platform: Platform, zig: string, folder: string): void {
  const bin = join(folder, 'bin')
  mkdirSync(bin, { recursive: true })
  const write = (name: string, command: string) => {
    writeFileSync(join(bin, name), `#!/bin/sh\nexec ${zig} ${command} "$@"\n`)
    chmodSync(join(bin, name), 0o755)
  }
  write('cc', `cc -target ${platform.zig}`)
  write('c++', `c++ -target ${platform.zig}`)
  write('ar', 'ar')
  write('ranlib', 'ranlib')
}

function environmentOf(
  platform: Platform,
  { zig }: CrossSources,
  folder: string,
): Record<string, string | undefined> {
  const bin = join(folder, 'bin')
  const caches = join(cacheFolder(), 'cross', 'zig')
  const { PATH, HOME } = process.env
  return {
    PATH,
    HOME,
    CC: join(bin, 'cc'),
    CXX: join(bin, 'c++'),
    AR: join(bin, 'ar'),
    RANLIB: join(bin, 'ranlib'),
    ZIG_GLOBAL_CACHE_DIR: caches,
    ZIG_LOCAL_CACHE_DIR: join(caches, platform.name, basename(zig)),
  }
}
