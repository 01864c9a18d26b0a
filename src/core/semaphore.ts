/**
 * Lets a limited number of tasks run at a time. Others wait in the order in which they came.
 *
 * Overflow policy: the queue has no limit of its own; its callers have one.
 */
export class Semaphore {
  readonly #limit: number
  readonly #waiting: Array<() => void> = []
  #running = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  /** Runs a task when it is its turn; settles as the task does. */
  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#running < this.#limit) this.#running++
    // A task that ends passes its slot on: a newcomer cannot overtake those that wait.
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    try {
      return await task()
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#running--
    }
  }
}
