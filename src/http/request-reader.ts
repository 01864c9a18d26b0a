import type { Context } from 'hono'
import { asKafkaConsumeError, KafkaConsumeError } from '../core/errors.ts'
import { logOf } from '../core/log.ts'
import { partitionKey } from '../core/topic-partition.ts'
import type { Feed, SubscriptionPurpose } from '../feed/feed.ts'
import type { Position } from '../feed/position.ts'
import type { Subscription } from '../feed/subscription.ts'
import type { Delivery, Gap, PartitionOffset } from '../port/kafka.ts'
import {
  type AnyRecord,
  type ConsumedRecord,
  consumedRecordOf,
} from '../records/consumed-record.ts'
import { type PartitionTable, parseCursor } from '../records/cursor.ts'
import type { ProcessedRecord } from '../records/pipeline.ts'
import type { RecordValidator } from '../records/record-validator.ts'
import { pollGroup } from './consume/poll-group.ts'
import { readFromPosition } from './consume/read-from-position.ts'
import {
  parsePollParameters,
  parseReadParameters,
  parseStreamParameters,
} from './reader-parameters.ts'
import type {
  KafkaReader,
  PolledRecords,
  ReadFrom,
  ReadLimits,
  StreamFrom,
} from './reader-types.ts'
import { assertMayUseGroup, clientOf, filterOf } from './request/client.ts'
import { MAX_IDLE_SECONDS, NO_IDLE_TIMEOUT, setIdleTimeout } from './request/runtime.ts'
import type { Slice } from './response/body.ts'
import type { GroupCalls } from './route/memberships.ts'
import type { Route } from './route/route.ts'
import type { ReadKind } from './route/route-statistics.ts'
import { ReadTrace, traced } from './route/trace.ts'
import { STALL_MS } from './stream/live-stream.ts'

/** The most records and bytes that a handler's stream takes at once. */
const STREAM_LIMITS = { records: 500, bytes: 1024 * 1024 }

/** The result of a poll whose signal has aborted, or whose handler has ended. */
const NOTHING_POLLED: PolledRecords<AnyRecord> = {
  records: [],
  gaps: [],
  commit: () => {},
  requeue: () => {},
}

const log = logOf('reader')

const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

/** The reader of one request, and what is to be done when its handler has ended. */
export class RequestReader implements KafkaReader<AnyRecord> {
  readonly #route: Route
  readonly #c: Context
  readonly #validator: RecordValidator | undefined
  readonly #deliveries: Delivery[] = []
  /** Aborts when the handler has ended. */
  readonly #ended = new AbortController()
  /** Reads in progress. */
  #reads = 0

  /** @param validator Validates records; undefined where no topic has a schema. */
  constructor(route: Route, c: Context, validator: RecordValidator | undefined) {
    this.#route = route
    this.#c = c
    this.#validator = validator
  }

  /** Whether the reader is that of a route. */
  isOf(route: Route): boolean {
    return this.#route === route
  }

  /**
   * Called when the handler has ended: its records are acked, or requeued if it failed. Polls that it has
   * not awaited end without records, because nobody would ack these.
   */
  settle(failed: boolean): void {
    this.#ended.abort()
    for (const delivery of this.#deliveries) failed ? delivery.requeue() : delivery.ack()
  }

  async poll(given: ReadLimits = {}): Promise<PolledRecords<AnyRecord>> {
    const { signal: own, ...limits } = parsePollParameters(given)
    const ended = this.#ended.signal
    if (ended.aborted) {
      throw new KafkaConsumeError(
        'INTERNAL',
        'Cannot poll: the handler has ended, which commits or requeues what it has polled',
      )
    }
    const client = clientOf(this.#c)
    assertMayUseGroup(client, this.#route.hasClientGroups)
    const signal = AbortSignal.any([own ?? this.#c.req.raw.signal, ended])
    const polled = await this.#traced('group', async (trace) => {
      const group = await this.#route.group(client)
      try {
        const { delivery, records } = await pollGroup(group, this.#route, {
          client,
          wanted: undefined,
          limits: { ...limits, wantsRecords: true, wantsRuns: true },
          leaving: { signal },
        })
        trace?.addRecords(records)
        return { group, delivery, taken: records }
      } catch (error) {
        if (ended.aborted || own?.aborted) return undefined
        throw error
      }
    })
    if (!polled) return NOTHING_POLLED
    const { group, delivery, taken } = polled
    const records = await this.#polled(taken).catch((error) => {
      // The handler may catch the error: its end must not ack records that it never got.
      delivery.requeue()
      throw error
    })
    if (ended.aborted) {
      delivery.requeue()
      return NOTHING_POLLED
    }
    this.#deliveries.push(delivery)
    this.#route.statistics.gaps += delivery.gaps.length
    return {
      records,
      gaps: delivery.gaps,
      commit: () => {
        if (this.#route.options.commitStrategy === 'off') this.#commit(group, delivery)
        delivery.ack()
      },
      requeue: () => delivery.requeue(),
    }
  }

  /** The records of a poll. Where dead letters are written, the pipeline has validated them. */
  async #polled(taken: readonly ProcessedRecord[]): Promise<readonly AnyRecord[]> {
    const { messageDeserializer, schemas } = this.#route.options
    const records = taken.map((record) => consumedRecordOf(record, messageDeserializer))
    if (schemas.size === 0) return this.#validated(records)
    return records.map((record, index) => ({ ...record, ...taken[index]?.outputs }))
  }

  /** Commits for the handler, with `commitStrategy: 'off'`. */
  #commit(group: GroupCalls, { runs }: Delivery): void {
    const next = new Map<string, PartitionOffset>()
    for (const { topic, partition, offsets } of runs) {
      const offset = (offsets.at(-1) as number) + 1
      next.set(partitionKey({ topic, partition }), { topic, partition, offset })
    }
    group.commit([...next.values()]).catch((error: unknown) => {
      log.warn('Cannot commit the records of a handler: {error}', {
        error: asKafkaConsumeError(error).message,
      })
    })
  }

  async read(given: ReadFrom & ReadLimits = {}) {
    const from = parseReadParameters(given)
    return this.#traced('read', async (trace) => {
      const { feed } = await this.#route.lease()
      const subscription = await this.#subscribe(feed, from, 'read')
      try {
        const signal = from.signal ?? this.#c.req.raw.signal
        const { slices, gaps } = await readFromPosition(subscription, from, signal)
        trace?.add(slices)
        const cursor = subscription.cursor.toString()
        return { records: await this.#validated(slices.flatMap(recordsOf)), gaps, cursor }
      } finally {
        feed.release(subscription)
      }
    })
  }

  async *stream(given: StreamFrom = {}) {
    const from = parseStreamParameters(given)
    this.#beginRead()
    try {
      yield* this.#records(from)
    } finally {
      this.#endRead()
    }
  }

  async *#records({ onGap, ...from }: ReturnType<typeof parseStreamParameters>) {
    const signal = from.signal ?? this.#c.req.raw.signal
    const { feed } = await this.#route.lease()
    const subscription = await this.#subscribe(feed, from, 'follow')
    const trace = ReadTrace.begin(this.#route, 'stream')
    let failure: unknown
    const stop = () => subscription.stop()
    signal.addEventListener('abort', stop)
    try {
      while (!signal.aborted && !this.#route.isClosed) {
        const isReady = await subscription.fill(STREAM_LIMITS.records)
        const part = isReady ? subscription.take(STREAM_LIMITS) : undefined
        if (!part) await subscription.wait(1_000)
        else if ('gap' in part) this.#announce(part.gap, onGap)
        else yield* this.#eachRecord(part, subscription, signal, trace)
      }
    } catch (error) {
      // A read that the end has cut short has not failed.
      if (signal.aborted || this.#route.isClosed) return
      failure = error
      throw error
    } finally {
      trace?.end(failure)
      signal.removeEventListener('abort', stop)
      await subscription.close()
    }
  }

  /** The records of a stream, with what their schemas return. */
  async *#eachRecord(...given: Parameters<typeof eachRecord>) {
    for (const { record, cursor } of eachRecord(...given)) {
      const [valid = record] = await this.#validated([record])
      yield { ...valid, cursor }
    }
  }

  async #validated(records: readonly ConsumedRecord[]): Promise<readonly AnyRecord[]> {
    if (!this.#validator || records.length === 0) return records
    const { feed } = await this.#route.lease()
    return this.#validator.validateAll(records, () => feed.failed++)
  }

  async #traced<T>(kind: ReadKind, read: (trace: ReadTrace | undefined) => Promise<T>): Promise<T> {
    this.#beginRead()
    try {
      return await traced(this.#route, kind, read)
    } finally {
      this.#endRead()
    }
  }

  /**
   * A read may wait for records without a limit, and no byte is sent meanwhile: the connection must
   * not time out.
   */
  #beginRead(): void {
    this.#reads++
    setIdleTimeout(this.#c, NO_IDLE_TIMEOUT)
  }

  #endRead(): void {
    this.#reads--
    if (this.#reads === 0) setIdleTimeout(this.#c, MAX_IDLE_SECONDS)
  }

  #announce(gap: Gap, onGap: StreamFrom['onGap']): void {
    this.#route.statistics.gaps++
    if (onGap) onGap(gap)
    else log.warn('Skipped {from} to {to} of {topic}:{partition}: {reason}', { ...gap })
  }

  #subscribe(
    feed: Feed,
    { start, cursor }: Required<Pick<ReadFrom, 'start'>> & { cursor?: string | undefined },
    purpose: SubscriptionPurpose,
  ) {
    const position: Position =
      cursor === undefined
        ? { start }
        : { cursor: parseCursor(cursor, 'cursor'), parameter: 'cursor' }
    const filter = (table: PartitionTable) => filterOf(undefined, clientOf(this.#c), table)
    // Each record of a stream comes with its cursor.
    return feed.subscribe(position, filter, purpose, purpose === 'read' ? 'list' : 'events')
  }
}

/** The records of a stream, one after another, for a loop of the handler. */
function* eachRecord(
  { batch, begin, end }: Slice,
  subscription: Subscription,
  signal: AbortSignal,
  trace: ReadTrace | undefined,
) {
  // A handler that takes no record for a while must not keep others from reading.
  const stall = setTimeout(() => subscription.pause(), STALL_MS)
  try {
    for (let i = begin; i < end && !signal.aborted; i++) {
      const slice = { batch, begin: i, end: i + 1 }
      const [record] = recordsOf(slice)
      trace?.add([slice])
      yield { record: record as ConsumedRecord, cursor: batch.id(i) }
    }
  } finally {
    clearTimeout(stall)
  }
}

function recordsOf({ batch, begin, end }: Slice): ConsumedRecord[] {
  const records: ConsumedRecord[] = []
  for (let i = begin; i < end; i++) {
    records.push(JSON.parse(decoder.decode(batch.json(i))) as ConsumedRecord)
  }
  return records
}
