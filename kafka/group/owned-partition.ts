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
  readonly begin: number
  /** Where its end was seen; -1 if it was not. */
  end = -1
  /** All transactions below this offset are known to be decided; -1 if nothing is known. */
  stable = -1
  /** Whether it has answered: with a record, or that it has none. */
  answered = false
  /** Records in callers' hands: neither delivered nor given back. */
  held = 0
  /** The id of the topic that is read; of none while that is not known. */
  topicId: string | undefined
  /** What is delivered when it is `released`, its next owner delivers again. */
  state: 'owned' | 'leaving' | 'released' = 'owned'

  /**
   * @param begin The offset at which reading begins.
   * @param topicId The id of the topic, as of then.
   */
  constructor(topic: string, partition: number, begin: number, topicId?: string) {
    this.topic = topic
    this.partition = partition
    this.position = begin
    this.begin = begin
    this.offsets = new OffsetTracker(begin)
    this.topicId = topicId
  }

  /**
   * Where the first undecided transaction begins, as far as it is certain; -1 where it is not. The
   * client tells it by the end that it sees, since it gives decided records only. Before that it
   * lies anywhere from what is known to be decided up to the high watermark.
   */
  lastStableOffset(highWatermark: number): number {
    if (this.end === this.position) return this.end
    return Math.max(this.position, this.stable) >= highWatermark ? highWatermark : -1
  }

  /** Whether it is the same partition. */
  is({ topic, partition }: TopicPartition): boolean {
    return partition === this.partition && topic === this.topic
  }
}
