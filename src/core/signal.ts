/** Milliseconds after which a waiter goes on without a notification: not every change is notified. */
const MAX_WAIT_MS = 100

/** Wakes waiters, which then check what they wait for. */
export class Signal {
  readonly #waiting = new Set<() => void>()
  #isOver = false

  notify(): void {
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }

  /** Ends all waiting: from now on `rest` resolves at once. */
  end(): void {
    this.#isOver = true
    this.notify()
  }

  /** Resolves at the next notification, or after 100 ms. */
  next(signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', wake)
        this.#waiting.delete(wake)
        resolve()
      }
      const timer = setTimeout(wake, MAX_WAIT_MS)
      signal?.addEventListener('abort', wake, { once: true })
      this.#waiting.add(wake)
    })
  }

  /** Waits for some time, but not beyond {@link end}. */
  async rest(milliseconds: number): Promise<void> {
    const until = performance.now() + milliseconds
    while (!this.#isOver && performance.now() < until) await this.next()
  }
}
