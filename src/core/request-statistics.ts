/** Statistics of requests: what handlers add to them, and the observers that get them at the end. */
import type { Context, MiddlewareHandler } from 'hono'
import { Histogram } from './histogram.ts'
import { logOf } from './log.ts'

/**
 * Statistics of one request and its answer, for metrics and the request log. Handlers add to them;
 * a stream, which continues after its handler has returned, says when it ends.
 */
export interface RequestStatistics {
  /** Records put into the answer. */
  records: number
  /** Bytes of the answer that holds them. */
  bytes: number
  /** Resolves at the end of a stream; undefined for an answer that is not a stream. */
  ended: Promise<void> | undefined
  /** The HTTP status where the response has another, as after an upgrade by the runtime. */
  status: number | undefined
  /** The route in metrics and logs. Default: the path by which the handler is mounted. */
  route: string | undefined
}

const VARIABLE = 'kafkaRequestStatistics'

/** Starts the statistics of a request. */
export function beginRequestStatistics(c: Context): RequestStatistics {
  const statistics = { records: 0, bytes: 0, ended: undefined, status: undefined, route: undefined }
  c.set(VARIABLE, statistics)
  return statistics
}

/** The statistics of a request; undefined where no middleware observes requests. */
export function requestStatisticsOf(c: Context): RequestStatistics | undefined {
  return c.get(VARIABLE) as RequestStatistics | undefined
}

/** A request at its end. The request of a stream ends with the stream. */
export interface FinishedRequest {
  /** The HTTP method. */
  readonly method: string
  /** The name of the route, or the path by which its handler is mounted: never text of a client. */
  readonly route: string
  /** The HTTP status of the answer. */
  readonly status: number
  /** Seconds from the request to the end of its answer. */
  readonly seconds: number
  /** Whether the answer was a stream of records. */
  readonly isStream: boolean
  /** Records put into the answer. */
  readonly records: number
  /** Bytes of an answer that has records. */
  readonly bytes: number
}

/** Called with each finished request. */
export type RequestObserver = (request: FinishedRequest, c: Context) => void

/** Calls observers with each request when it has ended. Mount it before the handlers to observe. */
export function observeRequests(observers: readonly RequestObserver[]): MiddlewareHandler {
  return async (c, next) => {
    const statistics = beginRequestStatistics(c)
    const began = performance.now()
    const finish = () => {
      const request = {
        method: c.req.method,
        route: statistics.route ?? routeOf(c),
        status: statistics.status ?? c.res.status,
        seconds: (performance.now() - began) / 1_000,
        isStream: statistics.ended !== undefined,
        records: statistics.records,
        bytes: statistics.bytes,
      }
      for (const observe of observers) observe(request, c)
    }
    try {
      await next()
    } finally {
      if (statistics.ended) void statistics.ended.then(finish)
      else finish()
    }
  }
}

/** The route of requests that no route matched. */
const NO_ROUTE = '(none)'

/** The path by which the last called handler is mounted. */
function routeOf(c: Context): string {
  // `hono/route` finds this list only for requests of its own copy of Hono.
  const path = c.req.matchedRoutes[c.req.routeIndex]?.path
  return path === undefined || path === '*' || path === '/*' ? NO_ROUTE : path
}

/** Names of routes that are counted. Overflow policy: further ones are counted together as `(other)`. */
const MAX_ROUTES = 2_000
const OTHER_ROUTES = '(other)'
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

const REQUEST_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60]
const STREAM_SECONDS = [0.1, 1, 10, 60, 300, 900, 3_600, 14_400, 86_400]

/** Answers with one method and one status. */
interface AnswerCount {
  readonly method: string
  readonly status: number
  count: number
}

/** The finished requests of one route. */
class RouteRequests {
  /** Seconds until requests were answered, without streams. */
  readonly durations = new Histogram(REQUEST_SECONDS)
  /** Seconds from the start of streams to their end. */
  readonly streams = new Histogram(STREAM_SECONDS)
  readonly #answers = new Map<string, AnswerCount>()

  get answers(): readonly Readonly<AnswerCount>[] {
    return [...this.#answers.values()]
  }

  add({ method: given, status, seconds, isStream }: FinishedRequest): void {
    const method = METHODS.has(given) ? given : 'other'
    const key = `${method} ${status}`
    const answers = this.#answers.get(key)
    if (answers) answers.count++
    else this.#answers.set(key, { method, status, count: 1 })
    const histogram = isStream ? this.streams : this.durations
    histogram.observe(seconds)
  }
}

/** Counts finished requests by route, without the lookup of labels that a library's counters need. */
export class RequestCounts {
  /** Counts a request. */
  readonly observer: RequestObserver = (request) => this.#requestsOf(request.route).add(request)
  readonly #routes = new Map<string, RouteRequests>()

  get routes(): ReadonlyMap<string, RouteRequests> {
    return this.#routes
  }

  #requestsOf(name: string): RouteRequests {
    const known = this.#routes.get(name)
    if (known) return known
    if (name !== OTHER_ROUTES && this.#routes.size >= MAX_ROUTES) {
      return this.#requestsOf(OTHER_ROUTES)
    }
    const requests = new RouteRequests()
    this.#routes.set(name, requests)
    return requests
  }
}

const log = logOf('request')

/** Routes that orchestrators and pages poll: their requests are logged as `debug`. */
const POLLED_ROUTES = new Set(['/healthz', '/readyz', '/metrics', '(console)'])

/**
 * Logs one line for a request at its end. It names the route but not the URL: a query may hold
 * credentials, and a client chooses the path.
 */
export function logRequest({ seconds, isStream, ...request }: FinishedRequest): void {
  log[POLLED_ROUTES.has(request.route) ? 'debug' : 'info'](
    '{method} {route} {status} in {milliseconds} ms, {records} records, {bytes} bytes',
    { ...request, milliseconds: Math.round(seconds * 1_000_000) / 1_000, isStream },
  )
}
