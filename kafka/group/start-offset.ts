import type { Gap } from '../../src/port/kafka.ts'

/** The offsets of a partition that the group is about to read, by Kafka and by this process. */
export interface Standing {
  readonly topic: string
  readonly partition: number
  /** The offset that the group has committed; -1 for none. */
  readonly committed: number
  /** The first offset that Kafka keeps. */
  readonly first: number
  /** The offset after the last. */
  readonly end: number
  /** The committed offset that this process has seen before; -1 for none. */
  readonly remembered: number
  /**
   * The offset at which this process first read it, if the group had committed nothing and begins at the
   * end; -1 otherwise.
   */
  readonly started: number
  /** Whether the partition was added since this process reads as the group. */
  readonly isAdded: boolean
}

/** Where a group begins to read a partition. */
export interface StartOffset {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** The offsets that the group misses by this start. */
  readonly gap?: Gap
  /** Whether the offset follows from this moment alone, so that it is lost if nobody keeps it. */
  readonly isOfNow?: true
}

/**
 * Where a group begins to read a partition: where it stopped, if Kafka still has that. If it does
 * not, reading goes on with the first record that is kept, so that no more is missed than Kafka
 * deleted; `auto.offset.reset: latest` of Kafka's own clients would skip that, too.
 *
 * @param reset The start of a group that has committed nothing. An added partition is always read from
 * its first record.
 */
export function startOffsetOf(standing: Standing, reset: 'earliest' | 'latest'): StartOffset {
  const { topic, partition, committed, first, end, remembered, started, isAdded } = standing
  const known = committed >= 0 ? committed : remembered
  const from = known >= 0 ? known : started
  // Kafka deletes the committed offsets of a topic with the topic.
  const isRecreated = from > end || (committed < 0 && remembered >= 0)
  if (from === first || (from > first && !isRecreated)) {
    return { topic, partition, offset: from, ...(known < 0 && { isOfNow: true }) }
  }
  if (from < 0 && reset === 'latest' && !isAdded) {
    return { topic, partition, offset: end, isOfNow: true }
  }
  const begin = { topic, partition, offset: first }
  if (from < 0) return begin
  const reason = isRecreated ? 'out-of-range' : 'retention'
  return { ...begin, gap: { topic, partition, from, to: first, reason } }
}
