import { logOf } from '../core/log.ts'
import type { AssignedConsumer, Batch, PartitionOffset } from '../port/kafka.ts'
import type { BatchForm } from '../records/batch-form.ts'
import { Cursor } from '../records/cursor.ts'
import type { MessageDeserializer } from '../records/encode.ts'
import { EncodedBatch } from '../records/encoded-batch.ts'
import type { ProcessedRecord } from '../records/pipeline.ts'
import type { RecordProcessor } from '../records/record-processor.ts'
import type { CatchUpPool, PausedRead } from './catch-up-pool.ts'
import type { PendingRecords } from './pending-records.ts'

/** Records of one read at most. */
const READ_LIMIT = 1_000
/** How long a read waits for a first record. */
const READ_WAIT_MS = 100
/** How long reads may bring nothing before another consumer takes over. */
const STALL_MS = 20_000
/**
 * How long reads may bring nothing before their consumer is not used again, whoever closes it: a request
 * gives up before another consumer would take over.
 */
const SUSPECT_MS = 5_000

const NOTHING: Batch = { records: [], gaps: [], ends: [] }

const log = logOf('catch-up')

/** A batch whose records were processed. */
interface ProcessedBatch extends Batch {
  readonly records: readonly ProcessedRecord[]
}

/**
 * One subscription's read behind the ring buffer, with a consumer of its own from the pool. The
 * consumer can be closed at any time: the next read opens another one, at the cursor.
 */
export class CatchUpRead {
  readonly kind = 'catchUp'
  readonly #pool: CatchUpPool
  readonly #deserializer: MessageDeserializer
  readonly #processor: RecordProcessor | undefined
  readonly #form: BatchForm
  #consumer: AssignedConsumer | undefined
  /** The next read, which began while the client takes the records of the last one. */
  #ahead: Promise<Batch> | undefined
  /** Milliseconds that reads of the consumer have taken in a row and brought nothing. */
  #fruitlessMs = 0
  #isClosed = false
  /** The paused read, whose consumer the pool may take while the client reads nothing. */
  #paused: PausedRead | undefined

  /**
   * @param processor Absent: records are encoded as they are.
   * @param form Of records that are encoded as they are.
   */
  constructor(
    pool: CatchUpPool,
    deserializer: MessageDeserializer,
    processor: RecordProcessor | undefined,
    form: BatchForm,
  ) {
    this.#pool = pool
    this.#deserializer = deserializer
    this.#processor = processor
    this.#form = form
  }

  /** Whether there is a consumer. */
  get isOpen(): boolean {
    return this.#consumer !== undefined
  }

  /**
   * Opens a consumer at the cursor, which moves behind gaps there. Partitions whose end is reached are
   * not read.
   *
   * @param patient Whether to wait for a place in the pool.
   * @throws KafkaConsumeError TOO_MANY_CATCH_UP_READS, or why Kafka cannot be read; the signal's reason.
   */
  async open(pending: PendingRecords, patient: boolean, signal: AbortSignal): Promise<void> {
    const { cursor } = pending
    const all = cursor.table.offsets(cursor.vector)
    const offsets = all.filter((_, index) => !pending.hasEndedIn(index))
    const consumer = await this.#pool.open(offsets, patient, signal)
    this.#consumer = consumer
    this.#fruitlessMs = 0
    pending.skip(consumer.gaps)
    if (this.#isClosed) await this.#closeConsumer()
  }

  /**
   * Reads and processes the next records.
   *
   * @returns false when Kafka had nothing at hand, or when the signal or {@link close} came first.
   * @throws KafkaConsumeError when Kafka cannot be read, or records cannot be processed.
   */
  async read(pending: PendingRecords, limit: number, signal: AbortSignal): Promise<boolean> {
    if (!this.#consumer) return false
    const batch = await this.#readFrom(this.#consumer, pending.cursor, limit)
    const processed = await this.#process(batch, signal)
    if (this.#isClosed || !processed) return false
    this.#add(pending, processed)
    const { encoded, ends } = batch
    // A partition that has come to its end tells that there may be nothing to read ahead.
    if (encoded && ends.length === 0 && encoded.offsets.length < limit) {
      this.#readAhead(new Cursor(pending.cursor.table, encoded.to))
    }
    return !isEmpty(batch)
  }

  /** Begins the next read before a client asks for it. At most one read is ahead. */
  readAhead({ cursor, isReady }: PendingRecords): void {
    if (!isReady) this.#readAhead(cursor)
  }

  /** Records that a processor must see are not read ahead: it may have to wait for a service. */
  #readAhead(cursor: Cursor): void {
    if (!this.#consumer || this.#processor || this.#ahead) return
    this.#ahead = this.#begin(this.#consumer, cursor, READ_LIMIT)
    // The read that takes it rejects with its error. A read that nobody takes does not matter.
    this.#ahead.catch(() => {})
  }

  #begin(consumer: AssignedConsumer, cursor: Cursor, limit: number): Promise<Batch> {
    // The processor needs records that are not encoded yet.
    const encoding = this.#processor
      ? undefined
      : EncodedBatch.encodingRequest(cursor, this.#deserializer, this.#form)
    return consumer.read(Math.min(READ_LIMIT, limit), READ_WAIT_MS, encoding)
  }

  async #process(batch: Batch, signal: AbortSignal): Promise<ProcessedBatch | undefined> {
    if (!this.#processor || batch.records.length === 0) return batch
    const records = await this.#processor.processWithRetries(batch.records, signal, false)
    return records && { ...batch, records }
  }

  #add(pending: PendingRecords, { records, encoded, gaps, ends }: ProcessedBatch): void {
    pending.skip(gaps)
    if (encoded) {
      addWithEnds(pending, new EncodedBatch(pending.cursor.table, encoded, this.#form), ends)
    } else if (records.length > 0) {
      const batch = EncodedBatch.encode(records, pending.cursorAhead(), this.#deserializer)
      addWithEnds(pending, batch, ends)
    } else {
      for (const { topic, partition, offset } of ends) {
        const index = pending.cursor.table.indexOf(topic, partition)
        if (index >= 0) pending.moveOver(index, offset)
      }
    }
  }

  /**
   * Reads, and gives the consumer up when reads have brought nothing for too long. The time between two
   * reads is the client's, which may take nothing for minutes.
   */
  async #readFrom(consumer: AssignedConsumer, cursor: Cursor, limit: number): Promise<Batch> {
    const begun = performance.now()
    let timer: ReturnType<typeof setTimeout> | undefined
    const stalled = new Promise<Batch>((resolve) => {
      timer = setTimeout(() => resolve(NOTHING), STALL_MS - this.#fruitlessMs)
    })
    const reading = this.#ahead ?? this.#begin(consumer, cursor, limit)
    this.#ahead = undefined
    const batch = await Promise.race([reading, stalled]).finally(() => clearTimeout(timer))
    // A consumer that took over meanwhile has a time of its own.
    if (consumer !== this.#consumer) return batch
    this.#fruitlessMs = isEmpty(batch) ? this.#fruitlessMs + performance.now() - begun : 0
    // A timer may fire slightly early by the clock. A read that was given up is never awaited again.
    if (batch === NOTHING || this.#fruitlessMs >= STALL_MS) this.#replaceStalledConsumer()
    return batch
  }

  #replaceStalledConsumer(): void {
    log.warn('A catch-up read brought nothing for {seconds} s: going on with another consumer', {
      seconds: STALL_MS / 1_000,
    })
    this.#pool.countReplaced()
    this.#fruitlessMs = STALL_MS
    this.closeConsumer()
  }

  /** Lets others have the consumer's place in the pool, until {@link resume}. */
  pause(read: PausedRead): void {
    if (!this.#consumer || this.#paused) return
    this.#paused = read
    this.#pool.pause(read)
  }

  resume(): void {
    if (!this.#paused) return
    this.#pool.resume(this.#paused)
    this.#paused = undefined
  }

  /** Closes the consumer of a paused read, since its place in the pool is needed. */
  giveWay(): void {
    this.#paused = undefined
    this.closeConsumer()
  }

  /** Closes the consumer without waiting for it. */
  closeConsumer(): void {
    void this.#closeConsumer()
  }

  /** Ends this read. */
  async close(): Promise<void> {
    this.#isClosed = true
    await this.#closeConsumer()
  }

  async #closeConsumer(): Promise<void> {
    const consumer = this.#consumer
    this.#consumer = undefined
    this.#ahead = undefined
    await consumer?.close(this.#fruitlessMs >= SUSPECT_MS)
  }
}

/** Adds a batch whose end is moved to the ends of partitions: they count once the batch is taken. */
function addWithEnds(
  pending: PendingRecords,
  batch: EncodedBatch,
  ends: readonly PartitionOffset[],
): void {
  let endsBeyond = false
  for (const { topic, partition, offset } of ends) {
    const index = batch.table.indexOf(topic, partition)
    if (index < 0 || offset <= (batch.to[index] as number)) continue
    batch.to[index] = offset
    endsBeyond = true
  }
  pending.add(batch, true, endsBeyond)
}

/** Whether a read brought neither records nor gaps nor ends. */
function isEmpty({ records, encoded, gaps, ends }: Batch): boolean {
  return !encoded && records.length + gaps.length + ends.length === 0
}
