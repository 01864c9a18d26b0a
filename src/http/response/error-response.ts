import type { Context } from 'hono'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { asKafkaConsumeError, describeError } from '../../core/errors.ts'
import { logOf } from '../../core/log.ts'
import { WEBSOCKET_VERSION } from '../request/upgrade.ts'

const log = logOf('http')

/**
 * Answers with an error: `{message, code}`, `retryable` if it is, `Retry-After` if the error names a
 * time, and `Allow` if it names methods.
 *
 * @param showDetail Whether clients may see the Kafka client's own message.
 */
export function errorResponse(c: Context, thrown: unknown, showDetail: boolean): Response {
  const error = asKafkaConsumeError(thrown)
  if (error.code === 'INTERNAL')
    log.error('Cannot answer {method} {path}: {cause}', {
      method: c.req.method,
      path: c.req.path,
      cause: error.cause ?? error,
    })
  if (error.retryAfter !== undefined) c.header('Retry-After', String(error.retryAfter))
  if (error.allow.length > 0) c.header('Allow', error.allow.join(', '))
  if (error.code === 'UPGRADE_REQUIRED') {
    c.header('Upgrade', 'websocket')
    c.header('Sec-WebSocket-Version', WEBSOCKET_VERSION)
  }
  return c.json(describeError(error, showDetail), error.status as ContentfulStatusCode)
}
