/** Runs brokers as Java processes, which go on when the process that started them ends. */
import { spawn } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runCommand } from './command.ts'
import type { Engine } from './engine.ts'
import { provideJars } from './jars.ts'
import { identify, isAlive, signalProcess, waitForEnd } from './process.ts'
import { dataFolder, serverProperties } from './properties.ts'
import { formatArguments, jvmOptions } from './secure.ts'
import { type BrokerNode, type Cluster, stateFolder, writeCluster } from './state.ts'
import { provideJava } from './system.ts'

/**
 * Milliseconds after which `stop` kills a broker: one that shuts down may wait for a controller that has
 * ended before it.
 */
const GRACE_MS = 15_000
/** Milliseconds for a broker to shut down by itself, with many partitions on a busy machine. */
const END_TIMEOUT_MS = 60_000
const KILL_TIMEOUT_MS = 10_000
const FORMAT_TIMEOUT_MS = 60_000

/** A small heap and a fast start, since a broker for development does not run for long. */
const JVM_OPTIONS = ['-Xmx512m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1']

export const java: Engine = {
  async start(cluster, nodes) {
    const log = join(stateFolder(cluster.name), 'setup.log')
    const runtime = { java: await provideJava(log), jars: await provideJars(log) }
    await Promise.all(nodes.map((node) => format(cluster, node, runtime, log)))
    for (const node of nodes) {
      node.process = identify(launch(cluster, node, runtime))
      writeCluster(cluster)
    }
  },

  isRunning: (_, node) => node.process !== undefined && isAlive(node.process),

  async signal(_, node, signal) {
    if (!node.process) return
    signalProcess(node.process, signal)
    if (signal === 'SIGSTOP' || signal === 'SIGCONT') return
    const limit = signal === 'SIGKILL' ? KILL_TIMEOUT_MS : END_TIMEOUT_MS
    if (!(await waitForEnd(node.process, limit))) {
      throw new Error(`Cannot end broker ${node.id} by ${signal}: it runs after ${limit / 1000} s`)
    }
  },

  async stop({ nodes, temporary }) {
    await Promise.all(nodes.map((node) => end(node, temporary)))
  },

  lastLog: (cluster, node) =>
    readFileSync(logPath(cluster, node), 'utf8').trimEnd().split('\n').slice(-20).join('\n'),

  logCommand: (cluster, follow) => [
    'tail',
    '-n',
    '+1',
    ...(follow ? ['-F'] : []),
    ...cluster.nodes.map((node) => logPath(cluster, node)),
  ],
}

interface Runtime {
  java: string
  jars: string
}

/** The command line that runs a class of Kafka's jars as a tool. */
export async function toolCommand(mainClass: string, args: string[], log: string) {
  const settings = join(import.meta.dirname, 'tools.log4j2.properties')
  return [
    await provideJava(log),
    ...JVM_OPTIONS,
    `-Dlog4j2.configurationFile=${settings}`,
    '-cp',
    await provideJars(log),
    mainClass,
    ...args,
  ]
}

/** Gives the data folder the ids of cluster and node, unless it has them. */
async function format(cluster: Cluster, node: BrokerNode, { java, jars }: Runtime, log: string) {
  const properties = propertiesPath(cluster, node)
  writeFileSync(properties, serverProperties(cluster, node))
  const folder = dataFolder(cluster, node)
  if (existsSync(join(folder, 'meta.properties'))) return
  mkdirSync(folder, { recursive: true })
  const settings = `-Dlog4j2.configurationFile=${join(import.meta.dirname, 'log4j2.properties')}`
  const tool = [java, ...JVM_OPTIONS, settings, '-cp', jars, 'kafka.tools.StorageTool']
  // "=" joins option and id, since one in 64 ids begins with a dash.
  const args = ['format', `--cluster-id=${clusterId(cluster)}`, '--config', properties]
  args.push(...formatArguments(cluster))
  await runCommand({ argv: [...tool, ...args], log, limit: FORMAT_TIMEOUT_MS })
}

/** The cluster id: all nodes compute one id from the cluster's name and data folder. */
function clusterId({ name, data }: Cluster): string {
  const hash = new Bun.CryptoHasher('sha256').update(`${name} ${data}`).digest()
  return hash.subarray(0, 16).toString('base64url')
}

function launch(cluster: Cluster, node: BrokerNode, { java, jars }: Runtime): number {
  const settings = `-Dlog4j2.configurationFile=${join(import.meta.dirname, 'log4j2.properties')}`
  const options = [...JVM_OPTIONS, ...jvmOptions(cluster), settings]
  const args = [...options, '-cp', jars, 'kafka.Kafka', propertiesPath(cluster, node)]
  const log = openSync(logPath(cluster, node), 'a')
  try {
    // `detached` gives the broker its own process group, which Ctrl-C in a terminal does not reach.
    const child = spawn(java, args, {
      cwd: stateFolder(cluster.name),
      detached: true,
      stdio: ['ignore', log, log],
    })
    child.unref()
    if (child.pid === undefined) throw new Error(`Cannot start Kafka: ${java} does not run`)
    return child.pid
  } finally {
    closeSync(log)
  }
}

async function end(node: BrokerNode, temporary: boolean): Promise<void> {
  if (!node.process) return
  if (!temporary) {
    signalProcess(node.process, 'SIGCONT')
    signalProcess(node.process, 'SIGTERM')
    if (await waitForEnd(node.process, GRACE_MS)) return
  }
  // A broker with temporary data is killed at once: its data is removed anyway.
  signalProcess(node.process, 'SIGKILL')
  await waitForEnd(node.process, KILL_TIMEOUT_MS)
}

function logPath({ name }: Cluster, { id }: BrokerNode): string {
  return join(stateFolder(name), `broker-${id}.log`)
}

function propertiesPath({ name }: Cluster, { id }: BrokerNode): string {
  return join(stateFolder(name), `broker-${id}.properties`)
}
