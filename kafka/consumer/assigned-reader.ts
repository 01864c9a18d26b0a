import type { KafkaConsumeError } from '../../src/core/errors.ts'
import type { EncodingRequest } from '../../src/port/encoding.ts'
import type {
  AssignedConsumer,
  Batch,
  Gap,
  KafkaRecord,
  PartitionOffset,
} from '../../src/port/kafka.ts'
import { type Consumer, call, type Message, type Settings } from '../client/client.ts'
import {
  type ClientError,
  fromClient,
  GROUP_AUTHORIZATION_FAILED,
  isUnknownTopic,
  notLoaded,
} from '../client/errors.ts'
import { gapIn } from './gaps.ts'
import { canEncode, NativeEncoder } from './native-encoder.ts'

const MIB = 1024 * 1024
const ACTION = 'Cannot read from Kafka'

/** Bytes of one read, more or less: what bounds memory where single records are large. */
const READ_BYTES = 4 * MIB
/**
 * Bytes of one read of encoded records. Streams copy out of anything above 512 KiB, each for itself
 * (`src/http/stream/stream.ts`): with 100 of them that took twice the processor time.
 */
const ENCODED_BYTES = 384 * 1024
/** How long the end of a reader waits for a read that goes on. */
const CLOSE_LIMIT_MS = 5_000
/** Records of the first read, before their size is known. */
const FIRST_LIMIT = 64

/**
 * Settings of consumers that are assigned partitions and never join a group.
 *
 * @param embedded Whether the broker is the embedded one, which answers a waiting fetch only when
 * its time is over, new records or not.
 */
export function readerSettings(purpose: 'live' | 'catch-up', embedded = false): Settings {
  return {
    // librdkafka wants a name even where no group is joined.
    'group.id': 'hono-kafka-consume-reader',
    'enable.auto.commit': false,
    'enable.auto.offset.store': false,
    'enable.partition.eof': true,
    // How long the broker holds an empty answer, and so how soon the end of a partition is known. A
    // replay's consumer that is used again waits for the last of these first. Of the embedded one a
    // catch-up read must not learn of new records before the live consumer: a read would end between them.
    'fetch.wait.max.ms': embedded ? 50 : purpose === 'live' ? 500 : 10,
    // What is fetched ahead. A record at hand costs the client some 400 bytes beside its own, and
    // there is one consumer for each replay.
    'queued.max.messages.kbytes': purpose === 'live' ? 32 * 1024 : 4 * 1024,
    'queued.min.messages': purpose === 'live' ? 50_000 : 5_000,
    'fetch.max.bytes': purpose === 'live' ? 32 * MIB : 4 * MIB,
    // With the default of 1 s a full queue, once emptied, would stay empty for up to a second.
    'fetch.queue.backoff.ms': 5,
    'fetch.error.backoff.ms': 100,
    // A broker that is there and does not answer is given up for the partition's next leader.
    'socket.timeout.ms': 10_000,
    'topic.metadata.refresh.interval.ms': 30_000,
  }
}

/** Where a partition that has lost the wanted offset is read on; the gap is found and announced. */
export const READER_TOPIC_SETTINGS: Settings = { 'auto.offset.reset': 'earliest' }

/**
 * librdkafka looks for the coordinator of a group that is never joined, and where ACLs do not allow
 * us that group it says so, once. Reading goes on.
 */
function isOfGroup(error: unknown): boolean {
  const { cause } = error as { readonly cause?: Partial<ClientError> }
  return cause?.code === GROUP_AUTHORIZATION_FAILED
}

/** What a reader needs of its cluster. */
export interface ReaderHost {
  /** Takes the consumer back when reading is over. */
  release(healthy: boolean): Promise<void>
  /** An error of reading, or what is known to be behind it. */
  explain(error: KafkaConsumeError): KafkaConsumeError
}

/** A consumer at given offsets. Watches that no offset is skipped in silence. */
export class ConfluentAssignedConsumer implements AssignedConsumer {
  readonly gaps: readonly Gap[]
  readonly #consumer: Consumer
  readonly #host: ReaderHost
  readonly #expected = new Map<string, Map<number, number>>()
  #pending: Gap[] = []
  /** Read, but behind a gap that is yet to be announced. */
  #held: readonly KafkaRecord[] = []
  #ends: PartitionOffset[] = []
  #encoder: NativeEncoder | undefined
  /** Encoded batches that were read, and are behind a gap that is yet to be announced. */
  #encoded: Batch[] = []
  /** The error that ended the last encoded read. */
  #failure: KafkaConsumeError | undefined
  #recordBytes = READ_BYTES / FIRST_LIMIT
  #reading: Promise<unknown> = Promise.resolve()
  #healthy = true
  #closed: Promise<void> | undefined
  readonly #onEnd = (end: PartitionOffset) => this.#ends.push(end)

  constructor(
    consumer: Consumer,
    from: readonly PartitionOffset[],
    gaps: readonly Gap[],
    host: ReaderHost,
  ) {
    this.#consumer = consumer
    this.#host = host
    this.gaps = gaps
    for (const { topic, partition, offset } of from) {
      const ofTopic = this.#expected.get(topic) ?? new Map<number, number>()
      this.#expected.set(topic, ofTopic.set(partition, offset))
    }
    consumer.on('partition.eof', this.#onEnd)
    consumer.assign([...from])
  }

  async read(limit: number, wait: number, encoding?: EncodingRequest): Promise<Batch> {
    if (encoding && canEncode()) return this.#readEncoded(limit, wait, encoding)
    // A gap at the end of the last batch is announced at once.
    const hasRead = this.#held.length > 0 || this.#pending.length > 0
    const read = hasRead ? this.#held : await this.#consume(limit, wait)
    // A gap goes before the records of its batch, so those before the gap go by themselves.
    const count = this.#inspect(read)
    this.#held = read.slice(count)
    const batch = { records: read.slice(0, count), gaps: this.#pending, ends: this.#ends }
    this.#pending = []
    // An end lies behind what is held.
    if (this.#held.length > 0) return { ...batch, ends: [] }
    this.#pending = this.#passEnds(batch.ends)
    // A gap before an end lies behind the records of this batch, so both wait for the next.
    if (this.#pending.length > 0) return { ...batch, ends: [] }
    this.#ends = []
    return batch
  }

  async #consume(limit: number, wait: number): Promise<readonly KafkaRecord[]> {
    const bounded = Math.max(1, Math.min(limit, Math.floor(READ_BYTES / this.#recordBytes)))
    this.#consumer.setDefaultConsumeTimeout(wait)
    const reading = call<Message[]>(ACTION, (done) => this.#consumer.consume(bounded, done))
    this.#reading = reading.catch((error) => {
      this.#healthy &&= isOfGroup(error)
    })
    try {
      // The client's messages have the shape of a record, and more that nobody looks at.
      return (await reading) as unknown as KafkaRecord[]
    } catch (error) {
      if (isOfGroup(error)) return []
      throw this.#explain(error)
    }
  }

  async #readEncoded(limit: number, wait: number, { spec, from }: EncodingRequest): Promise<Batch> {
    const ready = this.#encoded.shift()
    if (ready) return ready
    if (this.#failure) throw this.#failure
    if (this.#encoder?.spec !== spec) this.#encoder = new NativeEncoder(spec)
    const limits = { records: limit, bytes: ENCODED_BYTES, wait }
    const reading = this.#encoder.read(this.#consumer, from, limits)
    this.#reading = reading.catch(() => {
      this.#healthy = false
    })
    const { batches, error } = await reading
    const failure = error && this.#explain(error)
    if (failure && !isOfGroup(failure)) {
      this.#healthy = false
      // Whoever has taken the batches that came before is told.
      this.#failure = failure
    }
    const [first, ...more] = batches
    this.#encoded = more
    if (first) return first
    if (this.#failure) throw this.#failure
    return { records: [], gaps: [], ends: [] }
  }

  /**
   * What keeps the consumer from reading. That its topic does not exist is not for it to say: it was
   * given partitions that Kafka's metadata had, and a broker that has just started has yet to load
   * them.
   */
  #explain(thrown: unknown): KafkaConsumeError {
    const error = fromClient(thrown as ClientError, ACTION)
    return this.#host.explain(isUnknownTopic(error) ? notLoaded(ACTION, error) : error)
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    // A read that does not come back is not to hold up the end.
    let late: ReturnType<typeof setTimeout> | undefined
    await Promise.race([
      this.#reading,
      new Promise((resolve) => {
        late = setTimeout(resolve, CLOSE_LIMIT_MS)
      }),
    ])
    clearTimeout(late)
    this.#consumer.off('partition.eof', this.#onEnd)
    await this.#host.release(this.#healthy)
  }

  /**
   * Compares every offset with the one that follows the last, and learns how large records are.
   *
   * @returns how many records go out now: those before a gap, or all.
   */
  #inspect(records: readonly KafkaRecord[]): number {
    let count = 0
    let topic = ''
    let partition = -1
    let expected = -1
    let ofTopic: Map<number, number> | undefined
    let bytes = 0
    for (const record of records) {
      if (record.partition !== partition || record.topic !== topic) {
        ofTopic?.set(partition, expected)
        topic = record.topic
        partition = record.partition
        ofTopic = this.#expected.get(topic)
        expected = ofTopic?.get(partition) ?? record.offset
      }
      if (record.offset !== expected) {
        const gap = this.#jump(record, expected)
        if (gap && count > 0) break
        if (gap) this.#pending.push(gap)
      }
      count++
      expected = record.offset + 1
      bytes += (record.value?.length ?? 0) + 64
    }
    if (count === 0) return 0
    ofTopic?.set(partition, expected)
    const average = bytes / count
    // Quick to believe in large records, slow to believe in small ones.
    this.#recordBytes = Math.max(average, (this.#recordBytes + average) / 2)
    return count
  }

  /** Where reading goes on at another offset than the one that was due: what is lost by that. */
  #jump({ topic, partition, offset: to }: PartitionOffset, from: number): Gap | undefined {
    const { lowOffset: low } = this.#consumer.getWatermarkOffsets(topic, partition)
    return gapIn({ topic, partition, from, to, low })
  }

  /**
   * An end may lie behind offsets that hold no record for us, as a transaction's control records:
   * they are not due any more.
   *
   * @returns The gaps before the ends, if there are any.
   */
  #passEnds(ends: readonly PartitionOffset[]): Gap[] {
    return ends.flatMap((end) => {
      const ofTopic = this.#expected.get(end.topic)
      const expected = ofTopic?.get(end.partition) ?? end.offset
      if (end.offset <= expected) return []
      ofTopic?.set(end.partition, end.offset)
      return this.#jump(end, expected) ?? []
    })
  }
}
