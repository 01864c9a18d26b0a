import { getLogger } from '@logtape/logtape'
import { asKafkaConsumeError, type KafkaConsumeError } from '../core/errors.ts'
import { partitionKey } from '../core/topic-partition.ts'
import type {
  AssignedConsumer,
  Batch,
  Gap,
  KafkaCluster,
  KafkaOutage,
  PartitionOffset,
} from '../port/kafka.ts'
import { Cursor, type PartitionTable } from '../records/cursor.ts'
import type { MessageDeserializer } from '../records/encode.ts'
import { EncodedBatch } from '../records/encoded-batch.ts'
import type { ProcessedRecord } from '../records/pipeline.ts'
import type { RecordProcessor } from '../records/record-processor.ts'

const log = getLogger(['hono-kafka-consume', 'tail'])

/** Records per read: enough to make the cost of a read small beside that of its records. */
const READ_LIMIT = 1_000
/** How long a read waits for a first record; also how long a stopping tail may take. */
const READ_WAIT_MS = 250
const RETRY_MS = 1_000
/** How long a read that does not come back holds up the end of a tail. */
const STOP_LIMIT_MS = 2_000
/** How long the tail waits for readers of which none moves. */
const PATIENCE_MS = 1_000
/** How long it may be behind Kafka for the sake of a few slow readers, and how many those are. */
const MAX_LAG_MS = 10_000
const FEW = 8

/** The tail that goes on where another one has ended, since the partitions are not the same any more. */
export interface Handover {
  readonly tail: LiveConsumer
  /** Where topics that were created anew begin: their earlier offsets mean nothing. */
  readonly anew: readonly PartitionOffset[]
  /** Those of them, as `topic:partition`, that the former tail had begun to read before it ended. */
  readonly entered: ReadonlySet<string>
}

const NO_GAPS: readonly Gap[] = []

/** Who reads from the ring. */
export interface RingReader {
  /** There may be more, or there will be no more. */
  wake(): void
}

/**
 * Follows the end of topics with one consumer, for any number of readers, and keeps the newest
 * records in a ring of batches with a byte budget.
 *
 * Overflow policy of the ring: the oldest batch goes. A reader that still needed it reads on from
 * Kafka with a consumer of its own. So that readers who keep up are never pushed off, the tail
 * waits while it is a quarter of the budget ahead of the foremost of them; those behind do not
 * hold it back.
 */
export class LiveConsumer {
  readonly table: PartitionTable
  readonly #source: KafkaCluster
  readonly #deserializer: MessageDeserializer
  readonly #preparation: RecordProcessor | undefined
  readonly #budget: number
  readonly #cursor: Cursor
  /** What keeps it from following just now. */
  #outage: KafkaOutage | undefined
  /** The ring: the batch with sequence number `#first + i` is `#batches[i]`. */
  readonly #batches: EncodedBatch[] = []
  #first = 0
  #moment = {}
  #beyond = false
  #bytes = 0
  /** Bytes of the batches that the foremost reader has not taken yet. */
  #ahead = 0
  #foremost = 0
  readonly #gaps: Array<{ readonly sequence: number; readonly gap: Gap }> = []
  /** Readers inside the ring. */
  readonly #readers = new Set<RingReader>()
  /** Whether a reader moved since the tail last waited in vain. */
  #moved = true
  #progress: (() => void) | undefined
  /** When it last had all that Kafka had, in `performance.now()`'s time. */
  #caughtUp = performance.now()
  /** Whether it has waited for readers since {@link takeWaited} was last called. */
  #waited = false
  /** Gives up the reader that is being read from. */
  #replace: (() => void) | undefined
  readonly #restarted = new Set<string>()
  readonly #stop = new AbortController()
  #running: Promise<void> | undefined
  #succession: Handover | undefined
  #failure: KafkaConsumeError | undefined
  /** Where it began. */
  readonly begin: Float64Array

  /**
   * @param head Where following begins: the ends of all partitions.
   * @param preparation Absent: records are encoded as they are.
   */
  constructor(
    source: KafkaCluster,
    table: PartitionTable,
    head: Float64Array,
    deserializer: MessageDeserializer,
    budget: number,
    preparation?: RecordProcessor,
  ) {
    this.#source = source
    this.table = table
    this.begin = head.slice()
    this.#cursor = new Cursor(table, head)
    this.#deserializer = deserializer
    this.#budget = budget
    this.#preparation = preparation
  }

  /** Begins to follow; resolves when the first read can be made. */
  async start(): Promise<void> {
    const reader = await this.#open()
    this.#running = this.#follow(reader)
  }

  /** Begins to follow as soon as Kafka lets it. */
  startInTime(): void {
    this.#running = this.#follow(undefined)
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    this.#progress?.()
    this.#wake()
    const late = setTimeout(() => this.#replace?.(), STOP_LIMIT_MS)
    await this.#running
    clearTimeout(late)
  }

  /** What goes on after this one, once it was stopped and replaced. */
  get handover(): Handover | undefined {
    return this.#succession
  }

  /** Sends readers that have come to its end to another one. */
  handOverTo(succession: Handover): void {
    this.#succession = succession
    this.#wake()
  }

  /** Why there will be no more. */
  get failure(): KafkaConsumeError | undefined {
    return this.#failure
  }

  /** Ends it for good: readers that have come to its end are told why. */
  fail(error: KafkaConsumeError): void {
    this.#failure = error
    this.#wake()
    void this.stop()
  }

  /** Lets go of the ring: whoever is still in it reads on from Kafka. */
  clear(): void {
    while (this.#batches.length > 0) this.#drop()
    this.#wake()
  }

  /**
   * Reads on with another consumer, from where it is.
   *
   * @returns false when it does not wait for Kafka just now.
   */
  replaceReader(): boolean {
    this.#replace?.()
    return this.#replace !== undefined
  }

  /** Whether it has waited for readers since the last call. */
  takeWaited(): boolean {
    const waited = this.#waited
    this.#waited = false
    return waited
  }

  /** Partitions, as `topic:partition`, whose offsets began anew while it read them. */
  get recreatedPartitions(): Set<string> {
    return this.#restarted
  }

  /** Stands for its ring and its head as they are: another object when either has changed. */
  get version(): object {
    return this.#moment
  }

  /** The sequence number after the newest batch. */
  get end(): number {
    return this.#first + this.#batches.length
  }

  /** Where the next batch will begin. */
  get head(): Float64Array {
    return this.#cursor.vector
  }

  /** Whether it has come further than its newest batch: over offsets that no frame was made of. */
  get isBeyondBatches(): boolean {
    return this.#beyond
  }

  /** Bytes that the ring holds. */
  get bytes(): number {
    return this.#bytes
  }

  /** Why these topics cannot be read, while Kafka can: ACLs do not allow it. */
  get outage(): KafkaOutage | undefined {
    return this.#outage?.code === 'KAFKA_AUTHORIZATION' ? this.#outage : undefined
  }

  /** A batch of the ring, or undefined for one that is not there yet. */
  batch(sequence: number): EncodedBatch | undefined {
    return this.#batches[sequence - this.#first]
  }

  /** Whether a batch has been dropped from the ring. */
  isGone(sequence: number): boolean {
    return sequence < this.#first
  }

  /** What was lost before a batch: announced to the readers that reach it. */
  gapsBefore(sequence: number): readonly Gap[] {
    if (this.#gaps.length === 0) return NO_GAPS
    return this.#gaps.filter((entry) => entry.sequence === sequence).map((entry) => entry.gap)
  }

  /**
   * The newest position from which nothing is missing for a reader at `vector`: the last batch that
   * begins at or below it in every partition. Undefined where the ring no longer goes back so far.
   */
  locate(vector: Float64Array): number | undefined {
    if (isAtOrBelow(this.head, vector)) return this.end
    for (let i = this.#batches.length - 1; i >= 0; i--) {
      if (isAtOrBelow((this.#batches[i] as EncodedBatch).from, vector)) return this.#first + i
    }
    return undefined
  }

  /** A reader has taken all batches before this one. */
  passed(sequence: number): void {
    if (sequence <= this.#foremost) return
    for (let i = Math.max(this.#foremost, this.#first); i < sequence; i++) {
      this.#ahead -= (this.#batches[i - this.#first] as EncodedBatch).heldBytes
    }
    this.#foremost = sequence
    this.#moved = true
    if (this.#ahead <= this.#budget / 4) this.#progress?.()
  }

  #open(): Promise<AssignedConsumer> {
    return this.#source.openConsumer(this.table.offsets(this.head), 'live')
  }

  async #follow(reader: AssignedConsumer | undefined): Promise<void> {
    while (!this.#stop.signal.aborted) {
      try {
        reader ??= await this.#open()
        const batch = await this.#read(reader)
        if (!batch) {
          // It may never answer: nobody waits for it to close.
          void reader.close().catch(() => {})
          reader = undefined
          continue
        }
        const { records, encoded, gaps, ends } = batch
        // An empty answer says nothing: the broker's own may be on its way.
        if (records.length > 0 || encoded || ends.length > 0) this.#recover()
        if ((records.length === 0 && !encoded) || ends.length > 0)
          this.#caughtUp = performance.now()
        for (const gap of gaps) this.#skip(gap)
        if (encoded) this.#append(new EncodedBatch(this.table, encoded))
        else if (records.length > 0) {
          const prepared = this.#preparation
            ? await this.#preparation.insist(records, this.#stop.signal, true)
            : records
          if (!prepared) break
          this.#append(this.#encode(prepared))
        }
        for (const { topic, partition, offset } of ends) {
          const index = this.table.indexOf(topic, partition)
          if (index < 0 || offset <= (this.head[index] as number)) continue
          this.#cursor.set(index, offset)
          this.#beyond = true
          this.#moment = {}
        }
        if (this.#ahead > this.#budget / 4) await this.#waitForSubscribers()
      } catch (error) {
        this.#failed(asKafkaConsumeError(error))
        await reader?.close().catch(() => {})
        reader = undefined
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
      }
    }
    await reader?.close()
  }

  /** @returns undefined when the reader was given up. */
  async #read(reader: AssignedConsumer): Promise<Batch | undefined> {
    const replaced = new Promise<undefined>((resolve) => {
      this.#replace = () => resolve(undefined)
    })
    // Records that are to be prepared come as they are.
    const frames = this.#preparation
      ? undefined
      : EncodedBatch.encodingRequest(this.#cursor, this.#deserializer)
    try {
      return await Promise.race([reader.read(READ_LIMIT, READ_WAIT_MS, frames), replaced])
    } finally {
      this.#replace = undefined
    }
  }

  /** Says once what goes wrong, however often it is tried. */
  #failed({ code, message, detail = '' }: KafkaConsumeError): void {
    if (this.#outage?.message === message) return
    const topics = this.#topics()
    log.error('Cannot follow {topics}: {message} ({detail}), trying again', {
      topics,
      message,
      detail,
    })
    this.#outage = { code, message, detail, since: Date.now() }
  }

  #recover(): void {
    if (!this.#outage) return
    this.#outage = undefined
    log.info('Following {topics} again', { topics: this.#topics() })
  }

  #encode(records: readonly ProcessedRecord[]): EncodedBatch {
    // On a copy: should encoding fail, the records are read again, not passed over.
    return EncodedBatch.encode(records, new Cursor(this.table, this.head), this.#deserializer)
  }

  #append(batch: EncodedBatch): void {
    this.#cursor.moveTo(batch.to)
    this.#moment = {}
    this.#beyond = batch.length === 0
    if (this.#beyond) return
    const size = batch.heldBytes
    this.#batches.push(batch)
    this.#bytes += size
    this.#ahead += size
    // The newest batch stays whatever its size: records of any size pass.
    while (this.#bytes > this.#budget && this.#batches.length > 1) this.#drop()
    this.#wake()
  }

  #drop(): void {
    const size = (this.#batches.shift() as EncodedBatch).heldBytes
    this.#bytes -= size
    if (this.#foremost <= this.#first) {
      this.#ahead -= size
      this.#foremost = this.#first + 1
    }
    this.#first++
    while (this.#gaps[0] && this.#gaps[0].sequence < this.#first) this.#gaps.shift()
  }

  /**
   * A reader follows the ring from now on: the tail does not run away from it, and wakes it whenever
   * there is more.
   */
  attach(reader: RingReader): void {
    this.#readers.add(reader)
  }

  detach(reader: RingReader): void {
    this.#readers.delete(reader)
    if (this.#readers.size === 0) this.#progress?.()
  }

  /**
   * Resolves when the foremost reader has come closer; at once when nobody reads, or when the last
   * wait was in vain and nobody has moved since: a reader that has stopped must not stop the tail.
   * A few that are slow must not keep it far behind Kafka either, where whoever comes next would
   * have to wait for all that lies between; of many, each would need a consumer of its own.
   */
  #waitForSubscribers(): Promise<void> {
    if (this.#readers.size === 0 || this.#stop.signal.aborted || !this.#moved)
      return Promise.resolve()
    const isLate = performance.now() - this.#caughtUp > MAX_LAG_MS
    if (isLate && this.#readers.size <= FEW) return Promise.resolve()
    this.#waited = true
    return new Promise((resolve) => {
      const patience = setTimeout(() => {
        this.#moved = false
        this.#progress?.()
      }, PATIENCE_MS)
      this.#progress = () => {
        clearTimeout(patience)
        this.#progress = undefined
        resolve()
      }
    })
  }

  #skip(gap: Gap): void {
    log.warn('Skipped {from} to {to} of {topic}:{partition}: {reason}', { ...gap })
    this.#gaps.push({ sequence: this.end, gap })
    if (gap.reason === 'out-of-range') this.#restarted.add(partitionKey(gap))
    const index = this.table.indexOf(gap.topic, gap.partition)
    if (index >= 0) this.#cursor.set(index, gap.to)
    this.#moment = {}
  }

  #wake(): void {
    this.#moment = {}
    for (const reader of this.#readers) reader.wake()
  }

  #topics(): string {
    return [...new Set(this.table.partitions.map(({ topic }) => topic))].join(', ')
  }
}

/** Whether a vector is at or below another in every partition. */
export function isAtOrBelow(vector: Float64Array, other: Float64Array): boolean {
  for (let i = 0; i < vector.length; i++) {
    if ((vector[i] as number) > (other[i] as number)) return false
  }
  return true
}
