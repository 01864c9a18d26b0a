/** Writes requests to Kafka, and answers them in Kong's words. */
import type { Context } from 'hono'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { asKafkaConsumeError } from '../../core/errors.ts'
import { logOf } from '../../core/log.ts'
import type { ResolvedUpstreamOptions } from '../../options/upstream-options.ts'
import type { RecordSender } from '../produce/record-sender.ts'
import { forwardedRequest } from '../request/forwarded-request.ts'
import { luaContext } from '../request/lua-context.ts'
import { MessageEncoder } from './message-encoder.ts'
import { recordHeaders } from './record-headers.ts'
import { readMessage } from './request-message.ts'
import { topicsOf } from './target-topics.ts'

const log = logOf('upstream')

/** An error of Kafka, its client, or of what is needed to send: the request itself is in order. */
class SendError extends Error {
  override readonly cause: unknown

  constructor(cause: unknown) {
    super('a message was not sent', { cause })
    this.cause = cause
  }
}

/** Writes the requests of one handler. */
export class RequestWriter {
  readonly #options: ResolvedUpstreamOptions
  readonly #sender: RecordSender
  readonly #encoder: MessageEncoder

  constructor(options: ResolvedUpstreamOptions, sender: RecordSender) {
    this.#options = options
    this.#sender = sender
    this.#encoder = new MessageEncoder(options)
  }

  /** Writes a request to its topics, and answers it. */
  async answer(c: Context): Promise<Response> {
    const { statistics } = this.#sender
    try {
      const isSent = await this.#write(c)
      statistics.countRequest('OK')
      return c.json({ message: isSent ? 'message sent' : 'message dropped' })
    } catch (thrown) {
      const isAborted = c.req.raw.signal.aborted
      const error = asKafkaConsumeError(thrown instanceof SendError ? thrown.cause : thrown)
      statistics.countRequest(isAborted ? 'ABORTED' : error.code)
      if (isAborted) return new Response(null, { status: 499 })
      return errorAnswer(c, thrown, this.#options.errorHandling.returnErrorMessage)
    }
  }

  async close(): Promise<void> {
    await this.#encoder.close()
  }

  /**
   * @returns Whether a record was sent: a Lua function may drop it.
   * @throws KafkaConsumeError for the request's own fault, SendError for any other.
   */
  async #write(c: Context): Promise<boolean> {
    const request = forwardedRequest(c)
    const topics = topicsOf(request.url, this.#options)
    const message = await readMessage(c, request, this.#options)
    const value = await this.#encoder.value(message, () => luaContext(c, request))
    if (value === undefined) return false
    const key = await this.#encoder.keyIn(request.url, this.#options.keyQueryArg)
    const headers = recordHeaders(request.headers, this.#options.headers)
    try {
      await this.#sender.send(topics.map((topic) => ({ topic, key, value, headers })))
      return true
    } catch (error) {
      throw new SendError(error)
    }
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
