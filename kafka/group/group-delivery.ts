import type { Delivery, Gap, KafkaRecord, PartitionState } from '../../src/port/kafka.ts'
import type { OwnedPartition } from './owned-partition.ts'

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
