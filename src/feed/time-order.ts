/** The order of records of several partitions by their time. */

/** A record, as far as its place in the order goes. */
export interface TimedRecord {
  /** The index of its partition. */
  readonly partition: number
  readonly offset: number
  /** Milliseconds since 1970, or -1. */
  readonly timestamp: number
}

/**
 * Sorts records by time, the newest last, so that the last ones are the newest. Records of one partition
 * stay in the order of their offsets: a record with a later timestamp than one behind it counts as old
 * as that one.
 *
 * @param records In the order of offsets within each partition.
 */
export function sortFromNewest<T extends TimedRecord>(records: readonly T[]): T[] {
  return sorted(timed(records.toReversed(), Math.min).reverse())
}

/**
 * Sorts records by time, the oldest first, so that the first ones are the oldest. Records of one
 * partition stay in the order of their offsets: a record with an earlier timestamp than one before it
 * counts as new as that one.
 *
 * @param records In the order of offsets within each partition.
 */
export function sortFromOldest<T extends TimedRecord>(records: readonly T[]): T[] {
  return sorted(timed(records, Math.max))
}

interface Timed<T> {
  readonly record: T
  readonly time: number
}

/** @param combine Gives the time of a record from its timestamp and the time of the one before. */
function timed<T extends TimedRecord>(
  records: readonly T[],
  combine: (timestamp: number, before: number) => number,
): Timed<T>[] {
  const times = new Map<number, number>()
  return records.map((record) => {
    const { partition, timestamp } = record
    const time = combine(timestamp, times.get(partition) ?? timestamp)
    times.set(partition, time)
    return { record, time }
  })
}

/** The sort is stable: at equal times, records of a partition keep the order of their offsets. */
function sorted<T extends TimedRecord>(records: Timed<T>[]): T[] {
  return records
    .sort((a, b) => a.time - b.time || a.record.partition - b.record.partition)
    .map(({ record }) => record)
}
