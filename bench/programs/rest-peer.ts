/** A peer that was built outside the project, and its consumers. */
import { join } from 'node:path'
import { freePorts } from '../../tools/kafka/ports.ts'
import { usageOf } from './process-usage.ts'
import { serveCommands } from './serve.ts'
import { untilListening } from './until-listening.ts'

export type RestPeerProcess = typeof commands

interface Serving {
  readonly folder: string
  readonly command: readonly string[]
  readonly brokers: string
  /** The records of a server that has one consumer for all of its life. */
  readonly topic: string
  readonly group: string
}

/** Consumers by the REST Proxy's API, version 2, of which each is polled by one client. */
interface Joining {
  readonly topic: string
  readonly partitions: number
  readonly group: string
  /** The number of consumers. */
  readonly consumers: number
  readonly format: 'text' | 'json'
}

const READY_MS = 60_000
const TYPE = 'application/vnd.kafka.v2+json'

let child: Bun.Subprocess | undefined
let origin: string
let joined: readonly string[] = []

process.on('SIGTERM', () => process.exit(0))
process.on('exit', () => child?.kill('SIGKILL'))

const commands = {
  /** Resolves when the server accepts connections. */
  async serve({ folder, command, brokers, topic, group }: Serving) {
    const [port = 0, next = 0] = await freePorts(2)
    const [program = '', ...rest] = command
    child = Bun.spawn([program.startsWith('.') ? join(folder, program) : program, ...rest], {
      cwd: folder,
      env: {
        ...process.env,
        BENCH_BROKERS: brokers,
        BENCH_PORT: String(port),
        BENCH_SECOND_PORT: String(next),
        BENCH_TOPIC: topic,
        BENCH_GROUP: group,
      },
      stdin: 'ignore',
      stdout: 'ignore',
      stderr: 'ignore',
    })
    await untilListening(program, port, child, READY_MS)
    origin = `http://127.0.0.1:${port}`
    return { port }
  },

  /**
   * Makes consumers of a group, with the partitions divided evenly: no round waits for changes of
   * members.
   *
   * @returns The path at which each is polled.
   */
  async join({ topic, partitions, group, consumers, format }: Joining) {
    const all = Array.from({ length: consumers }, (_, index) => index)
    joined = await Promise.all(
      all.map(async (index) => {
        const name = `c${index}`
        await post(`/consumers/${group}`, { name, format, 'auto.offset.reset': 'earliest' })
        return `/consumers/${group}/instances/${name}`
      }),
    )
    await Promise.all(
      joined.map((path, index) =>
        post(`${path}/assignments`, {
          partitions: Array.from({ length: partitions }, (_, partition) => ({
            topic,
            partition,
          })).filter(({ partition }) => partition % consumers === index),
        }),
      ),
    )
    return joined.map((path) => `${path}/records`)
  },

  /** Removes the consumers. */
  async leave() {
    for (const path of joined) {
      await fetch(origin + path, { method: 'DELETE', headers: { 'content-type': TYPE } })
    }
    joined = []
  },

  /** undefined if the system does not say. */
  cost: () => usageOf(child?.pid),
}

serveCommands(commands)

async function post(path: string, body: unknown): Promise<void> {
  const response = await fetch(origin + path, {
    method: 'POST',
    headers: { 'content-type': TYPE, accept: TYPE },
    body: JSON.stringify(body),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`Cannot join a group: ${response.status} ${text}`)
}
