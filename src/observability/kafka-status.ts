/** `GET /status`: the status of a gateway, or of an app of your own, as JSON. */
import type { Handler } from 'hono'
import { onUse } from '../core/on-use.ts'
import { clientOf } from '../http/request/client.ts'
import { assertHandlers } from './assert-handlers.ts'
import type { Observed } from './partition-offsets.ts'
import { readableStatus } from './readable-status.ts'
import type { Status } from './status.ts'

/** Answers with a status, as JSON: with the part that the client may see. */
export function statusHandler(status: () => Promise<Status>): Handler {
  return async (c) => {
    c.header('Cache-Control', 'no-store')
    return c.json(readableStatus(await status(), clientOf(c)))
  }
}

/**
 * `GET /status` for an app of your own: its routes, their topics, the clusters with offsets and
 * brokers, and the groups with their lag, as JSON. The page of `kafkaConsole` reads it. Kafka is asked
 * for offsets at most once a second for each set of topics, whatever the number of requests.
 *
 * @param handlers Handlers of `kafkaConsume` by the paths at which they are mounted.
 * @returns A handler to mount by `app.get`.
 * @throws KafkaConsumeError INVALID_OPTIONS where a handler is not one of this package's.
 *
 * @example
 * ```ts
 * import { Hono } from 'hono'
 * import { kafkaConsume, kafkaStatus } from 'hono-kafka-consume'
 *
 * const orders = kafkaConsume({ bootstrapServers: 'localhost:9092', topics: ['orders'] })
 * const app = new Hono().all('/orders', orders).get('/status', kafkaStatus({ '/orders': orders }))
 *
 * const { routes } = await (await app.request('/status')).json()
 * if (routes[0].topics[0] !== 'orders') throw new Error('the route is listed with its topics')
 * await orders.close()
 * ```
 */
export function kafkaStatus(handlers: Readonly<Record<string, Observed>>): Handler {
  assertHandlers('kafkaStatus', handlers, 'stats')
  const routes = () =>
    Object.entries(handlers).map(([path, handler]) => {
      return { name: path, paths: [path], hosts: [], handler }
    })
  return onUse(async () => statusHandler((await import('./status.ts')).statusOf(routes)))
}
