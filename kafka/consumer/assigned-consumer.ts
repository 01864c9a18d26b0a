import { settledWithin } from '../../src/core/deadline.ts'
import type { KafkaConsumeError } from '../../src/core/errors.ts'
import { logOf } from '../../src/core/log.ts'
import type { EncodingRequest } from '../../src/port/encoding.ts'
import type {
  AssignedConsumer,
  Batch,
  Gap,
  KafkaRecord,
  PartitionOffset,
} from '../../src/port/kafka.ts'
import { type Consumer, call, type Message } from '../client/client.ts'
import {
  type ClientError,
  fromClient,
  GROUP_AUTHORIZATION_FAILED,
  isUnknownTopic,
  notLoaded,
} from '../client/errors.ts'
import { gapIn } from './gaps.ts'
import { NativeEncoder } from './native-encoder.ts'

const log = logOf('cluster')

const MIB = 1024 * 1024
const ACTION = 'Cannot read from Kafka'

/** Bytes of one read, more or less: bounds memory where single records are large. */
const READ_BYTES = 4 * MIB
/** Milliseconds for which closing waits for the read under way. */
const CLOSE_LIMIT_MS = 5_000
/** Records of the first read, before the size of records is known. */
const FIRST_LIMIT = 64

/**
 * librdkafka looks for the coordinator of the group although the consumer never joins it. Where ACLs
 * do not allow this user that group it reports so once, and reading goes on.
 */
function isGroupRefusal(error: unknown): boolean {
  const { cause } = error as { readonly cause?: Partial<ClientError> }
  return cause?.code === GROUP_AUTHORIZATION_FAILED
}

/** The cluster, as an assigned consumer sees it. */
export interface AssignedConsumerHost {
  /**
   * Takes the client back when reading is over.
   *
   * @param isHealthy Whether the client may be used again: no read has failed, stalled or not come back.
   */
  release(isHealthy: boolean): Promise<void>
  /** The error to report in place of an error of reading. */
  explain(error: KafkaConsumeError): KafkaConsumeError
}

/** A consumer at given offsets. It compares offsets, so that none is skipped in silence. */
export class ConfluentAssignedConsumer implements AssignedConsumer {
  readonly gaps: readonly Gap[]
  readonly #consumer: Consumer
  readonly #host: AssignedConsumerHost
  /** The next offset by topic and partition. */
  readonly #expected = new Map<string, Map<number, number>>()
  #pending: Gap[] = []
  /** Records that were read, and are behind a gap that is yet to be announced. */
  #held: readonly KafkaRecord[] = []
  #ends: PartitionOffset[] = []
  #encoder: NativeEncoder | undefined
  /** Encoded batches that were read, and are behind a gap that is yet to be announced. */
  #encoded: Batch[] = []
  /** The error that ended the last encoded read. */
  #readError: KafkaConsumeError | undefined
  #recordBytes = READ_BYTES / FIRST_LIMIT
  #reading: Promise<unknown> = Promise.resolve()
  #isHealthy = true
  #closed: Promise<void> | undefined
  readonly #onEnd = (end: PartitionOffset) => this.#ends.push(end)

  constructor(
    consumer: Consumer,
    from: readonly PartitionOffset[],
    gaps: readonly Gap[],
    host: AssignedConsumerHost,
  ) {
    this.#consumer = consumer
    this.#host = host
    this.gaps = gaps
    for (const { topic, partition, offset } of from) {
      const offsets = this.#expected.get(topic) ?? new Map<number, number>()
      this.#expected.set(topic, offsets.set(partition, offset))
    }
    consumer.on('partition.eof', this.#onEnd)
    consumer.assign([...from])
  }

  async read(limit: number, wait: number, encoding?: EncodingRequest): Promise<Batch> {
    if (encoding) return this.#readEncoded(limit, wait, encoding)
    // A gap at the end of the last batch is announced at once.
    const hasRead = this.#held.length > 0 || this.#pending.length > 0
    const read = hasRead ? this.#held : await this.#consume(limit, wait)
    // A batch announces gaps before its records, so records before a gap are a batch of their own.
    const count = this.#inspect(read)
    this.#held = read.slice(count)
    const batch = { records: read.slice(0, count), gaps: this.#pending, ends: this.#ends }
    this.#pending = []
    // The ends lie behind the held records.
    if (this.#held.length > 0) return { ...batch, ends: [] }
    this.#pending = this.#passEnds(batch.ends)
    // A gap before an end lies behind the records of this batch, so the next batch announces both.
    if (this.#pending.length > 0) return { ...batch, ends: [] }
    this.#ends = []
    return batch
  }

  async #consume(limit: number, wait: number): Promise<readonly KafkaRecord[]> {
    const bounded = Math.max(1, Math.min(limit, Math.floor(READ_BYTES / this.#recordBytes)))
    this.#consumer.setDefaultConsumeTimeout(wait)
    const reading = call<Message[]>(ACTION, (done) => this.#consumer.consume(bounded, done))
    this.#reading = reading.catch((error) => {
      this.#isHealthy &&= isGroupRefusal(error)
    })
    try {
      // The client's messages have the fields of a record, and some that are not used.
      return (await reading) as unknown as KafkaRecord[]
    } catch (error) {
      if (isGroupRefusal(error)) return []
      throw this.#explain(error)
    }
  }

  async #readEncoded(limit: number, wait: number, { spec, from }: EncodingRequest): Promise<Batch> {
    const ready = this.#encoded.shift()
    if (ready) return ready
    if (this.#readError) throw this.#readError
    if (this.#encoder?.spec !== spec) this.#encoder = new NativeEncoder(spec)
    const limits = { records: limit, bytes: spec.readBytes, wait }
    const reading = this.#encoder.read(this.#consumer, from, limits)
    this.#reading = reading.catch(() => {
      this.#isHealthy = false
    })
    const { batches, error } = await reading
    const explained = error && this.#explain(error)
    if (explained && !isGroupRefusal(explained)) {
      this.#isHealthy = false
      // The read after the batches that came before the error rejects with it.
      this.#readError = explained
    }
    const [first, ...more] = batches
    this.#encoded = more
    if (first) return first
    if (this.#readError) throw this.#readError
    return { records: [], gaps: [], ends: [] }
  }

  /**
   * Translates an error of reading. UNKNOWN_TOPIC is not believed here: the consumer was assigned
   * partitions that Kafka's metadata had, and a broker that has just started has yet to load them.
   */
  #explain(thrown: unknown): KafkaConsumeError {
    const error = fromClient(thrown as ClientError, ACTION)
    return this.#host.explain(isUnknownTopic(error) ? notLoaded(ACTION, error) : error)
  }

  close(hasStalled = false): Promise<void> {
    this.#closed ??= this.#close(hasStalled)
    return this.#closed
  }

  async #close(hasStalled: boolean): Promise<void> {
    // A read that never ends must not hold up closing. Another user of the client could lose records to
    // a read that is still under way: it takes whatever the client fetches next.
    const hasSettled = await settledWithin(this.#reading, CLOSE_LIMIT_MS)
    this.#consumer.off('partition.eof', this.#onEnd)
    try {
      await this.#host.release(this.#isHealthy && hasSettled && !hasStalled)
    } catch (error) {
      log.warn('Cannot close a consumer: {error}', { error })
    }
  }

  /**
   * Compares the offset of each record with the next offset of its partition, and measures how large
   * records are.
   *
   * @returns How many records the next batch has: those before a gap, or all.
   */
  #inspect(records: readonly KafkaRecord[]): number {
    let count = 0
    let topic = ''
    let partition = -1
    let expected = -1
    let offsets: Map<number, number> | undefined
    let bytes = 0
    for (const record of records) {
      if (record.partition !== partition || record.topic !== topic) {
        offsets?.set(partition, expected)
        topic = record.topic
        partition = record.partition
        offsets = this.#expected.get(topic)
        expected = offsets?.get(partition) ?? record.offset
      }
      if (record.offset !== expected) {
        const gap = this.#gapBefore(record, expected)
        if (gap && count > 0) break
        if (gap) this.#pending.push(gap)
      }
      count++
      expected = record.offset + 1
      bytes += sizeOf(record)
    }
    if (count === 0) return 0
    offsets?.set(partition, expected)
    const average = bytes / count
    // The estimate grows at once and shrinks slowly: a read must not exceed its bytes by much.
    this.#recordBytes = Math.max(average, (this.#recordBytes + average) / 2)
    return count
  }

  /** The gap, if any, where reading goes on at another offset than the next one. */
  #gapBefore({ topic, partition, offset: to }: PartitionOffset, from: number): Gap | undefined {
    const { lowOffset: low } = this.#consumer.getWatermarkOffsets(topic, partition)
    return gapIn({ topic, partition, from, to, low })
  }

  /**
   * Moves on to the ends: an end may lie behind offsets without records for us, as those of a
   * transaction's control records.
   *
   * @returns The gaps before the ends, if there are any.
   */
  #passEnds(ends: readonly PartitionOffset[]): Gap[] {
    return ends.flatMap((end) => {
      const offsets = this.#expected.get(end.topic)
      const expected = offsets?.get(end.partition) ?? end.offset
      if (end.offset <= expected) return []
      offsets?.set(end.partition, end.offset)
      return this.#gapBefore(end, expected) ?? []
    })
  }
}

/** Bytes of a record in memory, more or less. */
function sizeOf({ value }: KafkaRecord): number {
  return (value?.length ?? 0) + 64
}
