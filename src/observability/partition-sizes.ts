import { asKafkaConsumeError } from '../core/errors.ts'
import { partitionKey, type TopicPartition } from '../core/topic-partition.ts'
import type {
  PartitionReplicas,
  PartitionSize,
  PartitionSizes,
  UnknownSizes,
} from '../port/topic-details.ts'

/** Milliseconds for which sizes are reused: each question goes to all brokers. */
const MAX_AGE_MS = 30_000

/** Asks Kafka for the sizes of partitions. */
export type AskForSizes = (partitions: readonly PartitionReplicas[]) => Promise<PartitionSizes>

/** Bytes of partitions together. */
export interface SizeSum {
  /** Bytes of the leaders' replicas; `null` where that of a partition is unknown. */
  readonly bytes: number | null
  /** Bytes of all replicas; `null` where that of one is unknown. */
  readonly replicaBytes: number | null
}

/** The sizes of a cluster's partitions: asked for at most twice a minute, unless there are new partitions. */
export class SizeCache {
  #sizes: ReadonlyMap<string, PartitionSize> = new Map()
  #unknown: UnknownSizes | undefined
  #askedAt = Number.NEGATIVE_INFINITY

  /** Why sizes are unknown; undefined where all are known. */
  get unknown(): UnknownSizes | undefined {
    return this.#unknown
  }

  /** Asks Kafka where what is known is too old, or is about other partitions. */
  async refresh(partitions: readonly PartitionReplicas[], ask: AskForSizes): Promise<void> {
    const isFresh = performance.now() - this.#askedAt < MAX_AGE_MS
    if (isFresh && partitions.every((at) => this.#sizes.has(partitionKey(at)))) return
    this.#askedAt = performance.now()
    const found = await ask(partitions).catch((thrown: unknown) => withoutSizes(partitions, thrown))
    this.#sizes = new Map(found.partitions.map((size) => [partitionKey(size), size]))
    this.#unknown = found.unknown
  }

  sum(partitions: readonly TopicPartition[]): SizeSum {
    const sizes = partitions.map((at) => this.#sizes.get(partitionKey(at)))
    return {
      bytes: sumOf(sizes.map((size) => size?.bytes)),
      replicaBytes: sumOf(sizes.map((size) => size?.replicaBytes)),
    }
  }
}

function withoutSizes(partitions: readonly PartitionReplicas[], thrown: unknown): PartitionSizes {
  const { code, message } = asKafkaConsumeError(thrown)
  return {
    partitions: partitions.map(({ topic, partition }) => {
      return { topic, partition, bytes: undefined, replicaBytes: undefined }
    }),
    unknown: { code, message },
  }
}

function sumOf(sizes: ReadonlyArray<number | undefined>): number | null {
  let sum = 0
  for (const size of sizes) {
    if (size === undefined) return null
    sum += size
  }
  return sum
}
