import type { Context } from 'hono'

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
