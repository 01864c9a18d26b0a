import type { Context, MiddlewareHandler } from 'hono'
import { beginRequestStatistics } from './request-statistics.ts'

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
