/**
 * The state of running clusters, for later commands: one folder for each name, with `state.json` and the
 * brokers' settings and logs, below `$XDG_STATE_HOME/hono-kafka-consume/kafka`, or below
 * `hono-kafka-consume-kafka-<user id>` in the system's temporary folder.
 */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import type { ProcessIdentity } from './process.ts'
import type { SecurePorts } from './secure-listeners.ts'

export interface BrokerNode {
  /** Counted from 1. */
  readonly id: number
  readonly port: number
  readonly controllerPort: number
  /** Absent before the first start, and in a container. */
  process?: ProcessIdentity
}

export interface Cluster {
  readonly name: string
  readonly engine: 'java' | 'docker'
  readonly nodes: readonly BrokerNode[]
  readonly data: string
  /** Whether `data` is removed with the cluster. */
  readonly temporary: boolean
  /** The ports of listeners that authenticate clients; absent if the only listener is open. */
  readonly secure?: SecurePorts
  /** Settings of the brokers in place of the usual ones. */
  readonly properties?: Readonly<Record<string, string | number>>
  /** The process that must stop the cluster. When that process is dead, the next start stops the cluster. */
  readonly owner?: ProcessIdentity
}

export function stateFolder(name: string): string {
  return join(root(), name)
}

export function lockPath(name: string): string {
  return join(root(), `${name}.lock`)
}

export function clusterNames(): string[] {
  return readdirSync(root()).filter((name) => existsSync(statePath(name)))
}

export function readCluster(name: string): Cluster | undefined {
  if (!existsSync(statePath(name))) return undefined
  return JSON.parse(readFileSync(statePath(name), 'utf8'))
}

export function writeCluster(cluster: Cluster): void {
  mkdirSync(stateFolder(cluster.name), { recursive: true })
  // The rename is atomic: other processes see the old state or the new one, never a part.
  const passing = `${statePath(cluster.name)}.${process.pid}`
  writeFileSync(passing, `${JSON.stringify(cluster, null, 2)}\n`)
  renameSync(passing, statePath(cluster.name))
}

/** Removes the state and temporary data. The logs of a cluster without an owner stay until the next start. */
export function removeCluster({ name, data, temporary, owner }: Cluster): void {
  if (temporary) rmSync(data, { recursive: true, force: true })
  rmSync(statePath(name), { force: true })
  if (!owner) return
  rmSync(stateFolder(name), { recursive: true, force: true })
  rmSync(lockPath(name), { force: true })
}

function statePath(name: string): string {
  return join(stateFolder(name), 'state.json')
}

function root(): string {
  const own = process.env['XDG_STATE_HOME']
  const { uid } = userInfo()
  const folder = own
    ? join(own, 'hono-kafka-consume', 'kafka')
    : join(tmpdir(), `hono-kafka-consume-kafka-${uid}`)
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
  } catch (error) {
    const state = error instanceof Error ? error.message : String(error)
    throw new Error(`Cannot keep the state in ${folder}: ${state}; set XDG_STATE_HOME`)
  }
  // The state names processes to end, so it must not belong to another user.
  if (statSync(folder).uid !== uid) {
    throw new Error(`Cannot use ${folder}: it belongs to another user; set XDG_STATE_HOME`)
  }
  return folder
}
