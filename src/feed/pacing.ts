import type { RingBuffer } from './ring-buffer.ts'

/** How long the live consumer waits for subscribers of which none takes anything. */
const PATIENCE_MS = 1_000
/** How long the live consumer may lag behind Kafka for the sake of at most {@link FEW} slow subscribers. */
const MAX_LAG_MS = 10_000
const FEW = 8

/** A subscriber that reads from the ring buffer. */
export interface RingBufferReader {
  /** Called when there may be more to take, or when there will be no more. */
  wake(): void
  /** The number of subscribers that it reads for. Default: 1. */
  readonly readers?: number
}

/**
 * Keeps the live consumer from running away from its subscribers. A subscriber that keeps up must
 * never lose its place in the ring buffer, so the live consumer waits while the foremost subscriber
 * has a quarter of the buffer still to take. Subscribers behind the foremost do not hold it back.
 *
 * A subscriber that has stopped must not stop the live consumer: after a wait in vain it does not
 * wait again until a subscriber moves. A few slow subscribers must not keep it far behind Kafka
 * either, since clients that come next would have to wait for all records in between. Many slow
 * subscribers may, since each would otherwise need a consumer of its own.
 */
export class Pacing {
  readonly #ring: RingBuffer
  readonly #subscribers = new Set<RingBufferReader>()
  /** Whether a subscriber has taken something since the last wait in vain. */
  #hasMoved = true
  #endWait: (() => void) | undefined
  /** When the live consumer last had all that Kafka had, in `performance.now()`'s time. */
  #caughtUpAt = performance.now()
  #hasWaited = false

  constructor(ring: RingBuffer) {
    this.#ring = ring
  }

  get hasSubscribers(): boolean {
    return this.#subscribers.size > 0
  }

  /** Adds a subscriber: the live consumer waits for it, and wakes it whenever there is more. */
  attach(subscriber: RingBufferReader): void {
    this.#subscribers.add(subscriber)
  }

  detach(subscriber: RingBufferReader): void {
    this.#subscribers.delete(subscriber)
    if (this.#subscribers.size === 0) this.#endWait?.()
  }

  wakeAll(): void {
    for (const subscriber of this.#subscribers) subscriber.wake()
  }

  /** Notes that a subscriber has taken all batches before this one. */
  markTaken(sequence: number): void {
    if (!this.#ring.markTaken(sequence)) return
    this.#hasMoved = true
    if (!this.#ring.isFarAhead) this.#endWait?.()
  }

  /** Notes that the live consumer has all that Kafka has. */
  markCaughtUp(): void {
    this.#caughtUpAt = performance.now()
  }

  /** Whether the live consumer has waited for subscribers since the last call. */
  takeHasWaited(): boolean {
    const hasWaited = this.#hasWaited
    this.#hasWaited = false
    return hasWaited
  }

  /** Resolves when the live consumer may go on, which is at once unless subscribers hold it back. */
  waitForSubscribers(): Promise<void> {
    if (!this.#ring.isFarAhead || this.#subscribers.size === 0 || !this.#hasMoved) {
      return Promise.resolve()
    }
    const isLate = performance.now() - this.#caughtUpAt > MAX_LAG_MS
    if (isLate && this.#count <= FEW) return Promise.resolve()
    this.#hasWaited = true
    return new Promise((resolve) => {
      const patience = setTimeout(() => {
        this.#hasMoved = false
        this.#endWait?.()
      }, PATIENCE_MS)
      this.#endWait = () => {
        clearTimeout(patience)
        this.#endWait = undefined
        resolve()
      }
    })
  }

  get #count(): number {
    let count = 0
    for (const { readers = 1 } of this.#subscribers) count += readers
    return count
  }

  /** Ends a wait that goes on. */
  endWait(): void {
    this.#endWait?.()
  }
}
