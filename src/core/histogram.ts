/** A histogram as it stands: what Prometheus needs of one. */
export interface HistogramState {
  /** Upper bounds of the buckets but the last, which has none; ascending. */
  readonly bounds: readonly number[]
  /** Observations of each bucket alone, one more than there are bounds. */
  readonly counts: readonly number[]
  /** Of all that was observed. */
  readonly sum: number
}

/**
 * Counts observations by size. Where a library's histogram looks its labels up, this one adds to an
 * array: it is on the way of every write to every client.
 */
export class Histogram {
  readonly #bounds: readonly number[]
  readonly #counts: Float64Array
  #sum = 0

  /** @param bounds Upper bounds of the buckets, ascending; what is larger has a bucket of its own. */
  constructor(bounds: readonly number[]) {
    this.#bounds = bounds
    this.#counts = new Float64Array(bounds.length + 1)
  }

  observe(value: number): void {
    let bucket = 0
    while (bucket < this.#bounds.length && value > (this.#bounds[bucket] as number)) bucket++
    this.#counts[bucket] = (this.#counts[bucket] as number) + 1
    this.#sum += value
  }

  state(): HistogramState {
    return { bounds: this.#bounds, counts: [...this.#counts], sum: this.#sum }
  }
}
