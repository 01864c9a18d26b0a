import type { Delivery, Gap, KafkaRecord, PartitionState } from '../../src/port/kafka.ts'
import type { OwnedPartition } from './owned-partition.ts'

/** What a caller is handed. */
export interface Hand {
  /** By the partition that each belongs to, in the order in which they go out. */
  readonly records: ReadonlyMap<KafkaRecord, OwnedPartition>
  readonly gaps: readonly Gap[]
  readonly partitions: readonly PartitionState[]
}

/** Who handed it out. */
export interface Dealer {
  /** @param late How many of them belong to another member by now, which delivers them again. */
  delivered(late: number): void
  returned(records: readonly KafkaRecord[], gaps: readonly Gap[]): void
}

/** Records in one caller's hands. */
export class HandedOut implements Delivery {
  readonly records: readonly KafkaRecord[]
  readonly gaps: readonly Gap[]
  readonly partitions: readonly PartitionState[]
  readonly #open: Map<KafkaRecord, OwnedPartition>
  readonly #dealer: Dealer
  #isOver = false

  constructor({ records, gaps, partitions }: Hand, dealer: Dealer) {
    this.records = [...records.keys()]
    this.gaps = gaps
    this.partitions = partitions
    this.#open = new Map(records)
    this.#dealer = dealer
    for (const [{ offset }, owned] of records) {
      owned.ledger.take(offset)
      owned.held++
    }
  }

  confirm(records: readonly KafkaRecord[]): void {
    let settled = 0
    let late = 0
    for (const record of records) {
      const owned = this.#open.get(record)
      if (!owned) continue
      this.#open.delete(record)
      owned.held--
      owned.ledger.settle(record.offset)
      settled++
      if (owned.state === 'released') late++
    }
    if (settled > 0) this.#dealer.delivered(late)
  }

  done(): void {
    this.#isOver = true
    this.confirm(this.records)
  }

  giveBack(): void {
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
