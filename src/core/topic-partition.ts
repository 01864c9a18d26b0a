/** A partition of a topic. */
export interface TopicPartition {
  /** Name of the topic. */
  readonly topic: string
  /** Number of the partition, from 0. */
  readonly partition: number
}

/** The key of a partition in maps and sets, and its name in logs: `topic:partition`. */
export function partitionKey({ topic, partition }: TopicPartition): string {
  return `${topic}:${partition}`
}

/** Kafka numbers partitions by 32 bits with a sign. */
export const MAX_PARTITION = 2 ** 31 - 1
/**
 * The numbers that a partition may have, for messages. A plain text: bundlers would keep a template in the client,
 * which does not use it.
 */
export const PARTITION_RANGE = 'a whole number from 0 to 2147483647'

/** @returns undefined for a text that is not the number of a partition. */
export function parsePartition(text: string): number | undefined {
  const partition = /^\d{1,10}$/.test(text) ? Number(text) : MAX_PARTITION + 1
  return partition > MAX_PARTITION ? undefined : partition
}
