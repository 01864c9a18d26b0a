import type { PartitionOffset } from '../../src/port/kafka.ts'
import { type Consumer, disconnectClient } from '../client/client.ts'
import { ASSIGN, REVOKE } from './assignment.ts'

/** Milliseconds between two calls of the client, which reports rebalances only when it is called. */
const CALL_MS = 100

/**
 * A further member of a group, which joins so that all members divide the partitions again. What it
 * reads is not delivered.
 *
 * It answers rebalances itself: a client that answers them by itself does not tell Kafka that it
 * leaves, and its partitions would wait for the end of its session.
 */
export class BriefMember {
  readonly #consumer: Consumer
  readonly #calls: ReturnType<typeof setInterval>

  private constructor(consumer: Consumer) {
    this.#consumer = consumer
    this.#calls = setInterval(() => consumer.consume(1, () => {}), CALL_MS)
  }

  /** @throws KafkaConsumeError */
  static async join(
    connect: (
      rebalance: (error: { code: number }, partitions: PartitionOffset[]) => void,
    ) => Promise<Consumer>,
    topics: readonly string[],
  ): Promise<BriefMember> {
    const consumer = await connect(({ code }, partitions) => answer(consumer, code, partitions))
    consumer.subscribe([...topics])
    return new BriefMember(consumer)
  }

  async close(): Promise<void> {
    clearInterval(this.#calls)
    await disconnectClient(this.#consumer)
  }
}

function answer(consumer: Consumer, code: number, partitions: PartitionOffset[]): void {
  try {
    if (code === ASSIGN) consumer.incrementalAssign(partitions)
    else if (code === REVOKE) consumer.incrementalUnassign(partitions)
  } catch {
    // A client that is closing takes no assignment.
  }
}
