import type { Context } from 'hono'
import { settledWithin } from '../../core/deadline.ts'
import { asKafkaConsumeError, KafkaConsumeError } from '../../core/errors.ts'
import { inTurn } from '../../core/in-turn.ts'
import { ClosableOnUse } from '../../core/on-use.ts'
import type { ResolvedLogOptions } from '../../options/log-options.ts'
import type { KafkaOutage } from '../../port/kafka.ts'
import { type BufferedStats, RecordSender } from '../produce/record-sender.ts'
import { clientOf, urlOf } from '../request/client.ts'
import type { AnswerSize } from './answer-size.ts'
import type { EntryEncoder } from './entry-encoder.ts'
import type { RequestEnd, RequestStart } from './log-entry.ts'

/** Headers whose values no log shows; Kong writes this word in their place. */
const SECRET_HEADERS = ['authorization', 'proxy-authorization']
const REDACTED = 'REDACTED'

/** Milliseconds for which closing waits for entries that are being made. */
const ENTRIES_MS = 5_000

/** Statistics of a handler of `kafkaLog`, as they are now or since it was made. */
export type LogStats = BufferedStats<'log'>

export function startRequest(): RequestStart {
  return { startedAt: Date.now(), began: performance.now() }
}

/**
 * Writes an entry to Kafka for each finished request. Requests never wait for it: an entry is made
 * after its answer, and one that cannot be buffered is counted and logged.
 *
 * Overflow policy: the newest entry is lost.
 */
export class RequestLog {
  readonly #options: ResolvedLogOptions
  readonly #sender: RecordSender
  readonly #encoder: ClosableOnUse<EntryEncoder>
  /** Entries that are being made. */
  readonly #making = new Set<Promise<void>>()
  #closed: Promise<void> | undefined

  constructor(options: ResolvedLogOptions) {
    this.#options = options
    this.#sender = new RecordSender(options, true)
    this.#encoder = new ClosableOnUse(async () => {
      const { EntryEncoder } = await import('./entry-encoder.ts')
      return new EntryEncoder(options)
    })
  }

  /** Logs a request when its answer has ended, which for a stream is later. */
  record(c: Context, response: Response, start: RequestStart, size: AnswerSize): void {
    const answered = { ...start, response, answeredAt: performance.now() }
    const add = () => this.#add(c, { ...answered, endedAt: performance.now() }, size)
    if (size.ended) void size.ended.then(add)
    else add()
  }

  start(): Promise<void> {
    return this.#sender.start()
  }

  outage(): KafkaOutage | undefined {
    return this.#sender.outage()
  }

  stats(): LogStats {
    return { mode: 'log', topics: [this.#options.topic], ...this.#sender.stats() }
  }

  /** Writes the entries of all requests that have ended, for some seconds at most, and disconnects. */
  close(): Promise<void> {
    this.#closed ??= (async () => {
      await settledWithin(Promise.all(this.#making), ENTRIES_MS)
      await inTurn(
        () => this.#sender.close(),
        () => this.#encoder.close(),
      )
    })()
    return this.#closed
  }

  #add(c: Context, end: Omit<RequestEnd, 'bytes'>, size: AnswerSize): void {
    const limit = this.#options.producerAsyncBufferingLimitsMessagesInMemory
    if (this.#making.size >= limit) {
      const state = `${this.#making.size} entries are being made already`
      this.#sender.lose(1, new KafkaConsumeError('TOO_MANY_RECORDS', `Cannot log: ${state}`))
      return
    }
    const making = this.#write(c, end, size)
      .then(
        () => this.#sender.statistics.countRequest('OK'),
        (error: unknown) => {
          this.#sender.statistics.countRequest(asKafkaConsumeError(error).code)
          this.#sender.lose(1, error)
        },
      )
      .finally(() => this.#making.delete(making))
    this.#making.add(making)
  }

  async #write(c: Context, end: Omit<RequestEnd, 'bytes'>, size: AnswerSize): Promise<void> {
    const request = { method: c.req.method, url: urlOf(c), headers: redactedHeaders(c) }
    const bytes = await size.bytes()
    const encoder = await this.#encoder.load()
    await this.#sender.send([await encoder.encode(c, request, { ...end, bytes })])
  }
}

/** Headers of a request as a log shows them: without values that are secret. */
function redactedHeaders(c: Context): Headers {
  const headers = new Headers(c.req.raw.headers)
  const { credentialHeaders = [], identityHeaders = {} } = clientOf(c)
  for (const name of [...SECRET_HEADERS, ...credentialHeaders]) {
    if (headers.has(name)) headers.set(name, REDACTED)
  }
  for (const [name, value] of Object.entries(identityHeaders)) {
    if (value !== null) headers.set(name, value)
  }
  return headers
}
