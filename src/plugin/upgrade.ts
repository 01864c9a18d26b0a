/** A request becomes a WebSocket (RFC 6455), by the runtime's own means. */
import type { Context } from 'hono'
import { getRuntimeKey } from 'hono/adapter'
import type { WSEvents } from 'hono/ws'
import { KafkaConsumeError } from '../errors.ts'

/** Whether a request asks to become a WebSocket. */
export function asksForSocket(c: Context): boolean {
  return c.req.header('Upgrade')?.toLowerCase() === 'websocket'
}

/** @throws KafkaConsumeError INVALID_OPTIONS where the app's server takes no WebSockets. */
export async function upgrade(c: Context, events: WSEvents): Promise<Response> {
  const { upgradeWebSocket } = await helper()
  try {
    return await upgradeWebSocket(c, events)
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : String(cause)
    const message = 'Cannot open a WebSocket: the server of this app does not take any'
    throw new KafkaConsumeError('INVALID_OPTIONS', message, { cause, detail })
  }
}

interface Helper {
  upgradeWebSocket(c: Context, events: WSEvents): Promise<Response>
}

async function helper(): Promise<Helper> {
  const runtime = getRuntimeKey()
  if (runtime === 'bun') return import('hono/bun')
  if (runtime === 'deno') return import('hono/deno')
  // Who runs on Node has it, to serve a Hono app at all.
  return (await import('@hono/node-server')) as Helper
}
