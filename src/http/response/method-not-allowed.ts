import type { Context, Env, Hono } from 'hono'
import { KafkaConsumeError } from '../../core/errors.ts'
import { errorResponse } from './error-response.ts'

/** The methods of a path that is only read. */
export const READING = ['GET', 'HEAD'] as const

/**
 * The error of a request whose method its path does not have.
 *
 * @param allow The methods of the path.
 */
export function methodNotAllowed(c: Context, allow: readonly string[]): KafkaConsumeError {
  const allowed = new Intl.ListFormat('en-GB').format(allow)
  const message = `Cannot answer ${c.req.method}: this route allows ${allowed}`
  return new KafkaConsumeError('METHOD_NOT_ALLOWED', message, { allow })
}

/** Answers 405 to a method that a path does not have. */
export function refuseMethod(c: Context, allow: readonly string[] = READING): Response {
  return errorResponse(c, methodNotAllowed(c, allow), false)
}

/** Makes an app answer 405 to other methods than GET and HEAD at each path that it has until now. */
export function refuseOtherMethods<E extends Env>(app: Hono<E>): void {
  const paths = app.routes.filter(({ method }) => method === 'GET').map(({ path }) => path)
  for (const path of new Set(paths)) app.all(path, (c) => refuseMethod(c))
}
