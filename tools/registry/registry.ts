/** Starts a real schema registry with Confluent's API on this machine, for tests. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type MavenFolder, provideFromMaven } from '../kafka/jars.ts'
import { freePorts } from '../kafka/ports.ts'
import { provideJava } from '../kafka/system.ts'

const READY_TIMEOUT_MS = 120_000
const API = '/apis/ccompat/v7'

const release: MavenFolder = {
  name: 'apicurio',
  title: 'Apicurio Registry',
  pom: join(import.meta.dirname, 'pom.xml'),
  goal: 'dependency:unpack',
}

/** A small heap and a fast start, since a registry for tests does not run for long. */
const JVM_OPTIONS = ['-Xmx384m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1']

/**
 * A shell script that runs a program until standard input ends: the system closes it when the process
 * that started the script ends, however that happens.
 */
const RUN_UNTIL_STDIN_ENDS = '"$@" </dev/null & child=$!; cat >/dev/null; kill $child; wait $child'

/** A running registry. */
export interface TestRegistry {
  /** The base URL of its Confluent-compatible API. */
  readonly url: string
  stop(): Promise<void>
}

/** Starts an empty registry, which ends with this process; resolves when it answers. */
export async function startRegistry(): Promise<TestRegistry> {
  const folder = mkdtempSync(join(tmpdir(), 'hono-kafka-consume-registry-'))
  const log = join(folder, 'registry.log')
  const [java, [port = 0]] = await Promise.all([provideJava(log), freePorts(1)])
  const [jar = ''] = new Bun.Glob('*-runner.jar').scanSync({
    cwd: await provideFromMaven(release, log),
    absolute: true,
  })
  const child = Bun.spawn(
    ['sh', '-c', RUN_UNTIL_STDIN_ENDS, 'sh', java, ...JVM_OPTIONS, '-jar', jar],
    {
      env: { ...process.env, QUARKUS_HTTP_HOST: '127.0.0.1', QUARKUS_HTTP_PORT: String(port) },
      cwd: folder,
      stdin: 'pipe',
      stdout: Bun.file(log),
      stderr: 'ignore',
    },
  )
  const stop = async () => {
    child.stdin.end()
    await child.exited
    rmSync(folder, { recursive: true, force: true })
  }
  const url = `http://127.0.0.1:${port}${API}`
  const deadline = performance.now() + READY_TIMEOUT_MS
  while (!(await answers(`${url}/subjects`))) {
    if (child.exitCode !== null || performance.now() > deadline) {
      const output = readFileSync(log, 'utf8').split('\n').slice(-20).join('\n')
      await stop()
      throw new Error(`Cannot start the schema registry: it does not answer\n${output}`)
    }
    await Bun.sleep(100)
  }
  return { url, stop }
}

async function answers(url: string): Promise<boolean> {
  try {
    return (await fetch(url, { signal: AbortSignal.timeout(2_000) })).ok
  } catch {
    return false
  }
}
