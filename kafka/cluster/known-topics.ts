/** Milliseconds for which Kafka must go on denying a topic that it had before until that is believed. */
const BELIEVED_AFTER_MS = 4_000
/** Milliseconds after which a denial is forgotten: Kafka may have had the topic since. */
const STALE_MS = 30_000

/** When Kafka has first and last denied a topic, in `performance.now()` milliseconds. */
interface Denial {
  readonly since: number
  readonly last: number
}

/**
 * Decides when to believe Kafka's answer that a topic does not exist. A broker that has just started,
 * or that is late to learn of a change, may deny a topic that exists. So the denial of a topic that
 * Kafka had before counts only when it has lasted.
 */
export class KnownTopics {
  readonly #known = new Set<string>()
  readonly #denials = new Map<string, Denial>()

  /** Records that Kafka has the topic. */
  found(topic: string): void {
    this.#known.add(topic)
    this.#denials.delete(topic)
  }

  /** Whether Kafka had the topic, and its deletion was not believed since. */
  has(topic: string): boolean {
    return this.#known.has(topic)
  }

  /** Records that Kafka denies the topic. @returns Whether it has done so for long enough. */
  isGone(topic: string, now = performance.now()): boolean {
    const before = this.#denials.get(topic)
    const isSame = before !== undefined && now - before.last < STALE_MS
    const since = isSame ? before.since : now
    this.#denials.set(topic, { since, last: now })
    if (now - since < BELIEVED_AFTER_MS) return false
    this.#known.delete(topic)
    return true
  }

  /** Called after an outage: brokers may have denied topics because they had not loaded them. */
  forgetDenials(): void {
    this.#denials.clear()
  }
}
