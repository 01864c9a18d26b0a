/**
 * Lets a limited number of tasks run at a time. Others wait in the order in which they came.
 *
 * Overflow policy: callers ask `isFull` before they let a task wait; the queue itself refuses none.
 */
export class Semaphore {
  readonly #limit: number
  readonly #maxWaiting: number
  readonly #waiting: Array<() => void> = []
  #running = 0

  /**
   * @param limit Tasks that run at a time.
   * @param maxWaiting Tasks that wait until `isFull`. Default: the callers have a limit of their own.
   */
  constructor(limit: number, maxWaiting = Infinity) {
    this.#limit = limit
    this.#maxWaiting = maxWaiting
  }

  /** Whether a further task would wait although `maxWaiting` tasks already do. */
  get isFull(): boolean {
    return this.#running >= this.#limit && this.#waiting.length >= this.#maxWaiting
  }

  get running(): number {
    return this.#running
  }

  get waiting(): number {
    return this.#waiting.length
  }

  /**
   * Runs a task when it is its turn; settles as the task does.
   *
   * @param signal Ends the wait for the turn; the task itself must observe the signal.
   * @throws The signal's reason.
   */
  async run<T>(task: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    if (this.#running < this.#limit) this.#running++
    // A task that ends passes its slot on: a newcomer cannot overtake those that wait.
    else await this.#turn(signal)
    try {
      return await task()
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#running--
    }
  }

  #turn(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason)
        return
      }
      const begin = () => {
        signal?.removeEventListener('abort', leave)
        resolve()
      }
      const leave = () => {
        this.#waiting.splice(this.#waiting.indexOf(begin), 1)
        reject(signal?.reason)
      }
      signal?.addEventListener('abort', leave, { once: true })
      this.#waiting.push(begin)
    })
  }
}
