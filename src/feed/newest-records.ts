/** Finds where the newest records of several partitions begin, by reading backwards in rounds. */
import { KafkaConsumeError } from '../core/errors.ts'
import type { PartitionTable } from '../records/cursor.ts'
import type { RecordsPart } from './pending-records.ts'
import type { Subscription } from './subscription.ts'
import { UNLIMITED } from './subscription-setup.ts'
import { sortByTime, type TimedRecord } from './time-order.ts'

/** How many records to find, and how many bytes their JSON may have. A first record has any size. */
export interface NewestLimits {
  readonly records: number
  readonly bytes: number
}

/** The partitions that are searched, and the offsets between which they are. */
export interface SearchedPartitions {
  readonly table: PartitionTable
  readonly starts: Float64Array
  readonly ends: Float64Array
  /** Whether a filter leaves out records. */
  readonly isFiltered: boolean
}

/** Offsets that the first round reads, in all partitions together. */
const FIRST_ROUND = 250
/** The most offsets of one round: a round that has begun is not cut. */
const MAX_ROUND = 50_000
/** Milliseconds that a round is to take, so that the limits of time are kept. */
const ROUND_MS = 250
/** The most bytes of a round that reads more than one record of each partition. */
const MAX_ROUND_BYTES = 32 * 1024 * 1024
/**
 * Milliseconds of reading after which a search through records that do not pass a filter ends with those
 * found. To open a consumer may take as long where Kafka or this process is busy, and is not counted.
 */
const SEARCH_MS = 1_500
/** Milliseconds after which such a search ends in any case. */
const MAX_SEARCH_MS = 10_000
/** Milliseconds without a record, although there are records, after which Kafka counts as stalled. */
const STALL_MS = 10_000
/** Records of one take: enough to make a take cheap. */
const TAKE_LIMITS = { records: 1_000, bytes: 1024 * 1024 }

/** A record that was found, without its content. */
interface FoundRecord extends TimedRecord {
  readonly bytes: number
}

/** The end of one partition, as far as it is known. */
interface PartitionTail {
  /** The records that were found, in the order of their offsets. */
  records: readonly FoundRecord[]
  /** The offset down to which the partition is known. */
  begin: number
  /** Whether no older record of the partition can be among the newest ones. */
  isDone: boolean
}

/**
 * The offset of each partition from which on the newest records lie, up to the given ends. A search
 * through records that do not pass a filter ends with what it has found when it takes too long, so that
 * a later one goes on below these offsets.
 *
 * @param open Opens a read between two positions, with the filter of the records that are wanted.
 * @throws KafkaConsumeError when Kafka cannot be read.
 */
export function findNewest(
  partitions: SearchedPartitions,
  limits: NewestLimits,
  open: (from: Float64Array, end: Float64Array) => Promise<Subscription>,
): Promise<Float64Array> {
  return new NewestSearch(partitions, limits, open).run()
}

class NewestSearch {
  readonly #partitions: SearchedPartitions
  readonly #limits: NewestLimits
  readonly #open: (from: Float64Array, end: Float64Array) => Promise<Subscription>
  readonly #tails: readonly PartitionTail[]
  /** Milliseconds in which records were read, without those to open consumers. */
  #readingTime = 0

  constructor(
    partitions: SearchedPartitions,
    limits: NewestLimits,
    open: (from: Float64Array, end: Float64Array) => Promise<Subscription>,
  ) {
    this.#partitions = partitions
    this.#limits = limits
    this.#open = open
    this.#tails = Array.from(partitions.ends, (begin) => ({ records: [], begin, isDone: false }))
  }

  async run(): Promise<Float64Array> {
    const until = performance.now() + MAX_SEARCH_MS
    let round = Math.min(FIRST_ROUND, 2 * this.#limits.records)
    let unfinished = this.#unfinished()
    while (unfinished.length > 0 && !(this.#partitions.isFiltered && this.#isLate(until))) {
      const before = this.#readingTime
      const isRead = await this.#readRound(unfinished, Math.ceil(round / unfinished.length))
      const pace = ROUND_MS / (this.#readingTime - before)
      round = Math.min(MAX_ROUND, round * (isRead ? Math.max(0.25, Math.min(pace, 8)) : 0.1))
      this.#dropOldest()
      unfinished = this.#unfinished()
    }
    return Float64Array.from(this.#tails, ({ begin }) => begin)
  }

  #isLate(until: number): boolean {
    return this.#readingTime >= SEARCH_MS || performance.now() >= until
  }

  /**
   * Reads a span of offsets below what is known of partitions.
   *
   * @returns Whether the span was read: it is given up when it has too many bytes.
   * @throws KafkaConsumeError
   */
  async #readRound(indexes: readonly number[], span: number): Promise<boolean> {
    const { starts } = this.#partitions
    const end = Float64Array.from(this.#tails, ({ begin }) => begin)
    const from = end.slice()
    for (const index of indexes) {
      from[index] = Math.max(starts[index] as number, (end[index] as number) - span)
    }
    const found = await this.#read(from, end, span === 1 ? Infinity : MAX_ROUND_BYTES)
    if (!found) return false
    for (const index of indexes) {
      const tail = this.#tails[index] as PartitionTail
      tail.begin = from[index] as number
      tail.records = [...(found.get(index) ?? []), ...tail.records]
    }
    return true
  }

  /** @returns The records by the index of their partition; undefined when they have too many bytes. */
  async #read(
    from: Float64Array,
    end: Float64Array,
    maxBytes: number,
  ): Promise<Map<number, FoundRecord[]> | undefined> {
    const found = new Map<number, FoundRecord[]>()
    const subscription = await this.#open(from, end)
    const begun = performance.now()
    try {
      let bytes = 0
      let broughtAt = begun
      while (!subscription.hasEnded) {
        const isReady = await subscription.fill(TAKE_LIMITS.records, UNLIMITED)
        const part = isReady ? subscription.take(TAKE_LIMITS) : undefined
        if (part && 'batch' in part) {
          this.#add(part, found)
          bytes += part.batch.eventBytes(part.begin, part.end)
          if (bytes > maxBytes) return undefined
        }
        if (isReady) broughtAt = performance.now()
        else await this.#waitFor(subscription, broughtAt)
      }
      return found
    } finally {
      this.#readingTime += performance.now() - begun
      await subscription.close()
    }
  }

  /** Waits for records that Kafka is known to have. A filter may pass none for long. */
  async #waitFor(subscription: Subscription, since: number): Promise<void> {
    if (subscription.hasEnded) return
    if (performance.now() - since > STALL_MS) {
      throw new KafkaConsumeError(
        'KAFKA_TIMEOUT',
        'Cannot read from Kafka: it did not answer in time',
      )
    }
    await subscription.wait(100)
  }

  /** @throws KafkaConsumeError when partitions were added, or a topic was re-created, meanwhile. */
  #add({ batch, begin, end }: RecordsPart, found: Map<number, FoundRecord[]>): void {
    if (batch.table !== this.#partitions.table) {
      throw new KafkaConsumeError(
        'KAFKA_UNAVAILABLE',
        'Cannot find the newest records: the partitions have changed meanwhile',
      )
    }
    for (let i = begin; i < end; i++) {
      const partition = batch.partitions[i] as number
      const records = found.get(partition) ?? []
      if (records.length === 0) found.set(partition, records)
      records.push({
        partition,
        offset: batch.offsets[i] as number,
        timestamp: batch.timestampOf(i),
        bytes: batch.jsonBytes(i),
      })
    }
  }

  /** Drops the records that are not among the newest. */
  #dropOldest(): void {
    const { records: maxRecords, bytes: maxBytes } = this.#limits
    const all = sortByTime(this.#tails.flatMap(({ records }) => records))
    let first = all.length
    let bytes = 0
    const fits = (size: number) => first === all.length || bytes + size <= maxBytes
    for (let next = first - 1; next >= 0 && all.length - next <= maxRecords; next--) {
      const size = (all[next] as FoundRecord).bytes
      if (!fits(size)) break
      bytes += size
      first = next
    }
    for (const { partition, offset } of all.slice(0, first)) {
      const tail = this.#tails[partition] as PartitionTail
      tail.begin = Math.max(tail.begin, offset + 1)
      tail.isDone = true
    }
    for (const tail of this.#tails) {
      tail.records = tail.records.filter(({ offset }) => offset >= tail.begin)
    }
    const isFull = first > 0 || all.length >= maxRecords
    // Older records of its partition sort before the oldest of a full set.
    const oldest = isFull && all[first]
    if (oldest) (this.#tails[oldest.partition] as PartitionTail).isDone = true
  }

  /** Indexes of the partitions whose older records may be among the newest ones. */
  #unfinished(): number[] {
    const { starts } = this.#partitions
    return this.#tails.flatMap(({ begin, isDone }, index) =>
      !isDone && begin > (starts[index] as number) ? [index] : [],
    )
  }
}
