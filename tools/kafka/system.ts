/** Finds Java and Maven, and installs them on Debian as root. */
import { join } from 'node:path'
import { step } from '../../native/progress.ts'
import { runCommand } from './command.ts'

/** The oldest Java on which Kafka 4 runs. */
const OLDEST_JAVA = 17
const MINUTES = 60_000
/** How long apt-get waits for another one to end: tests that run at a time install what they need. */
const LOCK_SECONDS = 300

const ADVICE = `
  Debian, Ubuntu: apt-get install --no-install-recommends default-jre-headless maven
  Fedora: dnf install java-21-openjdk-headless maven
  Alpine: apk add openjdk21-jre-headless maven
  macOS: brew install openjdk maven
Or start a container engine, such as Docker with Compose, which is used instead if it runs`

export async function provideJava(log: string): Promise<string> {
  return findJava() ?? (await install(`Java ${OLDEST_JAVA} or newer`, findJava, log))
}

export async function provideMaven(log: string): Promise<string> {
  return findMaven() ?? (await install('Maven', findMaven, log))
}

function findMaven(): string | undefined {
  return Bun.which('mvn') ?? undefined
}

function findJava(): string | undefined {
  const home = process.env['JAVA_HOME']
  const candidates = [home && join(home, 'bin', 'java'), Bun.which('java')]
  return candidates.find((java): java is string => !!java && javaVersion(java) >= OLDEST_JAVA)
}

function javaVersion(java: string): number {
  try {
    const { stderr } = Bun.spawnSync([java, '-version'], { timeout: 20_000 })
    return Number(/version "(\d+)/.exec(stderr.toString())?.[1] ?? 0)
  } catch {
    return 0 // JAVA_HOME names a folder without Java.
  }
}

async function install(name: string, find: () => string | undefined, log: string): Promise<string> {
  if (!canInstall()) {
    throw new Error(`Cannot start Kafka: this machine lacks ${name}. Install it:${ADVICE}`)
  }
  await installPackages('Java and Maven', ['default-jre-headless', 'maven'], log)
  const found = find()
  if (found) return found
  throw new Error(`Cannot start Kafka: apt-get ran, but ${name} is still missing`)
}

/** Whether we can install Debian packages on this machine. */
export function canInstall(): boolean {
  return Bun.which('apt-get') !== null && process.getuid?.() === 0
}

/** @param title The title of the line that shows the progress. */
export async function installPackages(
  title: string,
  packages: readonly string[],
  log: string,
): Promise<void> {
  await step(`Installing ${title}`, async ({ update }) => {
    const apt = (...args: string[]) =>
      runCommand({
        argv: ['apt-get', '-o', `DPkg::Lock::Timeout=${LOCK_SECONDS}`, ...args],
        log,
        limit: 10 * MINUTES,
        env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
        onLine: update,
      })
    const installThem = () => apt('install', '-y', '--no-install-recommends', ...packages)
    try {
      await installThem()
    } catch {
      // Package lists are probably missing, as in fresh images, or out of date.
      await apt('update')
      await installThem()
    }
  })
}
