/**
 * The guard of the Admin API: it refuses requests that a browser sends for a page of another origin, and
 * where a token is set those without it.
 */
import type { MiddlewareHandler } from 'hono'
import { timingSafeEqual } from 'hono/utils/buffer'
import { isForeignPage } from '../../http/request/page-origin.ts'
import { Refusal } from './answers.ts'

const INVALID_TOKEN = 'Invalid RBAC credentials: the header Kong-Admin-Token must have the token'
const IP_ADDRESS = /^(?:\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-f:.]+\])$/

/**
 * Keeps out web pages that a browser on this machine shows. A page whose host name resolves to this
 * machine (DNS rebinding) is recognized by the Host header, which has that name. A page that sends a
 * form is recognized by its origin.
 *
 * @param names Host names under which the Admin API may be called, besides localhost and addresses.
 */
export function refuseWebPages(names: readonly string[]): MiddlewareHandler {
  const allowed = new Set(['localhost', ...names.map((name) => name.toLowerCase())])
  return async (c, next) => {
    const { hostname } = authority(c.req.header('host') || new URL(c.req.url).host)
    if (!allowed.has(hostname) && !IP_ADDRESS.test(hostname)) {
      throw new Refusal(403, 'Cannot answer: the Host header is not a name of the Admin API')
    }
    if (isForeignPage(c, () => false)) {
      throw new Refusal(403, 'Cannot answer: requests of other origins are not served')
    }
    await next()
  }
}

/**
 * Refuses requests without the token, as Kong does where administrators have tokens.
 *
 * @param token The value of the header `Kong-Admin-Token`.
 */
export function requireToken(token: string): MiddlewareHandler {
  return async (c, next) => {
    const given = c.req.header('Kong-Admin-Token') ?? ''
    if (!(await timingSafeEqual(token, given))) throw new Refusal(401, INVALID_TOKEN)
    await next()
  }
}

function authority(header: string): { readonly host: string; readonly hostname: string } {
  const url = `http://${header}`
  if (!/^[\w.\-:[\]]+$/.test(header) || !URL.canParse(url)) {
    throw new Refusal(400, 'Cannot answer: the Host header is malformed')
  }
  return new URL(url)
}
