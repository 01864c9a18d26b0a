/** The host of a request that names none. */
const FALLBACK_ORIGIN = 'http://localhost'

/**
 * A request's URL, absolute and well-formed. HTTP/1.0 asks for no `Host` header, which the runtimes
 * make the URL of: without it, or where it is malformed, Bun's is a path, and Deno's cannot be parsed.
 *
 * @param url As the runtime has it.
 */
export function absoluteUrl(url: string): string {
  if (URL.canParse(url)) return url
  const begin = url.startsWith('/') ? 0 : url.indexOf('/', url.indexOf('://') + '://'.length)
  return `${FALLBACK_ORIGIN}${begin < 0 ? '/' : url.slice(begin)}`
}

/**
 * The request with an absolute URL, for Hono's router and whatever else parses it. It stays the
 * runtime's own object: Bun's server knows its connection by that.
 */
export function withAbsoluteUrl(request: Request): Request {
  const { url } = request
  const absolute = absoluteUrl(url)
  return absolute === url ? request : Object.defineProperty(request, 'url', { value: absolute })
}
