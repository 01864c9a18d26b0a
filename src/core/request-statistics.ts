import type { Context } from 'hono'

/**
 * A request and its answer, as far as counting and logging go. Whoever answers adds to it; what
 * goes on after the handler has returned says when it ends.
 */
export interface RequestStatistics {
  /** Records put into the answer. */
  records: number
  /** Bytes of the answer that holds them. */
  bytes: number
  /** Of a stream, which goes on when its handler has returned. */
  ended: Promise<void> | undefined
  /** Where it is not the response's: a runtime upgrades a connection behind its back. */
  status: number | undefined
  /** What the request counts as. Default: the path by which its handler is mounted. */
  route: string | undefined
}

const VARIABLE = 'kafkaExchange'

/** Begins to observe a request. */
export function beginRequestStatistics(c: Context): RequestStatistics {
  const exchange = { records: 0, bytes: 0, ended: undefined, status: undefined, route: undefined }
  c.set(VARIABLE, exchange)
  return exchange
}

/** The exchange that a request belongs to; none where nobody observes it. */
export function requestStatisticsOf(c: Context): RequestStatistics | undefined {
  return c.get(VARIABLE) as RequestStatistics | undefined
}
