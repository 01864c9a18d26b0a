import type { Context, MiddlewareHandler } from 'hono'
import { beginRequestStatistics, requestStatisticsOf } from '../../core/request-statistics.ts'
import { resolveLogOptions } from '../../options/log-options.ts'
import type { KafkaLogOptions } from '../../options/option-types.ts'
import type { WriterControls } from '../produce/writer-controls.ts'
import { type AnswerSize, counted, isAppStream, sizeOf } from './answer-size.ts'
import { type LogStats, RequestLog, startRequest } from './request-log.ts'

/** The Hono middleware that `kafkaLog` returns. */
export interface KafkaLogMiddleware extends MiddlewareHandler, WriterControls<LogStats> {}

/**
 * Writes a record for each finished request, as Kong's plugin `kafka-log` does: its options are the
 * plugin's fields in camelCase, with its defaults. Mount it by `app.use` in front of the routes to log.
 * Requests do not wait for it. A middleware adds fields to the entry by `c.set('kafkaLogFields', …)`.
 *
 * @param options See `KafkaLogOptions`; `bootstrapServers` and `topic` are required.
 * @throws KafkaConsumeError INVALID_OPTIONS, whose message names each wrong field and what is allowed.
 *
 * @example
 * ```ts
 * import { Hono } from 'hono'
 * import { kafkaLog } from 'hono-kafka-consume'
 * import { kafkaSide } from 'hono-kafka-consume/kafka'
 *
 * // A broker within the process; yours is elsewhere.
 * const broker = await kafkaSide.startEmbeddedBroker({ topic: 'requests', records: 0, recordsPerSecond: 0 })
 * const requests = kafkaLog({ bootstrapServers: broker.bootstrapServers, topic: 'requests' })
 * const app = new Hono().use(requests).get('/hello', (c) => c.text('hello'))
 *
 * await app.request('/hello')
 * await requests.close()
 * if (requests.stats().records !== 1) throw new Error('the request is logged')
 * await broker.close()
 * ```
 */
export function kafkaLog(options: KafkaLogOptions): KafkaLogMiddleware {
  const requestLog = new RequestLog(resolveLogOptions(options))
  const middleware: MiddlewareHandler = async (c, next) => {
    // Streams tell there when they end.
    if (!requestStatisticsOf(c)) beginRequestStatistics(c)
    const start = startRequest()
    try {
      await next()
    } catch (thrown) {
      // Hono answers errors itself. The runtime answers anything else that is thrown.
      const response = new Response(null, { status: 500 })
      requestLog.record(c, response, start, { ended: undefined, bytes: () => undefined })
      throw thrown
    }
    requestLog.record(c, c.res, start, sizeOfAnswer(c))
  }
  return Object.assign(middleware, {
    start: () => requestLog.start(),
    outage: () => requestLog.outage(),
    stats: () => requestLog.stats(),
    close: () => requestLog.close(),
  })
}

/** The size of an app's answer. An app's own stream is counted, and logged at its end. */
function sizeOfAnswer(c: Context): AnswerSize {
  const isCounted = requestStatisticsOf(c)?.ended !== undefined || !isAppStream(c)
  if (isCounted || c.res.body === null) return sizeOf(c, c.res, false)
  const { body, size } = counted(c.res.body)
  c.res = new Response(body, c.res)
  return size
}
