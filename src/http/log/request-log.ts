import type { Context } from 'hono'
import { settledWithin } from '../../core/deadline.ts'
import { asKafkaConsumeError, KafkaConsumeError } from '../../core/errors.ts'
import type { ResolvedLogOptions } from '../../options/log-options.ts'
import type { KafkaOutage } from '../../port/kafka.ts'
import { RecordEncoder } from '../produce/record-encoder.ts'
import { type BufferedStats, RecordSender } from '../produce/record-sender.ts'
import { urlOf } from '../request/client.ts'
import { luaContext } from '../request/lua-context.ts'
import type { AnswerSize } from './answer-size.ts'
import { CustomFields } from './custom-fields.ts'
import { logEntry, type RequestEnd, type RequestStart, redactedHeaders } from './log-entry.ts'

/** Milliseconds for which closing waits for entries that are being made. */
const ENTRIES_MS = 5_000

/** Statistics of a handler of `kafkaLog`, as they are now or since it was made. */
export type LogStats = BufferedStats<'log'>

/**
 * Writes an entry to Kafka for each finished request. Requests never wait for it: an entry is made
 * after its answer, and one that cannot be buffered is counted and logged.
 *
 * Overflow policy: the newest entry is lost.
 */
export class RequestLog {
  readonly #options: ResolvedLogOptions
  readonly #sender: RecordSender
  readonly #encoder: RecordEncoder
  readonly #fields: CustomFields | undefined
  /** Entries that are being made. */
  readonly #making = new Set<Promise<void>>()
  #closed: Promise<void> | undefined

  constructor(options: ResolvedLogOptions) {
    this.#options = options
    this.#sender = new RecordSender(options, true)
    this.#encoder = new RecordEncoder(options.schemaRegistry.confluent)
    const { customFieldsByLua: fields } = options
    if (fields && Object.keys(fields).length > 0) this.#fields = new CustomFields(fields)
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
      await this.#sender.close()
      await this.#fields?.close()
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
    const entry = logEntry(c, request, { ...end, bytes: await size.bytes() })
    await this.#fields?.apply(entry, luaContext(c, request, end.response))
    const value = await this.#encoder.value(JSON.stringify(entry))
    const { topic, keyQueryArg } = this.#options
    const given = keyQueryArg === undefined ? null : request.url.searchParams.get(keyQueryArg)
    const key = given === null ? null : await this.#encoder.key(given)
    await this.#sender.send([{ topic, key, value }])
  }
}
