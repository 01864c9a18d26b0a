import type { KafkaCluster } from '../port/kafka.ts'
import type { PartitionTable } from '../records/cursor.ts'

/**
 * Asks for the ends of all partitions, one request at a time for any number of callers. Each gets
 * an answer to a question that was put after the call, so that it is the end as of then.
 */
export class EndOffsets {
  readonly #source: KafkaCluster
  readonly #table: PartitionTable
  #asking: Promise<unknown> | undefined
  #next: Promise<Float64Array> | undefined

  constructor(source: KafkaCluster, table: PartitionTable) {
    this.#source = source
    this.#table = table
  }

  now(): Promise<Float64Array> {
    this.#next ??= this.#askAfter(this.#asking)
    return this.#next
  }

  async #askAfter(asking: Promise<unknown> | undefined): Promise<Float64Array> {
    // Also a moment when nobody asks: callers of the same instant share one question.
    await asking?.catch(() => undefined)
    const answer = this.#source.offsets(this.#table.partitions, 'latest')
    this.#asking = answer
    this.#next = undefined
    return this.#table.vector(await answer)
  }
}
