import type { Context } from 'hono'
import { shuttingDownError } from '../../core/errors.ts'
import { clientOf, filterOfTable, isRestricted } from '../request/client.ts'
import { chooseFormat, type StreamPlan } from '../request/parameters.ts'
import type { Route } from '../route/route.ts'
import type { StreamForm } from '../route/route-stats.ts'
import { LiveStream } from './live-stream.ts'
import type { StreamEncoder } from './stream-encoder.ts'

/**
 * Opens a stream. The caller must run or abandon it.
 *
 * @throws KafkaConsumeError before the first byte, so that it can be an HTTP status.
 */
export async function openStream<Frames>(
  c: Context,
  route: Route,
  { position, end, wanted, format }: StreamPlan,
  form: StreamForm,
  encoder: StreamEncoder<Frames>,
): Promise<LiveStream<Frames>> {
  const client = clientOf(c)
  const { format: recordFormat } = chooseFormat(format, route.options)
  const { feed } = await route.lease()
  let live: LiveStream<Frames> | undefined
  let hasEnded = false
  const releaseClient = await route.acquireStream(client, () => {
    hasEnded = true
    void live?.end()
  })
  // A processor may drop records.
  const filtered = feed.processor !== undefined || isRestricted(client) || wanted !== undefined
  try {
    const subscription = await feed.subscribe(
      position,
      filterOfTable(wanted, client),
      'follow',
      form === 'ndjson' ? 'lines' : 'events',
      end,
    )
    const refusal = route.isClosed ? shuttingDownError('open a stream') : c.req.raw.signal.reason
    if (refusal) {
      await subscription.close()
      throw refusal
    }
    live = new LiveStream(
      c,
      route,
      subscription,
      form,
      encoder,
      recordFormat,
      filtered,
      releaseClient,
    )
  } catch (error) {
    route.releaseStream(releaseClient)
    throw error
  }
  if (hasEnded) void live.end()
  return live
}
