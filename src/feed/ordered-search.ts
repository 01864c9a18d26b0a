/**
 * Finds the records of several partitions that are the next ones in the order of time: the newest before
 * some ends, or the oldest from some offsets on. It reads the partitions in rounds of some offsets each.
 */
import { KafkaConsumeError } from '../core/errors.ts'
import type { Gap } from '../port/kafka.ts'
import type { PartitionTable } from '../records/cursor.ts'
import type { RecordsPart } from './pending-records.ts'
import { hasStalled, stalledError } from './stalled-read.ts'
import type { Subscription } from './subscription.ts'
import { UNLIMITED } from './subscription-setup.ts'
import { sortFromNewest, sortFromOldest, type TimedRecord } from './time-order.ts'

/** How many records to find, and how many bytes their JSON may have. A first record has any size. */
export interface OrderedLimits {
  readonly records: number
  readonly bytes: number
}

/** Whether the newest records before the ends are searched for, or the oldest ones after the starts. */
export type SearchDirection = 'newest' | 'oldest'

/** The partitions that are searched, and the offsets between which they are. */
export interface SearchedPartitions {
  readonly table: PartitionTable
  readonly starts: Float64Array
  readonly ends: Float64Array
  /** Whether a filter leaves out records. */
  readonly isFiltered: boolean
}

/** Opens a read between two positions, with the filter of the records that are wanted. */
export type OpenRange = (from: Float64Array, end: Float64Array) => Promise<Subscription>

/** Records in the order of time, and the offsets between which there are no others. */
export interface OrderedRecords {
  readonly from: Float64Array
  readonly to: Float64Array
  /** Each record as a part of its own. */
  readonly parts: readonly RecordsPart[]
  readonly gaps: readonly Gap[]
}

/** Offsets that the first round reads, in all partitions together. */
const FIRST_ROUND = 250
/** The most offsets of one round: a round that has begun is not cut. */
const MAX_ROUND = 50_000
/** Milliseconds that a round is to take, so that the limits of time are kept. */
const ROUND_MS = 250
/**
 * The most bytes of a round that reads more than one record. They are beside the bytes of the answer, which
 * the answer budget counts.
 */
const MAX_ROUND_BYTES = 16 * 1024 * 1024
/**
 * Milliseconds of reading after which a search through records that do not pass a filter ends with those
 * found. To open a consumer may take as long where Kafka or this process is busy, and is not counted.
 */
const SEARCH_MS = 1_500
/** Milliseconds after which such a search ends in any case. */
const MAX_SEARCH_MS = 10_000
/** Records of one take: enough to make a take cheap. */
const TAKE_LIMITS = { records: 1_000, bytes: 1024 * 1024 }

/** A record that was found. */
interface FoundRecord extends TimedRecord {
  readonly part: RecordsPart
}

/** The examined part of one partition. */
interface ExaminedPartition {
  /** The records that were found, in the order of their offsets. */
  records: readonly FoundRecord[]
  /** The offset down to which the partition is known, or up to which. */
  edge: number
  /** Whether no further record of the partition can be among those that are searched for. */
  isDone: boolean
}

/**
 * The next records in the order of time. A search through records that do not pass a filter ends with
 * what it has found when it takes too long, so that a later one goes on where it has come to.
 *
 * @param signal Ends the search, which then rejects with the signal's reason.
 * @throws KafkaConsumeError when Kafka cannot be read.
 */
export function findInOrder(
  direction: SearchDirection,
  partitions: SearchedPartitions,
  limits: OrderedLimits,
  open: OpenRange,
  signal: AbortSignal,
): Promise<OrderedRecords> {
  return new OrderedSearch(direction, partitions, limits, open, signal).run()
}

class OrderedSearch {
  readonly #isBackwards: boolean
  readonly #partitions: SearchedPartitions
  readonly #limits: OrderedLimits
  readonly #open: OpenRange
  readonly #signal: AbortSignal
  readonly #examined: readonly ExaminedPartition[]
  readonly #gaps: Gap[] = []
  /** Milliseconds in which records were read, without those to open consumers. */
  #readingTime = 0

  constructor(
    direction: SearchDirection,
    partitions: SearchedPartitions,
    limits: OrderedLimits,
    open: OpenRange,
    signal: AbortSignal,
  ) {
    this.#isBackwards = direction === 'newest'
    this.#partitions = partitions
    this.#limits = limits
    this.#open = open
    this.#signal = signal
    const begin = this.#isBackwards ? partitions.ends : partitions.starts
    this.#examined = Array.from(begin, (edge) => ({ records: [], edge, isDone: false }))
  }

  async run(): Promise<OrderedRecords> {
    const until = performance.now() + MAX_SEARCH_MS
    let round = Math.min(FIRST_ROUND, 2 * this.#limits.records)
    let unfinished = this.#unfinished()
    /** The most partitions of a round: fewer where one record of each is too much. */
    let width = unfinished.length
    while (unfinished.length > 0 && !(this.#partitions.isFiltered && this.#isLate(until))) {
      const before = this.#readingTime
      const indexes = unfinished.slice(0, width)
      const span = Math.ceil(round / indexes.length)
      const isRead = await this.#readRound(indexes, span)
      const pace = ROUND_MS / (this.#readingTime - before)
      if (!isRead && span === 1) width = Math.ceil(indexes.length / 2)
      else round = Math.min(MAX_ROUND, round * (isRead ? Math.max(0.25, Math.min(pace, 8)) : 0.1))
      this.#dropFarthest()
      unfinished = this.#unfinished()
    }
    const edges = Float64Array.from(this.#examined, ({ edge }) => edge)
    const { starts, ends } = this.#partitions
    const bounds = this.#isBackwards ? { from: edges, to: ends } : { from: starts, to: edges }
    return {
      ...bounds,
      parts: this.#sorted().map(({ part }) => part),
      gaps: this.#gapsBefore(bounds.to),
    }
  }

  /** The gaps up to some offsets: those behind are announced by the read that comes to them. */
  #gapsBefore(to: Float64Array): Gap[] {
    const { table } = this.#partitions
    return this.#gaps.filter((gap) => gap.to <= (to[table.indexOf(gap.topic, gap.partition)] ?? 0))
  }

  #isLate(until: number): boolean {
    return this.#readingTime >= SEARCH_MS || performance.now() >= until
  }

  /** All records that were found, those that are searched for first at the beginning of their order. */
  #sorted(): FoundRecord[] {
    const all = this.#examined.flatMap(({ records }) => records)
    return this.#isBackwards ? sortFromNewest(all) : sortFromOldest(all)
  }

  /**
   * Reads a span of offsets of partitions, next to what is known of them.
   *
   * @returns Whether the span was read: it is given up when it has too many bytes.
   * @throws KafkaConsumeError
   */
  async #readRound(indexes: readonly number[], span: number): Promise<boolean> {
    const { starts, ends } = this.#partitions
    const from = Float64Array.from(this.#examined, ({ edge }) => edge)
    const end = from.slice()
    for (const index of indexes) {
      const edge = from[index] as number
      if (this.#isBackwards) from[index] = Math.max(starts[index] as number, edge - span)
      else end[index] = Math.min(ends[index] as number, edge + span)
    }
    const isSingle = span === 1 && indexes.length === 1
    const read = await this.#read(from, end, isSingle ? Infinity : MAX_ROUND_BYTES)
    if (!read) return false
    this.#gaps.push(...read.gaps)
    for (const index of indexes) {
      const partition = this.#examined[index] as ExaminedPartition
      const found = read.found.get(index) ?? []
      const { records } = partition
      partition.records = this.#isBackwards ? [...found, ...records] : [...records, ...found]
      // A gap may lead beyond the span.
      partition.edge = (this.#isBackwards ? from[index] : read.reached[index]) as number
    }
    return true
  }

  /** @returns Undefined when the records have too many bytes. */
  async #read(
    from: Float64Array,
    end: Float64Array,
    maxBytes: number,
  ): Promise<ReadRound | undefined> {
    this.#signal.throwIfAborted()
    const round = new ReadRound(this.#partitions.table)
    const subscription = await this.#open(from, end)
    const stop = () => subscription.stop()
    this.#signal.addEventListener('abort', stop)
    const begun = performance.now()
    try {
      let broughtAt = begun
      while (!subscription.hasEnded) {
        const isReady = await subscription.fill(TAKE_LIMITS.records, UNLIMITED)
        this.#signal.throwIfAborted()
        const part = isReady ? subscription.take(TAKE_LIMITS) : undefined
        if (part) round.add(part)
        if (round.bytes > maxBytes) return undefined
        if (isReady) broughtAt = performance.now()
        else await waitFor(subscription, broughtAt)
      }
      round.reached = subscription.cursor.vector.slice()
      return round
    } finally {
      this.#readingTime += performance.now() - begun
      this.#signal.removeEventListener('abort', stop)
      await subscription.close()
    }
  }

  /** Drops the records that are beyond those that are searched for. */
  #dropFarthest(): void {
    const sorted = this.#sorted()
    const nearest = this.#isBackwards ? sorted.reverse() : sorted
    const count = this.#countFitting(nearest)
    for (const { partition, offset } of nearest.slice(count)) {
      const dropped = this.#examined[partition] as ExaminedPartition
      dropped.edge = this.#isBackwards
        ? Math.max(dropped.edge, offset + 1)
        : Math.min(dropped.edge, offset)
      dropped.isDone = true
    }
    for (const partition of this.#examined) {
      const { edge } = partition
      partition.records = partition.records.filter(({ offset }) =>
        this.#isBackwards ? offset >= edge : offset < edge,
      )
    }
    const isFull = count < nearest.length || count >= this.#limits.records
    // Further records of its partition are beyond the last record of a full set.
    const last = isFull && nearest[count - 1]
    if (last) (this.#examined[last.partition] as ExaminedPartition).isDone = true
  }

  /** How many of the nearest records the limits allow. */
  #countFitting(nearest: readonly FoundRecord[]): number {
    const { records, bytes } = this.#limits
    let count = 0
    let total = 0
    for (const { part } of nearest.slice(0, records)) {
      total += part.batch.jsonBytes(part.begin)
      if (count > 0 && total > bytes) break
      count++
    }
    return count
  }

  /** Indexes of the partitions whose further records may be among those that are searched for. */
  #unfinished(): number[] {
    const { starts, ends } = this.#partitions
    return this.#examined.flatMap(({ edge, isDone }, index) => {
      const isLeft = this.#isBackwards
        ? edge > (starts[index] as number)
        : edge < (ends[index] as number)
      return isLeft && !isDone ? [index] : []
    })
  }
}

/** The records of one round, and what was missing among them. */
class ReadRound {
  readonly gaps: Gap[] = []
  /** Records by the index of their partition. */
  readonly found = new Map<number, FoundRecord[]>()
  /** The bytes of the records. */
  bytes = 0
  /** Where the read has ended. */
  reached = new Float64Array()
  readonly #table: PartitionTable

  constructor(table: PartitionTable) {
    this.#table = table
  }

  /** @throws KafkaConsumeError when partitions were added, or a topic was re-created, meanwhile. */
  add(part: RecordsPart | { readonly gap: Gap }): void {
    if ('gap' in part) {
      this.gaps.push(part.gap)
      return
    }
    const { batch, begin, end } = part
    if (batch.table !== this.#table) {
      throw new KafkaConsumeError(
        'KAFKA_UNAVAILABLE',
        'Cannot read in the order of time: the partitions have changed meanwhile',
      )
    }
    this.bytes += batch.eventBytes(begin, end)
    for (let i = begin; i < end; i++) {
      const partition = batch.partitions[i] as number
      const records = this.found.get(partition) ?? []
      if (records.length === 0) this.found.set(partition, records)
      records.push({
        partition,
        offset: batch.offsets[i] as number,
        timestamp: batch.timestampOf(i),
        part: { batch, begin: i, end: i + 1 },
      })
    }
  }
}

/** Waits for records that Kafka is known to have. A filter may pass none for long. */
async function waitFor(subscription: Subscription, since: number): Promise<void> {
  if (subscription.hasEnded) return
  if (hasStalled(since)) throw stalledError()
  await subscription.wait(100)
}
