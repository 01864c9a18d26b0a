import type { Context, Env, Hono } from 'hono'
import { KafkaConsumeError } from '../../core/errors.ts'
import { errorResponse } from './error-response.ts'

/**
 * Answers 405.
 *
 * @param allow The methods of the path, for the header `Allow`.
 */
export function methodNotAllowed(c: Context, allow = 'GET, HEAD'): Response {
  const methods = allow.split(', ')
  const allowed = `${new Intl.ListFormat('en-GB').format(methods)} ${methods.length > 1 ? 'are' : 'is'} allowed`
  const message = `Cannot answer ${c.req.method}: ${allowed}`
  return errorResponse(c, new KafkaConsumeError('METHOD_NOT_ALLOWED', message), false, allow)
}

/** Has an app answer 405 to other methods than GET and HEAD at each path that it has until now. */
export function refuseOtherMethods<E extends Env>(app: Hono<E>): void {
  const paths = app.routes.filter(({ method }) => method === 'GET').map(({ path }) => path)
  for (const path of new Set(paths)) app.all(path, (c) => methodNotAllowed(c))
}
