/** The part of the port about topics as a whole: replicas, sizes, and the progress of consumer groups. */
import type { ErrorCode } from '../core/errors.ts'
import type { TopicPartition } from '../core/topic-partition.ts'
import type { PartitionOffset } from './kafka.ts'

/** An operation on the records of a topic that Kafka's ACLs allow or refuse. */
export type TopicOperation = 'read' | 'write'

/** The brokers that have a partition, by their ids. */
export interface PartitionReplicas extends TopicPartition {
  /** The broker that serves it; undefined where there is none now. */
  readonly leader: number | undefined
  /** The ids of the brokers that have a replica. */
  readonly replicas: readonly number[]
  /** The replicas that are up to date. */
  readonly inSync: readonly number[]
}

/** Bytes that a partition takes on the disks of brokers. They do not count what is in tiered storage. */
export interface PartitionSize extends TopicPartition {
  /** Bytes of the leader's replica; `undefined` where that is unknown. */
  readonly bytes: number | undefined
  /** Bytes of all replicas together; `undefined` where that of one is unknown. */
  readonly replicaBytes: number | undefined
}

/** The sizes of partitions, in the order in which they were asked for. */
export interface PartitionSizes {
  /** One for each partition that was asked for. */
  readonly partitions: readonly PartitionSize[]
  /** Why sizes are unknown; `undefined` where brokers have told all that they know. */
  readonly unknown: UnknownSizes | undefined
}

/** Why sizes are unknown, as when ACLs do not allow to describe the cluster. */
export interface UnknownSizes {
  /** The error's code. */
  readonly code: ErrorCode
  /** Reads "Cannot <action>: <state>"; safe to show to a client. */
  readonly message: string
}

/** How far a consumer group has come in topics. */
export interface GroupProgress {
  /** Id of the group. */
  readonly id: string
  /** Kafka's state of the group. */
  readonly state: GroupState
  /** The number of its members. */
  readonly members: number
  /** Its committed offsets, in partitions where it has any. */
  readonly committed: readonly PartitionOffset[]
}

/** The state of a consumer group, in short. */
export type GroupState = 'stable' | 'rebalancing' | 'empty' | 'dead' | 'unknown'

/** The consumer groups of topics. */
export interface GroupsProgress {
  readonly groups: readonly GroupProgress[]
  /** Groups that were not asked about: a later call asks about them. */
  readonly leftOut: number
}

/** A setting of a topic. */
export interface TopicSetting {
  /** Kafka's name of it, such as `retention.ms`. */
  readonly name: string
  /** Null for a secret one. */
  readonly value: string | null
  /** Whether the topic leaves it to the brokers' defaults. */
  readonly isDefault: boolean
}
