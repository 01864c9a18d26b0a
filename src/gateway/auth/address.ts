import type { Context } from 'hono'
import type { GetConnInfo } from 'hono/conninfo'

/**
 * Finds the address of a request's client: that of the connection. With proxies in front it is the
 * entry of `X-Forwarded-For` that the outermost trusted proxy wrote; entries to the left of it may
 * come from the client itself.
 *
 * Only the first 64 bits of an IPv6 address count, since a client can choose the others.
 *
 * @param connInfo The runtime's own, of `hono/bun` or `hono/deno`.
 * @param trustedProxies The number of proxies in front.
 */
export function addressFinder(
  connInfo: GetConnInfo,
  trustedProxies: number,
): (c: Context) => string {
  return (c) => {
    const forwarded = c.req.header('X-Forwarded-For')?.split(',') ?? []
    const hop = trustedProxies > 0 ? forwarded.at(-trustedProxies) : undefined
    return networkOf((hop ?? peerOf(c, connInfo)).trim())
  }
}

/** Headers by which proxies say that they forward a request. */
const FORWARDING = ['Forwarded', 'X-Forwarded-For', 'X-Real-IP', 'Via']
/** Loopback addresses: 127.0.0.0/8, also mapped to IPv6, and `::1`. */
const LOOPBACK = /^(?:(?:::ffff:)?127(?:\.\d{1,3}){3}|::1)$/i

/**
 * Tells whether a program on this machine sent a request: its connection is by loopback, and no proxy
 * forwards it.
 *
 * @param connInfo The runtime's own, of `hono/bun` or `hono/deno`.
 */
export function localClientFinder(connInfo: GetConnInfo): (c: Context) => boolean {
  return (c) =>
    LOOPBACK.test(peerOf(c, connInfo)) && FORWARDING.every((name) => !c.req.header(name))
}

function peerOf(c: Context, connInfo: GetConnInfo): string {
  try {
    return connInfo(c).remote.address ?? 'unknown'
  } catch {
    // A request without a connection, as by `app.request()`.
    return 'unknown'
  }
}

function networkOf(address: string): string {
  const plain = address.replace(/^\[|\](?::\d+)?$/g, '').toLowerCase()
  const mapped = /^::ffff:(\d+(?:\.\d+){3})$/.exec(plain)
  if (mapped) return mapped[1] as string
  if (!URL.canParse(`http://[${plain}]`)) return plain.slice(0, 64)
  const [before = '', after] = plain.split('::')
  const begin = before === '' ? [] : before.split(':')
  const end = after ? after.split(':') : []
  const zeros = after === undefined ? 0 : Math.max(0, 8 - begin.length - end.length)
  const groups = [...begin, ...Array<string>(zeros).fill('0'), ...end].slice(0, 4)
  return `${groups.map((group) => Number.parseInt(group, 16).toString(16)).join(':')}::/64`
}
