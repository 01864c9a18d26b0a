import { KafkaConsumeError } from '../../core/errors.ts'

/** Room for so many streams at a time, in a route or in a whole process. One more is refused. */
export class StreamLimit {
  readonly limit: number
  #taken = 0

  constructor(limit: number) {
    this.limit = limit
  }

  get taken(): number {
    return this.#taken
  }

  /**
   * Takes a place, which is to be given back once.
   *
   * @throws KafkaConsumeError TOO_MANY_SUBSCRIBERS
   */
  take(): void {
    if (this.#taken >= this.limit) {
      throw new KafkaConsumeError(
        'TOO_MANY_SUBSCRIBERS',
        `Cannot open a stream: ${this.limit} are open already`,
        { retryAfter: 5 },
      )
    }
    this.#taken++
  }

  giveBack(): void {
    this.#taken--
  }
}
