import { asKafkaConsumeError } from '../../core/errors.ts'
import { logOf } from '../../core/log.ts'

const log = logOf('producer')

/** Milliseconds between two lines about losses. */
const INTERVAL_MS = 10_000

/** Logs records that were accepted and then not written: at once, and then every 10 s with their number. */
export class LossLog {
  readonly #topic: string
  #count = 0
  #reason: unknown
  #timer: ReturnType<typeof setTimeout> | undefined

  /** @param topic The topic that the lines name. */
  constructor(topic: string) {
    this.#topic = topic
  }

  report(count: number, reason: unknown): void {
    this.#count += count
    this.#reason = reason
    if (this.#timer === undefined) this.#print()
  }

  /** Logs what has not been logged yet. */
  close(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#count > 0) this.#line()
  }

  #print(): void {
    this.#timer = undefined
    if (this.#count === 0) return
    this.#line()
    this.#timer = setTimeout(() => this.#print(), INTERVAL_MS)
  }

  #line(): void {
    const { code, message, detail } = asKafkaConsumeError(this.#reason)
    log.error('{count} records for {topic} were lost: {message} ({code}: {detail})', {
      count: this.#count,
      topic: this.#topic,
      message,
      code,
      detail: detail ?? '',
    })
    this.#count = 0
  }
}
