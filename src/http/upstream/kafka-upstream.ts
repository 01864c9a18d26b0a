import type { Context, MiddlewareHandler } from 'hono'
import { settledWithin } from '../../core/deadline.ts'
import { inTurn } from '../../core/in-turn.ts'
import { ClosableOnUse, onUse } from '../../core/on-use.ts'
import type { KafkaUpstreamOptions } from '../../options/option-types.ts'
import { resolveUpstreamOptions } from '../../options/upstream-options.ts'
import { type BufferedStats, RecordSender } from '../produce/record-sender.ts'
import type { WriterControls } from '../produce/writer-controls.ts'

/** Milliseconds for which closing waits for requests that are being answered. */
const ANSWER_MS = 5_000

/** Statistics of a handler of `kafkaUpstream`, as they are now or since it was made. */
export type UpstreamStats = BufferedStats<'upstream'>

/** The Hono handler that `kafkaUpstream` returns. */
export interface KafkaUpstreamHandler extends MiddlewareHandler, WriterControls<UpstreamStats> {}

/**
 * Writes each request to a Kafka topic, as Kong's plugin `kafka-upstream` does: its options are the
 * plugin's fields in camelCase, with its defaults, and its answers are the plugin's
 * (`docs/kong.md`). Any method is accepted.
 *
 * @param options See `KafkaUpstreamOptions`; `bootstrapServers` and `topic` are required.
 * @throws KafkaConsumeError INVALID_OPTIONS, whose message names each wrong field and what is allowed.
 *
 * @example
 * ```ts
 * import { Hono } from 'hono'
 * import { kafkaUpstream } from 'hono-kafka-consume'
 * import { kafkaSide } from 'hono-kafka-consume/kafka'
 *
 * // A broker within the process; yours is elsewhere.
 * const broker = await kafkaSide.startEmbeddedBroker({ topic: 'clicks', records: 0, recordsPerSecond: 0 })
 * const clicks = kafkaUpstream({ bootstrapServers: broker.bootstrapServers, topic: 'clicks' })
 * const app = new Hono().post('/clicks', clicks)
 *
 * const response = await app.request('/clicks', { method: 'POST', body: 'button=buy' })
 * if ((await response.json()).message !== 'message sent') throw new Error('the request is buffered')
 * await clicks.close()
 * await broker.close()
 * ```
 */
export function kafkaUpstream(options: KafkaUpstreamOptions): KafkaUpstreamHandler {
  const resolved = resolveUpstreamOptions(options)
  const sender = new RecordSender(resolved, resolved.producerAsync)
  const answering = new Set<Promise<unknown>>()
  let closed: Promise<void> | undefined

  const writer = new ClosableOnUse(async () => {
    const { RequestWriter } = await import('./request-writer.ts')
    return new RequestWriter(resolved, sender)
  })
  const answer = onUse(async () => {
    const loaded = await writer.load()
    return (c: Context) => loaded.answer(c)
  })

  const handler: MiddlewareHandler = async (c) => {
    const response = Promise.resolve(answer(c))
    answering.add(response)
    try {
      return await response
    } finally {
      answering.delete(response)
    }
  }

  return Object.assign(handler, {
    start: () => sender.start(),
    outage: () => sender.outage(),
    stats: (): UpstreamStats => ({
      mode: 'upstream',
      topics: [...new Set([resolved.topic, ...(resolved.allowedTopics ?? [])])],
      ...sender.stats(),
    }),
    close: () => {
      closed ??= (async () => {
        await settledWithin(Promise.allSettled(answering), ANSWER_MS)
        await inTurn(
          () => sender.close(),
          () => writer.close(),
        )
      })()
      return closed
    },
  })
}
