import { partitionKey } from '../../src/core/topic-partition.ts'
import type { AssignedConsumer, Batch, PartitionOffset } from '../../src/port/kafka.ts'

/**
 * Finds the first offsets at or after a time by reading records, for brokers that do not find
 * offsets by time, as the embedded one. Partitions without such a record keep their end.
 *
 * @param openConsumer Opens a consumer at given offsets.
 * @param time Milliseconds since 1970.
 */
export async function searchTime(
  openConsumer: (from: readonly PartitionOffset[]) => Promise<AssignedConsumer>,
  starts: readonly PartitionOffset[],
  ends: readonly PartitionOffset[],
  time: number,
): Promise<PartitionOffset[]> {
  const search = new TimeSearch(starts, ends, time)
  const consumer = await openConsumer(starts)
  try {
    while (!search.isOver) search.add(await consumer.read(1_000, 100))
  } finally {
    await consumer.close()
  }
  return search.offsets()
}

class TimeSearch {
  readonly #ends: readonly PartitionOffset[]
  readonly #time: number
  readonly #found = new Map<string, number>()
  /** The ends of partitions that are still searched. */
  readonly #open = new Map<string, number>()

  constructor(starts: readonly PartitionOffset[], ends: readonly PartitionOffset[], time: number) {
    this.#ends = ends
    this.#time = time
    ends.forEach((end, index) => {
      const isEmpty = (starts[index] as PartitionOffset).offset >= end.offset
      if (!isEmpty) this.#open.set(partitionKey(end), end.offset)
    })
  }

  get isOver(): boolean {
    return this.#open.size === 0
  }

  add({ records, ends }: Batch): void {
    for (const record of records) {
      const { offset, timestamp } = record
      const key = partitionKey(record)
      const end = this.#open.get(key)
      if (end === undefined) continue
      const isFound = timestamp >= this.#time
      if (isFound) this.#found.set(key, offset)
      if (isFound || offset + 1 >= end) this.#open.delete(key)
    }
    for (const end of ends) this.#open.delete(partitionKey(end))
  }

  offsets(): PartitionOffset[] {
    return this.#ends.map((end) => {
      const found = this.#found.get(partitionKey(end))
      return { ...end, offset: found ?? end.offset }
    })
  }
}
