/** Handlers that let errors of `c.var.kafka` through, for the tests of each runtime. */
import { Hono } from 'hono'
import type { HTTPResponseError } from 'hono/types'
import type { KafkaReaderEnv, KafkaReaderMiddleware, kafkaReader } from '../../src/index.ts'

/** Nothing listens on this port. */
const UNREACHABLE = { bootstrapServers: '127.0.0.1:1', topics: ['orders'] }

/**
 * An app with a handler at `/default`, behind Hono's default error handler, and one at `/own`, behind
 * an error handler as Hono's documentation has it.
 */
export function throwingApp(reader: KafkaReaderMiddleware): Hono {
  const read = () =>
    new Hono<KafkaReaderEnv>().get('/', reader, async (c) =>
      c.json(await c.var.kafka.read({ start: 'earliest' })),
    )
  const own = read().onError((error: Error | HTTPResponseError, c) =>
    'getResponse' in error ? error.getResponse() : c.text('unexpected', 500),
  )
  return new Hono().route('/default', read()).route('/own', own)
}

/** Such an app whose handlers cannot reach Kafka. @param reader The runtime's own `kafkaReader`. */
export function unreachableApp(reader: typeof kafkaReader): Hono {
  return throwingApp(reader(UNREACHABLE))
}
