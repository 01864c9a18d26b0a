/** Bun's idle timeout of a request, where Bun serves it: 10 s by default, less than a read may wait. */
import type { Context } from 'hono'

/** Seconds: the longest timeout of Bun, and longer than any answer takes. */
export const MAX_IDLE_SECONDS = 255
/** For requests that may wait for records without a limit. */
export const NO_IDLE_TIMEOUT = 0

/**
 * Sets the seconds without a byte after which Bun closes the connection of this request. The timeout
 * holds until the connection's next request, so a caller that sets none must set another one at the
 * end, or idle connections stay open for ever. On other runtimes, and in an app that does not pass
 * its server on (`app.fetch(request, server)`), this does nothing.
 */
export function setIdleTimeout(c: Context, seconds: number): void {
  const server: unknown = c.env?.server ?? c.env
  if (typeof server !== 'object' || server === null || !('timeout' in server)) return
  const { timeout } = server
  if (typeof timeout === 'function') timeout.call(server, c.req.raw, seconds)
}
