/** A thread that serves an app's module. Another thread owns Kafka and starts this one. */
import '../../core/runtime.ts'
import { type BunWebSocketData, websocket } from 'hono/bun'
import { settledWithin } from '../../core/deadline.ts'
import { closeOpenHandlers } from '../../core/hot-reload.ts'
import { countForAllThreads } from '../../http/route/thread-limits.ts'
import type { AppThreadSettings, ListenRequest } from './app-threads.ts'
import { beginServing, joinPool } from './join-pool.ts'
import { ADDRESS_OPTIONS, listenFirst } from './listen.ts'
import { ANSWER_GRACE_MS } from './shutdown.ts'

/** Milliseconds between two questions for the statistics of groups, which the owner has. */
const STATISTICS_MS = 1_000

/** A module's default export: an app, or an object such as Bun serves. */
interface ServedModule {
  fetch(request: Request, server: unknown): Response | Promise<Response>
  readonly websocket?: Bun.WebSocketHandler<BunWebSocketData>
  readonly idleTimeout?: number
  readonly maxRequestBodySize?: number
  readonly error?: (error: Error) => Response | Promise<Response>
}

const { settings, messenger, kafka, gauges, counts } = joinPool<AppThreadSettings>()
countForAllThreads(counts)
const app = await load(settings.module)
await gauges.ready()
setInterval(() => void kafka.refreshStatistics().catch(() => {}), STATISTICS_MS)

let server: Bun.Server<BunWebSocketData> | undefined
messenger.handle({
  listen: ({ port, isFirst }: ListenRequest) => {
    const address = { port, host: settings.hostname }
    server = isFirst ? listenFirst(address, ADDRESS_OPTIONS, () => serve(port)) : serve(port)
    return server.port
  },
  close: async () => {
    const answered = server?.stop()
    await closeOpenHandlers()
    await settledWithin(Promise.resolve(answered), ANSWER_GRACE_MS)
  },
})
beginServing(messenger, () => void server?.stop(true))

async function load(module: string): Promise<ServedModule> {
  const { default: exported } = (await import(module)) as { default?: ServedModule }
  if (typeof exported?.fetch === 'function') return exported
  throw new Error(
    `Cannot serve ${module}: its default export must be an app, or an object with "fetch"`,
  )
}

function serve(port: number): Bun.Server<BunWebSocketData> {
  const { idleTimeout, maxRequestBodySize, error } = app
  return Bun.serve({
    port,
    hostname: settings.hostname,
    reusePort: true,
    fetch: (request, by) => app.fetch(request, by),
    websocket: app.websocket ?? websocket,
    ...(idleTimeout !== undefined && { idleTimeout }),
    ...(maxRequestBodySize !== undefined && { maxRequestBodySize }),
    ...(error && { error }),
  })
}
