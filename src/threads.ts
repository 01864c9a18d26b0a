import './core/runtime.ts'
import { KafkaConsumeError } from './core/errors.ts'
import type { ServeThreadsOptions, ThreadedServer } from './gateway/process/app-threads.ts'

export type { ServeThreadsOptions, ThreadedServer }

/**
 * Serves an app by several threads of Bun on one port. Each thread imports the app's module, and has its
 * handlers. The thread that calls this owns Kafka: consumers, members of groups and producers exist once,
 * and limits of equal handlers count all threads. A thread that ends by an error, or is blocked for 15 s,
 * is replaced.
 *
 * @throws KafkaConsumeError INVALID_OPTIONS for options that are out of range, or on other runtimes.
 * @throws Error that says why the module or the address cannot be served.
 */
export async function serveThreads(options: ServeThreadsOptions): Promise<ThreadedServer> {
  if (typeof Bun === 'undefined') {
    throw new KafkaConsumeError(
      'INVALID_OPTIONS',
      'Cannot serve by threads: only Bun has listeners that share a port',
    )
  }
  // Modules of Bun's own do not load elsewhere.
  const { serveByThreads } = await import('./gateway/process/app-threads.ts')
  return serveByThreads(options)
}
