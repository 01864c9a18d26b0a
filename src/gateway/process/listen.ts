import { Hono } from 'hono'
import { type BunWebSocketData, websocket } from 'hono/bun'
import { withAbsoluteUrl } from '../../http/request/runtime.ts'

/**
 * Seconds without a byte after which Bun closes a connection. It is longer than the longest wait of
 * a GET (60 s) and than a stream's heartbeat interval (8 s); Bun's default, 10 s, would end a GET
 * that waits.
 */
const IDLE_TIMEOUT_SECONDS = 120
/**
 * Settings of WebSockets. A client sends short messages, hence the limit of 1 MiB. Streams bound by
 * themselves what waits for a client, so that Bun must pass a record of any size.
 */
const WEBSOCKET_LIMITS = {
  maxPayloadLength: 1024 * 1024,
  backpressureLimit: 0,
  idleTimeout: IDLE_TIMEOUT_SECONDS,
}

/** How long another process may take to begin listening on a port, and how often that is looked at. */
const LOCK_LIMIT_MS = 2_000
const LOCK_RETRY_MS = 5

export type HttpServer = Bun.Server<BunWebSocketData>

interface Address {
  readonly port: number
  readonly host: string
}

/** The command-line flags that choose another address, for messages. */
interface AddressFlags {
  readonly port: string
  readonly host: string
}

/** The options of `serveThreads` that choose another address, for messages. */
export const ADDRESS_OPTIONS: AddressFlags = {
  port: 'the option port',
  host: 'the option hostname',
}

/** How a listener serves HTTPS. */
interface Tls {
  /** The first one is for names that no other one is for. */
  readonly tls: Bun.TLSOptions[]
  readonly http2: boolean
  readonly http3: boolean
}

/**
 * Serves an app.
 *
 * @param https Default: plain HTTP.
 * @param isShared Whether it shares its port with others of this user. Default: with HTTPS.
 * @throws Error that says why the address cannot be used and which flag chooses another.
 */
export function listen(
  { port, host }: Address,
  flags: AddressFlags,
  app: Hono,
  https?: Tls,
  isShared = https !== undefined,
): HttpServer {
  try {
    return Bun.serve({
      port,
      hostname: host,
      idleTimeout: IDLE_TIMEOUT_SECONDS,
      fetch: (request, server) => app.fetch(withAbsoluteUrl(request), server),
      websocket: { ...websocket, ...WEBSOCKET_LIMITS },
      ...(isShared && { reusePort: true }),
      ...https,
    })
  } catch (error) {
    const foreign = `Cannot listen on ${host}: it is not an address of this machine, choose another with ${flags.host}`
    const messages: Record<string, string> = {
      EADDRINUSE: canListenOn(host) ? takenPort(port, flags) : foreign,
      EACCES: `Cannot listen on port ${port}: it requires more rights, choose another with ${flags.port}`,
      EADDRNOTAVAIL: foreign,
      // A name that does not resolve.
      EINVAL: foreign,
    }
    const message = messages[String(errorCode(error))]
    throw message === undefined ? error : new Error(message, { cause: error })
  }
}

/**
 * Asserts that nobody else listens on an address: a listener that shares its port would also share it
 * with another process. Port 0 is a port that nobody has.
 *
 * @throws Error as {@link listen} does.
 */
export function assertPortFree(address: Address, flags: AddressFlags): void {
  if (address.port !== 0) void listen(address, flags, new Hono()).stop(true)
}

/**
 * Begins to listen on a port that further listeners of this process will share, unless another process
 * listens on it. Of processes that do so at one time only one succeeds: between the assertion that the
 * port is free and the listener, no other process asserts so.
 *
 * @param begin Listens on the port, shared.
 * @throws Error as {@link listen} does.
 */
export function listenFirst<T>(address: Address, flags: AddressFlags, begin: () => T): T {
  using _ = lockPort(address, flags)
  assertPortFree(address, flags)
  return begin()
}

/**
 * Keeps other processes from {@link listenFirst} on a port until the result is disposed of. The lock is a
 * socket with a name of Linux's abstract namespace, which ends with its process.
 */
function lockPort({ port }: Address, flags: AddressFlags): Disposable | undefined {
  if (port === 0 || process.platform !== 'linux') return undefined
  const deadline = performance.now() + LOCK_LIMIT_MS
  for (;;) {
    try {
      const unix = `\0hono-kafka-consume/port-${port}`
      const lock = Bun.listen({ unix, socket: { data: () => undefined } })
      return { [Symbol.dispose]: () => lock.stop(true) }
    } catch (error) {
      // Where such sockets are not allowed, the assertion alone has to do.
      if (errorCode(error) !== 'EADDRINUSE') return undefined
      if (performance.now() > deadline) throw new Error(takenPort(port, flags), { cause: error })
      Bun.sleepSync(LOCK_RETRY_MS)
    }
  }
}

/**
 * Whether a host is an address of this machine: some port is free there. Bun reports one that does not
 * resolve as EADDRINUSE after it has opened other connections.
 */
function canListenOn(host: string): boolean {
  try {
    Bun.listen({ hostname: host, port: 0, socket: { data: () => undefined } }).stop(true)
    return true
  } catch {
    return false
  }
}

function takenPort(port: number, flags: AddressFlags): string {
  return `Cannot listen on port ${port}: another process does, choose another with ${flags.port}`
}

/** Whether {@link listen} failed because another process listens on the port. */
export function isPortTaken(error: unknown): boolean {
  return error instanceof Error && errorCode(error.cause) === 'EADDRINUSE'
}

function errorCode(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}
