/** Provides Kafka's jars in a cache folder that all checkouts share. */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { cacheFolder } from '../../native/cache.ts'
import { step } from '../../native/progress.ts'
import { runCommand } from './command.ts'
import { withLock } from './lock.ts'
import { provideMaven } from './system.ts'

const MINUTES = 60_000
const pom = join(import.meta.dirname, 'pom.xml')

export const kafkaVersion = readVersion()

/** A folder of the cache that Maven fills. */
export interface MavenFolder {
  /** The name of the folder and of its lock. */
  readonly name: string
  /** The title of the line that shows the download's progress. */
  readonly title: string
  readonly pom: string
  /** The goal of Maven's dependency plugin that fills the folder. */
  readonly goal: 'dependency:copy-dependencies' | 'dependency:unpack'
}

const kafka: MavenFolder = {
  name: `kafka-${kafkaVersion}`,
  title: `Apache Kafka ${kafkaVersion}`,
  pom,
  goal: 'dependency:copy-dependencies',
}

/** The class path of broker and tools. Maven downloads the jars if the cache does not have them. */
export async function provideJars(log: string): Promise<string> {
  return join(await provideFromMaven(kafka, log), '*')
}

/** The folder of a pom's artifacts, from the cache or filled by Maven. It appears only when complete. */
export async function provideFromMaven(wanted: MavenFolder, log: string): Promise<string> {
  const hash = new Bun.CryptoHasher('sha256').update(readFileSync(wanted.pom)).digest('hex')
  const folder = join(cacheFolder(), `${wanted.name}-${hash.slice(0, 12)}`)
  if (!existsSync(folder)) {
    await withLock(join(cacheFolder(), `${wanted.name}.lock`), 15 * MINUTES, async () => {
      if (!existsSync(folder)) await download(wanted, folder, log)
    })
  }
  return folder
}

async function download({ title, pom, goal }: MavenFolder, folder: string, log: string) {
  const maven = await provideMaven(log)
  const passing = `${folder}.part`
  rmSync(passing, { recursive: true, force: true })
  mkdirSync(passing, { recursive: true })
  await step(`Downloading ${title}`, async ({ update }) => {
    let files = 0
    await runCommand({
      argv: [
        ...[maven, '--batch-mode', '--file', pom, goal, `-DoutputDirectory=${passing}`],
        // Maven notes beside the pom what it has unpacked before, even into another folder.
        '-Dmdep.overWriteReleases=true',
      ],
      log,
      limit: 10 * MINUTES,
      onLine(line) {
        const file = /^\[INFO\] Downloaded .*\/([^/ ]+) \(/.exec(line)?.[1]
        if (file) update(`${++files} files, last ${file}`)
      },
    })
  })
  renameSync(passing, folder)
}

function readVersion(): string {
  const version = /<kafka.version>(.*)<\/kafka.version>/.exec(readFileSync(pom, 'utf8'))?.[1]
  if (!version) throw new Error(`Cannot read ${pom}: it names no kafka.version`)
  return version
}
