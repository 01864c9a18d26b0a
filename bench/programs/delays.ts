/** The delays of values that begin with the time at which they were sent (`pacer.ts`). */
export class Delays {
  #all: number[] = []

  /** @param sent Milliseconds since 1970; any other text is ignored. */
  push(sent: number): void {
    if (sent > 0) this.#all.push(performance.timeOrigin + performance.now() - sent)
  }

  /** Milliseconds, of all values since the last call. */
  take() {
    const all = Float64Array.from(this.#all).sort()
    this.#all = []
    const at = (share: number) => all[Math.floor((all.length - 1) * share)] ?? 0
    const mean = all.reduce((sum, delay) => sum + delay, 0) / Math.max(1, all.length)
    return { events: all.length, mean, p50: at(0.5), p99: at(0.99), p999: at(0.999) }
  }
}
