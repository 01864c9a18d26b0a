import type { Gap } from '../../src/port/kafka.ts'

/** A partition goes on at another offset than the one that was due, with a record or its end. */
export interface Jump {
  readonly topic: string
  readonly partition: number
  /** The offset that was due. */
  readonly from: number
  /** The offset that came. */
  readonly to: number
  /** The first offset that the partition keeps; -1 if unknown. */
  readonly low: number
}

/**
 * What is lost by a jump, if anything is. Offsets may jump without a loss: compaction removes
 * records, and transactions leave control records and aborted ones, which no client is given. It is
 * a loss where the partition now begins behind the offset that was due, or goes back, as when its
 * topic was created anew.
 */
export function gapIn({ topic, partition, from, to, low }: Jump): Gap | undefined {
  if (to < from) return { topic, partition, from, to, reason: 'out-of-range' }
  if (low <= from) return undefined
  return { topic, partition, from, to: Math.min(low, to), reason: 'retention' }
}
