/** Runs brokers in containers, with Docker Compose. */
import { chmodSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { say } from '../../native/progress.ts'
import type { Engine } from './engine.ts'
import { kafkaVersion } from './jars.ts'
import { dataFolder } from './properties.ts'
import type { BrokerNode, Cluster } from './state.ts'

const REQUEST_TIMEOUT_MS = 3000
const PULL_TIMEOUT_MS = 600_000
const STOP_TIMEOUT_MS = 60_000

/** Whether a container engine runs and Docker Compose is installed. */
export function isDockerUsable(): boolean {
  if (Bun.which('docker') === null) return false
  return [['info'], ['compose', 'version']].every((args) => {
    const options = { stdout: 'ignore', stderr: 'ignore', timeout: REQUEST_TIMEOUT_MS } as const
    return Bun.spawnSync(['docker', ...args], options).exitCode === 0
  })
}

export const docker: Engine = {
  async start(cluster, nodes) {
    say(`Starting apache/kafka:${kafkaVersion} by Docker Compose …`)
    if (!cluster.temporary) {
      for (const node of nodes) {
        mkdirSync(dataFolder(cluster, node), { recursive: true })
        chmodSync(dataFolder(cluster, node), 0o777) // The image runs Kafka as another user.
      }
    }
    await run(
      cluster,
      ['up', '--detach', '--no-deps', ...nodes.map(service(cluster))],
      PULL_TIMEOUT_MS,
    )
  },

  isRunning(cluster, node) {
    const args = ['ps', '--status', 'running', '--quiet', service(cluster)(node)]
    const { stdout, exitCode } = Bun.spawnSync(composeCommand(cluster, args), {
      env: environment(cluster),
      stderr: 'ignore',
      timeout: REQUEST_TIMEOUT_MS,
    })
    return exitCode === 0 && stdout.toString().trim() !== ''
  },

  async signal(cluster, node, signal) {
    await run(cluster, ['kill', '--signal', signal, service(cluster)(node)], STOP_TIMEOUT_MS)
  },

  async stop(cluster) {
    const quick = cluster.temporary ? ['--volumes', '--timeout', '0'] : []
    await run(cluster, ['down', ...quick], STOP_TIMEOUT_MS)
  },

  lastLog(cluster, node) {
    const args = ['logs', '--no-log-prefix', '--tail', '20', service(cluster)(node)]
    const options = { env: environment(cluster), timeout: REQUEST_TIMEOUT_MS }
    return Bun.spawnSync(composeCommand(cluster, args), options).stdout.toString().trimEnd()
  },

  logCommand: (cluster, follow) =>
    composeCommand(cluster, ['logs', ...(follow ? ['--follow'] : [])]),
}

/** The command line that runs one of Kafka's tools in the first broker's container. */
export function containerToolCommand(cluster: Cluster, tool: string, args: string[]): string[] {
  const first = cluster.nodes[0]
  if (!first) throw new Error('Cannot run a tool: the cluster has no broker')
  const script = `/opt/kafka/bin/${tool}.sh`
  return composeCommand(cluster, ['exec', '--no-TTY', service(cluster)(first), script, ...args])
}

/** The environment that Docker Compose needs for `compose.yaml`, whatever the command. */
export function environment({ nodes, temporary, ...cluster }: Cluster) {
  const own: Record<string, string> = { KAFKA_VERSION: kafkaVersion }
  for (const node of nodes) {
    own[`KAFKA_PORT_${node.id}`] = String(node.port)
    const folder = dataFolder({ nodes, temporary, ...cluster }, node)
    if (!temporary) own[`KAFKA_DATA_${node.id}`] = folder
  }
  return { ...process.env, ...own }
}

function composeCommand({ name, nodes }: Cluster, args: string[]): string[] {
  const file = join(import.meta.dirname, 'compose.yaml')
  const project = ['--project-name', `hono-kafka-consume-${name}`, '--file', file]
  return ['docker', 'compose', ...project, '--profile', nodes.length > 1 ? 'three' : 'one', ...args]
}

function service({ nodes }: Cluster): (node: BrokerNode) => string {
  return ({ id }) => (nodes.length > 1 ? `kafka-${id}` : 'only')
}

async function run(cluster: Cluster, args: string[], limit: number): Promise<void> {
  const child = Bun.spawn(composeCommand(cluster, args), {
    env: environment(cluster),
    stdin: 'ignore',
    stdout: process.stderr.fd,
    stderr: 'inherit',
    timeout: limit,
  })
  if ((await child.exited) !== 0) {
    throw new Error(`Cannot run docker compose ${args[0]}: it failed, see its output above`)
  }
}
