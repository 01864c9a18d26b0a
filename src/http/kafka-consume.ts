import type { Handler } from 'hono'
import { onUse } from '../core/on-use.ts'
import { resolveOptions } from '../options/consume-options.ts'
import type { KafkaConsumeOptions, KafkaTopics } from '../options/option-types.ts'
import type { KafkaRouteOptions } from '../options/typed-options.ts'
import type { SchemasByTopic } from '../records/topic-schemas.ts'
import { controlsOf, type KafkaControls } from './route/handler-controls.ts'
import { Route, type SharedLimits } from './route/route.ts'
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
  const handler = onUse(async () => (await import('./answer-request.ts')).answersOf(route))
  return Object.assign(handler as Handler, controlsOf(route), { schemas: route.options.schemas })
}
