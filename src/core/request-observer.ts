import type { Context, MiddlewareHandler } from 'hono'
import { beginRequestStatistics } from './request-statistics.ts'

/** A request at its end; of a stream that is when the stream has ended. */
export interface FinishedRequest {
  /** The HTTP method. */
  readonly method: string
  /** A route's name, or a path as it is mounted: one of few, and never a client's text. */
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

/** Told of every request. */
export type RequestObserver = (request: FinishedRequest, c: Context) => void

/** Tells observers of each request when it has ended. It goes in front of what it is to observe. */
export function observeRequests(observers: readonly RequestObserver[]): MiddlewareHandler {
  return async (c, next) => {
    const exchange = beginRequestStatistics(c)
    const began = performance.now()
    const finish = () => {
      const request = {
        method: c.req.method,
        route: exchange.route ?? routeOf(c),
        status: exchange.status ?? c.res.status,
        seconds: (performance.now() - began) / 1_000,
        isStream: exchange.ended !== undefined,
        records: exchange.records,
        bytes: exchange.bytes,
      }
      for (const observe of observers) observe(request, c)
    }
    try {
      await next()
    } finally {
      if (exchange.ended) void exchange.ended.then(finish)
      else finish()
    }
  }
}

/** What requests without a route count as. */
const NO_ROUTE = '(none)'

/** The pattern by which the handler was mounted that was called last. */
function routeOf(c: Context): string {
  // The request's own list: `hono/route` finds it only for requests of the same copy of Hono.
  const path = c.req.matchedRoutes[c.req.routeIndex]?.path
  return path === undefined || path === '*' || path === '/*' ? NO_ROUTE : path
}
