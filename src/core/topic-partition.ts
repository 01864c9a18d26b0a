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
