/** The time from the start to a first record: of the demo, of a real Kafka, and as a new group. */
import { join } from 'node:path'
import { type Figure, figure } from '../figure.ts'
import { alternate, statisticOf } from '../rounds.ts'
import { type Bench, PARTITIONS, type Scenario } from '../scenario.ts'

const root = join(import.meta.dirname, '..', '..')
const RECORDS = 10_000
const VALUE_BYTES = 100
const LIMIT_MS = 30_000
/** A text that every record contains. */
const RECORD = '"offset":'
const HONO = join(root, 'bench', 'programs', 'hello.ts')
const SERVER = [join(root, 'src', 'server.ts'), '--admin-port', 'off', '--log-level', 'error']

export const start: Scenario = {
  name: 'start',
  summary:
    'milliseconds from the start of a process to a first record, on a stream and as a cold group',
  async run(bench) {
    const measured = await alternate(
      {
        hono: () => firstRecord([HONO], '/'),
        demo: () => firstRecord(SERVER, '/stream?start=earliest'),
        kafka: async () => firstRecord(await serverOf(bench), '/stream?start=earliest'),
        group: async () => firstRecord(await serverOf(bench), '/messages?max_records=1'),
      },
      bench.quick ? 3 : 7,
      (side, round, { milliseconds }) =>
        bench.say(`  start ${round}: ${side.padEnd(5)} ${milliseconds.toFixed(0)} ms`),
    )
    const of = (side: keyof typeof measured) =>
      statisticOf(measured[side], ({ milliseconds }) => milliseconds)
    const figures: Figure[] = [
      figure('start to a first event, demo', 'ms', of('demo'), of('hono')),
      figure('start to a first event, Kafka', 'ms', of('kafka'), of('hono')),
      figure('start to a first GET as a cold group', 'ms', of('group'), of('hono')),
    ]
    return figures
  },
}

/** Each time another topic, which no group has read yet. */
async function serverOf(bench: Bench): Promise<string[]> {
  const topic = await bench.topics.create(PARTITIONS, VALUE_BYTES)
  await bench.produce(topic, RECORDS)
  return [...SERVER, '--brokers', bench.brokers, '--topics', topic.name]
}

/** Starts a server, and sends requests until it answers with a record. */
async function firstRecord(
  command: readonly string[],
  path: string,
): Promise<{ milliseconds: number }> {
  const port = freePort()
  const begun = performance.now()
  const server = Bun.spawn([process.execPath, ...command, '--port', String(port)], {
    cwd: root,
    stdin: 'ignore',
    stdout: 'ignore',
    stderr: 'inherit',
  })
  try {
    const { body } = await answer(`http://127.0.0.1:${port}${path}`)
    let text = ''
    // A stream begins with a `retry:` line, before any record.
    for await (const bytes of body ?? []) {
      text += Buffer.from(bytes).toString()
      if (path === '/' || text.includes(RECORD)) break
    }
    return { milliseconds: performance.now() - begun }
  } finally {
    server.kill('SIGKILL')
    await server.exited
  }
}

/** The first successful answer: a process that has just been started does not listen yet. */
async function answer(url: string): Promise<Response> {
  const until = performance.now() + LIMIT_MS
  for (;;) {
    try {
      const response = await fetch(url)
      if (response.status === 200) return response
    } catch (error) {
      if (performance.now() > until) throw error
    }
    if (performance.now() > until) throw new Error(`Cannot start: ${url} does not answer with 200`)
    await Bun.sleep(2)
  }
}

function freePort(): number {
  const server = Bun.serve({ port: 0, fetch: () => new Response() })
  const { port } = server
  void server.stop(true)
  return port as number
}
