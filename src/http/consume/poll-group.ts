import { KafkaConsumeError } from '../../core/errors.ts'
import { socketsPolled } from '../../core/turn-queue.ts'
import { filterInTurns } from '../../feed/filter-pass.ts'
import type { Delivery, KafkaRecord, PollLimits } from '../../port/kafka.ts'
import { Cursor, PartitionTable } from '../../records/cursor.ts'
import { EncodedBatch } from '../../records/encoded-batch.ts'
import type { RequestedFilters } from '../../records/filter.ts'
import type { ProcessedRecord } from '../../records/pipeline.ts'
import { filterOf, isRestricted, type KafkaClient } from '../request/client.ts'
import { type AnswerMemory, tooManyAnswers } from '../response/answer-budget.ts'
import type { GroupCalls } from '../route/memberships.ts'
import type { Route } from '../route/route.ts'

/** A poll: its limits, and the client that gets the records. */
interface PollRequest {
  readonly client: KafkaClient
  /** Undefined: all records. */
  readonly wanted: RequestedFilters | undefined
  readonly limits: PollLimits
  readonly signal: AbortSignal
  /** Where the records' bytes are counted; the caller releases it in the end. Default: nowhere. */
  readonly memory?: AnswerMemory
}

/** Records that were polled as the group. The handler acks or requeues their delivery. */
interface GroupPoll {
  readonly delivery: Delivery
  /** The records that the client is to get: processed, and in the order of the delivery. */
  readonly records: readonly ProcessedRecord[]
}

/**
 * Polls the next records of a group, and processes and filters them. A batch of which the pipeline
 * dropped every record counts as delivered, and the next one is polled while there is time.
 *
 * @throws KafkaConsumeError when Kafka cannot be read or records cannot be processed now. Their
 * delivery is requeued: the next client gets them.
 */
export async function pollGroup(
  group: GroupCalls,
  route: Route,
  request: PollRequest,
): Promise<GroupPoll> {
  const { limits, signal, memory } = request
  const until = performance.now() + limits.timeout
  const maxBytes = Math.min(limits.maxBytes, memory?.maxBytes ?? Infinity)
  for (let timeout = limits.timeout; ; timeout = Math.max(0, until - performance.now())) {
    const delivery = await group.poll({ ...limits, maxBytes, timeout }, signal)
    try {
      const records = await process(delivery, route, request)
      const hasDroppedAll = delivery.records.length > 0 && records.length === 0
      // A gap that the group has met must be reported to this client, even without a record.
      if (!hasDroppedAll || delivery.gaps.length > 0 || performance.now() >= until) {
        return { delivery, records: await select(records, delivery, route, request) }
      }
      delivery.ack()
      memory?.release()
    } catch (error) {
      memory?.release()
      delivery.requeue()
      throw error
    }
  }
}

/** @returns The records that the pipeline did not drop. */
async function process(
  { records }: Delivery,
  route: Route,
  { signal, memory }: PollRequest,
): Promise<readonly ProcessedRecord[]> {
  if (memory && !memory.resize(sizeOf(records))) throw tooManyAnswers()
  if (records.length > 0) await socketsPolled()
  const { processor } = route
  const processed: readonly ProcessedRecord[] = processor
    ? await processor.process(records)
    : records
  if (signal.aborted) {
    throw new KafkaConsumeError('INTERNAL', 'Cannot answer: the client went away')
  }
  return processed.filter(({ dropped }) => !dropped)
}

/** @returns The records that the client asks for and may read. */
async function select(
  records: readonly ProcessedRecord[],
  delivery: Delivery,
  route: Route,
  { client, wanted, signal }: PollRequest,
): Promise<readonly ProcessedRecord[]> {
  if (!wanted && !isRestricted(client)) return records
  const table = new PartitionTable(delivery.partitions)
  const filter = filterOf(wanted, client, table)
  if (!filter) return records
  const start = () => new Cursor(table, new Float64Array(table.size))
  const all = EncodedBatch.encode(records, start(), route.options.messageDeserializer)
  return recordsIn(await filterInTurns(all, filter, start(), signal), records)
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
