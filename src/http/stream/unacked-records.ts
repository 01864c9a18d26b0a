import { partitionKey } from '../../core/topic-partition.ts'
import type { DeliveredRun } from '../../port/encoding.ts'
import type { Delivery, PartitionOffset } from '../../port/kafka.ts'

/** Records of a run that were sent one after another. */
interface SentRecords {
  readonly delivery: Delivery
  readonly run: DeliveredRun
  /** Index of the first record in the delivery. */
  readonly begin: number
  /** Characters of each record's JSON. */
  readonly sizes: readonly number[]
  /** `performance.now()` when they were sent. */
  readonly since: number
  /** How many of them the client has acknowledged: a client acknowledges in order. */
  acked: number
}

/** Records that were sent to a client that has not acknowledged them. */
export class UnackedRecords {
  /** By topic and partition, in the order in which they were sent. */
  readonly #sent = new Map<string, SentRecords[]>()
  /** The highest offset sent of each partition. */
  readonly #highest = new Map<string, number>()
  #length = 0
  #bytes = 0

  get length(): number {
    return this.#length
  }

  get bytes(): number {
    return this.#bytes
  }

  /** `performance.now()` when the oldest record was sent. */
  get since(): number | undefined {
    let oldest: number | undefined
    for (const [first] of this.#sent.values()) {
      if (first) oldest = Math.min(first.since, oldest ?? Infinity)
    }
    return oldest
  }

  /**
   * Records of a run are sent.
   *
   * @param begin Index of the first record in the delivery.
   * @param sizes Characters of each record's JSON.
   */
  add(delivery: Delivery, run: DeliveredRun, begin: number, sizes: readonly number[]): void {
    if (sizes.length === 0) return
    const key = partitionKey(run)
    const list = this.#sent.get(key) ?? []
    this.#sent.set(key, list)
    list.push({ delivery, run, begin, sizes, since: performance.now(), acked: 0 })
    const last = run.offsets[begin + sizes.length - 1 - run.begin] as number
    this.#highest.set(key, Math.max(last, this.#highest.get(key) ?? -1))
    this.#length += sizes.length
    this.#bytes += sum(sizes, 0, sizes.length)
  }

  /**
   * Acks records in their group. An acknowledgement covers all records before it in its partition.
   *
   * @returns false, and acks nothing, if one of the records was not sent.
   */
  ack(acked: readonly PartitionOffset[]): boolean {
    const upTo = highestOf(acked)
    for (const [key, offset] of upTo) {
      if (offset > (this.#highest.get(key) ?? -1)) return false
    }
    for (const [key, offset] of upTo) this.#ackPartition(key, offset)
    return true
  }

  #ackPartition(key: string, upTo: number): void {
    const rest = (this.#sent.get(key) ?? []).filter((sent) => {
      const { delivery, begin, sizes, acked } = sent
      const count = countUpTo(sent, upTo)
      if (count > acked) {
        delivery.ackRange(begin + acked, begin + count)
        this.#length -= count - acked
        this.#bytes -= sum(sizes, acked, count)
        sent.acked = count
      }
      return sent.acked < sizes.length
    })
    if (rest.length > 0) this.#sent.set(key, rest)
    else this.#sent.delete(key)
  }

  /** The client gets no more: its records go to others. */
  requeue(): void {
    const deliveries = new Set([...this.#sent.values()].flat().map(({ delivery }) => delivery))
    for (const delivery of deliveries) delivery.requeue()
    this.#sent.clear()
    this.#length = 0
    this.#bytes = 0
  }
}

/** The highest offset of each partition: a client may acknowledge thousands of records at once. */
function highestOf(acked: readonly PartitionOffset[]): Map<string, number> {
  const highest = new Map<string, number>()
  let last: PartitionOffset | undefined
  let key = ''
  for (const position of acked) {
    if (position.partition !== last?.partition || position.topic !== last.topic) {
      key = partitionKey(position)
    }
    last = position
    if (position.offset > (highest.get(key) ?? -1)) highest.set(key, position.offset)
  }
  return highest
}

/** How many of the records have at most this offset. */
function countUpTo({ run, begin, sizes, acked }: SentRecords, offset: number): number {
  const { offsets } = run
  const first = begin - run.begin
  let low = acked
  let high = sizes.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((offsets[first + middle] as number) <= offset) low = middle + 1
    else high = middle
  }
  return low
}

function sum(numbers: readonly number[], begin: number, end: number): number {
  let total = 0
  for (let i = begin; i < end; i++) total += numbers[i] as number
  return total
}
