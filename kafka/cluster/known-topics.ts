/** How long Kafka must go on denying a topic until that is believed of one that it may have. */
const BELIEVED_AFTER_MS = 4_000
/** A denial that is older than this says nothing about what Kafka has said since. */
const STALE_MS = 30_000

/** A time during which Kafka has denied a topic, in `performance.now()`'s time. */
interface Denial {
  readonly since: number
  readonly last: number
}

/**
 * Decides when to believe Kafka that it does not have a topic. A broker that has just started, or
 * that is late to hear of a change, may deny a topic that exists; so of a topic that Kafka had
 * before the denial counts only once it has lasted.
 */
export class KnownTopics {
  readonly #known = new Set<string>()
  readonly #denials = new Map<string, Denial>()

  /** Kafka has the topic. */
  found(topic: string): void {
    this.#known.add(topic)
    this.#denials.delete(topic)
  }

  /** Whether Kafka had the topic, and the end of it was not believed since. */
  has(topic: string): boolean {
    return this.#known.has(topic)
  }

  /** Kafka denies the topic. @returns whether it has done so for long enough. */
  isGone(topic: string, now = performance.now()): boolean {
    const before = this.#denials.get(topic)
    const isSame = before !== undefined && now - before.last < STALE_MS
    const since = isSame ? before.since : now
    this.#denials.set(topic, { since, last: now })
    if (now - since < BELIEVED_AFTER_MS) return false
    this.#known.delete(topic)
    return true
  }

  /** Kafka was away: what it denied before that, it may have been too early to know. */
  forgetDenials(): void {
    this.#denials.clear()
  }
}
