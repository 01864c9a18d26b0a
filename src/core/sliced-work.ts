/** Long work in turns, between which the event loop serves other requests. */

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

/** Work that may rest where it yields, and waits where it yields a promise. */
export type SlicedWork<T> = Generator<Promise<unknown> | undefined, T>

/** Does sliced work without a rest. */
export function doAtOnce<T>(work: SlicedWork<T>): T {
  for (;;) {
    const { done, value } = work.next()
    if (done) return value as T
    if (value instanceof Promise) throw new Error('Cannot do this at once: it waits for others')
  }
}

/** Does sliced work in turns of some milliseconds. */
export async function doInTurns<T>(work: SlicedWork<T>): Promise<T> {
  const turns = new Turns()
  for (;;) {
    const { done, value } = work.next()
    if (done) return value as T
    await (value ?? turns.next())
  }
}
