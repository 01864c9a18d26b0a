/**
 * `node src/node.ts`: the module of `worker.ts` on Node, with its WebSockets, at HOST and PORT; with
 * TLS_CERT and TLS_KEY at HTTPS_PORT, too. It needs the packages `@hono/node-server` and `ws`.
 */
import './core/runtime.ts'
import { createSecureServer, type Http2SecureServer } from 'node:http2'
import { createServer as createHttpsServer, type Server as HttpsServer } from 'node:https'
import { createAdaptorServer, type WebSocketServerLike } from '@hono/node-server'
import { WebSocketServer } from 'ws'
import { logOf } from './core/log.ts'
import { redirectToHttps } from './gateway/https.ts'
import { readKeyPair } from './gateway/process/key-pair.ts'
import { readGatewayConfig } from './gateway/settings/gateway-settings.ts'
import type { HttpsConfig } from './gateway/settings/https-settings.ts'
import worker, { close } from './worker.ts'

type NodeServer = ReturnType<typeof createAdaptorServer>

const log = logOf('server')

const adapterOptions = {
  fetch: worker.fetch,
  // The host of requests that name no host, such as those of HTTP/1.0.
  hostname: 'localhost',
}
const serverOptions = {
  // The adapter leaves other upgrades, such as h2c, unanswered: such a request is served without one.
  shouldUpgradeCallback: ({ headers }: { headers: { upgrade?: string | undefined } }) =>
    headers.upgrade?.toLowerCase() === 'websocket',
}

/** A WebSocket server for one HTTP server. With `exactOptionalPropertyTypes` the adapter takes that of `ws` by a cast. */
function sockets(): { readonly server: WebSocketServerLike } {
  return { server: new WebSocketServer({ noServer: true }) as WebSocketServerLike }
}

function listen(server: NodeServer, scheme: string, host: string, port: number): void {
  server.listen(port, host, () => {
    const address = server.address()
    const listening = typeof address === 'object' ? address?.port : port
    console.log(`Listening on ${scheme}://${host}:${listening}/`)
  })
}

function secureServer(https: HttpsConfig): Http2SecureServer | HttpsServer {
  const secureOptions = { ...serverOptions, ...readKeyPair(https), minVersion: 'TLSv1.2' as const }
  const server = https.http2
    ? createAdaptorServer({
        ...adapterOptions,
        createServer: createSecureServer,
        serverOptions: { ...secureOptions, allowHTTP1: true },
        websocket: sockets(),
      })
    : createAdaptorServer({
        ...adapterOptions,
        createServer: createHttpsServer,
        serverOptions: secureOptions,
        websocket: sockets(),
      })
  return server as Http2SecureServer | HttpsServer
}

/** Shows a renewed certificate to new connections at SIGHUP; one with an error changes nothing. */
function reloadOnHangUp(server: Http2SecureServer | HttpsServer, https: HttpsConfig): void {
  process.on('SIGHUP', () => {
    try {
      const { validTo, ...pair } = readKeyPair(https)
      server.setSecureContext({ ...pair, minVersion: 'TLSv1.2' })
      log.info('SIGHUP: certificates valid until {until} of {path} are served', {
        path: https.cert,
        until: validTo.toISOString(),
      })
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      log.error('SIGHUP: {message}. What was served before still is', { message })
    }
  })
}

const { host, port, https } = readGatewayConfig({}, process.env)
const servers: NodeServer[] = []
if (https) {
  const secure = secureServer(https)
  reloadOnHangUp(secure, https)
  listen(secure, 'https', host, https.port)
  servers.push(secure)
}
const plainFetch = https?.redirect ? redirectToHttps(worker, https.port).fetch : worker.fetch
const plain = createAdaptorServer({
  ...adapterOptions,
  fetch: plainFetch,
  serverOptions,
  websocket: sockets(),
})
listen(plain, 'http', host, port)
servers.push(plain)
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, async () => {
    for (const server of servers) server.close()
    await close()
    process.exit()
  })
}
