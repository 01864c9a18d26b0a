import type { TopicPartition } from '../../src/core/topic-partition.ts'
import type { PartitionOffset } from '../../src/port/kafka.ts'
import type { Consumer } from '../client/client.ts'
import type { ReadBlock } from './record-block.ts'

/** The services of a cluster that a group uses. */
export interface GroupHost {
  /** A connected consumer. */
  connect(
    rebalance: (error: { code: number }, partitions: PartitionOffset[]) => void,
  ): Promise<Consumer>
  /** Reads the next records of a consumer. */
  readonly read: ReadBlock
  /** Leaves the group and frees the consumer. */
  disconnect(consumer: Consumer): Promise<void>
  /** All partitions of the topics. */
  partitions(): Promise<readonly TopicPartition[]>
  /** The group's committed offsets, in the order of `partitions`; -1 where there is none. */
  committed(consumer: Consumer, partitions: readonly TopicPartition[]): Promise<PartitionOffset[]>
  /** The first offsets that are kept, or the ends; in the order of what was asked. */
  offsets(
    partitions: readonly TopicPartition[],
    query: 'earliest' | 'latest',
  ): Promise<PartitionOffset[]>
  /** The ids of topics that exist, by their names; brokers that know no ids answer with none. */
  topicIds(): Promise<ReadonlyMap<string, string>>
  /** Whether a member of the group has the group instance id of this one. */
  isInstanceTaken(): Promise<boolean>
  /**
   * The partitions that no member of the group has; none where partitions cannot stay without a member
   * (`mayOrphan`). Undefined while the members change.
   */
  orphans(): Promise<readonly TopicPartition[] | undefined>
  /**
   * Whether a member without partitions rightly has none: the members do not change, they have all
   * partitions, and one of them has none. False where the client reports such an assignment itself.
   */
  isSpare(): Promise<boolean>
  /** Joins the group as a further member, which takes part in rebalances until it is disposed of. */
  joinBriefly(): Promise<{ close(): Promise<void> }>
}
