/** The values of a histogram at one moment. */
export interface HistogramState {
  /** Upper bounds of the buckets, ascending; the last bucket has no bound. */
  readonly bounds: readonly number[]
  /** Observations in each bucket (not cumulative), one element more than `bounds`. */
  readonly counts: readonly number[]
  /** The sum of all observed values. */
  readonly sum: number
}

/**
 * Counts observations by size. It adds to an array, where a library's histogram looks labels up, since
 * it observes every write to every client.
 */
export class Histogram {
  readonly #bounds: readonly number[]
  readonly #counts: Float64Array
  #sum = 0

  /** @param bounds Upper bounds of the buckets, ascending; larger values have a bucket of their own. */
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
