/**
 * Live consumers that several threads share: each batch is read once for all of them, and encoded once
 * unless a pipeline changes its records before. Reading, sharing and changing hubs depend on each other.
 */
import { asKafkaConsumeError, type KafkaConsumeError } from '../core/errors.ts'
import { Signal } from '../core/signal.ts'
import { partitionKey, type TopicPartition } from '../core/topic-partition.ts'
import type { EncodingSpec } from '../port/encoding.ts'
import type { AssignedConsumer, Batch, Gap, KafkaCluster, PartitionOffset } from '../port/kafka.ts'
import type { ConsumerUse } from '../port/threads.ts'
import { type SentBatch, sentBatch } from './sent-batch.ts'

/** Records of one read, and milliseconds to wait for a first one: those of a live consumer. */
const READ_LIMIT = 1_000
const READ_WAIT_MS = 250
/** Bytes of batches that are kept for threads that have yet to read them, or to begin with them. */
const KEPT_BYTES = 8 * 1024 * 1024
/** Bytes that each batch counts beside its records. */
const OVERHEAD_BYTES = 512
/** Bytes that each record counts beside its key, value and headers, where it is not encoded. */
const RECORD_BYTES = 256
/** Milliseconds that reading waits for the slowest thread. */
const PATIENCE_MS = 1_000

/** A batch that was read, and the position before it. */
interface KeptBatch {
  readonly from: Float64Array
  readonly batch: SentBatch
  readonly bytes: number
}

/** The records of a hub, and their form. */
interface HubContent {
  readonly cluster: KafkaCluster
  readonly partitions: readonly TopicPartition[]
  /** How records are encoded; undefined where each thread encodes them after its pipeline. */
  readonly spec: EncodingSpec | undefined
  /** See {@link ConsumerUse.topicIds}. */
  readonly topicIds: string | undefined
}

/** A consumer of another thread, or of one that is shared with it. */
export interface HostedConsumer {
  readonly gaps: readonly Gap[]
  readonly start?: readonly PartitionOffset[] | undefined
  read(limit: number, wait: number): Promise<SentBatch>
  /** See {@link AssignedConsumer.close}. */
  close(hasStalled?: boolean): Promise<void>
}

/** One consumer, and the newest batches that it has read. */
class LiveHub {
  /** The first error of reading: there are no more batches. */
  #error: KafkaConsumeError | undefined
  /** See {@link ConsumerUse.topicIds}. */
  readonly topicIds: string | undefined
  readonly #consumer: AssignedConsumer
  readonly #spec: EncodingSpec | undefined
  readonly #indexes: ReadonlyMap<string, number>
  readonly #onEnd: () => void
  /** The batch with sequence number `#first + i` is `#kept[i]`. */
  readonly #kept: KeptBatch[] = []
  #first = 0
  #bytes = 0
  /** The next offsets to read. */
  readonly #vector: Float64Array
  readonly #readers = new Set<HubReader>()
  /** Notified when there is another batch, or none any more. */
  readonly #arrived = new Signal()
  /** Notified when a reader has taken a batch, or has left. */
  readonly #taken = new Signal()
  #isClosed = false

  constructor(
    consumer: AssignedConsumer,
    { spec, partitions, topicIds }: HubContent,
    from: Float64Array,
    onEnd: () => void,
  ) {
    this.topicIds = topicIds
    this.#consumer = consumer
    this.#spec = spec
    this.#vector = from.slice()
    this.#onEnd = onEnd
    this.#indexes = new Map(partitions.map((place, index) => [partitionKey(place), index]))
  }

  /** Begins to read, once the first reader is there. */
  start(): void {
    void this.#readOn()
  }

  /**
   * The place at which a reader of these offsets begins: the newest one that is at or below them, or
   * else the oldest one. Places before an `out-of-range` gap are for those who are there already: a
   * reader of the present offsets would be told of a gap that it does not have.
   *
   * @returns undefined where there is none.
   */
  placeFor(from: Float64Array, mayBeginElsewhere: boolean): number | undefined {
    if (this.#error || this.#isClosed) return undefined
    const fits = mayBeginElsewhere ? isAtOrBelow : isEqual
    if (fits(this.#vector, from)) return this.#end
    const oldest = this.#kept.findLastIndex(({ batch }) => batch.gaps.some(isOutOfRange)) + 1
    const index = this.#kept.findLastIndex((kept) => fits(kept.from, from))
    if (index >= oldest) return this.#first + index
    return mayBeginElsewhere ? this.#first + oldest : undefined
  }

  /** The offsets at a place. */
  at(place: number): Float64Array {
    return this.#kept[place - this.#first]?.from ?? this.#vector
  }

  attach(reader: HubReader): void {
    this.#readers.add(reader)
  }

  detach(reader: HubReader): void {
    this.#readers.delete(reader)
    this.#taken.notify()
    if (this.#readers.size === 0) this.#close()
  }

  /** Takes no further readers: its consumer may never answer again. */
  retire(): void {
    this.#onEnd()
  }

  isDropped(place: number): boolean {
    return place < this.#first
  }

  /**
   * The batch at a place.
   *
   * @returns undefined when it does not come in time.
   * @throws KafkaConsumeError when Kafka cannot be read.
   */
  async next(place: number, wait: number): Promise<SentBatch | undefined> {
    const until = performance.now() + wait
    while (place === this.#end && !this.#error && performance.now() < until) {
      await this.#arrived.next()
    }
    const kept = this.#kept[place - this.#first]
    if (kept) {
      this.#taken.notify()
      return kept.batch
    }
    if (this.#error) throw this.#error
    return undefined
  }

  get #end(): number {
    return this.#first + this.#kept.length
  }

  async #readOn(): Promise<void> {
    try {
      while (!this.#isClosed) {
        const encoding = this.#spec && { spec: this.#spec, from: this.#vector.slice() }
        this.#keep(await this.#consumer.read(READ_LIMIT, READ_WAIT_MS, encoding))
        await this.#waitForReaders()
      }
    } catch (error) {
      this.#error = asKafkaConsumeError(error)
    }
    this.#onEnd()
    this.#arrived.end()
    this.#taken.end()
    await this.#consumer.close()
  }

  #keep(read: Batch): void {
    const { records, encoded, gaps, ends } = read
    if (!encoded && records.length === 0 && gaps.length === 0 && ends.length === 0) return
    const batch = sentBatch(read)
    const bytes = OVERHEAD_BYTES + bytesOf(batch)
    this.#kept.push({ from: this.#vector.slice(), batch, bytes })
    this.#bytes += bytes
    for (const gap of gaps) this.#move(gap, gap.to)
    if (encoded) this.#vector.set(encoded.to)
    for (const record of records) this.#move(record, record.offset + 1)
    for (const end of ends) this.#moveToEnd(end)
    this.#dropRead()
    this.#arrived.notify()
  }

  /** As a live consumer moves its own cursor: batches are cut at equal positions everywhere. */
  #move(place: TopicPartition, to: number): void {
    const index = this.#indexes.get(partitionKey(place))
    if (index !== undefined) this.#vector[index] = to
  }

  #moveToEnd({ offset, ...place }: PartitionOffset): void {
    const index = this.#indexes.get(partitionKey(place))
    if (index !== undefined && offset > (this.#vector[index] as number))
      this.#vector[index] = offset
  }

  /** Waits while the slowest reader has a full buffer to read, though not for long. */
  async #waitForReaders(): Promise<void> {
    const until = performance.now() + PATIENCE_MS
    while (this.#bytes > KEPT_BYTES && !this.#isClosed && performance.now() < until) {
      await this.#taken.next()
      this.#dropRead()
    }
    this.#drop(() => this.#bytes > KEPT_BYTES)
  }

  /** Drops what exceeds the limit, as far as all readers have read it. */
  #dropRead(): void {
    const places = [...this.#readers].map(({ place }) => place)
    // A reader whose batch was dropped goes on elsewhere.
    const slowest = Math.min(...places.filter((place) => place >= this.#first))
    this.#drop(() => this.#bytes > KEPT_BYTES && this.#first < slowest)
  }

  #drop(isWanted: () => boolean): void {
    while (this.#kept.length > 1 && isWanted()) {
      this.#bytes -= (this.#kept.shift() as KeptBatch).bytes
      this.#first++
    }
  }

  #close(): void {
    this.#isClosed = true
    this.#onEnd()
    this.#arrived.notify()
  }
}

/** One thread's way through a hub. */
class HubReader implements HostedConsumer {
  readonly gaps: readonly Gap[] = []
  readonly start: readonly PartitionOffset[] | undefined
  /** The sequence number of the next batch. */
  place: number
  readonly #hubs: LiveHubs
  readonly #content: HubContent
  #hub: LiveHub
  /** The next offsets, for a hub of its own. */
  #isReading = false
  #isClosed = false
  readonly #position: Float64Array

  constructor(
    hubs: LiveHubs,
    content: HubContent,
    hub: LiveHub,
    place: number,
    asked: Float64Array,
  ) {
    this.#hubs = hubs
    this.#content = content
    this.#hub = hub
    this.place = place
    this.#position = hub.at(place).slice()
    if (!isEqual(this.#position, asked)) this.start = offsetsOf(content, this.#position)
    hub.attach(this)
  }

  async read(_limit: number, wait: number): Promise<SentBatch> {
    this.#isReading = true
    try {
      // A thread that was too slow for the others goes on by a consumer of its own.
      if (this.#hub.isDropped(this.place)) await this.#changeHub()
      const batch = await this.#hub.next(this.place, wait)
      if (!batch) return NOTHING
      this.place++
      this.#position.set(this.#hub.at(this.place))
      return batch
    } finally {
      this.#isReading = false
    }
  }

  async #changeHub(): Promise<void> {
    const from = this.#position
    const hub = await this.#hubs.open(this.#content, from)
    this.#hub.detach(this)
    this.#hub = hub
    this.place = 0
    if (this.#isClosed) hub.retire()
    hub.attach(this)
    if (this.#isClosed) hub.detach(this)
    else hub.start()
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    // A thread closes a consumer in the middle of a read when the consumer has stalled.
    if (this.#isReading) this.#hub.retire()
    this.#hub.detach(this)
  }
}

const NOTHING: SentBatch = { records: [], packed: undefined, gaps: [], ends: [] }

/** The hubs of equal consumers. */
interface EqualHubs {
  readonly hubs: Set<LiveHub>
  /** Settles when the last request for a consumer is answered: the next one may share its hub. */
  opening: Promise<unknown>
}

/** The hubs of all clusters. */
export class LiveHubs {
  readonly #ofClusters = new WeakMap<KafkaCluster, Map<string, EqualHubs>>()

  /**
   * A consumer of a hub that has the offsets, or of a new one.
   *
   * @throws KafkaConsumeError why Kafka cannot be read.
   */
  async openConsumer(
    cluster: KafkaCluster,
    from: readonly PartitionOffset[],
    { spec, mayBeginElsewhere, topicIds }: ConsumerUse,
  ): Promise<HostedConsumer> {
    const partitions = from.map(({ topic, partition }) => ({ topic, partition }))
    const content: HubContent = { cluster, partitions, spec, topicIds }
    const asked = Float64Array.from(from, ({ offset }) => offset)
    const found = this.#of(content)
    const opening = found.opening.then(async () => {
      for (const hub of found.hubs) {
        if (topicIds !== undefined && hub.topicIds !== topicIds) {
          // Its offsets may be those of a topic that has been deleted since.
          hub.retire()
          continue
        }
        const place = hub.placeFor(asked, mayBeginElsewhere)
        if (place !== undefined) return new HubReader(this, content, hub, place, asked)
      }
      const hub = await this.open(content, asked)
      const first = new HubReader(this, content, hub, 0, asked)
      hub.start()
      return first
    })
    found.opening = opening.catch(() => undefined)
    return opening
  }

  /** A new hub, which the caller attaches its reader to and starts. */
  async open(content: HubContent, from: Float64Array): Promise<LiveHub> {
    const { cluster, spec } = content
    const use = { spec, mayBeginElsewhere: false }
    const consumer = await cluster.openConsumer(offsetsOf(content, from), 'live', use)
    const { hubs } = this.#of(content)
    const hub: LiveHub = new LiveHub(consumer, content, from, () => hubs.delete(hub))
    hubs.add(hub)
    return hub
  }

  #of({ cluster, partitions, spec }: HubContent): EqualHubs {
    const equal = this.#ofClusters.get(cluster) ?? new Map<string, EqualHubs>()
    this.#ofClusters.set(cluster, equal)
    const key = JSON.stringify(spec ?? partitions)
    const found = equal.get(key) ?? { hubs: new Set(), opening: Promise.resolve() }
    equal.set(key, found)
    return found
  }
}

function offsetsOf({ partitions }: HubContent, vector: Float64Array): PartitionOffset[] {
  return partitions.map(({ topic, partition }, index) => {
    return { topic, partition, offset: vector[index] as number }
  })
}

/** The memory of a batch, more or less. */
function bytesOf({ packed, records }: SentBatch): number {
  if (packed) return packed.buffer.byteLength
  return records.reduce((sum, { key, value, headers = [] }) => {
    const ofHeaders = headers.flatMap((header) => Object.values(header))
    const parts = [key, value, ...ofHeaders]
    return parts.reduce((bytes, part) => bytes + (part?.length ?? 0), sum + RECORD_BYTES)
  }, 0)
}

function isOutOfRange({ reason }: Gap): boolean {
  return reason === 'out-of-range'
}

function isAtOrBelow(vector: Float64Array, other: Float64Array): boolean {
  return vector.every((offset, index) => offset <= (other[index] as number))
}

function isEqual(vector: Float64Array, other: Float64Array): boolean {
  return vector.every((offset, index) => offset === other[index])
}
