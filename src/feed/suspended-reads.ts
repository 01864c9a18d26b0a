import type { BatchForm } from '../records/batch-form.ts'
import type { Bounds } from './bounds.ts'
import type { LiveConsumer } from './live-consumer.ts'
import type { Subscription } from './subscription.ts'

/**
 * Catch-up reads that are kept open for a client that asks for the next page: their consumer has
 * fetched records, which a new consumer would have to fetch again.
 *
 * Overflow policy: suspended reads count among the catch-up reads, and the one kept longest gives way
 * to a read that needs its place.
 */
export class SuspendedReads {
  readonly #milliseconds: number
  readonly #kept: Array<{
    readonly subscription: Subscription
    readonly timer: ReturnType<typeof setTimeout>
  }> = []

  /** @param milliseconds How long to wait for a request of the next page. */
  constructor(milliseconds: number) {
    this.#milliseconds = milliseconds
  }

  keep(subscription: Subscription): void {
    // The next page is read while its client still has this one.
    subscription.readAhead()
    const timer = setTimeout(() => this.#drop(subscription), this.#milliseconds)
    this.#kept.push({ subscription, timer })
  }

  /**
   * Takes out a read of this form that was suspended at exactly this position and ends before these
   * offsets; undefined where there is none.
   */
  take(
    liveConsumer: LiveConsumer,
    { vector, end }: Bounds,
    form: BatchForm,
  ): Subscription | undefined {
    const found = this.#kept.find(
      ({ subscription }) =>
        subscription.form === form &&
        subscription.endsAt(end) &&
        subscription.isAt(liveConsumer, vector),
    )
    return found && this.#remove(found.subscription)
  }

  /** @returns Whether there was a read, so that its place will become free. */
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
