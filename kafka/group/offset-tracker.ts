/**
 * Which records of one partition are delivered, and up to where that may be committed: an offset is
 * committed only when every record below it was delivered.
 */
export class OffsetTracker {
  /** Offsets handed out or handed back and not delivered yet, with the count of records taken before. */
  readonly #undelivered = new Map<number, number>()
  /** Records handed out, each counted once. */
  #taken = 0
  /** Of these, how many lie below what Kafka has committed. */
  #committed = 0
  readonly #begin: number
  /** The offset after the highest one handed out. */
  #next: number
  /** The last offset that was returned to be committed. */
  #told: number
  /** Offsets that hold no record, behind all that have been read. */
  #hole = { from: -1, to: -1 }

  /** @param begin The offset at which reading began. */
  constructor(begin: number) {
    this.#begin = begin
    this.#next = begin
    this.#told = begin
  }

  /** A record is handed out; again, if it was handed out before and came back. */
  track(offset: number): void {
    if (this.#undelivered.has(offset)) return
    this.#undelivered.set(offset, this.#taken++)
    this.#next = offset + 1
  }

  /** There is no record from one offset up to another: all that was read lies below them. */
  skip(from: number, to: number): void {
    const begin = from === this.#hole.to ? this.#hole.from : from
    this.#hole = { from: begin, to }
  }

  /** A record was delivered. */
  markDelivered(offset: number): void {
    this.#undelivered.delete(offset)
  }

  /** The offset below which every record was delivered; none is known before the first. */
  get delivered(): number | undefined {
    if (this.#taken === 0) return undefined
    const [lowest] = this.#undelivered.keys()
    return lowest ?? this.#next
  }

  /**
   * Where reading goes on once this is delivered: over offsets that hold no record, too, since a lag
   * would be counted there, and a gap once Kafka deletes them.
   */
  get next(): number | undefined {
    const hasRead = this.#next === this.#hole.from
    if (this.#undelivered.size === 0 && hasRead) return this.#hole.to
    return this.delivered
  }

  /** What may be committed, unless it was returned before. */
  committable(): CommittableOffset | undefined {
    // A map keeps the order of insertion, and offsets are first taken in ascending order: the first
    // one is the lowest.
    const [lowest] = this.#undelivered
    const [offset, records] = lowest ?? [this.next ?? this.#begin, this.#taken]
    if (offset <= this.#told) return undefined
    this.#told = offset
    return { offset, records }
  }

  /** Kafka has committed it. */
  committed({ records }: CommittableOffset): void {
    this.#committed = Math.max(this.#committed, records)
  }

  /** It could not be committed: it is returned again. */
  uncommitted(): void {
    this.#told = this.#begin
  }

  /** Records that were delivered, and that Kafka would deliver again if this member ended now. */
  get uncertain(): number {
    return this.#taken - this.#undelivered.size - this.#committed
  }
}

/** An offset to be committed. */
export interface CommittableOffset {
  readonly offset: number
  /** How many records were handed out below it. */
  readonly records: number
}
