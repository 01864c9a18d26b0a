/** Upgrades a request to a WebSocket (RFC 6455) with the runtime's own API. */
import type { Context } from 'hono'
import { getRuntimeKey } from 'hono/adapter'
import type { WSEvents } from 'hono/ws'
import { KafkaConsumeError } from '../../core/errors.ts'

/** Whether a request asks to become a WebSocket. */
export function isUpgradeRequest(c: Context): boolean {
  return c.req.header('Upgrade')?.toLowerCase() === 'websocket'
}

/** 16 bytes in base64: https://www.rfc-editor.org/rfc/rfc6455#section-4.1 */
const KEY = /^[A-Za-z0-9+/]{21}[AQgw]==$/
/** The only version of the protocol. */
export const WEBSOCKET_VERSION = '13'

/**
 * Validates the headers of an opening handshake, because each runtime would refuse them differently.
 *
 * @throws KafkaConsumeError UPGRADE_REQUIRED for another version, INVALID_HANDSHAKE for the rest.
 */
export function assertHandshake(c: Context): void {
  const version = c.req.header('Sec-WebSocket-Version')
  if (version !== undefined && version !== WEBSOCKET_VERSION) {
    const message = `Cannot open a WebSocket: Sec-WebSocket-Version must be ${WEBSOCKET_VERSION}`
    throw new KafkaConsumeError('UPGRADE_REQUIRED', message)
  }
  const connection = c.req.header('Connection') ?? ''
  const isUpgrade = connection
    .split(',')
    .some((option) => option.trim().toLowerCase() === 'upgrade')
  const errors = [
    isUpgrade ? undefined : 'Connection must name upgrade',
    version === undefined ? `Sec-WebSocket-Version must be ${WEBSOCKET_VERSION}` : undefined,
    KEY.test(c.req.header('Sec-WebSocket-Key') ?? '')
      ? undefined
      : 'Sec-WebSocket-Key must be 16 bytes in base64',
  ].filter((error) => error !== undefined)
  if (errors.length === 0) return
  throw new KafkaConsumeError('INVALID_HANDSHAKE', `Cannot open a WebSocket: ${errors.join(', ')}`)
}

/** @throws KafkaConsumeError INVALID_OPTIONS when the app's server does not accept WebSockets. */
export async function upgrade(c: Context, events: WSEvents): Promise<Response> {
  const { upgradeWebSocket } = await loadHelper()
  try {
    return await upgradeWebSocket(c, events)
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : String(cause)
    const message = 'Cannot open a WebSocket: the server of this app does not take any'
    throw new KafkaConsumeError('INVALID_OPTIONS', message, { cause, detail })
  }
}

/** A variable, so that bundlers for other runtimes do not look for a package that is not installed. */
const NODE_SERVER: string = '@hono/node-server'

interface WebSocketHelper {
  upgradeWebSocket(c: Context, events: WSEvents): Promise<Response>
}

async function loadHelper(): Promise<WebSocketHelper> {
  const runtime = getRuntimeKey()
  if (runtime === 'bun') return import('hono/bun')
  if (runtime === 'deno') return denoHelper()
  // On Node this package serves the Hono app, so it is installed.
  return (await import(NODE_SERVER)) as WebSocketHelper
}

/** Hono's helper for Deno accepts `websocket` in lower case only; RFC 6455 allows any case. */
async function denoHelper(): Promise<WebSocketHelper> {
  const { upgradeWebSocket } = await import('hono/deno')
  return {
    upgradeWebSocket({ req }, events) {
      const header = (name: string) => (name === 'upgrade' ? 'websocket' : req.header(name))
      return upgradeWebSocket({ req: { raw: req.raw, header } } as unknown as Context, events)
    },
  }
}
