import type { KafkaCluster } from '../port/kafka.ts'
import type { PartitionTable } from '../records/cursor.ts'

/**
 * Asks Kafka for the ends of all partitions, with one request at a time for any number of callers. A
 * caller gets the answer to a request that was sent after its call.
 */
export class EndOffsets {
  readonly #cluster: KafkaCluster
  readonly #table: PartitionTable
  #asking: Promise<unknown> | undefined
  #next: Promise<Float64Array> | undefined
  /** When Kafka last answered, in `performance.now()`'s time. */
  #answeredAt = -Infinity

  constructor(cluster: KafkaCluster, table: PartitionTable) {
    this.#cluster = cluster
    this.#table = table
  }

  /** Milliseconds since Kafka last answered. */
  get age(): number {
    return performance.now() - this.#answeredAt
  }

  now(): Promise<Float64Array> {
    this.#next ??= this.#askAfter(this.#asking)
    return this.#next
  }

  async #askAfter(asking: Promise<unknown> | undefined): Promise<Float64Array> {
    // Wait one turn, so that concurrent callers share one ListOffsets request.
    await asking?.catch(() => undefined)
    const answer = this.#cluster.offsets(this.#table.partitions, 'latest')
    this.#asking = answer
    this.#next = undefined
    const vector = this.#table.vector(await answer)
    this.#answeredAt = performance.now()
    return vector
  }
}
