import type { Context, MiddlewareHandler } from 'hono'
import { KafkaConsumeError } from '../core/errors.ts'
import { logOf } from '../core/log.ts'
import { onUse } from '../core/on-use.ts'
import type { KafkaTopics } from '../options/option-types.ts'
import { resolveReaderOptions } from '../options/reader-options.ts'
import type { RecordOf } from '../options/topic-records.ts'
import type { KafkaReaderOptions } from '../options/typed-options.ts'
import type { AnyRecord, ConsumedRecord } from '../records/consumed-record.ts'
import type { KafkaReader } from './reader-types.ts'
import { controlsOf, type KafkaControls } from './route/handler-controls.ts'
import { Route } from './route/route.ts'

const log = logOf('reader')

/** The environment of a handler behind `kafkaReader`: `new Hono<KafkaReaderEnv>()`. */
export interface KafkaReaderEnv<Received extends AnyRecord = ConsumedRecord> {
  /** Variables of the context. */
  Variables: {
    /** Reads Kafka for the request: `c.var.kafka`. */
    kafka: KafkaReader<Received>
  }
}

/** The Hono middleware that `kafkaReader` returns. It connects with its first request, and runs until `close`. */
export interface KafkaReaderMiddleware<Received extends AnyRecord = ConsumedRecord>
  extends MiddlewareHandler<KafkaReaderEnv<Received>>,
    KafkaControls {}

/**
 * Lends a typed Kafka reader, `c.var.kafka`, to the handlers behind it. It never answers a request
 * itself; `kafkaConsume` does that.
 *
 * Records that a handler polls are committed when the handler has returned, and requeued when it
 * throws. Where a handler lets an error of the reader through, Hono's default error handler answers
 * with its status, code and `Retry-After` (`KafkaConsumeError.getResponse`). A request has one reader: a
 * second `kafkaReader` in front of its handler makes it 500 `INVALID_OPTIONS`.
 *
 * @param options See `KafkaReaderOptions`; `bootstrapServers` and `topics` are required. Those of
 * `kafkaConsume` that concern answers, such as `mode`, are refused.
 * @throws KafkaConsumeError INVALID_OPTIONS, whose message names each wrong field and what is allowed.
 *
 * @example
 * ```ts
 * import { Hono } from 'hono'
 * import { type KafkaReaderEnv, kafkaReader } from 'hono-kafka-consume'
 * import { kafkaSide } from 'hono-kafka-consume/kafka'
 *
 * // A broker within the process, with a few records; yours is elsewhere.
 * const broker = await kafkaSide.startEmbeddedBroker({ topic: 'orders', records: 3, recordsPerSecond: 0 })
 * const reader = kafkaReader({ bootstrapServers: broker.bootstrapServers, topics: ['orders'] })
 * const app = new Hono<KafkaReaderEnv>()
 * app.use(reader)
 * app.get('/count', async (c) => {
 *   const { records } = await c.var.kafka.read({ start: 'earliest' })
 *   return c.json({ count: records.length })
 * })
 *
 * const { count } = await (await app.request('/count')).json()
 * if (count !== 3) throw new Error('the handler reads all records')
 * await reader.close()
 * await broker.close()
 * ```
 */
export function kafkaReader<const Topics extends KafkaTopics>(
  options: KafkaReaderOptions<Topics>,
): KafkaReaderMiddleware<RecordOf<Topics>> {
  const { schemas, ...resolved } = resolveReaderOptions(options)
  // Handlers get what schemas return, which need not be JSON: each read validates its own records. Only
  // for dead letters are records validated before a handler gets them; a poll then has their outputs.
  const route = new Route({
    ...resolved,
    schemas: resolved.enableDlq ? schemas : new Map(),
    schemasOnlyCheck: true,
  })
  const readerFor = onUse(async () => {
    const { RequestReader } = await import('./request-reader.ts')
    const { RecordValidator } = await import('../records/record-validator.ts')
    const validator = schemas.size > 0 ? new RecordValidator(schemas) : undefined
    return (c: Context) => {
      const lent: unknown = c.get('kafka')
      // The types of a handler would follow the first of two readers, and its records the second.
      if (lent instanceof RequestReader && !lent.isOf(route)) throw lentTwice()
      return new RequestReader(route, c, validator)
    }
  })
  const middleware: MiddlewareHandler<KafkaReaderEnv<RecordOf<Topics>>> = async (c, next) => {
    const reader = await readerFor(c)
    c.set('kafka', reader as KafkaReader as KafkaReader<RecordOf<Topics>>)
    let failed = true
    try {
      await next()
      failed = c.error !== undefined
      logUnexpected(c)
    } finally {
      // In a `finally`, because Hono passes on a thrown value that is not an Error.
      reader.settle(failed)
    }
  }
  return Object.assign(middleware, controlsOf(route))
}

function lentTwice(): KafkaConsumeError {
  return new KafkaConsumeError(
    'INVALID_OPTIONS',
    'Cannot lend c.var.kafka: another kafkaReader has lent it to this request; give one kafkaReader the topics of both',
  )
}

/** Hono's default error handler prints only errors that make no answer themselves. */
function logUnexpected({ error, req: { method, path, raw } }: Context): void {
  if (!(error instanceof KafkaConsumeError) || error.status !== 500) return
  // A poll throws when its client leaves, whose answer nobody reads.
  if (raw.signal.aborted) return
  log.error('Cannot answer {method} {path}: {cause}', { method, path, cause: error.cause ?? error })
}
