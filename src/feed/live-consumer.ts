import { asKafkaConsumeError, type KafkaConsumeError } from '../core/errors.ts'
import { logOf } from '../core/log.ts'
import { partitionKey } from '../core/topic-partition.ts'
import type { EncodingRequest } from '../port/encoding.ts'
import type {
  AssignedConsumer,
  Batch,
  Gap,
  KafkaCluster,
  KafkaOutage,
  PartitionOffset,
} from '../port/kafka.ts'
import type { ConsumerUse } from '../port/threads.ts'
import { Cursor, type PartitionTable } from '../records/cursor.ts'
import type { MessageDeserializer } from '../records/encode.ts'
import { EncodedBatch } from '../records/encoded-batch.ts'
import type { ProcessedRecord } from '../records/pipeline.ts'
import type { RecordProcessor } from '../records/record-processor.ts'
import { FilterIndex } from './filter-index.ts'
import type { Handover } from './handover.ts'
import { Pacing } from './pacing.ts'
import { isAtOrBelow, RingBuffer } from './ring-buffer.ts'

const log = logOf('live-consumer')

/** Records per read: enough to make the cost of a read small beside the cost of its records. */
const READ_LIMIT = 1_000
/** How long a read waits for a first record, and how long a live consumer may take to stop. */
const READ_WAIT_MS = 250
const RETRY_MS = 1_000
/** How long a read that does not come back may delay the stop of a live consumer. */
const STOP_LIMIT_MS = 2_000

/** How a live consumer is created. */
export interface LiveConsumerSetup {
  readonly cluster: KafkaCluster
  readonly table: PartitionTable
  /** Where following begins: the ends of all partitions. */
  readonly head: Float64Array
  readonly deserializer: MessageDeserializer
  /** Bytes of the ring buffer at most. */
  readonly ringBytes: number
  /** Absent: records are encoded as they are. */
  readonly processor?: RecordProcessor | undefined
  /** See {@link ConsumerUse.topicIds}. */
  readonly topicIds?: string | undefined
}

/**
 * Follows the end of topics with one Kafka consumer for any number of subscribers, and keeps the
 * newest records in a ring buffer. A subscriber that needs a batch which the ring buffer has dropped
 * continues with a catch-up read.
 *
 * It begins to follow when it is started, which the first subscriber does that waits for new records.
 * Until then it only says where following will begin, so that catch-up reads know where they end.
 */
export class LiveConsumer {
  readonly table: PartitionTable
  readonly ring: RingBuffer
  readonly pacing: Pacing
  readonly filterIndex: FilterIndex
  /** Where this live consumer began. */
  readonly begin: Float64Array
  readonly #cluster: KafkaCluster
  readonly #deserializer: MessageDeserializer
  readonly #processor: RecordProcessor | undefined
  readonly #topicIds: string | undefined
  readonly #cursor: Cursor
  /** Why records cannot be read now. */
  #outage: KafkaOutage | undefined
  #version = {}
  #isBeyondBatches = false
  /** Gives up the consumer that is being read from. */
  #replaceConsumer: (() => void) | undefined
  readonly #recreatedPartitions = new Set<string>()
  readonly #stop = new AbortController()
  #starting: Promise<void> | undefined
  #running: Promise<void> | undefined
  #handover: Handover | undefined
  #failure: KafkaConsumeError | undefined

  constructor(setup: LiveConsumerSetup) {
    const { cluster, table, head, deserializer, ringBytes, processor, topicIds } = setup
    this.#topicIds = topicIds
    this.#cluster = cluster
    this.table = table
    this.begin = head.slice()
    this.#cursor = new Cursor(table, head)
    this.#deserializer = deserializer
    this.ring = new RingBuffer(ringBytes)
    this.pacing = new Pacing(this.ring)
    this.filterIndex = new FilterIndex(this)
    this.#processor = processor
  }

  /** Whether it follows, or has been told to as soon as Kafka can be reached. */
  get isFollowing(): boolean {
    return this.#running !== undefined
  }

  /**
   * Begins to follow, unless it does so already. Resolves once the first read can be made.
   *
   * @throws KafkaConsumeError why Kafka cannot be read. A later call tries again.
   */
  async start(): Promise<void> {
    if (this.isFollowing) return
    this.#starting ??= this.#openConsumer()
      .then((consumer) => {
        // While the consumer was opened, a subscriber may have started following by another one.
        if (this.isFollowing) void consumer.close()
        else this.#running = this.#follow(consumer)
      })
      .finally(() => {
        this.#starting = undefined
      })
    await this.#starting
  }

  /** Begins to follow as soon as Kafka can be reached, unless it does so already. */
  startWhenPossible(): void {
    this.#running ??= this.#follow(undefined)
  }

  /**
   * Moves the place where following will begin to the present ends. It stays where it is once this live
   * consumer follows, and while a subscriber has come to it.
   */
  moveHead(ends: Float64Array): void {
    if (this.isFollowing || this.#starting || this.pacing.hasSubscribers) return
    this.#cursor.moveTo(ends)
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    this.pacing.endWait()
    this.#notify()
    const late = setTimeout(() => this.#replaceConsumer?.(), STOP_LIMIT_MS)
    await this.#starting?.catch(() => undefined)
    await this.#running
    clearTimeout(late)
  }

  /** The live consumer that goes on after this one, once this one was stopped and replaced. */
  get handover(): Handover | undefined {
    return this.#handover
  }

  /** Sends subscribers that have come to the end of the ring buffer to another live consumer. */
  handOverTo(handover: Handover): void {
    this.#handover = handover
    this.#notify()
  }

  /** Why there will be no more records. */
  get failure(): KafkaConsumeError | undefined {
    return this.#failure
  }

  /** Ends for good: subscribers that have come to the end of the ring buffer get the error. */
  fail(error: KafkaConsumeError): void {
    this.#failure = error
    this.#notify()
    void this.stop()
  }

  /** Empties the ring buffer: subscribers that still read from it continue with catch-up reads. */
  clear(): void {
    this.ring.clear()
    this.#notify()
  }

  /**
   * Reads on with another Kafka consumer, from the present offsets.
   *
   * @returns false while no read from Kafka is in progress.
   */
  replaceConsumer(): boolean {
    this.#replaceConsumer?.()
    return this.#replaceConsumer !== undefined
  }

  /** Partitions, as `topic:partition`, that were re-created while this live consumer read them. */
  get recreatedPartitions(): Set<string> {
    return this.#recreatedPartitions
  }

  /**
   * Partitions, as `topic:partition`, in whose re-created topic this live consumer was before a batch;
   * undefined when there are none.
   */
  recreatedBefore(sequence: number): Set<string> | undefined {
    if (this.#recreatedPartitions.size === 0) return undefined
    const ahead = new Set(this.ring.gapsFrom(sequence).map(partitionKey))
    return this.#recreatedPartitions.difference(ahead)
  }

  /** Stands for the ring buffer and the head: another object when either has changed. */
  get version(): object {
    return this.#version
  }

  /** Where the next batch will begin. */
  get head(): Float64Array {
    return this.#cursor.vector
  }

  /** Whether the head lies behind the newest batch, after offsets without a record. */
  get isBeyondBatches(): boolean {
    return this.#isBeyondBatches
  }

  /** Why these topics cannot be read although Kafka can: ACLs do not allow it. */
  get outage(): KafkaOutage | undefined {
    return this.#outage?.code === 'KAFKA_AUTHORIZATION' ? this.#outage : undefined
  }

  /**
   * The newest sequence number from which a subscriber at `vector` misses nothing. Undefined when the
   * ring buffer does not go back so far.
   */
  locate(vector: Float64Array): number | undefined {
    return isAtOrBelow(this.head, vector) ? this.ring.end : this.ring.locate(vector)
  }

  async #openConsumer(): Promise<AssignedConsumer> {
    const consumer = await this.#openAt(this.#isUntouched)
    if (!consumer.start) return consumer
    if (this.#isUntouched) {
      this.#cursor.moveTo(this.table.vector(consumer.start))
      this.begin.set(this.head)
      return consumer
    }
    // A subscriber has come to the head meanwhile, and must get all records from there on.
    await consumer.close()
    return this.#openAt(false)
  }

  #openAt(mayBeginElsewhere: boolean): Promise<AssignedConsumer> {
    const spec = this.#encoding()?.spec
    const from = this.table.offsets(this.head)
    const use: ConsumerUse = { spec, mayBeginElsewhere, topicIds: this.#topicIds }
    return this.#cluster.openConsumer(from, 'live', use)
  }

  /** Whether neither a batch nor a subscriber depends on where this live consumer begins. */
  get #isUntouched(): boolean {
    return this.ring.end === 0 && !this.pacing.hasSubscribers
  }

  /** The processor needs records that are not encoded yet. */
  #encoding(): EncodingRequest | undefined {
    if (this.#processor) return undefined
    return EncodedBatch.encodingRequest(this.#cursor, this.#deserializer)
  }

  async #follow(opened: AssignedConsumer | undefined): Promise<void> {
    let consumer = opened
    while (!this.#stop.signal.aborted) {
      try {
        consumer ??= await this.#openConsumer()
        const batch = await this.#read(consumer)
        if (batch) {
          await this.#handle(batch)
        } else {
          // It may never answer, so nobody waits for it to close.
          void consumer.close()
          consumer = undefined
        }
      } catch (error) {
        this.#onError(asKafkaConsumeError(error))
        await consumer?.close()
        consumer = undefined
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
      }
    }
    await consumer?.close()
  }

  /** @returns undefined when the consumer was given up. */
  async #read(consumer: AssignedConsumer): Promise<Batch | undefined> {
    const replaced = new Promise<undefined>((resolve) => {
      this.#replaceConsumer = () => resolve(undefined)
    })
    try {
      const reading = consumer.read(READ_LIMIT, READ_WAIT_MS, this.#encoding())
      return await Promise.race([reading, replaced])
    } finally {
      this.#replaceConsumer = undefined
    }
  }

  async #handle({ records, encoded, gaps, ends }: Batch): Promise<void> {
    const hasRecords = records.length > 0 || encoded !== undefined
    // An empty answer does not prove that Kafka can be read: the broker's own may be on its way.
    if (hasRecords || ends.length > 0) this.#onRecovered()
    if (!hasRecords || ends.length > 0) this.pacing.markCaughtUp()
    for (const gap of gaps) this.#skip(gap)
    if (encoded) this.#append(new EncodedBatch(this.table, encoded))
    else if (records.length > 0) {
      const processed = await this.#process(records)
      if (!processed) return
      this.#append(this.#encode(processed))
    }
    for (const end of ends) this.#moveToEnd(end)
    if (!this.#stop.signal.aborted) await this.pacing.waitForSubscribers()
  }

  /** @returns undefined when this live consumer was stopped first. */
  async #process(records: Batch['records']): Promise<readonly ProcessedRecord[] | undefined> {
    return this.#processor
      ? this.#processor.processWithRetries(records, this.#stop.signal, true)
      : records
  }

  #encode(records: readonly ProcessedRecord[]): EncodedBatch {
    // A copy of the cursor: when encoding fails, the records are read again instead of passed over.
    return EncodedBatch.encode(records, new Cursor(this.table, this.head), this.#deserializer)
  }

  #append(batch: EncodedBatch): void {
    this.#cursor.moveTo(batch.to)
    this.#version = {}
    this.#isBeyondBatches = batch.length === 0
    if (this.#isBeyondBatches) return
    this.ring.append(batch)
    this.#notify()
  }

  /** Moves the head to the end of a partition, past offsets without a record. */
  #moveToEnd({ topic, partition, offset }: PartitionOffset): void {
    const index = this.table.indexOf(topic, partition)
    if (index < 0 || offset <= (this.head[index] as number)) return
    this.#cursor.set(index, offset)
    this.#isBeyondBatches = true
    this.#version = {}
  }

  #skip(gap: Gap): void {
    log.warn('Skipped {from} to {to} of {topic}:{partition}: {reason}', { ...gap })
    this.ring.addGap(gap)
    if (gap.reason === 'out-of-range') this.#recreatedPartitions.add(partitionKey(gap))
    const index = this.table.indexOf(gap.topic, gap.partition)
    if (index >= 0) this.#cursor.set(index, gap.to)
    this.#version = {}
  }

  #notify(): void {
    this.#version = {}
    this.pacing.wakeAll()
  }

  /** Logs an error once, however often reading is tried again. */
  #onError({ code, message, detail = '' }: KafkaConsumeError): void {
    if (this.#outage?.message === message) return
    const topics = this.#topics()
    log.error('Cannot follow {topics}: {message} ({detail}), trying again', {
      topics,
      message,
      detail,
    })
    this.#outage = { code, message, detail, since: Date.now() }
  }

  #onRecovered(): void {
    if (!this.#outage) return
    this.#outage = undefined
    log.info('Following {topics} again', { topics: this.#topics() })
  }

  #topics(): string {
    return [...new Set(this.table.partitions.map(({ topic }) => topic))].join(', ')
  }
}
