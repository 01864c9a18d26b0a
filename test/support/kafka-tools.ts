/** Kafka's own command line tools, as tests use them. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runCommand } from '../../tools/kafka/command.ts'
import { toolCommand } from '../../tools/kafka/java.ts'
import { tools } from '../../tools/kafka/tools.ts'

/** @returns The lines that the tool prints. */
export async function runTool(
  name: string,
  servers: string,
  args: readonly string[],
): Promise<string[]> {
  const tool = tools[name]
  if (!tool) throw new Error(`Cannot run ${name}: there is no such tool`)
  const folder = mkdtempSync(join(tmpdir(), 'kafka-tool-'))
  try {
    const log = join(folder, 'tool.log')
    const argv = await toolCommand(tool.mainClass, ['--bootstrap-server', servers, ...args], log)
    const lines: string[] = []
    await runCommand({ argv, log, limit: 80_000, onLine: (line) => lines.push(line) })
    return lines
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** The size of one replica, as `kafka-log-dirs` prints it. */
export interface PrintedSize {
  readonly broker: number
  readonly partition: number
  readonly size: number
}

/** The replicas of a topic by `kafka-log-dirs --describe`. */
export async function printedSizes(servers: string, topic: string): Promise<PrintedSize[]> {
  const lines = await runTool('kafka-log-dirs', servers, ['--describe', '--topic-list', topic])
  const { brokers } = JSON.parse(lines.find((line) => line.startsWith('{')) ?? '') as {
    brokers: Array<{
      broker: number
      logDirs: Array<{ partitions: Array<{ partition: string; size: number }> }>
    }>
  }
  return brokers.flatMap(({ broker, logDirs }) =>
    logDirs.flatMap(({ partitions }) =>
      partitions.map(({ partition, size }) => {
        return { broker, partition: Number(partition.slice(topic.length + 1)), size }
      }),
    ),
  )
}
