/** Long work in turns, between which other requests are served. */

/** Milliseconds of work after which the event loop has its turn. */
const TURN_MS = 5

export class Turns {
  #began = performance.now()

  /** Waits for the event loop when the present turn has taken its time. Otherwise returns at once. */
  next(): Promise<void> | undefined {
    if (performance.now() - this.#began < TURN_MS) return undefined
    return this.#rest()
  }

  async #rest(): Promise<void> {
    await new Promise<void>((resolve) => setTimeout(resolve))
    this.#began = performance.now()
  }
}
