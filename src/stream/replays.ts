import { KafkaConsumeError } from '../errors.ts'
import type { PartitionOffset, Reader, Source } from './source.ts'

/**
 * The consumers of readers that are behind the ring, at most so many at a time.
 *
 * Overflow policy: what is kept for a next page gives way; then a new request is refused with
 * TOO_MANY_REPLAYS, while a stream that is already open waits in turn, since its client would lose
 * its place otherwise.
 */
export class Replays {
  readonly #source: Source
  readonly #limit: number
  readonly #giveWay: () => boolean
  readonly #queue: Array<() => void> = []
  #open = 0
  #fallenBehind = 0
  #rebuilt = 0

  /** @param giveWay Closes one that nobody reads just now, and tells whether there was one. */
  constructor(source: Source, limit: number, giveWay: () => boolean = () => false) {
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
  gaveUp(): void {
    this.#rebuilt++
  }

  /** Counts a reader that the ring has left behind. */
  fellBehind(): void {
    this.#fallenBehind++
  }

  /**
   * @param patient Wait for a free place instead of being refused, until the signal ends the wait.
   * @throws KafkaConsumeError TOO_MANY_REPLAYS, or why Kafka cannot be read.
   */
  async open(
    from: readonly PartitionOffset[],
    patient: boolean,
    signal?: AbortSignal,
  ): Promise<Reader> {
    await this.#enter(patient, signal)
    let reader: Reader
    try {
      reader = await this.#source.reader(from, 'replay')
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
    if (!this.#giveWay() && !patient) {
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

  #leave(): void {
    const next = this.#queue.shift()
    if (next) next()
    else this.#open--
  }
}
