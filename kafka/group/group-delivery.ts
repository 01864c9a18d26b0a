import type { Delivery, Gap, KafkaRecord, PartitionState } from '../../src/port/kafka.ts'
import type { OwnedPartition } from './owned-partition.ts'

/** What a caller is handed. */
export interface DeliveryContents {
  /** By the partition that each belongs to, in the order in which they go out. */
  readonly records: ReadonlyMap<KafkaRecord, OwnedPartition>
  readonly gaps: readonly Gap[]
  readonly partitions: readonly PartitionState[]
}

/** Who handed it out. */
export interface DeliverySink {
  /** @param late How many of them belong to another member by now, which delivers them again. */
  delivered(late: number): void
  returned(records: readonly KafkaRecord[], gaps: readonly Gap[]): void
}

/** Records in one caller's hands. */
export class GroupDelivery implements Delivery {
  readonly records: readonly KafkaRecord[]
  readonly gaps: readonly Gap[]
  readonly partitions: readonly PartitionState[]
  readonly #open: Map<KafkaRecord, OwnedPartition>
  readonly #dealer: DeliverySink
  #isOver = false

  constructor({ records, gaps, partitions }: DeliveryContents, dealer: DeliverySink) {
    this.records = [...records.keys()]
    this.gaps = gaps
    this.partitions = partitions
    this.#open = new Map(records)
    this.#dealer = dealer
    for (const [{ offset }, owned] of records) {
      owned.offsets.track(offset)
      owned.held++
    }
  }

  ackRecords(records: readonly KafkaRecord[]): void {
    let settled = 0
    let late = 0
    for (const record of records) {
      const owned = this.#open.get(record)
      if (!owned) continue
      this.#open.delete(record)
      owned.held--
      owned.offsets.markDelivered(record.offset)
      settled++
      if (owned.state === 'released') late++
    }
    if (settled > 0) this.#dealer.delivered(late)
  }

  ack(): void {
    this.#isOver = true
    this.ackRecords(this.records)
  }

  requeue(): void {
    if (this.#isOver) return
    this.#isOver = true
    const open = [...this.#open]
    this.#open.clear()
    for (const [, owned] of open) owned.held--
    // A partition that went and returned is read anew: what went out before is not taken back.
    const ours = open.filter(([, { state }]) => state === 'owned').map(([record]) => record)
    this.#dealer.returned(ours, this.gaps)
  }
}
