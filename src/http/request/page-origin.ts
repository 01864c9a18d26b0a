/** Keeps pages of other origins from using credentials that a browser sends on its own. */
import type { Context } from 'hono'

/** The message of the 403 response to a page of another origin. */
export const FOREIGN_PAGE = 'Cannot answer: pages of this origin may not read'

/** The message of the 403 response to a page of another origin that wants to write. */
export const FOREIGN_PAGE_WRITES = 'Cannot write records: pages of this origin may not'

/**
 * Whether a page of another origin sent a request. A browser adds cookies and passwords to each request
 * of any page, also for an image or a WebSocket, so such credentials alone prove nothing.
 *
 * - `Sec-Fetch-Site` tells where the page is from, even if proxies have changed the URL. A browser
 *   sends it over HTTPS and to this machine, by most browsers not for WebSockets.
 * - `Origin` comes with WebSockets, and with requests that a page wants to read across origins.
 * - `Referer` can be left out by a page, but not forged.
 *
 * A request with none of these headers is from a program, or from a browser over plain HTTP.
 *
 * @param isAllowed Other origins whose pages may use such credentials.
 */
export function isForeignPage(c: Context, isAllowed: (origin: string) => boolean): boolean {
  const site = c.req.header('Sec-Fetch-Site')
  if (site === 'same-origin' || site === 'none') return false
  const origin = c.req.header('Origin') ?? originOf(c.req.header('Referer'))
  if (origin === undefined) return site !== undefined
  return origin !== ownOrigin(c) && !isAllowed(origin)
}

/**
 * The origin of the URL that the client requested. `X-Forwarded-Proto` is trusted from every client: a
 * page cannot set it on a request without a CORS preflight.
 */
export function ownOrigin(c: Context): string | undefined {
  const { host, protocol } = new URL(c.req.url)
  const forwarded = c.req.header('X-Forwarded-Proto')?.split(',')[0]?.trim()
  // Some proxies write `wss` for a WebSocket; a page's own origin is `https`.
  const scheme = (forwarded ?? protocol.slice(0, -1)).replace(/^ws/, 'http')
  return originOf(`${scheme}://${c.req.header('Host') || host}`)
}

function originOf(url: string | undefined): string | undefined {
  return url === undefined ? undefined : (URL.parse(url)?.origin ?? undefined)
}
