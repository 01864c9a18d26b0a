import type { Context, Handler, MiddlewareHandler, Next } from 'hono'
import { type ResolvedOptions, resolveOptions } from '../options/consume-options.ts'
import type { KafkaConsumeOptions } from '../options/option-types.ts'
import type { KafkaOutage } from '../port/kafka.ts'
import { answerGet } from './consume/get.ts'
import { answerOffsets, isOffsets } from './consume/offsets.ts'
import { negotiate } from './request/accept.ts'
import { LONGEST, setIdleTimeout } from './request/idle-timeout.ts'
import { asksForSocket } from './request/upgrade.ts'
import { type KafkaReader, RequestReader } from './request-reader.ts'
import { assertGet, errorAnswer } from './response/error-response.ts'
import { type PartitionRange, Route, type RouteStats, type SharedLimits } from './route/route.ts'
import { answerStream } from './stream/stream.ts'
import { answerSocket } from './stream/websocket.ts'

/** The environment of a handler behind `kafkaConsume`: `new Hono<KafkaConsumeEnv>()`. */
export interface KafkaConsumeEnv {
  /** What a handler finds on its context. */
  Variables: {
    /** Reads Kafka for the request: `c.var.kafka`. */
    kafka: KafkaReader
  }
}

/** The Hono handler that `kafkaConsume` returns. It starts with its first request, and runs until `close`. */
export interface KafkaConsumeHandler extends MiddlewareHandler<KafkaConsumeEnv> {
  /**
   * Connects, and joins the consumer group if the mode reads as one, so that the first request is
   * quick. Calling it is optional: the first request does the same.
   *
   * @throws KafkaConsumeError when Kafka cannot be reached or refuses; later calls try again.
   */
  start(): Promise<void>
  /** What keeps Kafka from being read now; `undefined` while nothing does. Kafka is not asked. */
  outage(): KafkaOutage | undefined
  /** Statistics of the route: numbers as they are now, or since the handler was made. */
  stats(): RouteStats
  /**
   * Asks Kafka for the first and the end offset of each partition of the topics.
   *
   * @throws KafkaConsumeError when Kafka cannot be asked.
   */
  partitions(): Promise<readonly PartitionRange[]>
  /**
   * Ends streams after their last whole event, commits what was delivered and leaves the consumer
   * group. Later requests are answered 503 `SHUTTING_DOWN`.
   */
  close(): Promise<void>
}

/**
 * Serves Kafka topics over HTTP: records by GET, or streamed as Server-Sent Events.
 *
 * Mounted as a handler it answers by itself. Where a further handler follows on the same path, or
 * where it is mounted on a wildcard in front of one, it is a middleware: it puts a typed reader on
 * the context (`c.var.kafka`) and leaves the answer to that handler.
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
export function kafkaConsume(options: KafkaConsumeOptions): KafkaConsumeHandler {
  return consumeWithin(undefined, options)
}

/**
 * The same, for a gateway.
 *
 * @param shared What all its routes have together.
 */
export function consumeWithin(
  shared: SharedLimits | undefined,
  options: KafkaConsumeOptions,
): KafkaConsumeHandler {
  const route = new Route(resolveOptions(options), shared)
  const { mode, errorHandling } = route.options

  const answer = (c: Context) => {
    if (isOffsets(c)) return answerOffsets(c, route)
    assertGet(c)
    if (mode === 'websocket' || (mode === 'auto' && asksForSocket(c))) return answerSocket(c, route)
    return isStream(c, mode) ? answerStream(c, route) : answerGet(c, route)
  }
  const fail = (c: Context, error: unknown) => {
    // Nobody is there to read an answer, and nothing went wrong: 499 is what proxies log for it.
    if (c.req.raw.signal.aborted) return new Response(null, { status: 499 })
    return errorAnswer(c, error, errorHandling.returnErrorMessage)
  }
  // What is at hand goes out at once: runtimes answer sooner with a response than with a promise.
  const handler: Handler<KafkaConsumeEnv> = (c, next) => {
    if (isFollowed(c)) return lend(route, c, next)
    setIdleTimeout(c, LONGEST)
    try {
      const answered = answer(c)
      return answered instanceof Promise ? answered.catch((error) => fail(c, error)) : answered
    } catch (error) {
      return fail(c, error)
    }
  }

  return Object.assign(handler as MiddlewareHandler<KafkaConsumeEnv>, {
    start: async () => {
      const { source, feed } = await route.lease()
      await source.connected()
      // A WebSocket joins the group when a client wants to acknowledge: members without callers keep
      // records from others. The groups of clients are joined when they come.
      const joins = (mode === 'http-get' || mode === 'auto') && !route.hasClientGroups
      if (joins) await (await route.group({})).ready()
      if (mode !== 'http-get') await feed.warm()
    },
    outage: () => route.outage() ?? route.groupOutage(),
    stats: () => route.stats(),
    partitions: () => route.partitions(),
    close: () => route.close(),
  })
}

/** Gives the handler that follows a reader, and settles what it has taken. */
async function lend(route: Route, c: Context<KafkaConsumeEnv>, next: Next): Promise<undefined> {
  const reader = new RequestReader(route, c)
  c.set('kafka', reader)
  let failed = true
  try {
    await next()
    failed = c.error !== undefined
  } finally {
    // Also when what was thrown is no Error, which Hono passes on as it is.
    reader.settle(failed)
  }
}

function isStream(c: Context, mode: ResolvedOptions['mode']): boolean {
  if (mode !== 'auto') return mode === 'server-sent-events'
  const offered = ['application/json', 'application/x-ndjson', 'text/event-stream'] as const
  return negotiate(c, [...offered]) === 'text/event-stream'
}

/** Whether another handler is there to answer: one on the same path, or any behind a wildcard. */
function isFollowed(c: Context): boolean {
  // The request's own list: `hono/route` finds it only for requests of the same copy of Hono, and
  // an app may have another one than this package.
  const routes = c.req.matchedRoutes
  const index = c.req.routeIndex
  const path = routes[index]?.path
  if (path === undefined) return false
  const later = routes.slice(index + 1)
  return path.endsWith('*') ? later.length > 0 : later.some((route) => route.path === path)
}
