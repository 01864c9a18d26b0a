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

/**
 * Reads the request's signal on Deno, before the handler waits for anything. Deno notices a disconnect only
 * some time after the signal was first read, even if the client had left before, so that a later first read
 * would send records to a client that has left. Other runtimes detect a disconnect by themselves or by the
 * body, and on Bun a signal takes time to create.
 */
export function startDisconnectDetection(c: Context): void {
  if ('Deno' in globalThis) Reflect.get(c.req.raw, 'signal')
}

/** Seconds: the longest timeout of Bun, and longer than any answer takes. */
export const MAX_IDLE_SECONDS = 255
/** For requests that may wait for records without a limit. */
export const NO_IDLE_TIMEOUT = 0

interface BunServer {
  timeout(request: Request, seconds: number): void
  /** The address of the client; null when the request is answered, or its connection is closed. */
  requestIP(request: Request): object | null
}

/**
 * Bun's server of a request; undefined on other runtimes, and in an app that does not pass its server
 * on.
 */
function bunServerOf(c: Context): BunServer | undefined {
  const server: unknown = c.env?.server ?? c.env
  const isServer = typeof server === 'object' && server !== null && 'requestIP' in server
  return isServer && typeof server.requestIP === 'function' ? (server as BunServer) : undefined
}

/** A request that Bun's server itself answers. */
export class BunRequest {
  readonly #server: BunServer
  readonly #request: Request

  constructor(server: BunServer, request: Request) {
    this.#server = server
    this.#request = request
  }

  /**
   * Whether the answer is not complete yet, and the connection is open. False as well where Bun does
   * not know the address of a client, as on a Unix socket.
   */
  get isOpen(): boolean {
    return this.#server.requestIP(this.#request) !== null
  }

  /** Aborts when the client disconnects. Creating it takes time. */
  get signal(): AbortSignal {
    return this.#request.signal
  }

  /**
   * Makes Bun close the connection once its client has read nothing for this long. Bun rounds up to whole
   * seconds, and checks every few seconds.
   */
  closeWhenIdle(milliseconds: number): void {
    const seconds = Math.ceil(milliseconds / 1_000)
    this.#server.timeout(this.#request, Math.max(1, Math.min(seconds, MAX_IDLE_SECONDS)))
  }
}

/** The request as Bun's server knows it; undefined on other servers. */
export function bunRequestOf(c: Context): BunRequest | undefined {
  const server = bunServerOf(c)
  return server && new BunRequest(server, c.req.raw)
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
