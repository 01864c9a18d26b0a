/**
 * A map with a limit. It takes memory for its entries only, so that a process may have thousands
 * of maps with high limits: `lru-cache` reserves memory for all entries that a cache may get.
 *
 * Overflow policy: the entry that was used least recently is forgotten.
 */
export class LruMap<K, V extends NonNullable<unknown>> {
  readonly #max: number
  /** In the order of use: a map keeps the order of insertion, and each use inserts again. */
  readonly #entries = new Map<K, V>()

  constructor(max: number) {
    this.#max = max
  }

  get size(): number {
    return this.#entries.size
  }

  /** The value of a key, which counts as used. */
  get(key: K): V | undefined {
    const value = this.#entries.get(key)
    if (value === undefined) return undefined
    this.#entries.delete(key)
    this.#entries.set(key, value)
    return value
  }

  delete(key: K): void {
    this.#entries.delete(key)
  }

  set(key: K, value: V): void {
    if (!this.#entries.delete(key) && this.#entries.size >= this.#max) {
      const [oldest] = this.#entries.keys()
      if (oldest !== undefined) this.#entries.delete(oldest)
    }
    this.#entries.set(key, value)
  }
}
