/** Bun's idle timeout of a request, where Bun serves it: 10 s by default, less than a read may wait. */
import type { Context } from 'hono'

/** Seconds: the longest that Bun knows, and longer than an answer of ours may be waited for. */
export const MAX_IDLE_SECONDS = 255
/** While records are waited for without a limit. */
export const NO_IDLE_TIMEOUT = 0

/**
 * Sets the seconds without a byte after which Bun closes the connection of this request. It holds
 * until the connection's next request: whoever sets none sets another one later, or idle connections
 * stay open for ever. On other runtimes, and where an app does not pass its server on
 * (`app.fetch(request, server)`), nothing happens.
 */
export function setIdleTimeout(c: Context, seconds: number): void {
  const server: unknown = c.env?.server ?? c.env
  if (typeof server !== 'object' || server === null || !('timeout' in server)) return
  const { timeout } = server
  if (typeof timeout === 'function') timeout.call(server, c.req.raw, seconds)
}
