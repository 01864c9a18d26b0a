/** Live consumers that several threads share: each batch is read and encoded once for all of them. */
import { asKafkaConsumeError, type KafkaConsumeError } from '../core/errors.ts'
import { Signal } from '../core/signal.ts'
import type { EncodingSpec } from '../port/encoding.ts'
import type { AssignedConsumer, Batch, Gap, KafkaCluster, PartitionOffset } from '../port/kafka.ts'
import { packRecords } from './packed-records.ts'
import type { SentBatch } from './remote-kafka.ts'

/** Records of one read, and milliseconds to wait for a first one: those of a live consumer. */
const READ_LIMIT = 1_000
const READ_WAIT_MS = 250
/** Bytes of batches that are kept for threads that have yet to read them, or to begin with them. */
const KEPT_BYTES = 8 * 1024 * 1024
/** Bytes that each batch counts beside its records. */
const OVERHEAD_BYTES = 512
/** Milliseconds that reading waits for the slowest thread. */
const PATIENCE_MS = 1_000

/** A batch that was read, and the position before it. */
interface KeptBatch {
  readonly from: Float64Array
  readonly batch: SentBatch
  readonly bytes: number
}

/** A consumer of another thread, or of one that is shared with it. */
export interface HostedConsumer {
  readonly gaps: readonly Gap[]
  readonly start?: readonly PartitionOffset[] | undefined
  read(limit: number, wait: number): Promise<SentBatch>
  close(): Promise<void>
}

/** One consumer, and the newest batches that it has read. */
class LiveHub {
  /** The first error of reading: there are no more batches. */
  #error: KafkaConsumeError | undefined
  readonly #consumer: AssignedConsumer
  readonly #spec: EncodingSpec
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
    spec: EncodingSpec,
    from: Float64Array,
    onEnd: () => void,
  ) {
    this.#consumer = consumer
    this.#spec = spec
    this.#vector = from.slice()
    this.#onEnd = onEnd
    this.#indexes = new Map(
      spec.partitions.map(({ topic, partition }, index) => [keyOf(topic, partition), index]),
    )
  }

  /** Begins to read, once the first reader is there. */
  start(): void {
    void this.#readOn()
  }

  /**
   * The place at which a reader of these offsets begins: the newest one that is at or below them, or
   * else the oldest one.
   *
   * @returns undefined where there is none.
   */
  placeFor(from: Float64Array, mayBeginElsewhere: boolean): number | undefined {
    if (this.#error || this.#isClosed) return undefined
    const fits = mayBeginElsewhere ? isAtOrBelow : isEqual
    if (fits(this.#vector, from)) return this.#end
    const index = this.#kept.findLastIndex((kept) => fits(kept.from, from))
    if (index >= 0) return this.#first + index
    return mayBeginElsewhere ? this.#first : undefined
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
        const encoding = { spec: this.#spec, from: this.#vector.slice() }
        this.#keep(await this.#consumer.read(READ_LIMIT, READ_WAIT_MS, encoding))
        await this.#waitForReaders()
      }
    } catch (error) {
      this.#error = asKafkaConsumeError(error)
    }
    this.#onEnd()
    this.#arrived.end()
    this.#taken.end()
    await this.#consumer.close().catch(() => undefined)
  }

  #keep({ encoded, gaps, ends }: Batch): void {
    if (!encoded && gaps.length === 0 && ends.length === 0) return
    const packed = encoded && packRecords(encoded)
    const bytes = OVERHEAD_BYTES + (packed?.buffer.byteLength ?? 0)
    const from = this.#vector.slice()
    this.#kept.push({ from, batch: { records: [], packed, gaps, ends }, bytes })
    this.#bytes += bytes
    for (const { topic, partition, to } of gaps) this.#move(topic, partition, to)
    if (encoded) this.#vector.set(encoded.to)
    for (const { topic, partition, offset } of ends) this.#moveToEnd(topic, partition, offset)
    this.#dropRead()
    this.#arrived.notify()
  }

  /** As a live consumer moves its own cursor: batches are cut at equal positions everywhere. */
  #move(topic: string, partition: number, to: number): void {
    const index = this.#indexes.get(keyOf(topic, partition))
    if (index !== undefined) this.#vector[index] = to
  }

  #moveToEnd(topic: string, partition: number, offset: number): void {
    const index = this.#indexes.get(keyOf(topic, partition))
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
  readonly #cluster: KafkaCluster
  readonly #spec: EncodingSpec
  #hub: LiveHub
  /** The next offsets, for a hub of its own. */
  #isReading = false
  #isClosed = false
  readonly #position: Float64Array

  constructor(
    hubs: LiveHubs,
    cluster: KafkaCluster,
    spec: EncodingSpec,
    hub: LiveHub,
    place: number,
    asked: Float64Array,
  ) {
    this.#hubs = hubs
    this.#cluster = cluster
    this.#spec = spec
    this.#hub = hub
    this.place = place
    this.#position = hub.at(place).slice()
    if (!isEqual(this.#position, asked)) this.start = offsetsOf(spec, this.#position)
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
    const hub = await this.#hubs.open(this.#cluster, this.#spec, from)
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
interface HubsOfSpec {
  readonly hubs: Set<LiveHub>
  /** Settles when the last request for a consumer is answered: the next one may share its hub. */
  opening: Promise<unknown>
}

/** The hubs of all clusters. */
export class LiveHubs {
  readonly #bySpec = new WeakMap<KafkaCluster, Map<string, HubsOfSpec>>()

  /**
   * A consumer of a hub that has the offsets, or of a new one.
   *
   * @throws KafkaConsumeError why Kafka cannot be read.
   */
  async openConsumer(
    cluster: KafkaCluster,
    from: readonly PartitionOffset[],
    spec: EncodingSpec,
    mayBeginElsewhere: boolean,
  ): Promise<HostedConsumer> {
    const asked = Float64Array.from(from, ({ offset }) => offset)
    const found = this.#of(cluster, spec)
    const opening = found.opening.then(async () => {
      const reader = (hub: LiveHub, place: number) =>
        new HubReader(this, cluster, spec, hub, place, asked)
      for (const hub of found.hubs) {
        const place = hub.placeFor(asked, mayBeginElsewhere)
        if (place !== undefined) return reader(hub, place)
      }
      const hub = await this.open(cluster, spec, asked)
      const first = reader(hub, 0)
      hub.start()
      return first
    })
    found.opening = opening.catch(() => undefined)
    return opening
  }

  /** A new hub, which the caller attaches its reader to and starts. */
  async open(cluster: KafkaCluster, spec: EncodingSpec, from: Float64Array): Promise<LiveHub> {
    const use = { spec, mayBeginElsewhere: false }
    const consumer = await cluster.openConsumer(offsetsOf(spec, from), 'live', use)
    const { hubs } = this.#of(cluster, spec)
    const hub: LiveHub = new LiveHub(consumer, spec, from, () => hubs.delete(hub))
    hubs.add(hub)
    return hub
  }

  #of(cluster: KafkaCluster, spec: EncodingSpec): HubsOfSpec {
    const bySpec = this.#bySpec.get(cluster) ?? new Map<string, HubsOfSpec>()
    this.#bySpec.set(cluster, bySpec)
    const key = JSON.stringify(spec)
    const found = bySpec.get(key) ?? { hubs: new Set(), opening: Promise.resolve() }
    bySpec.set(key, found)
    return found
  }
}

function offsetsOf({ partitions }: EncodingSpec, vector: Float64Array): PartitionOffset[] {
  return partitions.map(({ topic, partition }, index) => {
    return { topic, partition, offset: vector[index] as number }
  })
}

function keyOf(topic: string, partition: number): string {
  return `${topic}:${partition}`
}

function isAtOrBelow(vector: Float64Array, other: Float64Array): boolean {
  return vector.every((offset, index) => offset <= (other[index] as number))
}

function isEqual(vector: Float64Array, other: Float64Array): boolean {
  return vector.every((offset, index) => offset === other[index])
}
