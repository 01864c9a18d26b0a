import type { Context } from 'hono'
import { asKafkaConsumeError } from '../core/errors.ts'
import { logOf } from '../core/log.ts'
import { errorResponse } from '../http/response/error-response.ts'

const log = logOf('gateway')

/** The answer to a request whose handler has thrown, which is logged. */
export function answerError(thrown: unknown, c: Context): Response {
  const error = asKafkaConsumeError(thrown)
  // `errorResponse` logs unexpected errors itself.
  if (error.code !== 'INTERNAL') {
    log.error('Cannot answer {method} {path}: {cause}', {
      method: c.req.method,
      path: c.req.path,
      cause: error.cause ?? error,
    })
  }
  return errorResponse(c, error, false)
}
