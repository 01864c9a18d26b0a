/** Finds missing compilers and libraries for the addon, and installs them on Debian as root. */
import { existsSync, readFileSync } from 'node:fs'
import { setupCommand } from './addon.ts'
import { run } from './command.ts'
import { step } from './progress.ts'

type Distribution = 'debian' | 'fedora' | 'alpine' | 'macos'

interface Requirement {
  name: string
  isMet: () => boolean
  package: Record<Distribution, string>
}

const { CXX: cxx = 'c++', CPPFLAGS: cppflags = '' } = process.env

const requirements: Requirement[] = [
  {
    name: 'a C++20 compiler',
    isMet: () => compiles('concepts'),
    package: { debian: 'g++', fedora: 'gcc-c++', alpine: 'g++', macos: 'llvm' },
  },
  tool('make', 'make'),
  tool('bash', 'bash'), // librdkafka's configure
  header('openssl/ssl.h', ['libssl-dev', 'openssl-devel', 'openssl-dev', 'openssl@3']),
  header('zlib.h', ['zlib1g-dev', 'zlib-devel', 'zlib-dev', 'zlib']),
  header('zstd.h', ['libzstd-dev', 'libzstd-devel', 'zstd-dev', 'zstd']),
  header('curl/curl.h', ['libcurl4-openssl-dev', 'libcurl-devel', 'curl-dev', 'curl']),
]

const installCommand: Record<Distribution, string[]> = {
  debian: ['apt-get', 'install', '-y', '--no-install-recommends'],
  fedora: ['dnf', 'install', '-y'],
  alpine: ['apk', 'add'],
  macos: ['brew', 'install'],
}

const distributionName: Record<Distribution, string> = {
  debian: 'Debian, Ubuntu',
  fedora: 'Fedora',
  alpine: 'Alpine',
  macos: 'macOS',
}

/**
 * Installs missing compilers and libraries.
 *
 * @throws Error whose message says how to install them by hand, where we cannot.
 */
export async function provideSystem(log: string): Promise<void> {
  const lacking = requirements.filter((requirement) => !requirement.isMet())
  if (lacking.length === 0) return
  const names = lacking.map((requirement) => requirement.name).join(', ')
  if (detectDistribution() !== 'debian' || process.getuid?.() !== 0) {
    throw new Error(
      `Cannot compile the Kafka client: this machine lacks ${names}${advice(lacking)}`,
    )
  }
  await step(`Installing ${names}`, async ({ update }) => {
    const command = { cwd: '/', log, onLine: update, env: aptEnvironment() }
    const install = {
      ...command,
      argv: [...installCommand.debian, ...lacking.map(({ package: { debian } }) => debian)],
    }
    try {
      await run(install)
    } catch {
      // Package lists are probably missing, as in fresh images, or out of date.
      await run({ ...command, argv: ['apt-get', 'update'] })
      await run(install)
    }
  })
  const still = requirements.filter((requirement) => !requirement.isMet())
  if (still.length > 0) {
    const left = still.map((requirement) => requirement.name).join(', ')
    throw new Error(`Cannot compile the Kafka client: apt-get ran, but ${left} is still missing`)
  }
}

function advice(lacking: Requirement[]): string {
  const here = detectDistribution()
  const all: Distribution[] = ['debian', 'fedora', 'alpine', 'macos']
  const lines = (here ? [here] : all).map((distribution) => {
    const sudo = distribution === 'macos' || process.getuid?.() === 0 ? [] : ['sudo']
    const packages = lacking.map((requirement) => requirement.package[distribution])
    const command = [...sudo, ...installCommand[distribution], ...packages].join(' ')
    return `  ${distributionName[distribution]}: ${command}`
  })
  const command = setupCommand()
  return `. Install what is missing, then run \`${command}\` again:
${lines.join('\n')}
An addon that was compiled elsewhere needs none of it: \`${command} --prebuilt FOLDER\``
}

function detectDistribution(): Distribution | undefined {
  if (process.platform === 'darwin') return 'macos'
  if (!existsSync('/etc/os-release')) return undefined
  const release = readFileSync('/etc/os-release', 'utf8')
  const ids = [...release.matchAll(/^ID(?:_LIKE)?="?([^"\n]*)"?$/gm)].flatMap(([, id]) =>
    (id ?? '').split(' '),
  )
  if (ids.includes('debian') || ids.includes('ubuntu')) return 'debian'
  if (ids.includes('fedora') || ids.includes('rhel')) return 'fedora'
  if (ids.includes('alpine')) return 'alpine'
  return undefined
}

function aptEnvironment(): Record<string, string | undefined> {
  return { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
}

function tool(name: string, packageName: string): Requirement {
  return {
    name,
    isMet: () => Bun.which(name) !== null,
    package: {
      debian: packageName,
      fedora: packageName,
      alpine: packageName,
      macos: packageName,
    },
  }
}

function header(
  path: string,
  [debian, fedora, alpine, macos]: [string, string, string, string],
): Requirement {
  return {
    name: `<${path}>`,
    isMet: () => compiles(path),
    package: { debian, fedora, alpine, macos },
  }
}

function compiles(include: string): boolean {
  if (Bun.which(cxx) === null) return false
  const flags = cppflags.split(' ').filter(Boolean)
  const { exitCode } = Bun.spawnSync(
    [cxx, '-std=c++20', ...flags, '-fsyntax-only', '-x', 'c++', '-'],
    {
      stdin: new TextEncoder().encode(`#include <${include}>\n`),
      stdout: 'ignore',
      stderr: 'ignore',
    },
  )
  return exitCode === 0
}
