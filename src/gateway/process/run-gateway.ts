import packageJson from '../../../package.json' with { type: 'json' }
import { logToConsole } from '../../core/log.ts'
import { banner } from '../banner.ts'
import { sampleCredentials } from '../sample-credentials.ts'
import type { GatewayConfig } from '../settings/gateway-settings.ts'
import { type Configuration, openConfiguration } from './configuration.ts'
import { guardOptions } from './gateway-options.ts'
import { type GatewayServer, OneThreadServer } from './gateway-server.ts'
import { listenAdmin } from './listen-admin.ts'
import { loadTracing } from './load-tracing.ts'
import { watchOpenFiles } from './open-files.ts'
import { readConfigOrExit } from './read-config.ts'
import { reloadOnHangUp } from './reload.ts'
import { reloadedFiles } from './reloaded-files.ts'
import { clusterOf, type ServedCluster } from './served-cluster.ts'
import { exitOnUncaughtError, exitWithError, shutDownOnSignal } from './shutdown.ts'
import { threadCount } from './thread-count.ts'

/** Runs the gateway until this process is told to end. An error at the start ends the process. */
export async function runGateway(): Promise<void> {
  await serve().catch(exitWithError)
}

async function serve(): Promise<void> {
  const config = await readConfigOrExit()
  logToConsole(config.logLevel, config.logFormat)
  exitOnUncaughtError()
  watchOpenFiles(config.maxSubscribers)

  const configuration = await openConfiguration(config)
  const { cluster, broker } = await clusterOf(config)
  const threads = threadCount(config.workers)
  const tracing = threads === 1 ? await loadTracing(process.env) : undefined
  const { mayShow } = configuration
  const server: GatewayServer =
    threads === 1
      ? new OneThreadServer(config, { cluster, mayShow, tracing })
      : await startThreads(config, configuration, cluster, threads)
  await configuration.serveBy(...server.parts)

  const isDemo = broker !== undefined
  const port = await server.listen()
  const admin = listenAdmin(config, isDemo, configuration, server)
  const servers = admin ? [server, admin] : [server]
  const onSignal = shutDownOnSignal({ servers, gateway: server, broker, tracing })
  reloadOnHangUp(reloadedFiles(config, configuration, server), () => onSignal('SIGHUP'))

  console.log(
    banner({
      version: packageJson.version,
      host: config.host,
      port,
      https: server.https,
      serves: cluster
        ? { brokers: cluster.brokers, topics: cluster.topics, isDemo }
        : { config: config.config ?? '', routes: configuration.store.list('routes').length },
      console: config.console === 'off' ? undefined : config.console,
      admin: admin && {
        host: config.adminHost,
        port: admin.port ?? 0,
        hasToken: config.adminToken !== undefined,
      },
      credentials: sampleCredentials(guardOptions(config)),
    }),
  )
  await server.start()
}

/** Serves by other threads. Their code is loaded for that only: a small gateway starts without it. */
async function startThreads(
  config: GatewayConfig,
  configuration: Configuration,
  cluster: ServedCluster,
  threads: number,
): Promise<GatewayServer> {
  const { GatewayThreads } = await import('./gateway-threads.ts')
  return GatewayThreads.start(config, configuration, cluster, threads)
}
