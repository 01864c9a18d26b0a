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
