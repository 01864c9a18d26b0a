import { partitionKey } from '../../src/core/topic-partition.ts'
import type { KafkaRecord, PollLimits } from '../../src/port/kafka.ts'

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
