/** `GET /topics`: the topics of a gateway's routes, or of an app's. Their answers are loaded with the first request. */
import { Hono } from 'hono'
import { loadOnce } from '../core/on-use.ts'
import { assertHandlers } from './assert-handlers.ts'
import type { ReadingRoute } from './topic-answers.ts'
import type { DetailedHandler } from './topic-snapshots.ts'

/**
 * The topics of routes at `/`, and one topic with its partitions at `/:topic`. Kafka is asked at most
 * once in five seconds for each cluster, and for sizes once in half a minute, whatever the number of requests.
 *
 * A client with a scope sees the topics and partitions of its scope, and neither consumer groups nor settings.
 *
 * @param reading Returns the routes that read; called at each request.
 */
export function topicRoutes(reading: () => readonly ReadingRoute[]): Hono {
  const answers = loadOnce(async () => (await import('./topic-answers.ts')).topicAnswers(reading))
  const app = new Hono()
  app.get('/', async (c) => (await answers()).list(c))
  app.get('/:topic', async (c) => (await answers()).detail(c, c.req.param('topic')))
  return app
}

/**
 * The topics of an app of your own, as the gateway's `/topics`: a list with records, sizes, rates, replicas
 * and the lag of consumer groups, and below it each topic with its partitions. The page of `kafkaConsole`
 * reads them. Kafka is asked at most once in five seconds for each cluster, and for sizes once in half a minute.
 *
 * @param handlers Handlers of `kafkaConsume` by the paths at which they are mounted.
 * @returns An app to mount by `app.route`.
 * @throws KafkaConsumeError INVALID_OPTIONS where a handler is not one of this package's.
 *
 * @example
 * ```ts
 * import { Hono } from 'hono'
 * import { kafkaConsume, kafkaTopics } from 'hono-kafka-consume'
 *
 * const orders = kafkaConsume({ bootstrapServers: 'localhost:9092', topics: ['orders'] })
 * const app = new Hono()
 *   .all('/orders', orders)
 *   .route('/topics', kafkaTopics({ '/orders': orders }))
 *
 * const response = await app.request('/topics/payments')
 * if (response.status !== 404) throw new Error('only topics of the handlers are shown')
 * await orders.close()
 * ```
 */
export function kafkaTopics(handlers: Readonly<Record<string, DetailedHandler>>): Hono {
  assertHandlers('kafkaTopics', handlers, 'topicDetails')
  return topicRoutes(() =>
    Object.entries(handlers).map(([path, handler]) => ({ name: path, handler })),
  )
}
