import type { Context } from 'hono'
import { KafkaConsumeError } from '../core/errors.ts'
import { type KafkaProduceHandler, kafkaProduce } from '../http/produce/kafka-produce.ts'
import { clientOf, isRestricted } from '../http/request/client.ts'
import { FOREIGN_PAGE_WRITES, isForeignPage } from '../http/request/page-origin.ts'
import { errorResponse } from '../http/response/error-response.ts'
import type { KafkaProduceOptions } from '../options/option-types.ts'

/** Bytes of a body: a record of 1 MB, Kafka's limit by default, may be escaped or base64 in JSON. */
const MAX_BYTES = 4 * 1024 * 1024

/**
 * The gateway's own route to write. Pages of other origins may not use it, even where no credentials are
 * required: a browser would send their form to a gateway on its own machine.
 *
 * @param origins Origins whose pages may write; `*` allows none.
 */
export function produceRoute(
  options: KafkaProduceOptions,
  origins: readonly string[],
): KafkaProduceHandler {
  const write: KafkaProduceHandler = kafkaProduce({ ...options, maxBytes: MAX_BYTES })
  const handler: typeof write = Object.assign(async (...[c, next]: Parameters<typeof write>) => {
    const refusal = refusalOf(c, origins)
    return refusal ? errorResponse(c, refusal, false) : write(c, next)
  }, controlsOf(write))
  return handler
}

function controlsOf({ start, outage, stats, close, schemas }: KafkaProduceHandler) {
  return { start, outage, stats, close, schemas }
}

function refusalOf(c: Context, origins: readonly string[]): KafkaConsumeError | undefined {
  if (isForeignPage(c, (origin) => origins.includes(origin))) {
    return new KafkaConsumeError('FORBIDDEN', FOREIGN_PAGE_WRITES)
  }
  if (!isRestricted(clientOf(c))) return undefined
  const message = 'Cannot write records: this client may see a part of the records only'
  return new KafkaConsumeError('FORBIDDEN', message)
}
