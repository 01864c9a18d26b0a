import * as v from 'valibot'
import { logOf } from '../../core/log.ts'
import { resolveBy } from '../../options/resolve.ts'
import type { Messenger } from '../../threads/messenger.ts'
import { ADDRESS_OPTIONS, assertPortFree } from './listen.ts'
import { threadCount } from './thread-count.ts'
import { START_LIMIT_MS, ThreadPool } from './thread-pool.ts'

const MAX_WORKERS = 64
const MAX_PORT = 65_535
const MIN_START_LIMIT_MS = 1_000
const MAX_START_LIMIT_MS = 3_600_000
const WORKERS = `a whole number from 1 to ${MAX_WORKERS}, or "auto", is required`
const PORT = `a whole number from 0 to ${MAX_PORT} is required`
const START_LIMIT = `a whole number from ${MIN_START_LIMIT_MS} to ${MAX_START_LIMIT_MS} is required`

const log = logOf('threads')

/** The options of `serveThreads`. */
export interface ServeThreadsOptions {
  /**
   * The module that each thread imports, as `new URL('./app.ts', import.meta.url)`. Its default export is a
   * Hono app, or an object such as Bun serves: `fetch`, and if need be `websocket`, `idleTimeout` (seconds),
   * `maxRequestBodySize` (bytes) and `error`.
   */
  readonly module: URL
  /**
   * The threads that serve, from 1 to 64. One more thread, which calls `serveThreads`, owns Kafka. Default:
   * `auto`, which is 1 on fewer than 3 cores and on systems other than Linux, else the number of cores
   * minus 1.
   */
  readonly workers?: number | 'auto' | undefined
  /** The port of all threads. Default: 0, a free one. */
  readonly port?: number | undefined
  /** The address to listen on. Default: `0.0.0.0`, all of this machine's. */
  readonly hostname?: string | undefined
  /**
   * Milliseconds within which each thread must have imported the module, from 1,000 to 3,600,000. A thread
   * that is late is ended: `serveThreads` rejects then, or another thread takes its place. Default: 60,000.
   */
  readonly startTimeout?: number | undefined
}

/** Threads that serve an app. */
export interface ThreadedServer {
  /** The port that they listen on. */
  readonly port: number
  /**
   * Ends the threads: streams after a whole event, and answers under way within 2 s. Commits the delivered
   * records and leaves groups then.
   */
  close(): Promise<void>
}

/** The settings of a thread that serves a module. */
export interface AppThreadSettings {
  /** The module's URL. */
  readonly module: string
  readonly hostname: string
}

/** A thread's port. */
export interface ListenRequest {
  readonly port: number
  /** Whether no other thread listens yet. */
  readonly isFirst: boolean
}

const schema = v.strictObject({
  module: v.instance(URL, "a URL is required, as new URL('./app.ts', import.meta.url)"),
  workers: v.optional(
    v.union(
      [
        v.literal('auto'),
        v.pipe(
          v.number(WORKERS),
          v.integer(WORKERS),
          v.minValue(1, WORKERS),
          v.maxValue(MAX_WORKERS, WORKERS),
        ),
      ],
      WORKERS,
    ),
    'auto',
  ),
  port: v.optional(
    v.pipe(v.number(PORT), v.integer(PORT), v.minValue(0, PORT), v.maxValue(MAX_PORT, PORT)),
    0,
  ),
  hostname: v.optional(v.pipe(v.string(), v.nonEmpty('it must not be empty')), '0.0.0.0'),
  startTimeout: v.optional(
    v.pipe(
      v.number(START_LIMIT),
      v.integer(START_LIMIT),
      v.minValue(MIN_START_LIMIT_MS, START_LIMIT),
      v.maxValue(MAX_START_LIMIT_MS, START_LIMIT),
    ),
    START_LIMIT_MS,
  ),
})

/** See `serveThreads` of `src/threads.ts`, which checks that the runtime is Bun. */
export async function serveByThreads(options: ServeThreadsOptions): Promise<ThreadedServer> {
  const resolved = resolveBy(schema, options, 'serveThreads')
  const { module, workers, port: asked, hostname, startTimeout } = resolved
  assertPortFree({ port: asked, host: hostname }, ADDRESS_OPTIONS)
  let port = asked
  const pool = new ThreadPool<AppThreadSettings>(
    {
      path: 'src/gateway/process/app-thread',
      name: module.href,
      startLimit: startTimeout,
      settings: () => ({ module: module.href, hostname }),
      handlers: () => ({}),
      bringUp: async ({ messenger }) => {
        await listen(messenger, { port, isFirst: false })
      },
      onFatalError: (error) => {
        log.error('{error}', { error })
        // The app decides, as for any error that nobody catches.
        queueMicrotask(() => {
          throw error
        })
      },
    },
    threadCount(workers),
  )
  await pool.start()
  try {
    // The first thread listens before the others: from then on its port is that of all.
    for (const [index, { messenger }] of pool.threads.entries()) {
      port = await listen(messenger, { port, isFirst: index === 0 })
    }
  } catch (error) {
    await pool.end()
    throw error
  }
  pool.replaceEnded()
  return {
    port,
    async close() {
      await pool.close()
      await pool.end()
    },
  }
}

/** @returns The port that the thread listens on. */
function listen(messenger: Messenger, request: ListenRequest): Promise<number> {
  return messenger.request<number>('listen', request)
}
