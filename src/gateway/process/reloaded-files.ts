import type { KnownClient } from '../auth/clients.ts'
import type { GatewayConfig } from '../settings/gateway-settings.ts'
import { loadClients } from './clients-file.ts'
import type { Configuration } from './configuration.ts'
import type { ReloadedFile } from './reload.ts'

/** The part of the process that follows the files which SIGHUP reads again. */
interface Reloading {
  replaceClients(clients: readonly KnownClient[]): Promise<void> | void
  /** @returns What is served now. */
  reloadCertificates(): Promise<string>
}

/** The files that SIGHUP reads again. */
export function reloadedFiles(
  config: GatewayConfig,
  configuration: Configuration,
  server: Reloading,
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
      await server.replaceClients(clients)
      return `${clients.length} clients`
    }
    files.push({ path: clientsPath, read })
  }
  if (config.https) {
    files.push({ path: config.https.cert, read: () => server.reloadCertificates() })
  }
  return files
}
