import { getConnInfo } from 'hono/bun'
import packageJson from '../../../package.json' with { type: 'json' }
import { createAdmin } from '../../kong/admin/admin.ts'
import { readDeclarative } from '../../kong/config/declarative.ts'
import { writeDeclarative } from '../../kong/config/write-declarative.ts'
import { localClientFinder } from '../auth/address.ts'
import type { NotReady } from '../health.ts'
import { DEFAULT_ADMIN_PORT, type GatewayConfig } from '../settings/gateway-settings.ts'
import type { Configuration } from './configuration.ts'
import { type HttpServer, isPortTaken, listen } from './listen.ts'

/** The part of a gateway that the Admin API shows. */
interface ShownState {
  /** Why requests cannot be served; empty when they can. */
  notReady(): readonly NotReady[] | Promise<readonly NotReady[]>
}

const FLAGS = { port: '--admin-port', host: '--admin-host' }

/**
 * Serves Kong's Admin API. Where the default port is taken, a demo uses any free port, so that
 * several demos run side by side: the banner shows the port.
 *
 * @returns undefined with `--admin-port off`.
 */
export function listenAdmin(
  { adminPort, adminHost, adminToken }: GatewayConfig,
  isDemo: boolean,
  configuration: Configuration,
  gateway: ShownState,
): HttpServer | undefined {
  if (adminPort === 'off') return undefined
  const app = adminApp(adminHost, adminToken, configuration, gateway)
  const port = adminPort ?? DEFAULT_ADMIN_PORT
  try {
    return listen({ port, host: adminHost }, FLAGS, app)
  } catch (error) {
    if (!isDemo || adminPort !== undefined || !isPortTaken(error)) throw error
    return listen({ port: 0, host: adminHost }, FLAGS, app)
  }
}

function adminApp(
  adminHost: string,
  token: string | undefined,
  { store, mayShow }: Configuration,
  gateway: ShownState,
) {
  return createAdmin({
    store,
    version: packageJson.version,
    status: async () => {
      const reasons = await gateway.notReady()
      return { database: { reachable: true }, kafka: { ready: reasons.length === 0, reasons } }
    },
    names: [adminHost],
    token,
    isLocal: localClientFinder(getConnInfo),
    load: (document, contentType) =>
      readDeclarative(document, {
        format: contentType.includes('json') ? 'json' : 'yaml',
        // A client that posts a document must not read our environment back from an entity's name.
        // References to a vault stay references, and are looked up when they are served.
        deckEnvironment: {},
        environment: process.env,
        mayShow,
        ignoreUnknown: false,
      }),
    dump: writeDeclarative,
  })
}
