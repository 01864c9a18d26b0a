import type { DeliveredRun, RecordTexts } from '../../src/port/encoding.ts'
import type {
  Delivery,
  Gap,
  KafkaRecord,
  PartitionState,
  PollLimits,
} from '../../src/port/kafka.ts'
import type { OffsetRange, OwnedPartition } from './partitions.ts'
import {
  encodeBlocks,
  joinReady,
  type ReadyForm,
  type RecordBlock,
  SYNC_BYTES,
} from './record-block.ts'

/** Neighbouring records of an owned partition, in one block. */
export class RecordRange implements OffsetRange {
  readonly owned: OwnedPartition
  readonly block: RecordBlock
  /** Index of the first record in the block. */
  readonly begin: number
  /** Index after the last record. */
  readonly end: number

  constructor(owned: OwnedPartition, block: RecordBlock, begin: number, end: number) {
    this.owned = owned
    this.block = block
    this.begin = begin
    this.end = end
  }

  get offsets(): Float64Array {
    return this.block.offsets
  }

  get length(): number {
    return this.end - this.begin
  }

  get bytes(): number {
    const { starts } = this.block
    return (starts[this.end] as number) - (starts[this.begin] as number)
  }

  /** Bytes of the records and of their JSON, where a read has made it. */
  get memory(): number {
    return this.bytes + this.block.readyBytes(this.begin, this.end)
  }

  get firstOffset(): number {
    return this.block.offsets[this.begin] as number
  }

  /** The records from index `begin` to before `end`, counted from the first record of the range. */
  slice(begin: number, end: number): RecordRange {
    if (begin === 0 && end === this.length) return this
    return new RecordRange(this.owned, this.block, this.begin + begin, this.begin + end)
  }

  /** The number of records that fit into the given bytes; not more than `max`. */
  fitting(bytes: number, max: number): number {
    const { starts } = this.block
    const limit = (starts[this.begin] as number) + bytes
    let low = this.begin
    let high = Math.min(this.end, this.begin + max)
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if ((starts[middle] as number) <= limit) low = middle
      else high = middle - 1
    }
    return low - this.begin
  }
}

/**
 * Records of a group that were read and not delivered yet, in the order in which they go out:
 * within a partition by offset. Its owner stops reading when it is full enough.
 */
export class ReadyRecords {
  #form: ReadyForm | undefined
  #ranges: RecordRange[] = []
  #length = 0
  #bytes = 0

  get length(): number {
    return this.#length
  }

  /** The form of the JSON that reads make at once; undefined where they make none. */
  get form(): ReadyForm | undefined {
    return this.#form
  }

  /** Makes later reads encode JSON at once, in the form in which clients were given records last. */
  prepare(form: ReadyForm | undefined): void {
    this.#form = form
  }

  /** Bytes of the packed records and of the JSON that reads made of them. */
  get bytes(): number {
    return this.#bytes
  }

  /** The lowest offset of each partition. */
  first(): Map<OwnedPartition, number> {
    const offsets = new Map<OwnedPartition, number>()
    for (const { owned, firstOffset } of this.#ranges) {
      if (!offsets.has(owned)) offsets.set(owned, firstOffset)
    }
    return offsets
  }

  push(range: RecordRange): void {
    this.#ranges.push(range)
    this.#count(range, 1)
  }

  /** The next records within the limits; a first record of any size. */
  take(limits: Pick<PollLimits, 'maxRecords' | 'maxBytes'>): RecordRange[] {
    const taken: RecordRange[] = []
    let { maxRecords: records, maxBytes: bytes } = limits
    let whole = 0
    for (const range of this.#ranges) {
      const count = Math.max(range.fitting(bytes, records), taken.length === 0 ? 1 : 0)
      if (count === 0) break
      const part = range.slice(0, count)
      taken.push(part)
      this.#count(part, -1)
      if (count < range.length) {
        this.#ranges[whole] = range.slice(count, range.length)
        break
      }
      whole++
      records -= count
      bytes -= part.bytes
    }
    this.#ranges.splice(0, whole)
    return taken
  }

  /** Requeues records: they go out again, before the later records of their partitions. */
  putBack(ranges: readonly RecordRange[]): void {
    this.#ranges = [...ranges, ...this.#ranges].sort(
      (a, b) =>
        (a.owned.topic < b.owned.topic ? -1 : a.owned.topic > b.owned.topic ? 1 : 0) ||
        a.owned.partition - b.owned.partition ||
        a.firstOffset - b.firstOffset,
    )
    for (const range of ranges) this.#count(range, 1)
  }

  /** @returns the dropped records. */
  drop(isUnwanted: (range: RecordRange) => boolean): RecordRange[] {
    const dropped = this.#ranges.filter(isUnwanted)
    if (dropped.length === 0) return dropped
    this.#ranges = this.#ranges.filter((range) => !isUnwanted(range))
    for (const range of dropped) this.#count(range, -1)
    return dropped
  }

  #count({ length, memory }: RecordRange, sign: 1 | -1): void {
    this.#length += sign * length
    this.#bytes += sign * memory
  }
}

/** The records and gaps that a waiting poll is given. */
export interface DeliveryContents {
  /** In the order in which they go out. */
  readonly ranges: readonly RecordRange[]
  readonly gaps: readonly Gap[]
  /** The state of all partitions of the topics: few clients want it. */
  partitions(): readonly PartitionState[]
}

/** The owner of a delivery, to which the delivery reports its end. */
export interface DeliverySink {
  /**
   * @param late How many of the records belong to another member by now, which delivers them again.
   */
  delivered(records: number, late: number): void
  /** The client was told of gaps. */
  told(gaps: readonly Gap[]): void
  /**
   * Reports how records of the delivery are asked for.
   *
   * @param form The form in which later reads may make JSON at once; undefined where none is needed.
   */
  used(form: ReadyForm | undefined): void
  returned(ranges: readonly RecordRange[], gaps: readonly Gap[]): void
}

/** A range of a delivery. */
class GroupRun implements DeliveredRun {
  readonly range: RecordRange
  readonly begin: number

  /** @param begin Index of the first record in the delivery. */
  constructor(range: RecordRange, begin: number) {
    this.range = range
    this.begin = begin
  }

  get end(): number {
    return this.begin + this.range.length
  }

  get topic(): string {
    return this.range.owned.topic
  }

  get partition(): number {
    return this.range.owned.partition
  }

  get offsets(): Float64Array {
    const { block, begin, end } = this.range
    return block.offsets.subarray(begin, end)
  }
}

/** The records that one client got by one poll. */
export class GroupDelivery implements Delivery {
  readonly length: number
  readonly bytes: number
  readonly runs: readonly GroupRun[]
  readonly gaps: readonly Gap[]
  readonly #contents: DeliveryContents
  readonly #sink: DeliverySink
  /** The records that are neither acknowledged nor requeued. */
  #open: readonly GroupRun[]
  #records: readonly KafkaRecord[] | undefined
  #partitions: readonly PartitionState[] | undefined
  #isOver = false
  #isTold = false

  constructor(contents: DeliveryContents, sink: DeliverySink) {
    let length = 0
    let bytes = 0
    this.runs = contents.ranges.map((range) => {
      const run = new GroupRun(range, length)
      range.owned.offsets.track(range)
      range.owned.held += range.length
      length += range.length
      bytes += range.bytes
      return run
    })
    this.length = length
    this.bytes = bytes
    this.gaps = contents.gaps
    this.#open = this.runs
    this.#contents = contents
    this.#sink = sink
  }

  decodeRecords(): readonly KafkaRecord[] {
    this.#sink.used(undefined)
    this.#records ??= this.runs.flatMap(({ range: { owned, block, begin, end } }) =>
      Array.from({ length: end - begin }, (_, index) => block.record(begin + index, owned)),
    )
    return this.#records
  }

  get partitions(): readonly PartitionState[] {
    this.#partitions ??= this.#contents.partitions()
    return this.#partitions
  }

  encode(request: RecordTexts): Uint8Array | Promise<Uint8Array> {
    const ready = this.#ready(request)
    if (ready) return joinReady(ready, request.mayReuseBuffer === true)
    const { parts, ...form } = request
    this.#sink.used(this.bytes <= SYNC_BYTES ? readyFormOf(request) : undefined)
    const texts = parts.map((part) => {
      if (typeof part === 'string') return part
      const { block, begin, end } = (part.run as GroupRun).range
      const { prefix, separator } = part
      return { block, begin, end, prefix, separator }
    })
    return encodeBlocks(texts, form, this.bytes)
  }

  /** The texts and the JSON of runs; undefined where the JSON of one is not ready, or there is much of it. */
  #ready({ parts, valuesAreJson, content }: RecordTexts): Array<string | Uint8Array> | undefined {
    if (content !== 'record' || this.bytes > SYNC_BYTES) return undefined
    const found: Array<string | Uint8Array> = []
    for (const part of parts) {
      if (typeof part === 'string') {
        found.push(part)
        continue
      }
      if (part.prefix !== '') return undefined
      const { block, begin, end } = (part.run as GroupRun).range
      const text = block.readyText(begin, end, valuesAreJson, part.separator)
      if (!text) return undefined
      found.push(text)
    }
    return found
  }

  ackRange(begin: number, end: number): void {
    if (this.#isOver) return
    const open: GroupRun[] = []
    let settled = 0
    let late = 0
    for (const run of this.#open) {
      const from = Math.max(begin, run.begin)
      const to = Math.min(end, run.end)
      if (from >= to) {
        open.push(run)
        continue
      }
      const { owned } = run.range
      owned.held -= to - from
      owned.offsets.markDelivered(run.range.slice(from - run.begin, to - run.begin))
      settled += to - from
      if (owned.state === 'released') late += to - from
      if (run.begin < from) open.push(part(run, run.begin, from))
      if (to < run.end) open.push(part(run, to, run.end))
    }
    this.#open = open
    if (settled === 0) return
    this.#tell()
    this.#sink.delivered(settled, late)
  }

  ack(): void {
    if (this.#isOver) return
    this.#tell()
    this.ackRange(0, this.length)
    this.#isOver = true
  }

  /** A client that acks a record has had the gaps before. */
  #tell(): void {
    if (!this.#isTold && this.gaps.length > 0) this.#sink.told(this.gaps)
    this.#isTold = true
  }

  requeue(): void {
    if (this.#isOver) return
    this.#isOver = true
    const open = this.#open.map(({ range }) => range)
    for (const { owned, length } of open) owned.held -= length
    // A partition that was revoked and assigned again is read again: older deliveries are not
    // requeued.
    this.#sink.returned(
      open.filter(({ owned }) => owned.state === 'owned'),
      this.#isTold ? [] : this.gaps,
    )
  }
}

/** The form of a request's records, if reads can make it. */
function readyFormOf({ parts, valuesAreJson, content }: RecordTexts): ReadyForm | undefined {
  const run = parts.find((part) => typeof part !== 'string')
  if (run?.prefix !== '' || content !== 'record') return undefined
  return { valuesAreJson, separator: run.separator }
}

/** A part of a run, by indexes in the delivery. */
function part(run: GroupRun, begin: number, end: number): GroupRun {
  return new GroupRun(run.range.slice(begin - run.begin, end - run.begin), begin)
}
