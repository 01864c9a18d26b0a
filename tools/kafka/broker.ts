/** Starts, finds and stops clusters of real Kafka brokers on this machine. */
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { say } from '../../native/progress.ts'
import { bunCommand } from '../../src/core/bun-command.ts'
import { makeCredentials } from './credentials.ts'
import { docker, isDockerUsable } from './docker.ts'
import type { Engine } from './engine.ts'
import { java } from './java.ts'
import { withLock } from './lock.ts'
import { askForBrokers } from './metadata.ts'
import { freePorts, isPortFree } from './ports.ts'
import { identify, isAlive } from './process.ts'
import { credentialsFolder } from './secure.ts'
import { type SecurePorts, secureListeners } from './secure-listeners.ts'
import {
  type BrokerNode,
  type Cluster,
  clusterNames,
  lockPath,
  readCluster,
  removeCluster,
  stateFolder,
  writeCluster,
} from './state.ts'

const READY_TIMEOUT_MS = 120_000
const REQUEST_TIMEOUT_MS = 2000
const LOCK_TIMEOUT_MS = 20 * 60_000 // Longer than the first start, which downloads Kafka.

const engines = { java, docker } satisfies Record<Cluster['engine'], Engine>

export interface BrokerOptions {
  /** Clusters with different names can run at the same time. */
  readonly name: string
  /** One broker, or a cluster of three with replication 3. Default: 1. */
  readonly brokers?: 1 | 3
  /** The first broker's port, which the ports of the others follow; 0 for free ports. Default: 9092. */
  readonly port?: number
  /** The folder of the records. Default: a temporary folder, removed when the cluster is stopped. */
  readonly data?: string
  /** Default: Docker if a container engine runs, else Java. */
  readonly engine?: Cluster['engine']
  /**
   * Whether there are listeners for SASL and TLS besides the open one, and ACLs. This needs one broker
   * and Java. Default: only the open listener.
   */
  readonly secure?: boolean
  /** Settings of the brokers in place of the usual ones of such a cluster. This needs Java. */
  readonly properties?: Readonly<Record<string, string | number>>
  /** Whether the cluster ends with this process, even if that is killed. Default: the cluster goes on. */
  readonly owned?: boolean
}

export interface LocalBroker {
  readonly bootstrapServers: string
  readonly cluster: Cluster
  /** False if a cluster of this name was running before. */
  readonly isNew: boolean
  stop(): Promise<void>
  /** Sends a signal to one broker, counted from 1; resolves after the broker's end if the signal ends it. */
  kill(id: number, signal: NodeJS.Signals): Promise<void>
  /** Starts one broker again with its port and data, and waits until it is ready. */
  restart(id: number): Promise<void>
}

/** Starts a cluster; resolves when every broker answers and knows all others. */
export async function startBroker(options: BrokerOptions): Promise<LocalBroker> {
  await removeLeftovers()
  return withLock(lockPath(options.name), LOCK_TIMEOUT_MS, async () => {
    const running = findCluster(options.name)
    if (running) {
      await expectAllUp(running)
      return control(running, false)
    }
    return control(await startCluster(options), true)
  })
}

/** The cluster of this name if any of its brokers runs. The state of a dead cluster is removed. */
export function findCluster(name: string): Cluster | undefined {
  const cluster = readCluster(name)
  if (!cluster) return undefined
  if (runningNodes(cluster).length > 0) return cluster
  removeCluster(cluster)
  return undefined
}

export function runningNodes(cluster: Cluster): BrokerNode[] {
  return cluster.nodes.filter((node) => engineOf(cluster).isRunning(cluster, node))
}

export function bootstrapServers({ nodes }: Cluster): string {
  return nodes.map(({ port }) => `localhost:${port}`).join(',')
}

export function engineOf({ engine }: Cluster): Engine {
  return engines[engine]
}

export async function stopCluster(cluster: Cluster): Promise<void> {
  await engineOf(cluster).stop(cluster)
  removeCluster(cluster)
}

async function startCluster(options: BrokerOptions): Promise<Cluster> {
  const { name, brokers = 1, data } = options
  if (data !== undefined) expectDataOf(brokers, data)
  const cluster: Cluster = {
    name,
    engine: options.engine ?? (canRunInDocker(options) ? 'docker' : 'java'),
    nodes: await makeNodes(brokers, options.port ?? 9092),
    data: data === undefined ? mkdtempSync(join(tmpdir(), 'kafka-data-')) : resolve(data),
    temporary: data === undefined,
    ...(options.secure && { secure: await securePorts(options.port ?? 9092) }),
    ...(options.properties && { properties: options.properties }),
    ...(options.owned && { owner: identify(process.pid) }),
  }
  try {
    await launch(cluster)
    return cluster
  } catch (error) {
    if (options.engine !== undefined || cluster.engine === 'java') throw error
    say(`${message(error)}\nGoing on without Docker`)
    const byJava: Cluster = { ...cluster, engine: 'java' }
    await launch(byJava)
    return byJava
  }
}

/** The image takes other names of settings, and has no files of credentials. */
function canRunInDocker({ secure, properties }: BrokerOptions): boolean {
  return !secure && !properties && isDockerUsable()
}

async function launch(cluster: Cluster): Promise<void> {
  rmSync(stateFolder(cluster.name), { recursive: true, force: true }) // The last run's logs.
  writeCluster(cluster)
  if (cluster.secure) await makeCredentials(credentialsFolder(cluster))
  try {
    await engineOf(cluster).start(cluster, cluster.nodes)
    await waitUntilReady(cluster, cluster.nodes, cluster.nodes)
  } catch (error) {
    await stopCluster(cluster).catch(() => {}) // The first error says more.
    throw error
  }
}

async function makeNodes(count: number, first: number): Promise<BrokerNode[]> {
  const free = await freePorts(count * 2)
  const ports = first === 0 ? free.slice(count) : free.slice(count).map((_, i) => first + i)
  await expectFree(ports)
  return ports.map((port, i) => ({ id: i + 1, port, controllerPort: free[i] ?? 0 }))
}

async function expectFree(ports: readonly number[]): Promise<void> {
  for (const port of ports) {
    if (await isPortFree(port)) continue
    throw new Error(
      `Cannot start Kafka: port ${port} is in use; choose another by --port, or 0 for a free one`,
    )
  }
}

/** The ports of the secure listeners: those that follow the open port, or free ports. */
async function securePorts(first: number): Promise<SecurePorts> {
  const following = secureListeners.map((_, i) => first + 1 + i)
  const ports = first === 0 ? await freePorts(secureListeners.length) : following
  await expectFree(ports)
  return Object.fromEntries(secureListeners.map((name, i) => [name, ports[i]])) as SecurePorts
}

/**
 * Throws if a data folder cannot be written, or is for another number of brokers: data of one broker is
 * not enough for three.
 */
function expectDataOf(brokers: number, data: string): void {
  try {
    mkdirSync(data, { recursive: true })
    accessSync(data, constants.W_OK)
  } catch (error) {
    const state = existsSync(data)
      ? 'is not a folder that this user may write to'
      : `cannot be made: ${message(error)}`
    throw new Error(
      `Cannot start Kafka: the data folder ${data} ${state}; choose another by --data`,
    )
  }
  const found = readdirSync(data).filter((name) => /^broker-\d+$/.test(name)).length
  if (found === 0 || found === brokers) return
  throw new Error(
    `Cannot start ${brokers} broker(s) on ${data}: it holds the data of ${found}; ` +
      `use --brokers ${found} or another folder`,
  )
}

/** Waits until each of the asked brokers knows that all expected brokers are up. */
async function waitUntilReady(
  cluster: Cluster,
  asked: readonly BrokerNode[],
  expected: readonly BrokerNode[],
): Promise<void> {
  const deadline = performance.now() + READY_TIMEOUT_MS
  await Promise.all(
    asked.map(async (node) => {
      for (let tries = 0; !(await isReady(node, expected)); tries++) {
        // A request to a container engine takes long, so only every tenth try makes one.
        if (tries % 10 === 9 && !engineOf(cluster).isRunning(cluster, node)) {
          throw notReady(cluster, node, 'it ended')
        }
        if (performance.now() > deadline) {
          throw notReady(cluster, node, `it is not ready after ${READY_TIMEOUT_MS / 1000} s`)
        }
        await Bun.sleep(100)
      }
    }),
  )
}

async function isReady({ port }: BrokerNode, expected: readonly BrokerNode[]): Promise<boolean> {
  try {
    const up = await askForBrokers(port, REQUEST_TIMEOUT_MS)
    return expected.every(({ id }) => up.includes(id))
  } catch {
    return false // It does not listen yet.
  }
}

function notReady(cluster: Cluster, node: BrokerNode, state: string): Error {
  const log = engineOf(cluster).lastLog(cluster, node)
  return new Error(`Cannot start Kafka broker ${node.id}: ${state}. The end of its log:\n${log}`)
}

async function expectAllUp(cluster: Cluster): Promise<void> {
  const up = runningNodes(cluster)
  if (up.length === cluster.nodes.length) {
    await waitUntilReady(cluster, up, up)
    return
  }
  throw new Error(
    `Cannot start Kafka: ${up.length} of ${cluster.nodes.length} brokers of "${cluster.name}" ` +
      `are running already; run \`${bunCommand()} run kafka stop\` first`,
  )
}

/** Stops clusters whose owner died without stopping them. */
async function removeLeftovers(): Promise<void> {
  for (const name of clusterNames()) {
    const cluster = readCluster(name)
    if (cluster?.owner && !isAlive(cluster.owner)) await stopCluster(cluster)
  }
}

function control(cluster: Cluster, isNew: boolean): LocalBroker {
  const engine = engineOf(cluster)
  const find = (id: number): BrokerNode => {
    const node = cluster.nodes.find((node) => node.id === id)
    if (node) return node
    throw new Error(`Cannot find broker ${id}: the cluster has 1 to ${cluster.nodes.length}`)
  }
  return {
    bootstrapServers: bootstrapServers(cluster),
    cluster,
    isNew,
    stop: () => stopCluster(cluster),
    kill: (id, signal) => engine.signal(cluster, find(id), signal),
    async restart(id) {
      const node = find(id)
      if (engine.isRunning(cluster, node)) await engine.signal(cluster, node, 'SIGTERM')
      await engine.start(cluster, [node])
      await waitUntilReady(cluster, [node], [node])
    },
  }
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
