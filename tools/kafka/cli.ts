/** `bun run kafka <command>`: a real Apache Kafka for development. */
import { existsSync, mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { bunCommand } from '../../src/core/bun-command.ts'
import { readBrokers, readName, readOptions, readPort, UsageError } from './arguments.ts'
import {
  bootstrapServers,
  engineOf,
  findCluster,
  runningNodes,
  startBroker,
  stopCluster,
} from './broker.ts'
import { containerToolCommand, environment, isDockerUsable } from './docker.ts'
import { kafkaVersion } from './jars.ts'
import { toolCommand } from './java.ts'
import { withLock } from './lock.ts'
import { describeSecure } from './secure.ts'
import { type Cluster, lockPath, stateFolder } from './state.ts'
import { needsBootstrapServer, tools, withBootstrapServer } from './tools.ts'

const HELP = `A real Apache Kafka ${kafkaVersion} on this machine, for development and tests.

Usage: ${bunCommand()} run kafka <command>

  start [options]     starts Kafka, and returns when it is ready
    --brokers 3       three brokers, with replication factor 3 (default: 1)
    --port PORT       the first broker's port, which those of the others follow;
                      0 for free ports (default: 9092)
    --data DIR        keeps the records in this folder
                      (default: a temporary folder, which stop removes)
    --secure          adds listeners for SASL and TLS on the ports that follow, with
                      certificates of its own, and ACLs; needs one broker and Java
    --docker, --java  runs brokers in containers, or as Java processes
                      (default: in containers if a container engine runs)
  stop                stops Kafka
  status              shows whether Kafka runs; the exit code is 1 if it does not
  logs [--follow]     prints the brokers' logs
  tool [NAME [ARGS]]  runs one of Kafka's own tools; without a name, lists them,
                      e.g. tool kafka-topics --create --topic orders

Every command takes --name NAME, before it or after it (before a tool's name), so that several
clusters can run at the same time; the default is "default".
`

/** The help. The folder of the state is looked for only here, since it may not be usable. */
function help(): string {
  return `${HELP}Their state is kept in ${stateFolder('<name>')}\n`
}

const commands: Record<string, (args: string[]) => Promise<number>> = {
  start,
  stop,
  status,
  logs,
  tool,
}

async function main(argv: string[]): Promise<number> {
  const [command = '--help', ...args] = withNameBehind(argv)
  if (
    ['--help', '-h', 'help'].includes(command) ||
    (command !== 'tool' && args.includes('--help'))
  ) {
    process.stdout.write(help())
    return 0
  }
  const run = Object.hasOwn(commands, command) ? commands[command] : undefined
  if (run) return run(args)
  const known = Object.keys(commands).join(', ')
  const state = command.startsWith('--name') ? 'a command is missing' : 'unknown command'
  throw new UsageError(`Cannot run kafka ${command}: ${state}; it knows ${known}, --help`)
}

/** The arguments with a name that was given before the command behind it. */
function withNameBehind(argv: readonly string[]): readonly string[] {
  const [first = ''] = argv
  const count = first === '--name' ? 2 : first.startsWith('--name=') ? 1 : 0
  const command = argv[count]
  if (count === 0 || command === undefined) return argv
  return [command, ...argv.slice(0, count), ...argv.slice(count + 1)]
}

async function start(args: string[]): Promise<number> {
  const options = readOptions(
    'start',
    {
      brokers: 'string',
      port: 'string',
      data: 'string',
      name: 'string',
      secure: 'boolean',
      docker: 'boolean',
      java: 'boolean',
    },
    args,
  )
  if (options.docker && options.java) {
    throw new UsageError('Cannot run kafka start: choose one of --docker and --java')
  }
  if (options.secure && (options.docker || options.brokers === '3')) {
    throw new UsageError(
      'Cannot run kafka start: --secure is for one broker, and not for containers',
    )
  }
  const brokers = readBrokers(options.brokers)
  const port = readPort(options.port)
  const name = readName(options.name)
  if (options.docker && !isDockerUsable()) {
    throw new Error(
      'Cannot start Kafka by Docker: no engine answers, or it lacks Compose; use --java instead',
    )
  }
  const started = performance.now()
  if (!findCluster(name)) stopWhenInterrupted(name)
  const { cluster, isNew } = await startBroker({
    name,
    brokers,
    port,
    ...(options.data !== undefined && { data: options.data }),
    ...(options.secure && { secure: true }),
    ...(options.docker && { engine: 'docker' }),
    ...(options.java && { engine: 'java' }),
  })
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  const state = isNew ? `is ready after ${seconds} s` : 'is running already'
  console.log(`Apache Kafka ${kafkaVersion} ${state}: ${bootstrapServers(cluster)}`)
  console.log(`Data: ${dataOf(cluster)}`)
  if (cluster.secure) console.log(describeSecure(cluster))
  printNextSteps(cluster, isNew ? {} : options)
  return 0
}

/** @param asked Options that have no effect where they differ, because the cluster was running before. */
function printNextSteps(cluster: Cluster, asked: StartOptions): void {
  const { name } = cluster
  const unused = differing(asked, cluster)
  if (unused.length > 0) {
    console.log(`Without effect: ${unused.join(', ')}; run ${commandFor(name, 'stop')} first`)
  }
  console.log(`Create a topic: ${commandFor(name, 'tool kafka-topics --create --topic orders')}`)
  console.log(
    `Serve it: ${bunCommand()} run server --brokers ${bootstrapServers(cluster)} --topics orders`,
  )
}

interface StartOptions {
  readonly brokers?: string
  readonly port?: string
  readonly data?: string
  readonly secure?: true
  readonly docker?: true
  readonly java?: true
}

/** The flags by which a running cluster differs from what was asked for. */
function differing(asked: StartOptions, { nodes, data, secure, engine }: Cluster): string[] {
  const differs: Record<string, boolean> = {
    '--brokers': Number(asked.brokers ?? nodes.length) !== nodes.length,
    '--port': Number(asked.port ?? 0) !== 0 && Number(asked.port) !== nodes[0]?.port,
    '--data': asked.data !== undefined && resolve(asked.data) !== data,
    '--secure': asked.secure === true && secure === undefined,
    '--docker': asked.docker === true && engine !== 'docker',
    '--java': asked.java === true && engine !== 'java',
  }
  return Object.keys(differs).filter((flag) => differs[flag])
}

/** The command line of a command for a cluster. */
function commandFor(name: string, command: string): string {
  return `${bunCommand()} run kafka ${name === 'default' ? '' : `--name ${name} `}${command}`
}

async function stop(args: string[]): Promise<number> {
  const name = readName(readOptions('stop', { name: 'string' }, args).name)
  return withLock(lockPath(name), 120_000, async () => {
    const cluster = findCluster(name)
    if (cluster) await stopCluster(cluster)
    console.log(cluster ? `Kafka "${name}" is stopped` : `Kafka "${name}" is not running`)
    return 0
  })
}

async function status(args: string[]): Promise<number> {
  const name = readName(readOptions('status', { name: 'string' }, args).name)
  const cluster = findCluster(name)
  if (!cluster) {
    console.log(`Kafka "${name}" is not running`)
    return 1
  }
  const running = runningNodes(cluster)
  const all = running.length === cluster.nodes.length
  const count = all ? '' : `, ${running.length} of ${cluster.nodes.length} brokers`
  console.log(`Kafka "${name}" is running${count}: ${bootstrapServers(cluster)}`)
  for (const node of cluster.nodes) {
    const { id, port, process } = node
    const where = process ? `process ${process.pid}` : 'in a container'
    console.log(`  broker ${id}, port ${port}: ${running.includes(node) ? where : 'not running'}`)
  }
  console.log(`  data: ${dataOf(cluster)}`)
  console.log(`  settings and logs: ${stateFolder(name)}`)
  return all ? 0 : 1
}

async function logs(args: string[]): Promise<number> {
  const options = readOptions('logs', { follow: 'boolean', name: 'string' }, args)
  const name = readName(options.name)
  const cluster = findCluster(name)
  if (cluster) {
    return run(engineOf(cluster).logCommand(cluster, options.follow === true), environment(cluster))
  }
  const last = join(stateFolder(name), 'broker-1.log')
  if (!existsSync(last)) {
    throw new Error(`Cannot show logs: Kafka "${name}" is not running; start it first`)
  }
  return run(['tail', '-n', '+1', last])
}

async function tool(args: string[]): Promise<number> {
  const first = args.findIndex((arg, i) => !arg.startsWith('-') && args[i - 1] !== '--name')
  const own = first === -1 ? args : args.slice(0, first)
  const [toolName, ...toolArgs] = first === -1 ? [] : args.slice(first)
  if (toolName === undefined && (own.length === 0 || own.includes('--help'))) {
    console.log(Object.keys(tools).join('\n'))
    return 0
  }
  const name = readName(readOptions('tool', { name: 'string' }, own).name)
  const found = toolName !== undefined && Object.hasOwn(tools, toolName) && tools[toolName]
  if (!found) {
    const known = Object.keys(tools).join(', ')
    throw new UsageError(`Cannot run kafka tool ${toolName ?? ''}: unknown tool; it knows ${known}`)
  }
  const cluster = findCluster(name)
  // The host's ports do not exist inside a container: tools use the network between the brokers.
  const servers =
    cluster?.engine === 'docker' ? 'kafka-1:29092' : cluster && bootstrapServers(cluster)
  if (!servers && needsBootstrapServer(found, toolArgs)) {
    throw new Error(
      `Cannot run kafka tool ${toolName}: Kafka "${name}" is not running; ` +
        `run ${commandFor(name, 'start')} first, or name another by --bootstrap-server`,
    )
  }
  const complete = servers ? withBootstrapServer(found, toolArgs, servers) : toolArgs
  if (cluster?.engine === 'docker') {
    return run(containerToolCommand(cluster, toolName, complete), environment(cluster))
  }
  mkdirSync(stateFolder(name), { recursive: true })
  const setupLog = join(stateFolder(name), 'setup.log')
  return run(await toolCommand(found.mainClass, complete, setupLog))
}

/** Gives the terminal to another program; resolves with its exit code. */
async function run(argv: string[], env: Record<string, string | undefined> = process.env) {
  const child = Bun.spawn(argv, { env, stdin: 'inherit', stdout: 'inherit', stderr: 'inherit' })
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal))
  return child.exited
}

/** Stops the brokers that were started before Ctrl-C interrupts the start. */
function stopWhenInterrupted(name: string): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, async () => {
      const cluster = findCluster(name)
      if (cluster) await stopCluster(cluster)
      process.exit(signal === 'SIGINT' ? 130 : 143)
    })
  }
}

function dataOf({ name, data, temporary }: Cluster): string {
  return temporary ? `temporary, removed by \`${commandFor(name, 'stop')}\`` : data
}

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = error instanceof UsageError ? 2 : 1
}
