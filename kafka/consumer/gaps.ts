import type { Gap } from '../../src/port/kafka.ts'

/** A partition goes on at another offset than the expected one, with a record or with its end. */
export interface OffsetJump {
  readonly topic: string
  readonly partition: number
  /** The expected offset. */
  readonly from: number
  /** The offset that came. */
  readonly to: number
  /** The first offset that the partition keeps; -1 if unknown. */
  readonly low: number
}

/**
 * The gap that a jump leaves, if records are lost by it. Offsets may jump without a loss: compaction
 * removes records, and transactions leave control records and aborted records, which Kafka gives to
 * no client. Records are lost where the partition's first offset is now behind the expected one, and
 * where offsets go back, as when the topic was re-created.
 */
export function gapIn({ topic, partition, from, to, low }: OffsetJump): Gap | undefined {
  if (to < from) return { topic, partition, from, to, reason: 'out-of-range' }
  if (low <= from) return undefined
  return { topic, partition, from, to: Math.min(low, to), reason: 'retention' }
}
