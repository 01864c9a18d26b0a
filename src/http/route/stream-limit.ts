import { KafkaConsumeError } from '../../core/errors.ts'
import type { Gauge } from '../../core/gauge.ts'

/** Limits the streams that are open at a time, in a route or in a process. One more is refused. */
export class StreamLimit {
  readonly limit: number
  readonly #shared: Gauge | undefined
  #open = 0

  /** @param shared Counts the streams of all threads. Default: this one counts alone. */
  constructor(limit: number, shared?: Gauge) {
    this.limit = limit
    this.#shared = shared
  }

  /** The open streams of this thread. */
  get open(): number {
    return this.#open
  }

  /**
   * Counts a stream until {@link release}.
   *
   * @throws KafkaConsumeError TOO_MANY_SUBSCRIBERS
   */
  acquire(): void {
    this.#count(1)
    // Counted before it is compared: another thread may open a stream at this moment, too.
    if ((this.#shared?.value ?? this.#open) > this.limit) {
      this.#count(-1)
      throw new KafkaConsumeError(
        'TOO_MANY_SUBSCRIBERS',
        `Cannot open a stream: ${this.limit} are open already`,
        { retryAfter: 5 },
      )
    }
  }

  release(): void {
    this.#count(-1)
  }

  #count(change: number): void {
    this.#open += change
    this.#shared?.add(change)
  }
}
