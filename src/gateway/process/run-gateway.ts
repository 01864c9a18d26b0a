import { getConnInfo } from 'hono/bun'
import packageJson from '../../../package.json' with { type: 'json' }
import { logToConsole } from '../../core/log.ts'
import { loadKafkaSide } from '../../http/route/load-kafka.ts'
import type { EmbeddedBroker } from '../../port/kafka.ts'
import { createGateway, type Gateway, type GatewayOptions } from '../app.ts'
import { addressFinder } from '../auth/address.ts'
import { banner } from '../banner.ts'
import { redirectToHttps, STANDARD_HTTPS_PORT, strictTransportSecurity } from '../https.ts'
import type { GatewayConfig } from '../settings/gateway-settings.ts'
import { loadClients } from './clients-file.ts'
import { type Configuration, openConfiguration } from './configuration.ts'
import { HttpsServer } from './https-server.ts'
import { listen } from './listen.ts'
import { listenAdmin } from './listen-admin.ts'
import { loadTracing } from './load-tracing.ts'
import { readConfigOrExit } from './read-config.ts'
import { type ReloadedFile, reloadOnHangUp } from './reload.ts'
import { exitOnUncaughtError, exitWithError, shutDownOnSignal } from './shutdown.ts'

const DEMO = { topic: 'kong-test', records: 1_000, recordsPerSecond: 5 }

/** Runs the gateway until this process is told to end. An error at the start ends the process. */
export async function runGateway(): Promise<void> {
  await serve().catch(exitWithError)
}

async function serve(): Promise<void> {
  const config = await readConfigOrExit()
  logToConsole(config.logLevel, config.logFormat)
  exitOnUncaughtError()

  const tracing = await loadTracing(process.env)
  const configuration = await openConfiguration(config)
  const { cluster, broker } = await kafkaOf(config)
  const gateway = createGateway({
    ...gatewayOptions(config),
    ...(cluster && { cluster }),
    mayShow: configuration.mayShow,
    middleware: [...(tracing?.middleware ?? []), ...strictTransportSecurity(config.https?.hsts)],
    ...(config.https && { httpsPort: () => https?.port ?? STANDARD_HTTPS_PORT }),
  })
  const https: HttpsServer | undefined =
    config.https && new HttpsServer(config.host, config.https, gateway.app, process.env)
  await configuration.serveBy(gateway, ...(https ? [https] : []))

  const isDemo = broker !== undefined
  https?.listen()
  const plainApp = https?.isRedirectedTo ? redirectToHttps(gateway.app, https.port) : gateway.app
  const server = listen(config, { port: '--port', host: '--host' }, plainApp)
  const admin = listenAdmin(config, isDemo, configuration, gateway)
  const servers = [server, https, admin].filter((each) => each !== undefined)
  const onSignal = shutDownOnSignal({ servers, gateway, broker, tracing })
  reloadOnHangUp(reloadedFiles(config, configuration, gateway, https), () => onSignal('SIGHUP'))

  console.log(
    banner({
      version: packageJson.version,
      host: config.host,
      port: server.port ?? config.port,
      https,
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
    groupProtocol: config.groupProtocol,
    environment: process.env,
    metrics: config.metrics,
    compression: config.compression,
    pageCaching: config.pageCaching,
    pageMaxAge: config.pageMaxAge,
    filters: config.filters,
    addressOf: addressFinder(getConnInfo, config.trustedProxies),
    maxSubscribers: config.maxSubscribers,
    maxAnswerBytes: config.maxAnswerBytes,
    console: config.console,
    docs: config.docs,
    produce: config.produce,
  }
}

/** The files that SIGHUP reads again. */
function reloadedFiles(
  config: GatewayConfig,
  configuration: Configuration,
  gateway: Gateway,
  https: HttpsServer | undefined,
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
  if (https && config.https) {
    files.push({ path: config.https.cert, read: async () => https.reload() })
  }
  return files
}
