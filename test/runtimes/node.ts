/** `node test/runtimes/node.ts` */
import { type ServerType, serve } from '@hono/node-server'
import { WebSocketServer } from 'ws'
import { host } from './host.ts'

type Sockets = NonNullable<Parameters<typeof serve>[0]['websocket']>['server']

await host((app, port) => {
  // Its declarations allow what the adapter's do not, of options that we give here.
  const sockets = new WebSocketServer({ noServer: true }) as unknown as Sockets
  const options = { port, hostname: '127.0.0.1', websocket: { server: sockets } }
  return new Promise((resolve, reject) => {
    const server = serve({ ...options, fetch: app.fetch }, (info) =>
      resolve({ port: info.port, close: () => close(server) }),
    )
    server.on('error', reject)
  })
})

function close(server: ServerType): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    if ('closeAllConnections' in server) server.closeAllConnections()
  })
}
