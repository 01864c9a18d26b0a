/** An installed server, as people would run it, with the smallest configuration that serves a topic. */
import { rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePorts } from '../../tools/kafka/ports.ts'
import { usageOf } from './process-usage.ts'
import { serveCommands } from './serve.ts'
import { untilListening } from './until-listening.ts'

export type InstalledPeer = typeof commands

export type InstalledName = 'kafka-sse' | 'benthos'

interface Serving {
  readonly name: InstalledName
  /** The result of `peers/install.ts`: the folder of packages, or the program. */
  readonly installed: string
  readonly brokers: string
  readonly topic: string
  readonly partitions: number
  readonly streams: number
}

const READY_MS = 20_000

let child: Bun.Subprocess | undefined
let configuration: string | undefined

// The server's process ends whenever this one exits.
process.on('SIGTERM', () => process.exit(0))
process.on('exit', () => {
  child?.kill('SIGKILL')
  if (configuration) rmSync(configuration, { force: true })
})

const commands = {
  /** Resolves when the program accepts connections. */
  async serve(serving: Serving) {
    const [port = 0] = await freePorts(1)
    const { argv, env } = programs[serving.name](serving, port)
    child = Bun.spawn(argv, {
      env: { ...process.env, ...env },
      stdin: 'ignore',
      stdout: 'ignore',
      stderr: 'inherit',
    })
    await untilListening(serving.name, port, child, READY_MS)
    return { port }
  },

  /** Seconds of processor time of the program; undefined if the system does not say. */
  cpu(): number | undefined {
    return usageOf(child?.pid)?.cpu
  },
}

type Program = (
  serving: Serving,
  port: number,
) => { argv: string[]; env: Readonly<Record<string, string>> }

const programs: Record<InstalledName, Program> = {
  'kafka-sse': ({ installed, brokers, partitions }, port) => {
    const node = Bun.which('node')
    if (!node) throw new Error('Cannot run KafkaSSE: this machine lacks Node')
    const server = join(import.meta.dirname, '../peers/kafka-sse/server.cjs')
    const module_ = join(installed, 'node_modules/kafka-sse')
    return {
      argv: [node, server, module_, String(port), brokers, String(partitions)],
      // Each of KafkaSSE's consumers waits in a thread of Node's pool. KafkaSSE's own tests set this, too.
      env: { UV_THREADPOOL_SIZE: '128' },
    }
  },

  benthos: ({ installed, brokers, topic, streams }, port) => {
    // Clients of one output share its records, so each client needs an output of its own to get all.
    const outputs = Array.from({ length: streams }, (_, stream) => ({
      http_server: {
        path: `/one/${stream}`,
        stream_path: `/stream/${stream}`,
        ws_path: `/ws/${stream}`,
      },
    }))
    configuration = join(tmpdir(), `bench-benthos-${process.pid}.json`)
    writeFileSync(
      configuration,
      JSON.stringify({
        http: { address: `127.0.0.1:${port}` },
        logger: { level: 'ERROR' },
        input: {
          kafka_franz: {
            seed_brokers: brokers.split(','),
            topics: [topic],
            consumer_group: `bench-${crypto.randomUUID()}`,
            start_from_oldest: true,
          },
        },
        output: { broker: { pattern: 'fan_out', outputs } },
      }),
    )
    return { argv: [installed, '-c', configuration], env: {} }
  },
}

serveCommands(commands)
