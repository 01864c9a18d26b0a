/** `bun run server`: the gateway as a process. */
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { isatty } from 'node:tty'
import { parseArgs } from 'node:util'
import { getLogger } from '@logtape/logtape'
import type { Hono } from 'hono'
import { type BunWebSocketData, getConnInfo, websocket } from 'hono/bun'
import packageJson from '../package.json' with { type: 'json' }
import { KafkaConsumeError } from './core/errors.ts'
import { LOG_ROOT, logToConsole } from './core/log.ts'
import { createGateway, type Gateway } from './gateway/app.ts'
import { addressFinder } from './gateway/auth/address.ts'
import { type KnownClient, readClients } from './gateway/auth/clients.ts'
import { banner } from './gateway/banner.ts'
import {
  type CommandLine,
  DEFAULT_ADMIN_PORT,
  flagOptions,
  type GatewayConfig,
  gatewayHelp,
  readCommandLine,
  readGatewayConfig,
} from './gateway/settings/gateway-settings.ts'
import type { Tracing } from './gateway/tracing.ts'
import { withAbsoluteUrl } from './http/request/request-url.ts'
import { loadKafkaSide } from './http/route/load-kafka.ts'
import { createAdmin } from './kong/admin/admin.ts'
import { InvalidDeclarative, readDeclarative, writeDeclarative } from './kong/config/declarative.ts'
import { shownVariables } from './kong/config/plugin-options.ts'
import { openState, type StateFile } from './kong/config/state.ts'
import { Store } from './kong/config/store.ts'
import type { KongSnapshot } from './kong/model/entities.ts'
import type { MayShow } from './kong/model/references.ts'
import type { EmbeddedBroker } from './port/kafka.ts'

/**
 * Seconds without a byte after which Bun closes a connection: beyond the longest wait of a GET
 * (60 s) and well beyond a stream's heartbeat (8 s). Bun's own default, 10 s, would end the former.
 */
const IDLE_TIMEOUT = 120
/**
 * Bytes: what a client says is short, and what waits for it is bounded by the streams themselves,
 * so that a record of any size passes.
 */
const SOCKETS = { maxPayloadLength: 1024 * 1024, backpressureLimit: 0, idleTimeout: IDLE_TIMEOUT }
/** Milliseconds within which a process that was told to end does end. */
const SHUTDOWN_DEADLINE = 9_500
/** Milliseconds for which answers under way may go on once all streams have ended. */
const ANSWER_GRACE = 2_000
/**
 * Milliseconds in which a further signal counts as the same one: at Ctrl-C the terminal signals the
 * whole process group, and `bun run`, which is in it, passes the signal on a second time.
 */
const SAME_SIGNAL = 400
/** The file descriptor of standard input. */
const STDIN = 0
const DEMO = { topic: 'kong-test', records: 1_000, recordsPerSecond: 5 }

const log = getLogger([LOG_ROOT, 'server'])

type HttpServer = Bun.Server<BunWebSocketData>

interface Running {
  readonly servers: ReadonlyArray<HttpServer>
  readonly gateway: Gateway
  readonly broker: EmbeddedBroker | undefined
  readonly tracing: Tracing | undefined
}

async function main(): Promise<void> {
  const config = readConfig()
  logToConsole(config.logLevel, config.logFormat)
  endOnUncaught()
  const tracing = await tracingOf(process.env)

  const store = new Store()
  const shown = new Set<string>()
  const mayShow = (variable: string) => shown.has(variable)
  const serveFile = async (path: string) => {
    const declared = await loadFile(config, path)
    for (const variable of shownVariables(declared)) shown.add(variable)
    store.replaceAll(declared)
  }
  if (config.config !== undefined) await serveFile(config.config)
  const state = config.state === undefined ? undefined : openState(stateFile(config.state))
  if (state?.snapshot) store.replaceAll(state.snapshot)

  const kafka = await loadKafkaSide()
  const isDemo = config.config === undefined && config.cluster === undefined
  const broker = isDemo ? await kafka.startEmbeddedBroker(DEMO) : undefined
  const cluster = broker
    ? { brokers: [...broker.bootstrapServers], topics: [DEMO.topic] }
    : config.cluster
  const loadClients = () => [...(config.guard?.clients ?? []), ...readClientsFile(config.clients)]
  const gateway = createGateway({
    ...(cluster && { cluster }),
    guard:
      config.clients === undefined ? config.guard : { ...config.guard, clients: loadClients() },
    kafkaCa: config.kafkaCa,
    groupInstanceId: config.groupInstanceId,
    environment: process.env,
    mayShow,
    metrics: config.metrics,
    compression: config.compression,
    addressOf: addressFinder(getConnInfo, config.trustedProxies),
    maxSubscribers: config.maxSubscribers,
    maxAnswerBytes: config.maxAnswerBytes,
    console: config.console,
    docs: config.docs,
    middleware: tracing?.middleware ?? [],
  })
  gateway.apply(store.snapshot())
  store.onChange((snapshot) => gateway.apply(snapshot))
  // After that: what cannot be served is not kept.
  if (state) store.onChange((snapshot) => state.save(snapshot))

  const server = listen(config, PROXY_FLAGS, gateway.app)
  const admin = listenAdmin(config, isDemo, store, gateway, mayShow)
  const servers = admin ? [server, admin] : [server]
  const { config: configPath, clients: clientsPath } = config
  const files: ReloadedFile[] = []
  if (configPath !== undefined) {
    const read = async () => {
      await serveFile(configPath)
      return `${store.list('routes').length} routes`
    }
    files.push({ path: configPath, read })
  }
  if (clientsPath !== undefined) {
    const read = async () => {
      const clients = loadClients()
      gateway.replaceClients(clients)
      return `${clients.length} clients`
    }
    files.push({ path: clientsPath, read })
  }
  const onSignal = endOnSignal({ servers, gateway, broker, tracing })
  reloadOnHangUp(files, () => onSignal('SIGHUP'))

  console.log(
    banner({
      version: packageJson.version,
      host: config.host,
      port: server.port ?? config.port,
      serves: cluster
        ? { brokers: cluster.brokers, topics: cluster.topics, isDemo }
        : { config: config.config ?? '', routes: store.list('routes').length },
      console: config.console === 'off' ? undefined : config.console,
      admin: admin && { host: config.adminHost, port: admin.port ?? 0 },
    }),
  )
  await gateway.start()
}

/** OpenTelemetry's own variables say whether there is somebody to send traces to. */
async function tracingOf(environment: NodeJS.ProcessEnv): Promise<Tracing | undefined> {
  const to =
    environment['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'] || environment['OTEL_EXPORTER_OTLP_ENDPOINT']
  if (!to || environment['OTEL_SDK_DISABLED'] === 'true') return undefined
  const { startTracing } = await import('./gateway/tracing.ts')
  return startTracing(environment['OTEL_SERVICE_NAME'] || undefined)
}

/** Exits when there is nothing to run: with 0 after help, with 2 after a mistake. */
function readConfig(): GatewayConfig {
  try {
    const { tokens } = parseArgs({ options: flagOptions, strict: false, tokens: true })
    const commandLine: CommandLine = readCommandLine(tokens)
    if (commandLine.show === undefined) return readGatewayConfig(commandLine.flags, process.env)
    console.log(commandLine.show === 'help' ? gatewayHelp() : packageJson.version)
    process.exit(0)
  } catch (error) {
    if (!(error instanceof KafkaConsumeError)) throw error
    console.error(error.message)
    process.exit(2)
  }
}

interface Flags {
  readonly port: string
  readonly host: string
}

const PROXY_FLAGS: Flags = { port: '--port', host: '--host' }
const ADMIN_FLAGS: Flags = { port: '--admin-port', host: '--admin-host' }

interface Address {
  readonly port: number
  readonly host: string
}

/** @param flags Where another address is chosen, for messages. */
function listen({ port, host }: Address, flags: Flags, app: Hono): HttpServer {
  try {
    return Bun.serve({
      port,
      hostname: host,
      idleTimeout: IDLE_TIMEOUT,
      fetch: (request, server) => app.fetch(withAbsoluteUrl(request), server),
      websocket: { ...websocket, ...SOCKETS },
    })
  } catch (error) {
    const states: Record<string, string> = {
      EADDRINUSE: `Cannot listen on port ${port}: another process does, choose another with ${flags.port}`,
      EACCES: `Cannot listen on port ${port}: it takes more rights, choose another with ${flags.port}`,
      EADDRNOTAVAIL: `Cannot listen on ${host}: it is no address of this machine, choose another with ${flags.host}`,
    }
    const message = states[String(codeOf(error))]
    throw message === undefined ? error : new Error(message, { cause: error })
  }
}

/** A demo beside another one takes any port for its Admin API: its banner says which. */
function listenAdmin(
  { adminPort, adminHost }: GatewayConfig,
  isDemo: boolean,
  store: Store,
  gateway: Gateway,
  mayShow: MayShow,
): HttpServer | undefined {
  if (adminPort === 'off') return undefined
  const { version } = packageJson
  const app = createAdmin({
    store,
    version,
    status: () => {
      const reasons = gateway.notReady()
      return { database: { reachable: true }, kafka: { ready: reasons.length === 0, reasons } }
    },
    names: [adminHost],
    load: (document, contentType) =>
      readDeclarative(document, {
        format: contentType.includes('json') ? 'json' : 'yaml',
        // Whoever posts a document must not read our environment back from an entity's name;
        // references to a vault stay references, and are looked up when they are served.
        deckEnvironment: {},
        environment: process.env,
        mayShow,
        ignoreUnknown: false,
      }),
    dump: writeDeclarative,
  })
  const port = adminPort ?? DEFAULT_ADMIN_PORT
  try {
    return listen({ port, host: adminHost }, ADMIN_FLAGS, app)
  } catch (error) {
    const isTaken = error instanceof Error && codeOf(error.cause) === 'EADDRINUSE'
    if (!isDemo || adminPort !== undefined || !isTaken) throw error
    return listen({ port: 0, host: adminHost }, ADMIN_FLAGS, app)
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}

/** @throws Error that names the file. */
async function loadFile({ ignoreUnknown }: GatewayConfig, path: string): Promise<KongSnapshot> {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw new Error(`Cannot read ${path}: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    })
  }
  try {
    const format = path.endsWith('.json') ? 'json' : 'yaml'
    const declared = await readDeclarative(text, {
      format,
      environment: process.env,
      ignoreUnknown,
    })
    for (const warning of declared.warnings) log.warning('{path}: {warning}', { path, warning })
    return declared
  } catch (error) {
    if (!(error instanceof InvalidDeclarative)) throw error
    throw new Error(`Cannot use ${path}: ${error.message}`, { cause: error })
  }
}

/** @throws Error that names the file. */
function readClientsFile(path: string | undefined): readonly KnownClient[] {
  if (path === undefined) return []
  try {
    return readClients(readFileSync(path, 'utf8'), process.env)
  } catch (error) {
    const state = error instanceof Error ? error.message : String(error)
    throw new Error(`Cannot use ${path}: ${state}`, { cause: error })
  }
}

/** A file that SIGHUP has read again. */
interface ReloadedFile {
  readonly path: string
  /** Resolves with a description of what is now served, as "3 routes". */
  read(): Promise<string>
}

/**
 * At each SIGHUP all files are read again, one after the other; a file with an error changes
 * nothing. Without files SIGHUP is ignored: supervisors send it to have settings read again.
 *
 * @param end Called when the terminal that the process reads from has been closed.
 */
function reloadOnHangUp(files: readonly ReloadedFile[], end: () => void): void {
  const hadTerminal = isatty(STDIN)
  let last = Promise.resolve()
  const reload = async ({ path, read }: ReloadedFile) => {
    try {
      log.info('SIGHUP: {served} of {path} are served', { served: await read(), path })
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      log.error('SIGHUP: {message}. What was served before still is', { message })
    }
  }
  process.on('SIGHUP', () => {
    // A closed terminal would leave a process behind that nobody sees and that holds its port.
    // `nohup`, and a supervisor, give the process no terminal to read from.
    if (hadTerminal && !isatty(STDIN)) end()
    else if (files.length === 0) {
      log.info('SIGHUP: ignored, no file is there to read again (--config, --clients)')
    }
    for (const file of files) last = last.then(() => reload(file))
  })
}

/**
 * A file that is replaced whole: a reader sees the old content or the new, also after a crash. Its
 * draft is always a new file, so that nobody who may write to the folder gets what the file holds,
 * or has another one overwritten, by a link in the draft's place.
 */
function stateFile(path: string): StateFile {
  return {
    name: path,
    read: () => (existsSync(path) ? readFileSync(path, 'utf8') : undefined),
    write: (text) => {
      const draft = `${path}.${process.pid}.new`
      // A process of this number may have left one behind.
      rmSync(draft, { force: true })
      const file = openSync(draft, 'wx', 0o600)
      try {
        writeSync(file, text)
        fsyncSync(file)
      } finally {
        closeSync(file)
      }
      renameSync(draft, path)
    },
  }
}

/** @returns The handler of the signals, for others that end the process. */
function endOnSignal(running: Running): (signal: NodeJS.Signals) => void {
  let first: number | undefined
  const onSignal = (signal: NodeJS.Signals) => {
    if (first === undefined) {
      first = performance.now()
      log.info('{signal}: ending', { signal })
      void end(running)
    } else if (performance.now() - first > SAME_SIGNAL) {
      log.warning('{signal} again: exiting at once', { signal })
      process.exit(1)
    }
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
  return onSignal
}

async function end({ servers, gateway, broker, tracing }: Running): Promise<void> {
  setTimeout(() => {
    log.error('Cannot end in time: exiting after {seconds} s', {
      seconds: SHUTDOWN_DEADLINE / 1_000,
    })
    process.exit(1)
  }, SHUTDOWN_DEADLINE)
  try {
    const answered = Promise.all(servers.map((server) => server.stop()))
    await gateway.close()
    await Promise.race([answered, Bun.sleep(ANSWER_GRACE)])
    await broker?.close()
    // Spans are worth a moment; a collector that is away is not worth more.
    const sent = tracing?.close().catch((error: unknown) => {
      log.warning('Cannot send the last spans: {error}', { error })
    })
    await Promise.race([sent, Bun.sleep(ANSWER_GRACE)])
    log.info('Ended')
    process.exit(0)
  } catch (error) {
    fail(error)
  }
}

function endOnUncaught(): void {
  process.on('uncaughtException', fail)
  process.on('unhandledRejection', fail)
}

/** Says what went wrong, with a stack where it is not an error that we expect, and exits. */
function fail(thrown: unknown): never {
  const isWrapped = thrown instanceof KafkaConsumeError && thrown.code === 'INTERNAL'
  const error = (isWrapped && thrown.cause) || thrown
  const message = error instanceof Error ? error.message : String(error)
  log.error('{message}', { message })
  if (!message.startsWith('Cannot ')) console.error(error)
  process.exit(1)
}

await main().catch(fail)
