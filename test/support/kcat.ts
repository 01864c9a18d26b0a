/** kcat, a client on librdkafka by another author: reads back what was written. */
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { canInstall, installPackages } from '../../tools/kafka/system.ts'
import { until } from './wait.ts'

/** A record as kcat prints it. */
export interface KcatRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly key: string | null
  readonly payload: string | null
  /** Names and values in turn. */
  readonly headers?: readonly string[]
}

/** kcat's path; it is installed where that is possible without asking. */
async function provideKcat(): Promise<string> {
  const found = Bun.which('kcat')
  if (found) return found
  if (!canInstall()) throw new Error('Cannot read back: this machine lacks kcat. Install it')
  await installPackages('kcat', ['kcat'], join(tmpdir(), 'kcat-setup.log'))
  return Bun.which('kcat') ?? '/usr/bin/kcat'
}

async function read(argv: readonly string[]): Promise<KcatRecord[]> {
  const child = Bun.spawn([await provideKcat(), ...argv], { stdout: 'pipe', stderr: 'pipe' })
  const text = await new Response(child.stdout).text()
  if ((await child.exited) !== 0) throw new Error(await new Response(child.stderr).text())
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as KcatRecord)
}

/** All records of a topic, once there are as many as expected. */
export async function readBack(
  brokers: string,
  topic: string,
  count: number,
  settings: readonly string[] = [],
): Promise<KcatRecord[]> {
  let records: KcatRecord[] = []
  const flags = settings.flatMap((setting) => ['-X', setting])
  await until(
    async () => {
      records = await read(['-b', brokers, ...flags, '-C', '-t', topic, '-e', '-q', '-J'])
      return records.length >= count
    },
    () => `${count} records of ${topic}: ${JSON.stringify(records)}`,
  )
  return records
}

/** Produces a record with a key, as librdkafka's clients do, and tells its partition. */
export async function produceByKcat(brokers: string, topic: string, key: string): Promise<void> {
  const child = Bun.spawn([await provideKcat(), '-b', brokers, '-P', '-t', topic, '-k', key], {
    stdin: new Blob(['by kcat\n']),
  })
  if ((await child.exited) !== 0) throw new Error('kcat could not produce')
}
