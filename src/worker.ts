/**
 * The gateway as a module for `bun src/worker.ts` and `deno serve -A src/worker.ts`, configured by
 * KAFKA_BROKERS, KAFKA_TOPICS and LOG_LEVEL; `node.ts` serves it on Node. It has no demo broker: a
 * deployment without brokers is an error, not a demo.
 */
import './core/runtime.ts'
import { getRuntimeKey } from 'hono/adapter'
import type { GetConnInfo } from 'hono/conninfo'
import { KafkaConsumeError } from './core/errors.ts'
import { logToConsole } from './core/log.ts'
import { createGateway } from './gateway/app.ts'
import { addressFinder } from './gateway/auth/address.ts'
import { strictTransportSecurity } from './gateway/https.ts'
import { readGatewayConfig } from './gateway/settings/gateway-settings.ts'
import { withAbsoluteUrl } from './http/request/runtime.ts'

type RuntimeEnvironment = Readonly<Record<string, string | undefined>>

declare const Deno: {
  env: { toObject(): RuntimeEnvironment }
  addSignalListener(signal: EndSignal, listener: () => void): void
  removeSignalListener(signal: EndSignal, listener: () => void): void
  unrefTimer(timer: unknown): void
  exit(): never
}

type EndSignal = (typeof END_SIGNALS)[number]

const END_SIGNALS = ['SIGTERM', 'SIGINT'] as const
/** Milliseconds that the last answers may take on Deno once Kafka is closed. */
const END_LIMIT_MS = 10_000

const environment: RuntimeEnvironment = globalThis.process?.env ?? Deno.env.toObject()
// An invalid configuration throws here, while loading: Bun and Deno then print the message and exit
// with 1, so that a deployment fails at once rather than at each request.
const {
  cluster,
  logLevel,
  logFormat,
  trustedProxies,
  guard,
  sessions,
  clients,
  compression,
  pageCaching,
  pageMaxAge,
  filters,
  https,
  produce,
  workers,
} = readGatewayConfig({}, environment)
if (!cluster) {
  throw new KafkaConsumeError(
    'INVALID_OPTIONS',
    'Cannot start: KAFKA_BROKERS ("host:port,…") and KAFKA_TOPICS ("name,…") are required',
  )
}
if (clients !== undefined) {
  throw new KafkaConsumeError(
    'INVALID_OPTIONS',
    'Cannot start: CLIENTS_FILE is not read here, give BEARER_KEYS or JWKS_URL',
  )
}
if (workers !== 'auto' && workers > 1) {
  throw new KafkaConsumeError(
    'INVALID_OPTIONS',
    'Cannot start: WORKERS is not read here; `bun run server` serves by several threads',
  )
}
if (https && getRuntimeKey() !== 'node') {
  throw new KafkaConsumeError(
    'INVALID_OPTIONS',
    'Cannot start: TLS_CERT is not read here; `bun run server` and `node src/node.ts` serve HTTPS',
  )
}
logToConsole(logLevel, logFormat)
const { getConnInfo, websocket } = await adapter()
const gateway = createGateway({
  cluster,
  guard,
  sessions,
  compression,
  pageCaching,
  pageMaxAge,
  filters,
  produce,
  addressOf: addressFinder(getConnInfo, trustedProxies),
  middleware: strictTransportSecurity(https?.hsts),
})

interface Adapter {
  readonly getConnInfo: GetConnInfo
  /** The WebSocket handlers of Bun's server. Deno and Node upgrade requests by themselves. */
  readonly websocket?: typeof import('hono/bun').websocket
}

/** Each runtime has its own adapter, which may not load on another one. */
async function adapter(): Promise<Adapter> {
  const runtime = getRuntimeKey()
  if (runtime === 'bun') return import('hono/bun')
  if (runtime === 'deno') return { getConnInfo: (await import('hono/deno')).getConnInfo }
  return import('@hono/node-server/conninfo')
}

export default {
  /** Seconds without a byte after which Bun closes a connection; see `gateway/process/listen.ts`. */
  idleTimeout: 120,
  ...(websocket && { websocket }),
  fetch(request: Request, env?: object): Response | Promise<Response> {
    // It starts with the first request, not while loading: a platform may load a module only to check
    // it. An error that persists is logged by `start` and shows in every answer.
    gateway.start().catch(() => undefined)
    return gateway.app.fetch(withAbsoluteUrl(request), env)
  },
}

if (getRuntimeKey() === 'deno') endAtSignal()

/**
 * `deno serve` stops listening at a signal and ends when nothing is open, whether or not there are listeners
 * of the app's: streams and the Kafka client would keep the process for ever. Bun and Node end by themselves.
 */
function endAtSignal(): void {
  const end = async () => {
    // A second signal ends the process at once, as without this listener.
    for (const signal of END_SIGNALS) Deno.removeSignalListener(signal, end)
    await close().catch(() => undefined)
    // For a client that does not take its answer, or a server of the app's that ignores the signal.
    Deno.unrefTimer(setTimeout(() => Deno.exit(), END_LIMIT_MS))
  }
  for (const signal of END_SIGNALS) Deno.addSignalListener(signal, end)
}

/** Ends streams, commits and leaves the group: for a host that announces its end. */
export function close(): Promise<void> {
  return gateway.close()
}
