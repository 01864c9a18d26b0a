import { partitionKey } from '../../src/core/topic-partition.ts'
import type {
  Delivery,
  Gap,
  KafkaRecord,
  PartitionState,
  PollLimits,
} from '../../src/port/kafka.ts'
import type { OwnedPartition } from './partitions.ts'

/**
 * Records of a group that were read and not delivered yet, in the order in which they go out:
 * within a partition by offset. Its owner stops reading when it is full enough.
 */
export class ReadyRecords {
  #records: KafkaRecord[] = []
  #bytes = 0

  get length(): number {
    return this.#records.length
  }

  /** Bytes of keys, values and headers. */
  get bytes(): number {
    return this.#bytes
  }

  /** The lowest offset of each partition, by `topic:partition`. */
  first(): Map<string, number> {
    const offsets = new Map<string, number>()
    for (const { topic, partition, offset } of this.#records) {
      const name = partitionKey({ topic, partition })
      if (!offsets.has(name)) offsets.set(name, offset)
    }
    return offsets
  }

  push(record: KafkaRecord): void {
    this.#records.push(record)
    this.#bytes += bytesOf(record)
  }

  /** The next records within the limits; a first one whatever its size. */
  take(limits: Pick<PollLimits, 'maxRecords' | 'maxBytes'>): KafkaRecord[] {
    let count = 0
    let bytes = 0
    for (const record of this.#records) {
      const size = bytesOf(record)
      if (count >= limits.maxRecords || (count > 0 && bytes + size > limits.maxBytes)) break
      count++
      bytes += size
    }
    this.#bytes -= bytes
    return this.#records.splice(0, count)
  }

  /** Requeues records: they go out again, before the later records of their partitions. */
  putBack(records: readonly KafkaRecord[]): void {
    this.#records = [...records, ...this.#records].sort(
      (a, b) =>
        (a.topic < b.topic ? -1 : a.topic > b.topic ? 1 : 0) ||
        a.partition - b.partition ||
        a.offset - b.offset,
    )
    for (const record of records) this.#bytes += bytesOf(record)
  }

  /** @returns the dropped records. */
  drop(isUnwanted: (record: KafkaRecord) => boolean): KafkaRecord[] {
    const dropped = this.#records.filter(isUnwanted)
    if (dropped.length === 0) return dropped
    this.#records = this.#records.filter((record) => !isUnwanted(record))
    this.#bytes = this.#records.reduce((sum, record) => sum + bytesOf(record), 0)
    return dropped
  }
}

function bytesOf({ key, value, headers }: KafkaRecord): number {
  let bytes = 64 + (key?.length ?? 0) + (value?.length ?? 0)
  for (const header of headers ?? []) {
    for (const name of Object.keys(header)) bytes += name.length + (header[name]?.length ?? 0)
  }
  return bytes
}

/** The records and gaps that a waiting poll is given. */
export interface DeliveryContents {
  /** In the order in which they go out. */
  readonly records: readonly KafkaRecord[]
  /** The partition that owns each run of records, in the order of the records. */
  readonly runs: readonly DeliveryRun[]
  readonly gaps: readonly Gap[]
  /** The state of all partitions of the topics: few clients want it. */
  partitions(): readonly PartitionState[]
}

/** Neighbouring records of one partition. */
export interface DeliveryRun {
  readonly owned: OwnedPartition
  /** Index of the first record among those of the delivery. */
  readonly begin: number
  /** The offset of each record. */
  readonly offsets: readonly number[]
}

/** The owner of a delivery, to which the delivery reports its end. */
export interface DeliverySink {
  /** @param late How many of the records belong to another member by now, which delivers them again. */
  delivered(late: number): void
  returned(records: readonly KafkaRecord[], gaps: readonly Gap[]): void
}

/** Divides records into runs of one partition. */
export function runsOf(
  records: readonly KafkaRecord[],
  ownerOf: (record: KafkaRecord) => OwnedPartition,
): DeliveryRun[] {
  const runs: DeliveryRun[] = []
  let owned: OwnedPartition | undefined
  let offsets: number[] = []
  records.forEach((record, begin) => {
    if (!owned?.is(record)) {
      owned = ownerOf(record)
      offsets = []
      runs.push({ owned, begin, offsets })
    }
    offsets.push(record.offset)
  })
  return runs
}

/** Records that one client has been given. */
export class GroupDelivery implements Delivery {
  readonly records: readonly KafkaRecord[]
  readonly gaps: readonly Gap[]
  readonly #contents: DeliveryContents
  readonly #sink: DeliverySink
  /** The records that are still open, once some were acknowledged by themselves. */
  #open: Map<KafkaRecord, OwnedPartition> | undefined
  #partitions: readonly PartitionState[] | undefined
  #isOver = false

  constructor(contents: DeliveryContents, sink: DeliverySink) {
    this.records = contents.records
    this.gaps = contents.gaps
    this.#contents = contents
    this.#sink = sink
    for (const { owned, offsets } of contents.runs) {
      owned.offsets.track(offsets)
      owned.held += offsets.length
    }
  }

  get partitions(): readonly PartitionState[] {
    this.#partitions ??= this.#contents.partitions()
    return this.#partitions
  }

  ackRecords(records: readonly KafkaRecord[]): void {
    if (this.#isOver) return
    const open = this.#recordsByOwner()
    let settled = 0
    let late = 0
    for (const record of records) {
      const owned = open.get(record)
      if (!owned) continue
      open.delete(record)
      owned.held--
      owned.offsets.markDelivered([record.offset])
      settled++
      if (owned.state === 'released') late++
    }
    if (settled > 0) this.#sink.delivered(late)
  }

  ack(): void {
    if (this.#open) this.ackRecords(this.records)
    else if (!this.#isOver) this.#ackRuns()
    this.#isOver = true
  }

  #ackRuns(): void {
    let late = 0
    for (const { owned, offsets } of this.#contents.runs) {
      owned.held -= offsets.length
      owned.offsets.markDelivered(offsets)
      if (owned.state === 'released') late += offsets.length
    }
    if (this.records.length > 0) this.#sink.delivered(late)
  }

  requeue(): void {
    if (this.#isOver) return
    this.#isOver = true
    const open = [...this.#recordsByOwner()]
    for (const [, owned] of open) owned.held--
    // A partition that went and returned is read again: what went out before is not requeued.
    const ours = open.filter(([, { state }]) => state === 'owned').map(([record]) => record)
    this.#sink.returned(ours, this.gaps)
  }

  #recordsByOwner(): Map<KafkaRecord, OwnedPartition> {
    this.#open ??= new Map(
      this.#contents.runs.flatMap(({ owned, begin, offsets }) =>
        offsets.map((_, index) => [this.records[begin + index] as KafkaRecord, owned] as const),
      ),
    )
    return this.#open
  }
}
