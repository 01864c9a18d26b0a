import type { LiveConsumer } from './live-consumer.ts'
import type { Subscription } from './subscription.ts'

/**
 * Reads that ended in the middle of a replay, kept open for whoever asks for the next page: there a
 * consumer has records at hand, while another one would have to be made and to fetch them again.
 *
 * Overflow policy: they count among the replays, and the one kept longest gives way to whoever
 * needs its place.
 */
export class SuspendedReads {
  readonly #milliseconds: number
  readonly #kept: Array<{
    readonly subscription: Subscription
    readonly timer: ReturnType<typeof setTimeout>
  }> = []

  /** @param milliseconds That the next page may be in coming. */
  constructor(milliseconds: number) {
    this.#milliseconds = milliseconds
  }

  keep(subscription: Subscription): void {
    const timer = setTimeout(() => this.#drop(subscription), this.#milliseconds)
    this.#kept.push({ subscription, timer })
  }

  /** One that was left at just this place, no longer kept. */
  take(tail: LiveConsumer, vector: Float64Array): Subscription | undefined {
    const found = this.#kept.find(({ subscription }) => subscription.isAt(tail, vector))
    return found && this.#remove(found.subscription)
  }

  /** @returns whether there was one, so that its place will be free. */
  evictOldest(): boolean {
    const [oldest] = this.#kept
    if (oldest) this.#drop(oldest.subscription)
    return oldest !== undefined
  }

  clear(): void {
    while (this.evictOldest());
  }

  #drop(subscription: Subscription): void {
    void this.#remove(subscription)?.close()
  }

  #remove(subscription: Subscription): Subscription | undefined {
    const index = this.#kept.findIndex((kept) => kept.subscription === subscription)
    const [kept] = index < 0 ? [] : this.#kept.splice(index, 1)
    clearTimeout(kept?.timer)
    return kept?.subscription
  }
}
