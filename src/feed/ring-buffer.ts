import type { Gap } from '../port/kafka.ts'
import type { EncodedBatch } from '../records/encoded-batch.ts'

const NO_GAPS: readonly Gap[] = []

/**
 * The newest encoded batches of a feed, up to a limit of bytes. Each batch has a sequence number,
 * which stays when older batches are dropped.
 *
 * Overflow policy: the oldest batch goes. The newest batch stays whatever its size, so that records of
 * any size pass.
 */
export class RingBuffer {
  readonly #maxBytes: number
  /** The batch with sequence number `#first + i` is `#batches[i]`. */
  readonly #batches: EncodedBatch[] = []
  #first = 0
  #bytes = 0
  /** The sequence number of the first batch that no subscriber has taken yet. */
  #firstUntaken = 0
  #untakenBytes = 0
  readonly #gaps: Array<{ readonly sequence: number; readonly gap: Gap }> = []

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** The sequence number after the newest batch. */
  get end(): number {
    return this.#first + this.#batches.length
  }

  /** Bytes that the batches hold. */
  get bytes(): number {
    return this.#bytes
  }

  /** Whether the batches that no subscriber has taken yet fill more than a quarter of the limit. */
  get isFarAhead(): boolean {
    return this.#untakenBytes > this.#maxBytes / 4
  }

  /** A batch, or undefined when it is not there. */
  batch(sequence: number): EncodedBatch | undefined {
    return this.#batches[sequence - this.#first]
  }

  /** Whether a batch has been dropped. */
  isDropped(sequence: number): boolean {
    return sequence < this.#first
  }

  append(batch: EncodedBatch): void {
    const size = batch.heldBytes
    this.#batches.push(batch)
    this.#bytes += size
    this.#untakenBytes += size
    while (this.#bytes > this.#maxBytes && this.#batches.length > 1) this.#dropOldest()
  }

  /** Drops all batches. */
  clear(): void {
    while (this.#batches.length > 0) this.#dropOldest()
  }

  /** Adds a gap before the next batch. */
  addGap(gap: Gap): void {
    this.#gaps.push({ sequence: this.end, gap })
  }

  /** Gaps to announce to a subscriber before it takes a batch. */
  gapsBefore(sequence: number): readonly Gap[] {
    if (this.#gaps.length === 0) return NO_GAPS
    return this.#gaps.filter((entry) => entry.sequence === sequence).map((entry) => entry.gap)
  }

  /** Gaps before a batch, and before all that follow it. */
  gapsFrom(sequence: number): readonly Gap[] {
    return this.#gaps.filter((entry) => entry.sequence >= sequence).map(({ gap }) => gap)
  }

  /** The newest batch that begins at or below a vector in every partition, if there is one. */
  locate(vector: Float64Array): number | undefined {
    for (let i = this.#batches.length - 1; i >= 0; i--) {
      if (isAtOrBelow((this.#batches[i] as EncodedBatch).from, vector)) return this.#first + i
    }
    return undefined
  }

  /**
   * Notes that a subscriber has taken all batches before this one.
   *
   * @returns Whether that is further than any subscriber has come before.
   */
  markTaken(sequence: number): boolean {
    if (sequence <= this.#firstUntaken) return false
    for (let i = Math.max(this.#firstUntaken, this.#first); i < sequence; i++) {
      this.#untakenBytes -= (this.#batches[i - this.#first] as EncodedBatch).heldBytes
    }
    this.#firstUntaken = sequence
    return true
  }

  #dropOldest(): void {
    const size = (this.#batches.shift() as EncodedBatch).heldBytes
    this.#bytes -= size
    if (this.#firstUntaken <= this.#first) {
      this.#untakenBytes -= size
      this.#firstUntaken = this.#first + 1
    }
    this.#first++
    while (this.#gaps[0] && this.#gaps[0].sequence < this.#first) this.#gaps.shift()
  }
}

/** Whether a vector is at or below another in every partition. */
export function isAtOrBelow(vector: Float64Array, other: Float64Array): boolean {
  for (let i = 0; i < vector.length; i++) {
    if ((vector[i] as number) > (other[i] as number)) return false
  }
  return true
}
