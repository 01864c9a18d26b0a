/**
 * Which records of one partition are delivered, and up to where that may be committed: an offset is
 * committed only when every record below it was delivered.
 */
export class OffsetTracker {
  /**
   * Records that clients have, or had before they were requeued, by offset. Spans and not records:
   * most answers are delivered whole, and cost one span for each partition.
   */
  readonly #undelivered: Span[] = []
  /** Records in these spans. */
  #open = 0
  /** Records given to clients, each counted once. */
  #taken = 0
  /** Records given to clients that lie below the committed offset. */
  #committed = 0
  readonly #start: number
  /** The offset after the last record given to a client. */
  #next: number
  /** The last offset that was returned to be committed. */
  #reported: number
  /** Offsets that hold no record, behind all that have been read. */
  #hole = { from: -1, to: -1 }

  /** @param start The offset at which reading began. */
  constructor(start: number) {
    this.#start = start
    this.#next = start
    this.#reported = start
  }

  /**
   * Records are given to a client; again, where they were requeued.
   *
   * @param offsets Ascending; kept as they are.
   */
  track(offsets: readonly number[]): void {
    const first = lowerBound(offsets, this.#next)
    const count = offsets.length - first
    if (count === 0) return
    this.#undelivered.push({ offsets, begin: first, end: offsets.length, taken: this.#taken })
    this.#open += count
    this.#taken += count
    this.#next = (offsets.at(-1) as number) + 1
  }

  /** There is no record from one offset up to another: all that was read lies below them. */
  skip(from: number, to: number): void {
    const begin = from === this.#hole.to ? this.#hole.from : from
    this.#hole = { from: begin, to }
  }

  /**
   * Records were delivered; those that are delivered already do not count.
   *
   * @param offsets Ascending.
   */
  markDelivered(offsets: readonly number[]): void {
    const whole = this.#undelivered.findIndex((span) => span.offsets === offsets)
    const span = this.#undelivered[whole]
    if (span && span.end - span.begin === offsets.length) {
      this.#undelivered.splice(whole, 1)
      this.#open -= offsets.length
      return
    }
    for (const offset of offsets) this.#remove(offset)
  }

  #remove(offset: number): void {
    const at = this.#undelivered.findIndex((span) => offset <= lastOf(span))
    const span = this.#undelivered[at]
    if (!span) return
    const index = lowerBound(span.offsets, offset, span.begin)
    if (span.offsets[index] !== offset) return
    const rest = [
      { ...span, end: index },
      { ...span, begin: index + 1, taken: span.taken + index + 1 - span.begin },
    ]
    this.#undelivered.splice(at, 1, ...rest.filter(({ begin, end }) => begin < end))
    this.#open--
  }

  /** The offset below which every record was delivered; none is known before the first. */
  get delivered(): number | undefined {
    if (this.#taken === 0) return undefined
    const [lowest] = this.#undelivered
    return lowest ? firstOf(lowest) : this.#next
  }

  /**
   * Where reading goes on once all records are delivered: over offsets that hold no record, too,
   * since a lag would be counted there, and a gap once Kafka deletes them.
   */
  get next(): number | undefined {
    const hasRead = this.#next === this.#hole.from
    if (this.#open === 0 && hasRead) return this.#hole.to
    return this.delivered
  }

  /** What may be committed, unless it was returned before. */
  committable(): CommittableOffset | undefined {
    const [lowest] = this.#undelivered
    const offset = lowest ? firstOf(lowest) : (this.next ?? this.#start)
    if (offset <= this.#reported) return undefined
    this.#reported = offset
    return { offset, records: lowest?.taken ?? this.#taken }
  }

  /** Kafka has committed it. */
  committed({ records }: CommittableOffset): void {
    this.#committed = Math.max(this.#committed, records)
  }

  /** It could not be committed: it is returned again. */
  uncommitted(): void {
    this.#reported = this.#start
  }

  /** Records that were delivered, and that Kafka would deliver again if this member ended now. */
  get uncertain(): number {
    return this.#taken - this.#open - this.#committed
  }
}

/** Undelivered records between two indexes of a list of offsets. */
interface Span {
  readonly offsets: readonly number[]
  readonly begin: number
  readonly end: number
  /** How many records were given to clients before the first one of the span. */
  readonly taken: number
}

/** An offset to be committed. */
export interface CommittableOffset {
  readonly offset: number
  /** How many records below the offset were given to clients. */
  readonly records: number
}

function firstOf({ offsets, begin }: Span): number {
  return offsets[begin] as number
}

function lastOf({ offsets, end }: Span): number {
  return offsets[end - 1] as number
}

/** Index of the first offset that is not below a limit. */
function lowerBound(offsets: readonly number[], limit: number, begin = 0): number {
  let low = begin
  let high = offsets.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((offsets[middle] as number) < limit) low = middle + 1
    else high = middle
  }
  return low
}
