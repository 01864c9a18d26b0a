import type { Hono } from 'hono'
import { websocket } from 'hono/bun'
import { within } from './wait.ts'

/** An app on a real port. */
export interface TestServer extends AsyncDisposable {
  readonly url: string
  readonly port: number
  close(): Promise<void>
}

/** Serves an app on a port of its own, or on one that a test wants again. */
export function serve(app: Hono, port = 0): TestServer {
  const server = Bun.serve({
    port,
    hostname: '127.0.0.1',
    idleTimeout: 60,
    fetch: app.fetch,
    websocket,
  })
  const close = () => within(server.stop(true), 'the test server to stop')
  return {
    url: `http://127.0.0.1:${server.port}`,
    port: server.port ?? 0,
    close,
    [Symbol.asyncDispose]: close,
  }
}
