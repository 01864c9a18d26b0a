import { KafkaConsumeError } from '../core/errors.ts'
import type { AssignedConsumer, KafkaCluster, PartitionOffset } from '../port/kafka.ts'

/** A catch-up read whose client takes nothing just now. */
export interface SuspendedRead {
  /** Closes the consumer of the read. It goes on from its cursor with another one. */
  giveWay(): void
}

/**
 * The consumers of catch-up reads, at most so many at a time.
 *
 * Overflow policy: a consumer that is kept for a next page gives way, then the read that has been
 * suspended the longest. Where there is neither, a new request is refused with TOO_MANY_REPLAYS,
 * while a stream that is already open waits in turn, since its client would lose its place otherwise.
 */
export class CatchUpPool {
  readonly #source: KafkaCluster
  readonly #limit: number
  readonly #giveWay: () => boolean
  /** In the order in which they were suspended. */
  readonly #suspended = new Set<SuspendedRead>()
  readonly #queue: Array<() => void> = []
  #open = 0
  #fallenBehind = 0
  #rebuilt = 0

  /** @param giveWay Closes one that nobody reads just now, and tells whether there was one. */
  constructor(source: KafkaCluster, limit: number, giveWay: () => boolean = () => false) {
    this.#source = source
    this.#limit = limit
    this.#giveWay = giveWay
  }

  /** Consumers that are open now. */
  get count(): number {
    return this.#open
  }

  /** Consumers that may be open. */
  get limit(): number {
    return this.#limit
  }

  /** Streams that wait for a free place. */
  get waiting(): number {
    return this.#queue.length
  }

  /** Streams that were slower than the ring, since the start. */
  get fallenBehind(): number {
    return this.#fallenBehind
  }

  /** Replays given up for another one since they brought nothing, since the start. */
  get rebuilt(): number {
    return this.#rebuilt
  }

  /** Counts one of those. */
  countReplaced(): void {
    this.#rebuilt++
  }

  /** Counts a reader that the ring has left behind. */
  countFallenBehind(): void {
    this.#fallenBehind++
  }

  /** Lets others have the place of a read, until {@link resume}. */
  suspend(read: SuspendedRead): void {
    if (this.#queue.length > 0) read.giveWay()
    else this.#suspended.add(read)
  }

  resume(read: SuspendedRead): void {
    this.#suspended.delete(read)
  }

  /**
   * @param patient Wait for a free place instead of being refused, until the signal ends the wait.
   * @throws KafkaConsumeError TOO_MANY_REPLAYS, or why Kafka cannot be read.
   */
  async open(
    from: readonly PartitionOffset[],
    patient: boolean,
    signal?: AbortSignal,
  ): Promise<AssignedConsumer> {
    await this.#enter(patient, signal)
    let reader: AssignedConsumer
    try {
      reader = await this.#source.openConsumer(from, 'catch-up')
    } catch (error) {
      this.#leave()
      throw error
    }
    let closed = false
    return {
      gaps: reader.gaps,
      read: (limit, wait, framing) => reader.read(limit, wait, framing),
      close: async () => {
        if (closed) return
        closed = true
        try {
          await reader.close()
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
    // The place is handed over by whoever leaves, so the count stays as it is.
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

  /** @returns Whether a place will be free. */
  #makeRoom(): boolean {
    if (this.#giveWay()) return true
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
