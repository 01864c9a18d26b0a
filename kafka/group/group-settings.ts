import type { GroupOptions } from '../../src/port/kafka.ts'
import type { Settings } from '../client/client.ts'

/**
 * Settings of a member of a group.
 *
 * With the newer protocol (KIP-848) brokers assign partitions with the first heartbeat, and a new group
 * begins at once: brokers hold the first member of a classic group for 3 s
 * (`group.initial.rebalance.delay.ms`). Brokers before Kafka 4 know only the classic one.
 *
 * @param isEmbedded librdkafka's own broker: its 3 s are not to be changed, so it gets the newer protocol.
 */
export function groupSettings(
  { groupId, instanceId, protocol }: Pick<GroupOptions, 'groupId' | 'instanceId' | 'protocol'>,
  isEmbedded: boolean,
): Settings {
  // The brokers have the timeouts of this protocol: 45 s, with a heartbeat each 5 s.
  const consumer = { 'group.protocol': 'consumer' }
  const classic = {
    // Partitions that stay with a member are not taken from it while others move.
    'partition.assignment.strategy': 'cooperative-sticky',
    // A static member keeps its partitions while its process is started again: it gets the time
    // that Kafka gives by default. Others are missed soon.
    'session.timeout.ms': instanceId === undefined ? 10_000 : 45_000,
    'heartbeat.interval.ms': 1_000,
  }
  return {
    ...(isEmbedded || protocol === 'consumer' ? consumer : classic),
    ...(instanceId !== undefined && !isEmbedded && { 'group.instance.id': instanceId }),
    'group.id': groupId,
    'enable.auto.commit': false,
    'enable.auto.offset.store': false,
    // The limit is also how long a group waits for a member that takes no part in a rebalance. A process
    // that works polls several times a second.
    'max.poll.interval.ms': 60_000,
    // Commits are answered: see commitOffsets.
    offset_commit_cb: true,
    'enable.partition.eof': true,
    'fetch.wait.max.ms': 100,
    'queued.max.messages.kbytes': 16 * 1024,
    'fetch.queue.backoff.ms': 5,
    'fetch.error.backoff.ms': 100,
    // How soon partitions that are added to a topic are read.
    'topic.metadata.refresh.interval.ms': 5_000,
  }
}

/**
 * Whether partitions of a group may stay without a member: those that a static member has given up
 * before it ended. With the newer protocol brokers compare partitions and members themselves.
 */
export function mayOrphan(
  { instanceId, protocol }: Pick<GroupOptions, 'instanceId' | 'protocol'>,
  isEmbedded: boolean,
): boolean {
  return instanceId !== undefined && protocol !== 'consumer' && !isEmbedded
}

/**
 * Whether librdkafka reports nothing to a member that is given no partitions: with the newer protocol
 * it reports changes only. The embedded broker answers no requests about groups.
 */
export function hidesEmptyAssignment(
  { protocol }: Pick<GroupOptions, 'protocol'>,
  isEmbedded: boolean,
): boolean {
  return protocol === 'consumer' && !isEmbedded
}

/**
 * Where the client goes on when it finds that an offset is gone. Where a group begins we tell it
 * ourselves.
 */
export const GROUP_TOPIC_SETTINGS: Settings = { 'auto.offset.reset': 'earliest' }
