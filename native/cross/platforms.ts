/** The platforms that the addon is cross-compiled for. */

/** One platform, in the words of npm, zig and OpenSSL. */
export interface Platform {
  readonly name: string
  readonly os: 'linux' | 'darwin'
  readonly cpu: 'x64' | 'arm64'
  /** Absent where the system has one C library. */
  readonly libc?: 'glibc' | 'musl'
  /** zig's target. The number is the oldest glibc that has all symbols. */
  readonly zig: string
  /** The target of OpenSSL's Configure. */
  readonly openssl: string
}

export const PLATFORMS: readonly Platform[] = [
  {
    name: 'linux-x64-gnu',
    os: 'linux',
    cpu: 'x64',
    libc: 'glibc',
    zig: 'x86_64-linux-gnu.2.28',
    openssl: 'linux-x86_64',
  },
  {
    name: 'linux-arm64-gnu',
    os: 'linux',
    cpu: 'arm64',
    libc: 'glibc',
    zig: 'aarch64-linux-gnu.2.28',
    openssl: 'linux-aarch64',
  },
  {
    name: 'linux-x64-musl',
    os: 'linux',
    cpu: 'x64',
    libc: 'musl',
    zig: 'x86_64-linux-musl',
    openssl: 'linux-x86_64',
  },
  {
    name: 'linux-arm64-musl',
    os: 'linux',
    cpu: 'arm64',
    libc: 'musl',
    zig: 'aarch64-linux-musl',
    openssl: 'linux-aarch64',
  },
  {
    name: 'darwin-arm64',
    os: 'darwin',
    cpu: 'arm64',
    zig: 'aarch64-macos',
    openssl: 'darwin64-arm64-cc',
  },
  {
    name: 'darwin-x64',
    os: 'darwin',
    cpu: 'x64',
    zig: 'x86_64-macos',
    openssl: 'darwin64-x86_64-cc',
  },
]

/** The platform as `currentTarget` names it on such a machine. */
export function targetOf({ os, cpu, libc }: Platform): string {
  return [os, cpu, libc].filter((part) => part !== undefined).join('-')
}

/** @throws Error that lists the platforms. */
export function platformOf(name: string): Platform {
  const platform = PLATFORMS.find((known) => known.name === name)
  if (platform) return platform
  const names = PLATFORMS.map((known) => known.name).join(', ')
  throw new Error(`Cannot compile for "${name}": the platforms are ${names}`)
}
