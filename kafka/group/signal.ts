/** How long who waits for a change sleeps at most: not each one is announced. */
const MAX_WAIT_MS = 100

/** Lets those who wait for something look again. */
export class Signal {
  readonly #waiting = new Set<() => void>()
  #isOver = false

  notify(): void {
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }

  /** From now on nobody rests. */
  end(): void {
    this.#isOver = true
    this.notify()
  }

  /** Resolves at the next change, or soon in any case. */
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

  /** Waits, but not beyond the end. */
  async rest(milliseconds: number): Promise<void> {
    const until = performance.now() + milliseconds
    while (!this.#isOver && performance.now() < until) await this.next()
  }
}
