/** How the handler of `kafkaConsume` answers a request. An app loads it with its first request. */
import type { Context } from 'hono'
import { KafkaConsumeError } from '../core/errors.ts'
import type { ResolvedOptions } from '../options/consume-options.ts'
import { answerGet } from './consume/get.ts'
import { answerHead } from './consume/head.ts'
import { answerOffsets, isCommittedByPost } from './consume/offsets.ts'
import { reportOffsets } from './consume/report-offsets.ts'
import { negotiate } from './request/accept.ts'
import { isOffsetsPath } from './request/client.ts'
import { MAX_IDLE_SECONDS, setIdleTimeout } from './request/runtime.ts'
import { isUpgradeRequest } from './request/upgrade.ts'
import { errorResponse } from './response/error-response.ts'
import { methodNotAllowed, READING } from './response/method-not-allowed.ts'
import type { Route } from './route/route.ts'
import { answerStream } from './stream/stream.ts'
import { answerSocket } from './stream/websocket.ts'

/** Answers requests of a route, also with errors. */
export function answersOf(route: Route): (c: Context) => Response | Promise<Response> {
  // Answer synchronously when possible: runtimes are faster with a Response than with a Promise.
  return (c) => {
    setIdleTimeout(c, MAX_IDLE_SECONDS)
    try {
      const answered = answer(c, route)
      return answered instanceof Promise
        ? answered.catch((error) => answerError(c, route, error))
        : answered
    } catch (error) {
      return answerError(c, route, error)
    }
  }
}

function answerError(c: Context, route: Route, error: unknown): Response {
  // Proxies log status 499 for a client that disconnected; no client reads this response.
  if (c.req.raw.signal.aborted) return new Response(null, { status: 499 })
  return errorResponse(c, error, route.options.errorHandling.returnErrorMessage)
}

/** @throws KafkaConsumeError */
function answer(c: Context, route: Route): Response | Promise<Response> {
  assertNotFollowed(c)
  if (c.req.method === 'HEAD') return answerHead(c, route)
  if (c.req.method !== 'GET') return answerOtherMethod(c, route)
  if (isOffsetsPath(c.req.path)) return reportOffsets(c, route)
  const { mode } = route.options
  if (mode === 'websocket') return answerSocket(c, route)
  if (isUpgradeRequest(c)) {
    if (mode === 'auto') return answerSocket(c, route)
    // A WebSocket client discards an answer that is not an upgrade, and the group's records with it.
    throw new KafkaConsumeError(
      'INVALID_HANDSHAKE',
      `Cannot open a WebSocket: this route has the mode ${mode}, and WebSockets need websocket or auto`,
    )
  }
  return isStream(c, mode) ? answerStream(c, route) : answerGet(c, route)
}

/** @throws KafkaConsumeError METHOD_NOT_ALLOWED */
function answerOtherMethod(c: Context, route: Route): Promise<Response> {
  const isOffsets = isOffsetsPath(c.req.path)
  if (isOffsets && c.req.method === 'POST') return answerOffsets(c, route)
  const isPosted = isOffsets && isCommittedByPost(route.options)
  throw methodNotAllowed(c, isPosted ? [...READING, 'POST'] : READING)
}

function isStream(c: Context, mode: ResolvedOptions['mode']): boolean {
  if (mode !== 'auto') return mode === 'server-sent-events'
  const offered = ['application/json', 'application/x-ndjson', 'text/event-stream'] as const
  return negotiate(c, [...offered]) === 'text/event-stream'
}

/**
 * Refuses to hide a handler that the app has mounted behind this one, as an app for an earlier
 * version does that expects `c.var.kafka`. A wildcard that follows, such as the app's page for
 * paths without a handler, is a fallback and may be hidden.
 *
 * @throws KafkaConsumeError INVALID_OPTIONS
 */
function assertNotFollowed(c: Context): void {
  // The request's own list: `hono/route` finds it only for requests of the same copy of Hono, and
  // an app may have another one than this package.
  const routes = c.req.matchedRoutes
  const index = c.req.routeIndex
  const path = routes[index]?.path
  for (let i = index + 1; i < routes.length; i++) {
    const later = routes[i]?.path
    const isHidden = later === path || (path?.endsWith('*') && !later?.endsWith('*'))
    if (!isHidden) continue
    throw new KafkaConsumeError(
      'INVALID_OPTIONS',
      `Cannot answer: kafkaConsume is mounted in front of the handler of ${later}, which it would hide; kafkaReader lends c.var.kafka to a handler`,
    )
  }
}
