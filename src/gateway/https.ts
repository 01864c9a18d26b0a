/** HTTPS for clients: plain HTTP redirects, and browsers are told to stay with HTTPS. */
import { type Context, Hono, type MiddlewareHandler } from 'hono'

/** The port of HTTPS that a URL need not name. */
export const STANDARD_HTTPS_PORT = 443
/** Paths that are answered on plain HTTP, too: orchestrators check the health of a process there. */
const HEALTH_CHECKS = ['/healthz', '/readyz']

/** The address of a request on HTTPS. */
export function httpsUrl(requestUrl: string, port: number): string {
  const url = new URL(requestUrl)
  url.protocol = 'https:'
  url.port = port === STANDARD_HTTPS_PORT ? '' : String(port)
  return url.href
}

/** An app, or the module of `worker.ts`. */
interface Fetcher {
  fetch(request: Request, env?: object): Response | Promise<Response>
}

/** An app for plain HTTP that redirects to HTTPS, and passes health checks on to `app`. */
export function redirectToHttps(app: Fetcher, port: number): Hono {
  const redirecting = new Hono()
  const answer = (c: Context) => app.fetch(c.req.raw, c.env)
  for (const path of HEALTH_CHECKS) redirecting.all(path, answer)
  // 308 keeps the method and the body, as 301 does not.
  redirecting.all('*', (c) => c.redirect(httpsUrl(c.req.url, port), 308))
  return redirecting
}

/**
 * The middleware that adds `Strict-Transport-Security` (RFC 6797) to answers of HTTPS. The header
 * must not be sent on plain HTTP.
 *
 * @param seconds How long a browser then uses HTTPS only; 0 makes it forget.
 * @returns None without `seconds`.
 */
export function strictTransportSecurity(seconds: number | undefined): MiddlewareHandler[] {
  if (seconds === undefined) return []
  const add: MiddlewareHandler = async (c, next) => {
    await next()
    if (c.req.url.startsWith('https:')) c.header('Strict-Transport-Security', `max-age=${seconds}`)
  }
  return [add]
}
