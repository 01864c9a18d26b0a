import { KafkaConsumeError } from '../../core/errors.ts'
import { yieldToSocketEvents } from '../../core/turn-queue.ts'
import { filterInTurns } from '../../feed/filter-pass.ts'
import type { DeliveryLayout } from '../../port/encoding.ts'
import type { Delivery, LeavingClient, PollLimits } from '../../port/kafka.ts'
import { Cursor, PartitionTable } from '../../records/cursor.ts'
import { encodeRecords, type MessageDeserializer } from '../../records/encode.ts'
import { EncodedBatch } from '../../records/encoded-batch.ts'
import type { RequestedFilters } from '../../records/filter.ts'
import type { Format } from '../../records/format.ts'
import type { ProcessedRecord } from '../../records/pipeline.ts'
import { filterOf, isRestricted, type KafkaClient } from '../request/client.ts'
import { type AnswerMemory, tooManyAnswers } from '../response/answer-budget.ts'
import { bodyOfDelivery } from '../response/body.ts'
import type { GroupCalls } from '../route/memberships.ts'
import type { Route } from '../route/route.ts'

/** A poll: its limits, and the client that gets the records. */
interface PollRequest {
  readonly client: KafkaClient
  /** Undefined: all records. */
  readonly wanted: RequestedFilters | undefined
  readonly limits: PollLimits
  /** The form in which the records are encoded, if the client gets them as Kafka has them. Absent: as objects. */
  readonly layout?: DeliveryLayout
  readonly leaving: LeavingClient
  /**
   * Whether the runtime cancels the response body when the client disconnects, as Bun's server does. Then
   * the request's signal, which takes time to create, is read only where records were processed. Default:
   * false.
   */
  readonly runtimeCancelsAnswers?: boolean
  /** Where the records' bytes are counted; the handler releases it in the end. Default: nowhere. */
  readonly memory?: AnswerMemory
}

const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

/** Records that were polled as the group. The handler acks or requeues their delivery. */
export class GroupPoll {
  readonly delivery: Delivery
  readonly #deserializer: MessageDeserializer
  readonly #layout: DeliveryLayout | undefined
  readonly #processed: readonly ProcessedRecord[] | undefined

  /**
   * @param layout The one that the poll has named.
   * @param processed The records that the client is to get, in the order of the delivery. Undefined: the
   * client gets all records of the delivery, as Kafka has them.
   */
  constructor(
    delivery: Delivery,
    deserializer: MessageDeserializer,
    layout: DeliveryLayout | undefined,
    processed: readonly ProcessedRecord[] | undefined,
  ) {
    this.delivery = delivery
    this.#deserializer = deserializer
    this.#layout = layout
    this.#processed = processed
  }

  /** The number of records that the client is to get. */
  get length(): number {
    return this.#processed?.length ?? this.delivery.length
  }

  /** Whether the client gets all records of the delivery, as Kafka has them. */
  get isUnprocessed(): boolean {
    return this.#processed === undefined
  }

  /** The records that the client is to get. */
  get records(): readonly ProcessedRecord[] {
    return this.#processed ?? this.delivery.decodeRecords()
  }

  /**
   * The bytes of an unprocessed delivery in the form that the poll has named.
   *
   * @param mayReuseBuffer Whether the bytes, unless they come by a promise, may lie in a buffer that the next
   * call overwrites.
   */
  body(mayReuseBuffer = false): Uint8Array | Promise<Uint8Array> {
    return bodyOfDelivery(this.delivery, this.#layout as DeliveryLayout, mayReuseBuffer)
  }

  /** The JSON of each record, on one line. An unprocessed delivery must be laid out as lines. */
  async texts(format?: Format): Promise<string[]> {
    const texts = this.#processed
      ? encodeRecords(this.#processed, this.#deserializer)
      : decoder.decode(await this.body()).split('\n', this.length)
    return format ? texts.map(format) : texts
  }
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
  await yieldToSocketEvents()
  return pollConnectedClient(group, route, request)
}

/**
 * {@link pollGroup} for a caller that has awaited {@link yieldToSocketEvents}: its client is known to be connected.
 *
 * @returns A promise unless records are ready that go out as Kafka has them.
 */
export function pollConnectedClient(
  group: GroupCalls,
  route: Route,
  request: PollRequest,
): GroupPoll | Promise<GroupPoll> {
  const { limits, memory } = request
  const isFiltered = request.wanted !== undefined || isRestricted(request.client)
  const isExamined = isFiltered || route.processor !== undefined
  const now = {
    maxRecords: limits.maxRecords,
    maxBytes: memory ? Math.min(limits.maxBytes, memory.maxBytes) : limits.maxBytes,
    timeout: limits.timeout,
    wantsRecords: limits.wantsRecords || isExamined,
    wantsRuns: limits.wantsRuns,
    layout: isExamined ? undefined : request.layout,
  }
  const ready = group.pollNow(now)
  if (!ready || isExamined || !request.runtimeCancelsAnswers) {
    return pollAndProcess(group, route, request, now, ready)
  }
  if (memory?.resize(ready.bytes) === false) {
    ready.requeue()
    throw tooManyAnswers()
  }
  return new GroupPoll(ready, route.options.messageDeserializer, now.layout, undefined)
}

/** @param first A first delivery. Default: it must be waited for. */
async function pollAndProcess(
  group: GroupCalls,
  route: Route,
  request: PollRequest,
  limits: PollLimits,
  first: Delivery | undefined,
): Promise<GroupPoll> {
  const { leaving, memory } = request
  const until = performance.now() + limits.timeout
  const isFiltered = request.wanted !== undefined || isRestricted(request.client)
  for (let ready = first; ; ) {
    const timeout = Math.max(0, until - performance.now())
    const delivery = ready ?? (await group.poll({ ...limits, timeout }, leaving))
    try {
      const processed = await process(delivery, route, request, ready === undefined)
      const hasDroppedAll = delivery.length > 0 && processed?.length === 0
      // A gap that the group has met must be reported to this client, even without a record.
      if (!hasDroppedAll || delivery.gaps.length > 0 || performance.now() >= until) {
        const selected = isFiltered ? await select(processed, delivery, route, request) : processed
        return new GroupPoll(delivery, route.options.messageDeserializer, limits.layout, selected)
      }
      delivery.ack()
      memory?.release()
    } catch (error) {
      memory?.release()
      delivery.requeue()
      throw error
    }
    await yieldToSocketEvents()
    ready = group.pollNow(limits)
  }
}

/**
 * @param hasWaited Whether the client has waited for the delivery, and may have left meanwhile.
 * @returns The records that the pipeline did not drop; undefined without a pipeline.
 */
async function process(
  delivery: Delivery,
  route: Route,
  { leaving, memory, runtimeCancelsAnswers }: PollRequest,
  hasWaited: boolean,
): Promise<readonly ProcessedRecord[] | undefined> {
  if (memory && !memory.resize(delivery.bytes)) throw tooManyAnswers()
  if (hasWaited && delivery.length > 0) await yieldToSocketEvents()
  const { processor } = route
  const processed = processor && (await processor.process(delivery.decodeRecords()))
  const mustAsk = !runtimeCancelsAnswers || processor
  if (mustAsk && leaving.signal.aborted) {
    throw new KafkaConsumeError('INTERNAL', 'Cannot answer: the client went away')
  }
  return processed?.filter(({ dropped }) => !dropped)
}

/** @returns The records that the client asks for and may read. */
async function select(
  processed: readonly ProcessedRecord[] | undefined,
  delivery: Delivery,
  route: Route,
  { client, wanted, leaving }: PollRequest,
): Promise<readonly ProcessedRecord[]> {
  const table = new PartitionTable(delivery.partitions)
  const filter = filterOf(wanted, client, table)
  const records = processed ?? delivery.decodeRecords()
  if (!filter) return records
  const start = () => new Cursor(table, new Float64Array(table.size))
  const all = EncodedBatch.encode(records, start(), route.options.messageDeserializer)
  return recordsIn(await filterInTurns(all, filter, start(), leaving.signal), records)
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
