import { KafkaConsumeError } from '../../core/errors.ts'

/** Limits the streams that are open at a time, in a route or in a process. One more is refused. */
export class StreamLimit {
  readonly limit: number
  #open = 0

  constructor(limit: number) {
    this.limit = limit
  }

  get open(): number {
    return this.#open
  }

  /**
   * Counts a stream until {@link release}.
   *
   * @throws KafkaConsumeError TOO_MANY_SUBSCRIBERS
   */
  acquire(): void {
    if (this.#open >= this.limit) {
      throw new KafkaConsumeError(
        'TOO_MANY_SUBSCRIBERS',
        `Cannot open a stream: ${this.limit} are open already`,
        { retryAfter: 5 },
      )
    }
    this.#open++
  }

  release(): void {
    this.#open--
  }
}
