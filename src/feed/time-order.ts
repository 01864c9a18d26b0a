/** The order of records of several partitions by their time. */
import type { RecordsPart } from './pending-records.ts'

/** A record, as far as its place in the order goes. */
export interface TimedRecord {
  /** The index of its partition. */
  readonly partition: number
  readonly offset: number
  /** Milliseconds since 1970, or -1. */
  readonly timestamp: number
}

/**
 * Sorts records by time, the newest last. Records of one partition stay in the order of their offsets:
 * a record with a later timestamp than one behind it counts as old as that one.
 *
 * @param records In the order of offsets within each partition.
 */
export function sortByTime<T extends TimedRecord>(records: readonly T[]): T[] {
  const oldest = new Map<number, number>()
  const timed = records.toReversed().map((record) => {
    const { partition, timestamp } = record
    const time = Math.min(timestamp, oldest.get(partition) ?? Infinity)
    oldest.set(partition, time)
    return { record, time }
  })
  // The sort is stable: at equal times, records of a partition keep the order of their offsets.
  return timed
    .reverse()
    .sort((a, b) => a.time - b.time || a.record.partition - b.record.partition)
    .map(({ record }) => record)
}

/** Records, each as a part of its own, in the order of {@link sortByTime}. */
export function partsByTime(parts: readonly RecordsPart[]): RecordsPart[] {
  const records = parts.flatMap(({ batch, begin, end }) =>
    Array.from({ length: end - begin }, (_, k) => ({
      partition: batch.partitions[begin + k] as number,
      offset: batch.offsets[begin + k] as number,
      timestamp: batch.timestampOf(begin + k),
      part: { batch, begin: begin + k, end: begin + k + 1 },
    })),
  )
  return sortByTime(records).map(({ part }) => part)
}
