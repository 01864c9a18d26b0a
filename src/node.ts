/**
 * `node src/node.ts`: the module of `worker.ts` on Node, with its WebSockets, at HOST and PORT. It
 * needs the packages `@hono/node-server` and `ws`.
 */
import './core/runtime.ts'
import { createAdaptorServer } from '@hono/node-server'
import { WebSocketServer } from 'ws'
import { readGatewayConfig } from './gateway/settings/gateway-settings.ts'
import worker, { close } from './worker.ts'

type AdapterOptions = Parameters<typeof createAdaptorServer>[0]
type Sockets = NonNullable<AdapterOptions['websocket']>['server']

const { host, port } = readGatewayConfig({}, process.env)
const server = createAdaptorServer({
  fetch: worker.fetch,
  // The host of requests that name no host, such as those of HTTP/1.0.
  hostname: 'localhost',
  serverOptions: {
    // The adapter leaves other upgrades, such as h2c, unanswered: such a request is served without one.
    shouldUpgradeCallback: ({ headers }) => headers.upgrade?.toLowerCase() === 'websocket',
  },
  // The adapter's declaration of a WebSocket server is narrower than that of `ws`.
  websocket: { server: new WebSocketServer({ noServer: true }) as unknown as Sockets },
})
server.listen(port, host, () => {
  const address = server.address()
  const listening = typeof address === 'object' ? address?.port : port
  console.log(`Listening on http://${host}:${listening}/`)
})
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, async () => {
    server.close()
    await close()
    process.exit()
  })
}
