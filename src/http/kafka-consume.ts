import type { Context, Handler } from 'hono'
import { KafkaConsumeError } from '../core/errors.ts'
import { type ResolvedOptions, resolveOptions } from '../options/consume-options.ts'
import type { KafkaConsumeOptions, KafkaTopics } from '../options/option-types.ts'
import type { KafkaRouteOptions } from '../options/typed-options.ts'
import type { SchemasByTopic } from '../records/topic-schemas.ts'
import { answerGet } from './consume/get.ts'
import { answerHead } from './consume/head.ts'
import { answerOffsets, isOffsets } from './consume/offsets.ts'
import { reportOffsets } from './consume/report-offsets.ts'
import { negotiate } from './request/accept.ts'
import { isOffsetsPath } from './request/client.ts'
import { MAX_IDLE_SECONDS, setIdleTimeout } from './request/runtime.ts'
import { isUpgradeRequest } from './request/upgrade.ts'
import { errorResponse } from './response/error-response.ts'
import { controlsOf, type KafkaControls } from './route/handler-controls.ts'
import { Route, type SharedLimits } from './route/route.ts'
import { answerStream } from './stream/stream.ts'
import { answerSocket } from './stream/websocket.ts'
import type { ConsumeHandler } from './typed-routes.ts'

/** The Hono handler that `kafkaConsume` returns. It connects with its first request, and runs until `close`. */
export interface KafkaConsumeHandler<Handle extends Handler = Handler> extends KafkaControls {
  /** Answers a request. Its type tells `hc` of Hono the parameters, the answers and the errors. */
  (...request: Parameters<Handle>): ReturnType<Handle>
  /** The schemas of topics that have any, by the topics' names. */
  readonly schemas: SchemasByTopic
}

/**
 * Serves Kafka topics over HTTP: records by GET, or streamed as Server-Sent Events.
 *
 * The handler always answers. To read Kafka in a handler of your own, put `kafkaReader` in front of
 * it. A request for which a further handler is mounted on the same path, or on a narrower one behind
 * a wildcard, is answered 500 `INVALID_OPTIONS`, since that handler could never be called.
 *
 * @param options See `KafkaConsumeOptions`; `bootstrapServers` and `topics` are required.
 * @throws KafkaConsumeError INVALID_OPTIONS, whose message names each wrong field and what is allowed.
 *
 * @example
 * ```ts
 * import { Hono } from 'hono'
 * import { kafkaConsume } from 'hono-kafka-consume'
 *
 * const orders = kafkaConsume({ bootstrapServers: 'localhost:9092', topics: ['orders'], mode: 'auto' })
 * const app = new Hono()
 * app.all('/orders', orders)
 *
 * const response = await app.request('/orders?max_records=0')
 * if (response.status !== 400) throw new Error('a limit of 0 is refused before Kafka is asked')
 * await orders.close()
 * ```
 */
export function kafkaConsume<
  const Topics extends KafkaTopics,
  // Spelled out, so that errors of the compiler list the words.
  Mode extends 'http-get' | 'server-sent-events' | 'websocket' | 'auto' = 'http-get',
  Form extends 'kong' | 'records' | 'value' | 'cloudevents' = 'kong',
  Formatted = never,
>(
  options: KafkaRouteOptions<Topics, Mode, Form, Formatted>,
): KafkaConsumeHandler<ConsumeHandler<Topics, Mode, Form, Formatted>> {
  return consumeWithin(undefined, options)
}

/**
 * Makes a `kafkaConsume` handler for a gateway.
 *
 * @param shared Limits that all routes of the gateway share.
 */
export function consumeWithin(
  shared: SharedLimits | undefined,
  options: KafkaConsumeOptions,
): KafkaConsumeHandler {
  const route = new Route(resolveOptions(options), shared)
  const { returnErrorMessage } = route.options.errorHandling
  const onError = (c: Context, error: unknown) => {
    // Proxies log status 499 for a client that disconnected; no client reads this response.
    if (c.req.raw.signal.aborted) return new Response(null, { status: 499 })
    return errorResponse(c, error, returnErrorMessage)
  }
  // Answer synchronously when possible: runtimes are faster with a Response than with a Promise.
  const handler = (c: Context) => {
    setIdleTimeout(c, MAX_IDLE_SECONDS)
    try {
      const answered = answer(c, route)
      return answered instanceof Promise ? answered.catch((error) => onError(c, error)) : answered
    } catch (error) {
      return onError(c, error)
    }
  }
  return Object.assign(handler as Handler, controlsOf(route), { schemas: route.options.schemas })
}

/** @throws KafkaConsumeError */
function answer(c: Context, route: Route): Response | Promise<Response> {
  assertNotFollowed(c)
  if (c.req.method === 'HEAD') return answerHead(c, route)
  if (c.req.method !== 'GET') return answerOtherMethod(c, route)
  if (isOffsetsPath(c.req.path)) return reportOffsets(c, route)
  const { mode } = route.options
  if (mode === 'websocket' || (mode === 'auto' && isUpgradeRequest(c)))
    return answerSocket(c, route)
  return isStream(c, mode) ? answerStream(c, route) : answerGet(c, route)
}

/** @throws KafkaConsumeError METHOD_NOT_ALLOWED */
function answerOtherMethod(c: Context, route: Route): Promise<Response> {
  if (isOffsets(c)) return answerOffsets(c, route)
  throw new KafkaConsumeError(
    'METHOD_NOT_ALLOWED',
    `Cannot answer ${c.req.method}: this route allows GET and HEAD`,
  )
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
