import type { Context, MiddlewareHandler } from 'hono'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { settledWithin } from '../../core/deadline.ts'
import { asKafkaConsumeError } from '../../core/errors.ts'
import { logOf } from '../../core/log.ts'
import type { KafkaUpstreamOptions } from '../../options/option-types.ts'
import {
  type ResolvedUpstreamOptions,
  resolveUpstreamOptions,
} from '../../options/upstream-options.ts'
import { type BufferedStats, RecordSender } from '../produce/record-sender.ts'
import type { WriterControls } from '../produce/writer-controls.ts'
import { forwardedRequest } from '../request/forwarded-request.ts'
import { luaContext } from '../request/lua-context.ts'
import { MessageEncoder } from './message-encoder.ts'
import { recordHeaders } from './record-headers.ts'
import { readMessage } from './request-message.ts'
import { topicsOf } from './target-topics.ts'

const log = logOf('upstream')

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
  const encoder = new MessageEncoder(resolved)
  const answering = new Set<Promise<unknown>>()
  let closed: Promise<void> | undefined

  const answer = async (c: Context): Promise<Response> => {
    try {
      const isSent = await produce(c, resolved, encoder, sender)
      sender.statistics.countRequest('OK')
      return c.json({ message: isSent ? 'message sent' : 'message dropped' })
    } catch (thrown) {
      const isAborted = c.req.raw.signal.aborted
      const error = asKafkaConsumeError(thrown instanceof SendError ? thrown.cause : thrown)
      sender.statistics.countRequest(isAborted ? 'ABORTED' : error.code)
      if (isAborted) return new Response(null, { status: 499 })
      return errorAnswer(c, thrown, resolved.errorHandling.returnErrorMessage)
    }
  }

  const handler: MiddlewareHandler = async (c) => {
    const response = answer(c)
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
        await settledWithin(Promise.all(answering), ANSWER_MS)
        await sender.close()
        await encoder.close()
      })()
      return closed
    },
  })
}

/** An error of Kafka, its client, or of what is needed to send: the request itself is in order. */
class SendError extends Error {
  override readonly cause: unknown

  constructor(cause: unknown) {
    super('a message was not sent', { cause })
    this.cause = cause
  }
}

/**
 * Writes a request to its topics.
 *
 * @returns Whether a record was sent: a Lua function may drop it.
 * @throws KafkaConsumeError for the request's own fault, SendError for any other.
 */
async function produce(
  c: Context,
  options: ResolvedUpstreamOptions,
  encoder: MessageEncoder,
  sender: RecordSender,
): Promise<boolean> {
  const request = forwardedRequest(c)
  const topics = topicsOf(request.url, options)
  const message = await readMessage(c, request, options)
  const value = await encoder.value(message, () => luaContext(c, request))
  if (value === undefined) return false
  const { keyQueryArg } = options
  const given = keyQueryArg === undefined ? null : request.url.searchParams.get(keyQueryArg)
  const key = given === null ? null : await encoder.key(given)
  const headers = recordHeaders(request.headers, options.headers)
  try {
    await sender.send(topics.map((topic) => ({ topic, key, value, headers })))
    return true
  } catch (error) {
    throw new SendError(error)
  }
}

const NOT_SENT = 'could not send message to topic'

/** Answers in Kong's words; where Kong does not publish them, in its form. */
function errorAnswer(c: Context, thrown: unknown, showDetail: boolean): Response {
  const error = asKafkaConsumeError(thrown instanceof SendError ? thrown.cause : thrown)
  const { code, message, detail } = error
  const say = (status: number, message: string, reason: string) =>
    c.json({ message, error: reason }, status as ContentfulStatusCode)
  if (!(thrown instanceof SendError)) {
    switch (code) {
      case 'INVALID_RECORD':
        return say(400, 'Bad Request', message)
      case 'RECORD_TOO_LARGE':
        return say(413, 'Payload Too Large', message)
      case 'TOO_MANY_RECORDS':
        c.header('Retry-After', String(error.retryAfter))
        return say(503, 'Service Unavailable', message)
      case 'FORBIDDEN':
        log.warn('{message}', { message: detail ?? message })
        return say(502, 'Bad Gateway', message)
    }
  }
  log.warn('Cannot answer {method} {path}: {message} ({code}: {detail})', {
    method: c.req.method,
    path: c.req.path,
    message,
    code,
    detail: detail ?? '',
  })
  if (code === 'INTERNAL') return say(500, 'Internal Server Error', NOT_SENT)
  return say(502, 'Bad Gateway', showDetail ? (detail ?? message) : NOT_SENT)
}
