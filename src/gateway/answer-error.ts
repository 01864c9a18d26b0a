import { getLogger } from '@logtape/logtape'
import type { Context } from 'hono'
import { asKafkaConsumeError } from '../core/errors.ts'
import { LOG_ROOT } from '../core/log.ts'

const log = getLogger([LOG_ROOT, 'gateway'])

/** The answer to a request whose handler has thrown, which is logged. */
export function answerError(thrown: unknown, c: Context): Response {
  const { status, code, message, cause } = asKafkaConsumeError(thrown)
  log.error('Cannot answer {method} {path}: {cause}', {
    method: c.req.method,
    path: c.req.path,
    cause: cause ?? thrown,
  })
  return c.json({ message, code }, status)
}
