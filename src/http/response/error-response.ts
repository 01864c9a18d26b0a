import { getLogger } from '@logtape/logtape'
import type { Context } from 'hono'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { asKafkaConsumeError, KafkaConsumeError } from '../../core/errors.ts'
import { WEBSOCKET_VERSION } from '../request/upgrade.ts'

const log = getLogger(['hono-kafka-consume', 'http'])

/**
 * An error as an HTTP answer: `{message, code}`, `retryable` where it is, and `Retry-After` where
 * waiting helps.
 *
 * @param show Whether the Kafka client's own words may be shown.
 * @param allow The method that the route has.
 */
export function errorResponse(c: Context, thrown: unknown, show: boolean, allow = 'GET'): Response {
  const error = asKafkaConsumeError(thrown)
  if (error.code === 'INTERNAL')
    log.error('Cannot answer {path}: {error}', { path: c.req.path, error: thrown })
  if (error.retryAfter !== undefined) c.header('Retry-After', String(error.retryAfter))
  if (error.code === 'METHOD_NOT_ALLOWED') c.header('Allow', allow)
  if (error.code === 'UPGRADE_REQUIRED') {
    c.header('Upgrade', 'websocket')
    c.header('Sec-WebSocket-Version', WEBSOCKET_VERSION)
  }
  return c.json(describeError(error, show), error.status as ContentfulStatusCode)
}

/** What a client is told of an error, as a body or as the data of `event: error`. */
export function describeError(error: KafkaConsumeError, show: boolean) {
  return {
    message: error.message,
    code: error.code,
    ...(error.retryable ? { retryable: true } : {}),
    ...(show && error.detail !== undefined ? { error: error.detail } : {}),
  }
}

/** @throws KafkaConsumeError METHOD_NOT_ALLOWED for anything but GET: a HEAD would take records too. */
export function assertGet(c: Context): void {
  if (c.req.method === 'GET') return
  throw new KafkaConsumeError(
    'METHOD_NOT_ALLOWED',
    `Cannot answer ${c.req.method}: this route allows GET`,
  )
}
