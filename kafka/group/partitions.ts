import type { KafkaConsumeError } from '../../src/core/errors.ts'
import { logOf } from '../../src/core/log.ts'
import { partitionKey, type TopicPartition } from '../../src/core/topic-partition.ts'
import type { Gap } from '../../src/port/kafka.ts'
import { gapIn } from '../consumer/gaps.ts'
import { type ReadyRecords, RecordRange } from './deliveries.ts'
import type { RecordRun } from './record-block.ts'

const log = logOf('group')

/** The partitions that a member owns: how far each is read, and the gaps that the group missed. */
export class OwnedPartitions {
  readonly #groupId: string
  readonly #ready: ReadyRecords
  readonly #byKey = new Map<string, OwnedPartition>()
  /** Gaps to be reported with the next delivery. */
  #gaps: Gap[] = []
  /** Whether the group has assigned partitions, perhaps none, since the consumer joined or lost the membership. */
  isAssigned = false
  /** Whether the client waits for our answer to a change of members. */
  isChanging = false
  /** The reason why assigned partitions cannot be read: the member must leave. */
  error: KafkaConsumeError | undefined

  /** @param ready Where records of the partitions wait to be delivered. */
  constructor(groupId: string, ready: ReadyRecords) {
    this.#groupId = groupId
    this.#ready = ready
  }

  get(partition: TopicPartition): OwnedPartition | undefined {
    return this.#byKey.get(partitionKey(partition))
  }

  [Symbol.iterator](): IterableIterator<OwnedPartition> {
    return this.#byKey.values()
  }

  /** The partitions' names only, as the client takes them. */
  places(): TopicPartition[] {
    return [...this].map(({ topic, partition }) => ({ topic, partition }))
  }

  /** Whether clients have records that are neither delivered nor requeued. */
  get isHeld(): boolean {
    for (const { held } of this) if (held > 0) return true
    return false
  }

  add(owned: OwnedPartition): void {
    this.#byKey.set(partitionKey(owned), owned)
  }

  /**
   * Gives partitions up: their records that wait, and their gaps, are left to the next owner.
   *
   * @returns the partitions among them that were owned.
   */
  remove(partitions: readonly TopicPartition[]): OwnedPartition[] {
    const gone = partitions.flatMap((partition) => this.get(partition) ?? [])
    for (const owned of gone) {
      owned.state = 'leaving'
      this.#byKey.delete(partitionKey(owned))
    }
    this.#gaps = this.#gaps.filter((gap) => this.get(gap))
    this.#ready.drop(({ owned }) => owned.state === 'leaving')
    return gone
  }

  /** Adds records that the client has read. */
  push(run: RecordRun, lowOffset: (of: OwnedPartition) => number): void {
    let owned = this.get(run)
    // A revoked partition's next owner delivers records that were in transit.
    if (!owned) return
    const { block, end } = run
    const { offsets } = block
    let { begin } = run
    let low: number | undefined
    const isExpected = offsets[begin] === owned.position
    for (const at of isExpected ? run.jumps : [begin, ...run.jumps]) {
      const offset = offsets[at] as number
      if (at > begin) owned.position = (offsets[at - 1] as number) + 1
      // The records before belong to the old topic where the topic was re-created.
      if (at > begin && offset < owned.position) {
        this.#ready.push(new RecordRange(owned, block, begin, at))
        begin = at
      }
      low ??= lowOffset(owned)
      owned = this.jump(owned, offset, low)
    }
    owned.answered = true
    owned.position = (offsets[end - 1] as number) + 1
    this.#ready.push(new RecordRange(owned, block, begin, end))
  }

  /**
   * Handles a jump of the client to another offset than the expected one.
   *
   * @param low The first offset that the partition keeps; -1 if unknown.
   * @returns the partition to go on with: a new one where its topic was re-created.
   */
  jump(owned: OwnedPartition, offset: number, low: number): OwnedPartition {
    const { topic, partition, position: from } = owned
    const gap = gapIn({ topic, partition, from, to: offset, low })
    if (!gap) return owned
    if (gap.reason === 'out-of-range') return this.reset(owned, offset)
    this.recordGap(gap)
    return owned
  }

  /**
   * Starts again in a partition whose topic was re-created: records of the old topic cannot be
   * committed.
   */
  reset(owned: OwnedPartition, to: number): OwnedPartition {
    const { topic, partition, position } = owned
    const dropped = this.#ready.drop((range) => range.owned === owned)
    owned.state = 'released'
    const recreated = new OwnedPartition(topic, partition, to)
    this.add(recreated)
    const from = Math.min(position, ...dropped.map(({ firstOffset }) => firstOffset))
    if (from !== to) this.recordGap({ topic, partition, from, to, reason: 'out-of-range' })
    return recreated
  }

  recordGap(gap: Gap): void {
    log.warn('Group {group} missed {from} to {to} of {topic}:{partition}: {reason}', {
      group: this.#groupId,
      ...gap,
    })
    this.#gaps.push(gap)
    this.get(gap)?.offsets.miss(gap)
  }

  /** The gaps to be reported with the next delivery. */
  takeGaps(): readonly Gap[] {
    return this.#gaps.splice(0)
  }

  /** Notes that clients were told of gaps: what lies behind them may be committed. */
  markTold(gaps: readonly Gap[]): void {
    for (const gap of gaps) this.get(gap)?.offsets.markTold(gap)
  }

  /** Takes back gaps that did not reach their client. */
  returnGaps(gaps: readonly Gap[]): void {
    this.#gaps.unshift(...gaps.filter((gap) => this.get(gap)))
  }
}

/** One partition for as long as this member of a group owns it. */
export class OwnedPartition {
  readonly topic: string
  readonly partition: number
  readonly offsets: OffsetTracker
  /** The next offset that the client will give us. */
  position: number
  /** The offset at which reading began. */
  readonly start: number
  /** The end of the partition, as the client last saw it; -1 if it has not. */
  end = -1
  /** All transactions below this offset are known to be decided; -1 if nothing is known. */
  stable = -1
  /** Whether Kafka has answered for the partition: with a record, or with its end. */
  answered = false
  /** Records that clients have: neither delivered nor requeued. */
  held = 0
  /** The id of the topic that is read; undefined while it is not known. */
  topicId: string | undefined
  /** After `released`, the partition's next owner delivers records again that are acked here. */
  state: 'owned' | 'leaving' | 'released' = 'owned'

  /**
   * @param start The offset at which reading begins.
   * @param topicId The id of the topic, as of then.
   */
  constructor(topic: string, partition: number, start: number, topicId?: string) {
    this.topic = topic
    this.partition = partition
    this.position = start
    this.start = start
    this.offsets = new OffsetTracker(start)
    this.topicId = topicId
  }

  /**
   * Where the first undecided transaction begins, as far as it is certain; -1 where it is not. The
   * client shows it by the end that it sees, since it brings decided records only. Before that it
   * lies anywhere from what is known to be decided up to the high watermark.
   */
  lastStableOffset(highWatermark: number): number {
    if (this.end === this.position) return this.end
    return Math.max(this.position, this.stable) >= highWatermark ? highWatermark : -1
  }
}

/**
 * Tracks the delivered records of a partition, and its committable offset: an offset is committed only
 * when every record below it was delivered, and a client was told of every gap below it. The next owner of
 * the partition finds the other records and gaps again.
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
  /** The offset that Kafka committed last; undefined before the first commit. */
  lastCommitted: number | undefined
  readonly #start: number
  /** The offset after the last record given to a client. */
  #next: number
  /** The last offset that was returned to be committed. */
  #reported: number
  /** Offsets that hold no record, behind all that have been read. */
  #hole = { from: -1, to: -1 }
  /** Gaps that no client was told of yet, in the order of reading. */
  #untold: UntoldGap[] = []
  /** The offset up to which Kafka needs no commit: it was committed before, or is where new groups begin. */
  #floor: number

  /** @param start The offset at which reading began. */
  constructor(start: number) {
    this.#start = start
    this.#next = start
    this.#reported = start
    this.#floor = start
  }

  /** Notes a gap behind all records read so far. */
  miss({ from, to, reason }: Gap): void {
    // Where a topic was re-created, no offset below belongs to the present one.
    const limit = reason === 'retention' ? from : -1
    this.#untold.push({ from, to, limit, taken: undefined })
    if (to !== this.#start) return
    this.#floor = limit
    this.#reported = limit
  }

  /** Notes that a client was told of a gap. */
  markTold({ from, to }: Pick<Gap, 'from' | 'to'>): void {
    this.#untold = this.#untold.filter((gap) => gap.from !== from || gap.to !== to)
  }

  /**
   * Notes that records were given to a client, perhaps again after a requeue.
   *
   * @param range Its offsets are kept.
   */
  track({ offsets, begin, end }: OffsetRange): void {
    const first = lowerBound(offsets, this.#next, begin, end)
    const count = end - first
    if (count === 0) return
    for (const gap of this.#untold) {
      if (gap.to > (offsets[end - 1] as number)) continue
      gap.taken ??= this.#taken + lowerBound(offsets, gap.to, first, end) - first
    }
    this.#undelivered.push({ offsets, begin: first, end, taken: this.#taken })
    this.#open += count
    this.#taken += count
    this.#next = (offsets[end - 1] as number) + 1
  }

  /** Notes that Kafka has no record between two offsets, which lie behind all records read so far. */
  skip(from: number, to: number): void {
    const begin = from === this.#hole.to ? this.#hole.from : from
    this.#hole = { from: begin, to }
  }

  /** Notes that records were delivered. A repeated call for a record has no effect. */
  markDelivered({ offsets, begin, end }: OffsetRange): void {
    const at = this.#undelivered.findIndex((span) => span.offsets === offsets && begin < span.end)
    const span = this.#undelivered[at]
    if (span && span.begin <= begin && end <= span.end) this.#cut(at, span, begin, end)
    else for (let i = begin; i < end; i++) this.#remove(offsets[i] as number)
  }

  #remove(offset: number): void {
    const at = this.#undelivered.findIndex((span) => offset <= lastOf(span))
    const span = this.#undelivered[at]
    if (!span) return
    const index = lowerBound(span.offsets, offset, span.begin, span.end)
    if (span.offsets[index] === offset) this.#cut(at, span, index, index + 1)
  }

  /** Removes the records with indexes from `begin` to before `end` from a span. */
  #cut(at: number, span: Span, begin: number, end: number): void {
    this.#open -= end - begin
    // Most answers are delivered whole.
    if (begin === span.begin && end === span.end) {
      this.#undelivered.splice(at, 1)
      return
    }
    const rest = [
      { ...span, end: begin },
      { ...span, begin: end, taken: span.taken + end - span.begin },
    ]
    this.#undelivered.splice(at, 1, ...rest.filter((part) => part.begin < part.end))
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

  /** The committable offset, unless it was returned before. */
  committable(): CommittableOffset | undefined {
    const [lowest] = this.#undelivered
    const [gap] = this.#untold
    const delivered = lowest ? firstOf(lowest) : (this.next ?? this.#start)
    const offset = Math.min(delivered, gap?.limit ?? delivered)
    if (offset <= this.#reported) return undefined
    this.#reported = offset
    return { offset, records: Math.min(lowest?.taken ?? this.#taken, gap?.taken ?? Infinity) }
  }

  /** Notes that Kafka has committed an offset. */
  committed({ offset, records }: CommittableOffset): void {
    this.#committed = Math.max(this.#committed, records)
    this.lastCommitted = offset
  }

  /** Notes that an offset could not be committed: it is returned again. */
  uncommitted(): void {
    this.#reported = this.#floor
  }

  /** The number of delivered records that Kafka would deliver again if this member ended now. */
  get uncertain(): number {
    return this.#taken - this.#open - this.#committed
  }
}

/** Records between two indexes of a list of offsets. */
export interface OffsetRange {
  /** Ascending. */
  readonly offsets: ArrayLike<number>
  readonly begin: number
  readonly end: number
}

/** A gap that no client was told of yet. */
interface UntoldGap extends Pick<Gap, 'from' | 'to'> {
  /** The highest offset that may be committed before; -1 for none. */
  readonly limit: number
  /** How many records before it were given to clients; undefined until one behind it is. */
  taken: number | undefined
}

/** Undelivered records. */
interface Span extends OffsetRange {
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

/** Index of the first offset between two indexes that is not below a limit. */
function lowerBound(offsets: ArrayLike<number>, limit: number, begin: number, end: number): number {
  let low = begin
  let high = end
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((offsets[middle] as number) < limit) low = middle + 1
    else high = middle
  }
  return low
}
