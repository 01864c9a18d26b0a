import { KafkaConsumeError } from '../../core/errors.ts'

/** Room for so many streams at a time, in a route or in a whole process. One more is refused. */
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
   * Takes a place, which is to be given back once.
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
