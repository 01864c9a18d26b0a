/**
 * The compiler and the libraries that the addon is linked with on other platforms: zig from PyPI, and
 * the sources that crates ship. Each is pinned by its checksum. No code of Rust is compiled.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cacheFolder } from '../cache.ts'
import { run } from '../command.ts'
import { step } from '../progress.ts'

const ZIG = {
  version: '0.17.0',
  // By the machine that compiles.
  sha256: new Map([
    ['linux-x64', '97079827064a7492cce5541ceb438ae8003ce1e54e399676da2d62fb7a5dc08b'],
  ]),
} as const

/** SHA-256 of each crate's archive. */
const CRATES = {
  'curl-sys': {
    version: '0.4.91+curl-8.22.0',
    sha256: 'cd39579123e45bf762716bb893d43886ed1cabe6289455be29a4f1d4e37afb06',
  },
  'libz-sys': {
    version: '1.1.33',
    sha256: 'fee3f59f4321dab0c78d828942e7aa09d0bd8ad6e78a501977e6bf3d02938045',
  },
  'openssl-src': {
    version: '300.6.1+3.6.3',
    sha256: '46eb8fb9fb3b61ce1c0f8a026c4c1a0714d3a9e138e7fbde78753ce2babc3846',
  },
  'zstd-sys': {
    version: '2.1.3+zstd.1.5.7',
    sha256: 'f729a06d0257428fd9d997ac8db7e1407bd0262ab016b085b36bc52957c0052d',
  },
} as const

/** Changes with the compiler or a library. */
export const SOURCES_VERSION = JSON.stringify([ZIG.version, CRATES])

/** Folders of the sources, and the compiler's path. */
export interface CrossSources {
  readonly zig: string
  readonly zlib: string
  readonly zstd: string
  readonly openssl: string
  readonly curl: string
}

/** Downloads what is missing. */
export async function provideSources(log: string): Promise<CrossSources> {
  const folder = join(cacheFolder(), 'cross', `sources-${hashOf(SOURCES_VERSION)}`)
  if (!existsSync(folder)) {
    const sha256 = zigChecksum()
    const draft = `${folder}.${process.pid}`
    mkdirSync(draft, { recursive: true })
    await step('Downloading zig', () => downloadZig(draft, sha256, log))
    await step('Downloading the sources of curl, OpenSSL, zlib and zstd', () =>
      downloadCrates(draft, log),
    )
    rmSync(folder, { recursive: true, force: true })
    renameSync(draft, folder)
  }
  const crate = (name: keyof typeof CRATES) =>
    join(folder, 'crates', `${name}-${CRATES[name].version}`)
  return {
    zig: join(folder, 'zig', 'ziglang', 'zig'),
    zlib: join(crate('libz-sys'), 'src', 'zlib'),
    zstd: join(crate('zstd-sys'), 'zstd', 'lib'),
    openssl: join(crate('openssl-src'), 'openssl'),
    curl: crate('curl-sys'),
  }
}

/**
 * The SHA-256 of zig for the machine that compiles.
 *
 * @throws Error that names the machines which have one: pip would report only that no checksum fits.
 */
export function zigChecksum(machine = `${process.platform}-${process.arch}`): string {
  const sha256 = ZIG.sha256.get(machine)
  if (sha256 !== undefined) return sha256
  const known = [...ZIG.sha256.keys()].join(', ')
  throw new Error(
    `Cannot cross-compile on ${machine}: the compiler is pinned for ${known} only. Take an addon that was compiled by \`bun run setup\` on the platform: --platform NAME --addon FILE`,
  )
}

async function downloadZig(folder: string, sha256: string, log: string): Promise<void> {
  const requirements = join(folder, 'zig.txt')
  writeFileSync(requirements, `ziglang==${ZIG.version} --hash=sha256:${sha256}\n`)
  const pip = ['python3', '-m', 'pip', '--disable-pip-version-check', 'install']
  const target = join(folder, 'zig')
  const flags = ['--no-deps', '--no-compile', '--require-hashes', '--target', target]
  await run({ argv: [...pip, ...flags, '-r', requirements], cwd: folder, log })
}

/** @throws Error if a crate does not have the checksum that this file names. */
async function downloadCrates(folder: string, log: string): Promise<void> {
  const manifest = join(folder, 'cargo')
  const dependencies = Object.entries(CRATES).map(
    ([name, { version }]) =>
      `${name} = { version = "=${version.replace(/\+.*/, '')}", default-features = false }`,
  )
  mkdirSync(manifest)
  writeFileSync(
    join(manifest, 'Cargo.toml'),
    `[package]\nname = "sources"\nversion = "0.0.0"\n[lib]\npath = "none.rs"\n[dependencies]\n${dependencies.join('\n')}\n`,
  )
  writeFileSync(join(manifest, 'none.rs'), '')
  const crates = join(folder, 'crates')
  await run({ argv: ['cargo', 'vendor', '--versioned-dirs', crates], cwd: manifest, log })
  for (const [name, { version, sha256 }] of Object.entries(CRATES)) {
    const path = join(crates, `${name}-${version}`, '.cargo-checksum.json')
    const { package: found } = JSON.parse(readFileSync(path, 'utf8')) as { package: string }
    if (found === sha256) continue
    throw new Error(
      `Cannot use the crate ${name} ${version}: its checksum is ${found}, not ${sha256}`,
    )
  }
}

/** Texts of the licences of what is linked, by the name of a file. */
export function licencesOf({ zlib, zstd, openssl, curl }: CrossSources): Record<string, string> {
  const paths = {
    zlib: join(zlib, 'LICENSE'),
    zstd: join(zstd, '..', 'LICENSE'),
    openssl: join(openssl, 'LICENSE.txt'),
    curl: join(curl, 'curl', 'COPYING'),
  } satisfies Record<Exclude<keyof CrossSources, 'zig'>, string>
  return Object.fromEntries(
    Object.entries(paths).map(([name, path]) => [`LICENSE.${name}`, readFileSync(path, 'utf8')]),
  )
}

export function hashOf(...parts: ReadonlyArray<string | Uint8Array>): string {
  const hasher = new Bun.CryptoHasher('sha256')
  for (const part of parts) hasher.update(part).update('\n')
  return hasher.digest('hex').slice(0, 16)
}
