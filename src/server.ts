/** `bun run server`: the gateway as a process. */
import { getConnInfo } from 'hono/bun'
import packageJson from '../package.json' with { type: 'json' }
import { logToConsole } from './core/log.ts'
import { createGateway, type Gateway, type GatewayOptions } from './gateway/app.ts'
import { addressFinder } from './gateway/auth/address.ts'
import { banner } from './gateway/banner.ts'
import { loadClients } from './gateway/process/clients-file.ts'
import { type Configuration, openConfiguration } from './gateway/process/configuration.ts'
import { listen } from './gateway/process/listen.ts'
import { listenAdmin } from './gateway/process/listen-admin.ts'
import { loadTracing } from './gateway/process/load-tracing.ts'
import { readConfigOrExit } from './gateway/process/read-config.ts'
import { type ReloadedFile, reloadOnHangUp } from './gateway/process/reload.ts'
import { exitOnUncaughtError, exitWithError, shutDownOnSignal } from './gateway/process/shutdown.ts'
import type { GatewayConfig } from './gateway/settings/gateway-settings.ts'
import { loadKafkaSide } from './http/route/load-kafka.ts'
import type { EmbeddedBroker } from './port/kafka.ts'

const DEMO = { topic: 'kong-test', records: 1_000, recordsPerSecond: 5 }

async function main(): Promise<void> {
  const config = readConfigOrExit()
  logToConsole(config.logLevel, config.logFormat)
  exitOnUncaughtError()

  const tracing = await loadTracing(process.env)
  const configuration = await openConfiguration(config)
  const { cluster, broker } = await kafkaOf(config)
  const gateway = createGateway({
    ...gatewayOptions(config),
    ...(cluster && { cluster }),
    mayShow: configuration.mayShow,
    middleware: tracing?.middleware ?? [],
  })
  configuration.serveBy(gateway)

  const isDemo = broker !== undefined
  const server = listen(config, { port: '--port', host: '--host' }, gateway.app)
  const admin = listenAdmin(config, isDemo, configuration, gateway)
  const servers = admin ? [server, admin] : [server]
  const onSignal = shutDownOnSignal({ servers, gateway, broker, tracing })
  reloadOnHangUp(reloadedFiles(config, configuration, gateway), () => onSignal('SIGHUP'))

  console.log(
    banner({
      version: packageJson.version,
      host: config.host,
      port: server.port ?? config.port,
      serves: cluster
        ? { brokers: cluster.brokers, topics: cluster.topics, isDemo }
        : { config: config.config ?? '', routes: configuration.store.list('routes').length },
      console: config.console === 'off' ? undefined : config.console,
      admin: admin && { host: config.adminHost, port: admin.port ?? 0 },
    }),
  )
  await gateway.start()
}

/** The cluster of `--brokers`, or an embedded broker for a demo. With `--config` alone there is neither. */
async function kafkaOf(config: GatewayConfig): Promise<{
  readonly cluster?: GatewayOptions['cluster']
  readonly broker?: EmbeddedBroker
}> {
  const kafka = await loadKafkaSide()
  if (config.cluster) return { cluster: config.cluster }
  if (config.config !== undefined) return {}
  const broker = await kafka.startEmbeddedBroker(DEMO)
  return { cluster: { brokers: [...broker.bootstrapServers], topics: [DEMO.topic] }, broker }
}

function gatewayOptions(config: GatewayConfig): GatewayOptions {
  return {
    guard:
      config.clients === undefined
        ? config.guard
        : { ...config.guard, clients: loadClients(config) },
    kafkaCa: config.kafkaCa,
    groupInstanceId: config.groupInstanceId,
    environment: process.env,
    metrics: config.metrics,
    compression: config.compression,
    addressOf: addressFinder(getConnInfo, config.trustedProxies),
    maxSubscribers: config.maxSubscribers,
    maxAnswerBytes: config.maxAnswerBytes,
    console: config.console,
    docs: config.docs,
  }
}

/** The files that SIGHUP reads again. */
function reloadedFiles(
  config: GatewayConfig,
  configuration: Configuration,
  gateway: Gateway,
): ReloadedFile[] {
  const files: ReloadedFile[] = []
  const { config: configPath, clients: clientsPath } = config
  if (configPath !== undefined) {
    const read = async () => {
      await configuration.reload(configPath)
      return `${configuration.store.list('routes').length} routes`
    }
    files.push({ path: configPath, read })
  }
  if (clientsPath !== undefined) {
    const read = async () => {
      const clients = loadClients(config)
      gateway.replaceClients(clients)
      return `${clients.length} clients`
    }
    files.push({ path: clientsPath, read })
  }
  return files
}

await main().catch(exitWithError)
