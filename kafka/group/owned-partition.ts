import type { TopicPartition } from '../../src/core/topic-partition.ts'
import { OffsetTracker } from './offset-tracker.ts'

/** One partition for as long as this member of a group owns it. */
export class OwnedPartition {
  readonly topic: string
  readonly partition: number
  readonly offsets: OffsetTracker
  /** The next offset that the client will give us. */
  position: number
  /** The offset at which reading began. */
  readonly start: number
  /** The end of the partition, as the client last saw it; -1 if it has not. */
  end = -1
  /** All transactions below this offset are known to be decided; -1 if nothing is known. */
  stable = -1
  /** Whether Kafka has answered for the partition: with a record, or with its end. */
  answered = false
  /** Records that clients have: neither delivered nor requeued. */
  held = 0
  /** The id of the topic that is read; undefined while it is not known. */
  topicId: string | undefined
  /** Records that are acked after `released` are delivered again by the partition's next owner. */
  state: 'owned' | 'leaving' | 'released' = 'owned'

  /**
   * @param start The offset at which reading begins.
   * @param topicId The id of the topic, as of then.
   */
  constructor(topic: string, partition: number, start: number, topicId?: string) {
    this.topic = topic
    this.partition = partition
    this.position = start
    this.start = start
    this.offsets = new OffsetTracker(start)
    this.topicId = topicId
  }

  /**
   * Where the first undecided transaction begins, as far as it is certain; -1 where it is not. The
   * client shows it by the end that it sees, since it brings decided records only. Before that it
   * lies anywhere from what is known to be decided up to the high watermark.
   */
  lastStableOffset(highWatermark: number): number {
    if (this.end === this.position) return this.end
    return Math.max(this.position, this.stable) >= highWatermark ? highWatermark : -1
  }

  /** Whether a record or a place is of this partition. */
  is({ topic, partition }: TopicPartition): boolean {
    return partition === this.partition && topic === this.topic
  }
}
