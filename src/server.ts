/** `bun run server`: the gateway as a process. */
import { parseArgs } from 'node:util'
import { getLogger } from '@logtape/logtape'
import packageJson from '../package.json' with { type: 'json' }
import { createGateway, type Gateway } from './app.ts'
import {
  type CommandLine,
  flagOptions,
  type GatewayConfig,
  gatewayHelp,
  readCommandLine,
  readGatewayConfig,
} from './config/gateway.ts'
import { KafkaConsumeError } from './errors.ts'
import { banner } from './ops/banner.ts'
import { LOG_ROOT, logToConsole } from './ops/log.ts'
import { loadKafkaSide } from './plugin/kafka-side.ts'
import type { EmbeddedBroker } from './stream/source.ts'

/**
 * Seconds without a byte after which Bun closes a connection: beyond the longest wait of a GET
 * (60 s) and well beyond a stream's heartbeat (8 s). Bun's own default, 10 s, would end the former.
 */
const IDLE_TIMEOUT = 120
/** Milliseconds within which a process that was told to end does end. */
const SHUTDOWN_DEADLINE = 9_500
/** Milliseconds for which answers under way may go on once all streams have ended. */
const ANSWER_GRACE = 2_000
/**
 * Milliseconds in which a further signal counts as the same one: at Ctrl-C the terminal signals the
 * whole process group, and `bun run`, which is in it, passes the signal on a second time.
 */
const SAME_SIGNAL = 400
const DEMO = { topic: 'kong-test', records: 1_000, recordsPerSecond: 5 }

const log = getLogger([LOG_ROOT, 'server'])

interface Running {
  readonly server: Bun.Server<undefined>
  readonly gateway: Gateway
  readonly broker: EmbeddedBroker | undefined
}

async function main(): Promise<void> {
  const config = readConfig()
  logToConsole(config.logLevel)
  endOnUncaught()

  const kafka = await loadKafkaSide()
  const broker = config.cluster ? undefined : await kafka.startEmbeddedBroker(DEMO)
  const cluster = config.cluster ?? {
    brokers: [...(broker?.bootstrapServers ?? [])],
    topics: [DEMO.topic],
  }
  const gateway = createGateway(cluster)
  const server = listen(config, gateway)
  endOnSignal({ server, gateway, broker })

  const port = server.port ?? config.port
  const { host } = config
  console.log(
    banner({ version: packageJson.version, host, port, ...cluster, isDemo: broker !== undefined }),
  )
  await gateway.start()
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

function listen({ port, host }: GatewayConfig, { app }: Gateway): Bun.Server<undefined> {
  try {
    return Bun.serve({
      port,
      hostname: host,
      idleTimeout: IDLE_TIMEOUT,
      fetch: (request, server) => app.fetch(request, server),
    })
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'EADDRINUSE') {
      throw new Error(
        `Cannot listen on port ${port}: another process does, choose another with --port`,
        { cause: error },
      )
    }
    if (code === 'EACCES') {
      throw new Error(
        `Cannot listen on port ${port}: it takes more rights, choose another with --port`,
        { cause: error },
      )
    }
    if (code === 'EADDRNOTAVAIL') {
      throw new Error(
        `Cannot listen on ${host}: it is no address of this machine, choose another with --host`,
        { cause: error },
      )
    }
    throw error
  }
}

function endOnSignal(running: Running): void {
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
}

async function end({ server, gateway, broker }: Running): Promise<void> {
  setTimeout(() => {
    log.error('Cannot end in time: exiting after {seconds} s', {
      seconds: SHUTDOWN_DEADLINE / 1_000,
    })
    process.exit(1)
  }, SHUTDOWN_DEADLINE)
  try {
    const answered = server.stop()
    await gateway.close()
    await Promise.race([answered, Bun.sleep(ANSWER_GRACE)])
    await broker?.close()
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
