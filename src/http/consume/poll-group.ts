import { KafkaConsumeError } from '../../core/errors.ts'
import { onNextTurn } from '../../core/turn-queue.ts'
import { filterInTurns } from '../../feed/filter-pass.ts'
import type { Delivery, KafkaRecord, PollLimits } from '../../port/kafka.ts'
import { Cursor, PartitionTable } from '../../records/cursor.ts'
import { EncodedBatch } from '../../records/encoded-batch.ts'
import { isFiltered, type RequestedFilters } from '../../records/filter.ts'
import type { ProcessedRecord } from '../../records/pipeline.ts'
import { filterOf, isRestricted, type KafkaClient } from '../request/client.ts'
import { type AnswerMemory, tooManyAnswers } from '../response/answer-budget.ts'
import type { GroupCalls } from '../route/memberships.ts'
import type { Route } from '../route/route.ts'

/** What is to be taken, and for whom. */
interface PollRequest {
  readonly client: KafkaClient
  readonly wanted: RequestedFilters
  readonly limits: PollLimits
  readonly signal: AbortSignal
  /** Where the records' bytes are counted; the caller releases it in the end. Default: nowhere. */
  readonly memory?: AnswerMemory
}

/** Records that were taken as the group: the caller ends the delivery. */
interface GroupPoll {
  readonly delivery: Delivery
  /** The records that the client is to get: processed, and in the order of the delivery. */
  readonly records: readonly ProcessedRecord[]
}

/**
 * Takes the next records from a group, processed and filtered. A batch of which the
 * preparation dropped everything counts as delivered, and the next one is taken while there is time.
 *
 * @throws KafkaConsumeError when Kafka cannot be read or records cannot be prepared now: then they
 * are handed to the next caller.
 */
export async function pollGroup(
  group: GroupCalls,
  route: Route,
  { client, wanted, limits, signal, memory }: PollRequest,
): Promise<GroupPoll> {
  const { processor } = (await route.lease()).feed
  const until = performance.now() + limits.timeout
  const maxBytes = Math.min(limits.maxBytes, memory?.maxBytes ?? Infinity)
  for (let timeout = limits.timeout; ; timeout = Math.max(0, until - performance.now())) {
    const delivery = await group.poll({ ...limits, maxBytes, timeout }, signal)
    try {
      const { records, gaps } = delivery
      if (memory && !memory.resize(sizeOf(records))) throw tooManyAnswers()
      if (records.length > 0) await yieldToSocketEvents()
      const prepared: readonly ProcessedRecord[] = processor
        ? await processor.process(records)
        : records
      if (signal.aborted)
        throw new KafkaConsumeError('INTERNAL', 'Cannot answer: the client went away')
      const isDropped = records.length > 0 && prepared.every(({ dropped }) => dropped)
      // What the group has missed is to be told.
      if (isDropped && gaps.length === 0 && performance.now() < until) {
        delivery.ack()
        memory?.release()
        continue
      }
      const kept = prepared.filter(({ dropped }) => !dropped)
      if (!isFiltered(wanted) && !isRestricted(client)) return { delivery, records: kept }
      const table = new PartitionTable(delivery.partitions)
      const filter = filterOf(wanted, client, table)
      if (!filter) return { delivery, records: kept }
      const start = () => new Cursor(table, new Float64Array(table.size))
      const all = EncodedBatch.encode(kept, start(), route.options.messageDeserializer)
      const passing = await filterInTurns(all, filter, start(), signal)
      return { delivery, records: recordsIn(passing, kept) }
    } catch (error) {
      memory?.release()
      delivery.requeue()
      throw error
    }
  }
}

/** The records of a batch that was made of some of them, in their order. */
function recordsIn(
  { table, partitions, offsets }: EncodedBatch,
  records: readonly ProcessedRecord[],
): ProcessedRecord[] {
  let index = 0
  return records.filter(({ topic, partition, offset }) => {
    const isIn = offset === offsets[index] && table.indexOf(topic, partition) === partitions[index]
    if (isIn) index++
    return isIn
  })
}

function sizeOf(records: readonly KafkaRecord[]): number {
  return records.reduce((sum, { key, value }) => sum + (key?.length ?? 0) + (value?.length ?? 0), 0)
}

/**
 * Whoever has left may not have been noticed yet, even before the request was read: a runtime tells
 * of that only when it has looked at its sockets again. It takes two turns on Bun and Deno, three on
 * Node.
 */
async function yieldToSocketEvents(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) {
    await new Promise<void>((resolve) => onNextTurn(resolve))
  }
}
