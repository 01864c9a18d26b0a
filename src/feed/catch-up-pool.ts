import { KafkaConsumeError } from '../core/errors.ts'
import type { AssignedConsumer, KafkaCluster, PartitionOffset } from '../port/kafka.ts'

/** A catch-up read whose client takes nothing now. */
export interface SuspendedRead {
  /** Closes the consumer of the read, which continues at its cursor with another one. */
  giveWay(): void
}

/**
 * The consumers of catch-up reads, up to a limit.
 *
 * Overflow policy: a consumer that is kept for a next page gives way first, then the read that has been
 * suspended the longest. When there is neither, a new request is refused with TOO_MANY_REPLAYS. An
 * open stream waits in turn instead, since its client would lose its place.
 */
export class CatchUpPool {
  readonly #cluster: KafkaCluster
  readonly #limit: number
  readonly #evictKept: () => boolean
  /** Suspended reads, the longest suspended first. */
  readonly #suspended = new Set<SuspendedRead>()
  readonly #queue: Array<() => void> = []
  #open = 0
  #fallenBehind = 0
  #replaced = 0

  /** @param evictKept Closes a consumer that is kept for a next page. Returns whether there was one. */
  constructor(cluster: KafkaCluster, limit: number, evictKept: () => boolean = () => false) {
    this.#cluster = cluster
    this.#limit = limit
    this.#evictKept = evictKept
  }

  /** The number of open consumers. */
  get count(): number {
    return this.#open
  }

  /** The most consumers that may be open. */
  get limit(): number {
    return this.#limit
  }

  /** The number of streams that wait for a consumer. */
  get waiting(): number {
    return this.#queue.length
  }

  /** The number of streams that fell behind the ring buffer, since the start. */
  get fallenBehind(): number {
    return this.#fallenBehind
  }

  /** The number of stalled consumers that were replaced, since the start. */
  get replaced(): number {
    return this.#replaced
  }

  /** Counts a stalled consumer that is replaced. */
  countReplaced(): void {
    this.#replaced++
  }

  /** Counts a stream that has fallen behind the ring buffer. */
  countFallenBehind(): void {
    this.#fallenBehind++
  }

  /** Offers the place of a read to others, until {@link resume}. */
  suspend(read: SuspendedRead): void {
    if (this.#queue.length > 0) read.giveWay()
    else this.#suspended.add(read)
  }

  resume(read: SuspendedRead): void {
    this.#suspended.delete(read)
  }

  /**
   * @param patient Whether to wait for a place instead of being refused. The signal ends the wait.
   * @throws KafkaConsumeError TOO_MANY_REPLAYS, or why Kafka cannot be read.
   */
  async open(
    from: readonly PartitionOffset[],
    patient: boolean,
    signal?: AbortSignal,
  ): Promise<AssignedConsumer> {
    await this.#enter(patient, signal)
    let consumer: AssignedConsumer
    try {
      consumer = await this.#cluster.openConsumer(from, 'catch-up')
    } catch (error) {
      this.#leave()
      throw error
    }
    let closed = false
    return {
      gaps: consumer.gaps,
      read: (limit, wait, encoding) => consumer.read(limit, wait, encoding),
      close: async () => {
        if (closed) return
        closed = true
        try {
          await consumer.close()
        } finally {
          this.#leave()
        }
      },
    }
  }

  async #enter(patient: boolean, signal?: AbortSignal): Promise<void> {
    if (this.#open < this.#limit) {
      this.#open++
      return
    }
    if (!this.#makeRoom() && !patient) {
      throw new KafkaConsumeError(
        'TOO_MANY_REPLAYS',
        `Cannot read older records: ${this.#limit} clients do so already`,
        { retryAfter: 5 },
      )
    }
    // A read that ends hands its place over to the next in the queue, so the count does not change.
    await new Promise<void>((resolve, reject) => {
      const enter = () => {
        signal?.removeEventListener('abort', leave)
        resolve()
      }
      const leave = () => {
        this.#queue.splice(this.#queue.indexOf(enter), 1)
        reject(signal?.reason)
      }
      signal?.throwIfAborted()
      signal?.addEventListener('abort', leave, { once: true })
      this.#queue.push(enter)
    })
  }

  /** @returns Whether a place will become free. */
  #makeRoom(): boolean {
    if (this.#evictKept()) return true
    const [longest] = this.#suspended
    if (!longest) return false
    this.#suspended.delete(longest)
    longest.giveWay()
    return true
  }

  #leave(): void {
    const next = this.#queue.shift()
    if (next) next()
    else this.#open--
  }
}
