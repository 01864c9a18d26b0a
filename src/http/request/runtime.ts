/** The server of each runtime: absolute URLs of requests, and the idle timeout of connections. */
import type { Context } from 'hono'

/** The host of a request that names none. */
const FALLBACK_ORIGIN = 'http://localhost'

/**
 * A request's URL, absolute and well-formed. Runtimes build it from the `Host` header, which HTTP/1.0
 * does not require. If the header is missing or malformed, Bun's URL is a path, and Deno's cannot be
 * parsed.
 *
 * @param url The URL of the runtime.
 */
export function absoluteUrl(url: string): string {
  if (URL.canParse(url)) return url
  const begin = url.startsWith('/') ? 0 : url.indexOf('/', url.indexOf('://') + '://'.length)
  return `${FALLBACK_ORIGIN}${begin < 0 ? '/' : url.slice(begin)}`
}

/**
 * The request with an absolute URL, which Hono's router needs. It remains the runtime's own object,
 * because Bun's server finds the connection by it.
 */
export function withAbsoluteUrl(request: Request): Request {
  const { url } = request
  const absolute = absoluteUrl(url)
  return absolute === url ? request : Object.defineProperty(request, 'url', { value: absolute })
}

/** Seconds: the longest timeout of Bun, and longer than any answer takes. */
export const MAX_IDLE_SECONDS = 255
/** For requests that may wait for records without a limit. */
export const NO_IDLE_TIMEOUT = 0

interface BunServer {
  timeout(request: Request, seconds: number): void
}

/**
 * Bun's server of a request; undefined on other runtimes, and in an app that does not pass its server
 * on.
 */
function bunServerOf(c: Context): BunServer | undefined {
  const server: unknown = c.env?.server ?? c.env
  const isServer = typeof server === 'object' && server !== null && 'timeout' in server
  return isServer && typeof server.timeout === 'function' ? (server as BunServer) : undefined
}

/** Whether Bun's server itself answers the request. */
export function isServedByBun(c: Context): boolean {
  return bunServerOf(c) !== undefined
}

/**
 * Sets the seconds without a byte after which Bun closes the connection of this request. The timeout
 * holds until the connection's next request, so a caller that sets none must set another one at the
 * end, or idle connections stay open for ever. On other runtimes, and in an app that does not pass
 * its server on (`app.fetch(request, server)`), this does nothing.
 */
export function setIdleTimeout(c: Context, seconds: number): void {
  bunServerOf(c)?.timeout(c.req.raw, seconds)
}
