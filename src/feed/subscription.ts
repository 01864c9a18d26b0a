import { getLogger } from '@logtape/logtape'
import { partitionKey } from '../core/topic-partition.ts'
import { filterTurns } from '../core/turn-queue.ts'
import type { AssignedConsumer, Batch, Gap } from '../port/kafka.ts'
import { Cursor, type PartitionTable } from '../records/cursor.ts'
import type { MessageDeserializer } from '../records/encode.ts'
import { EncodedBatch } from '../records/encoded-batch.ts'
import type { Filter } from '../records/filter.ts'
import type { ProcessedRecord } from '../records/pipeline.ts'
import type { RecordProcessor } from '../records/record-processor.ts'
import type { CatchUpPool, SuspendedRead } from './catch-up-pool.ts'
import { FilterPass } from './filter-pass.ts'
import { type Handover, isAtOrBelow, type LiveConsumer, type RingReader } from './live-consumer.ts'

/** Records per read of a replay, and how long such a read waits for a first one. */
const REPLAY_LIMIT = 1_000
const REPLAY_WAIT_MS = 100
/** How long a replay may bring nothing before it goes on with another consumer. */
const REPLAY_STALL_MS = 20_000

const NONE: ReadonlySet<string> = new Set()
const NOTHING: Batch = { records: [], gaps: [], ends: [] }

const log = getLogger(['hono-kafka-consume', 'replay'])

/** Whole frames of one batch, or a gap to announce before what follows. */
export type SubscriptionPart =
  | { readonly batch: EncodedBatch; readonly begin: number; readonly end: number }
  | { readonly gap: Gap; readonly cursor: string }

/** How much of a batch to take at once. */
export interface PartLimits {
  readonly records: number
  /** Bytes of frames; a first record is taken whatever its size. */
  readonly bytes: number
}

/** How long a reader looks for records that its filter lets pass. */
export interface SearchLimits {
  /** Milliseconds that the filter may take in all, for all that the subscription has read. */
  readonly filterTime: number
  /** In `performance.now()`'s time. */
  readonly until: number
}

const UNLIMITED: SearchLimits = { filterTime: Infinity, until: Infinity }

/** A stream that is told when its subscription may have something for it. */
export interface SubscriptionListener {
  /** There may be more to take, or there will be no more. */
  onRecords(): void
}

/** Records that were read and are yet to be taken. */
interface Rest {
  readonly batch: EncodedBatch
  /** The index of the first of them. */
  readonly begin: number
  /** Whether the end of the batch lies behind offsets without a record, too. */
  endsBeyond?: boolean
}

/** What a subscription is made of. */
export interface SubscriptionSetup {
  readonly tail: LiveConsumer
  readonly replays: CatchUpPool
  /** Where reading begins. */
  readonly vector: Float64Array
  /** False for a cursor beyond the end: Kafka is to say where it goes on, and what the gap is. */
  readonly isCertain: boolean
  readonly deserializer: MessageDeserializer
  /** Absent: records are encoded as they are. */
  readonly preparation?: RecordProcessor | undefined
  /** Made for the partitions that there are; it may refuse one that does not exist. */
  readonly filter: (table: PartitionTable) => Filter | undefined
  /** Called once, when a subscription that was opened is closed. */
  readonly onClose: () => void
}

/**
 * One reader's way through the topics, from its cursor on: in the tail's ring where the ring goes
 * back far enough, otherwise with a consumer of its own until it has caught up with the ring.
 *
 * Hand-over: the reader goes on at the newest batch that begins at or below its cursor in all
 * partitions, skipping what is below the cursor. Until the batches have caught up with the cursor
 * in every partition, frames get the reader's own ids, since the shared ones name positions that
 * it has already left behind; from then on the shared bytes serve it as they are.
 *
 * Where a tail is succeeded by another one, for other partitions, the reader takes what is left in
 * its ring and goes over at its end. Partitions that are new to it are read from their beginning.
 */
export class Subscription implements RingReader, SuspendedRead {
  #cursor: Cursor
  #tail: LiveConsumer
  readonly #replays: CatchUpPool
  readonly #deserializer: MessageDeserializer
  readonly #preparation: RecordProcessor | undefined
  readonly #makeFilter: (table: PartitionTable) => Filter | undefined
  #filter: FilterPass | undefined
  /** The next batch in the ring, while the reader is in it. */
  #sequence: number | undefined
  /** Whether the cursor is exactly where the batch at `#sequence` begins. */
  #isInStep = false
  #reader: AssignedConsumer | undefined
  /** When a replay last brought something, in `performance.now()`'s time. */
  #brought = 0
  /** Partitions, as `topic:partition`, whose offsets began anew in a replay. */
  #restarted: Set<string> | undefined
  /** Whether it left the ring by {@link pause}. */
  #paused = false
  /** Whether its catch-up read is suspended by {@link pause}. */
  #isSuspended = false
  /** What was read and is not taken yet. */
  #rest: Rest | undefined
  #isBeyond = false
  /** The state of the tail when the cursor was last moved to its head. */
  #followed: object | undefined
  readonly #gaps: Gap[] = []
  readonly #onClose: () => void
  #listener: SubscriptionListener | undefined
  /** Ends the wait that goes on. */
  #waking: (() => void) | undefined
  #timer: ReturnType<typeof setTimeout> | undefined
  #stopped = false
  /** Made when something is to be told of the stop: most readers never need it. */
  #stopping: AbortController | undefined
  #isOpen = false
  #closed = false

  constructor(setup: SubscriptionSetup) {
    this.#tail = setup.tail
    this.#replays = setup.replays
    this.#cursor = new Cursor(setup.tail.table, setup.vector)
    this.#deserializer = setup.deserializer
    this.#preparation = setup.preparation
    this.#makeFilter = setup.filter
    this.#filter = passOf(setup.filter(setup.tail.table))
    this.#onClose = setup.onClose
    if (setup.isCertain) this.#enterRing()
  }

  /** Where it is; another object when the partitions have changed. */
  get cursor(): Cursor {
    return this.#cursor
  }

  /** Whether there is nothing to take just now: the reader is at the end of the ring. */
  get isAtEnd(): boolean {
    return (
      this.#rest === undefined &&
      !this.isFiltering &&
      this.#gaps.length === 0 &&
      this.#sequence === this.#tail.end &&
      !this.#tail.handover &&
      !this.#tail.failure
    )
  }

  /**
   * Whether the cursor lies behind offsets without a record, as a transaction's control records,
   * that no frame since has named: a client that resumed by the last frame would be told of a gap
   * once Kafka deletes them.
   */
  get isBeyondFrames(): boolean {
    const sequence = this.#sequence
    if (sequence !== undefined && this.isAtEnd) this.#followHead(sequence)
    return this.#isBeyond
  }

  /** The client was told of the cursor. */
  cursorTold(): void {
    this.#isBeyond = false
  }

  /** See {@link LiveConsumer.version}; undefined while it does not read from the ring. */
  get version(): object | undefined {
    return this.#sequence === undefined ? undefined : this.#tail.version
  }

  /** Whether its filter is to go on in its turn, before {@link take} can have more. */
  get isFiltering(): boolean {
    return this.#filter?.batch !== undefined
  }

  /** Whether it has looked long enough for records that its filter lets pass. */
  hasSpent({ filterTime, until }: SearchLimits): boolean {
    if (!this.#filter) return false
    return this.#filter.time >= filterTime || performance.now() >= until
  }

  /** Whether somebody else can go on from here: in the middle of a replay of all that there is. */
  get isResumable(): boolean {
    return this.#reader !== undefined && !this.#filter && !this.#stopped && !this.hasGaps
  }

  /** Whether it is at just this place, on its way to this tail. */
  isAt(tail: LiveConsumer, vector: Float64Array): boolean {
    return this.#tail === tail && this.cursor.vector.every((offset, i) => offset === vector[i])
  }

  /** Whether gaps are to be announced before anything else: the cursor lies behind them already. */
  get hasGaps(): boolean {
    return this.#gaps.length > 0
  }

  /** The ends of all partitions, as far as the tail has seen them. */
  get ends(): Float64Array {
    return this.#tail.head.map((offset, index) =>
      Math.max(offset, this.cursor.vector[index] as number),
    )
  }

  /** Bytes of the next frame, if it is at hand; otherwise 0. */
  get nextBytes(): number {
    if (!this.#rest) return 0
    const { batch, begin } = this.#rest
    return batch.eventBytes(begin, begin + 1)
  }

  /** Opens a consumer now if the reader will need one, so that a refusal can still be an HTTP status. */
  async open(): Promise<void> {
    if (this.#sequence === undefined) await this.#openReplay(false)
    this.#isOpen = true
  }

  /**
   * Takes the next frames, or undefined when none are at hand; then {@link wait} tells when to ask again.
   * The cursor moves behind what was taken.
   *
   * @throws KafkaConsumeError when Kafka cannot be read.
   */
  async next(limits: PartLimits): Promise<SubscriptionPart | undefined> {
    return (await this.fill(limits.records)) ? this.#takeReady(limits) : undefined
  }

  /** The same without asking Kafka: what the ring has, which is all that readers at its end need. */
  take(limits: PartLimits): SubscriptionPart | undefined {
    this.#resume()
    return this.#isReady() ? this.#takeReady(limits) : undefined
  }

  /**
   * Gets the next frames ready without taking them.
   *
   * @param records How many are wanted at most.
   * @param search How long to look for them. The cursor has moved over all that was looked at.
   * @returns false when there are none at hand.
   * @throws KafkaConsumeError when Kafka cannot be read.
   */
  async fill(records: number, search = UNLIMITED): Promise<boolean> {
    this.#resume()
    while (!this.#stopped) {
      if (this.#isReady()) return true
      if (this.hasSpent(search)) return false
      if (this.isFiltering) {
        await filterTurns.whenDone(() => this.#isReady())
        continue
      }
      const { handover, failure } = this.#tail
      if (this.#sequence === undefined) {
        if (failure) throw failure
        if (handover) {
          this.#followHandover(handover, this.#restarted ?? NONE)
          continue
        }
        const paused = this.#paused
        this.#paused = false
        if (this.#enterRing()) continue
        if (paused) this.#replays.countFallenBehind()
        if (!(await this.#readReplay(records))) return false
      } else if (this.#tail.isGone(this.#sequence)) {
        this.#leaveRing()
        this.#replays.countFallenBehind()
      } else {
        if (failure) throw failure
        if (!handover) return false
        this.#skip(this.#gapsAt(this.#sequence))
        this.#leaveRing()
        this.#followHandover(handover, handover.entered)
      }
    }
    return false
  }

  /** Whether something is to be taken; the ring is read for that, as far as the filter has its turn. */
  #isReady(): boolean {
    while (!this.#stopped) {
      if (this.#gaps.length > 0 || this.#rest) return true
      if (this.#filter?.batch) {
        if (filterTurns.isOver) return false
        this.#advance(this.#filter, this.#filter.batch)
        continue
      }
      if (this.#sequence === undefined || this.#tail.isGone(this.#sequence)) return false
      if (!this.#readRing(this.#sequence)) return false
    }
    return false
  }

  #takeReady(limits: PartLimits): SubscriptionPart | undefined {
    const gap = this.#gaps.shift()
    if (gap) return { gap, cursor: this.cursor.toString() }
    return this.#rest && this.#takeFrom(this.#rest, limits)
  }

  /** Tells a listener of new records from now on, in place of {@link wait}. */
  listen(listener: SubscriptionListener): void {
    this.#listener = listener
  }

  /**
   * Resolves when {@link next} may have something.
   *
   * @param milliseconds After which it resolves at the latest.
   */
  wait(milliseconds: number): Promise<void> {
    if (this.#stopped || !this.isAtEnd) return Promise.resolve()
    return new Promise((resolve) => {
      this.#waking = resolve
      this.#timer = setTimeout(() => this.wake(), milliseconds)
    })
  }

  /**
   * Keeps the cursor, and lets go of whatever others may need: a client that takes nothing for a
   * while is not to hold on to records that the ring buffer drops, nor to hold up the live consumer,
   * nor to keep others from a catch-up read. It goes on with the next call of {@link take} or
   * {@link fill}. Not to be called while {@link fill} goes on.
   */
  pause(): void {
    if (this.#closed) return
    if (this.#sequence !== undefined) {
      this.#rest = undefined
      this.#filter?.stop()
      this.#paused = true
      this.#leaveRing()
    } else if (this.#reader && !this.#isSuspended) {
      this.#isSuspended = true
      this.#replays.suspend(this)
    }
  }

  giveWay(): void {
    this.#isSuspended = false
    // Records that were read and not taken are read again, from the cursor.
    this.#rest = undefined
    this.#filter?.stop()
    this.#dropReplay()
  }

  #resume(): void {
    if (!this.#isSuspended) return
    this.#isSuspended = false
    this.#replays.resume(this)
  }

  /** Nobody wants more: ends a wait, for records or for a place among the replays, now. */
  stop(): void {
    this.#stopped = true
    this.#stopping?.abort()
    this.wake()
  }

  /** Tells the listener, or ends a {@link wait}. */
  wake(): void {
    this.#listener?.onRecords()
    const resolve = this.#waking
    if (!resolve) return
    this.#waking = undefined
    if (this.#timer !== undefined) clearTimeout(this.#timer)
    this.#timer = undefined
    resolve()
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#resume()
    this.stop()
    this.#leaveRing()
    await this.#closeReplay()
    if (this.#isOpen) this.#onClose()
  }

  get #signal(): AbortSignal {
    this.#stopping ??= new AbortController()
    if (this.#stopped) this.#stopping.abort()
    return this.#stopping.signal
  }

  #takeFrom(rest: Rest, limits: PartLimits): SubscriptionPart {
    const { batch, begin, endsBeyond = false } = rest
    const last = batch.length
    let end = Math.min(last, begin + limits.records)
    while (end > begin + 1 && batch.eventBytes(begin, end) > limits.bytes) {
      end = Math.max(begin + 1, end - Math.ceil((end - begin) / 8))
    }
    this.#isBeyond = false
    if (end === last) {
      this.cursor.moveTo(batch.to)
      this.#rest = undefined
      this.#isBeyond = endsBeyond
    } else {
      for (let i = begin; i < end; i++) {
        this.cursor.set(batch.partitions[i] as number, (batch.offsets[i] as number) + 1)
      }
      this.#rest = { ...rest, begin: end }
    }
    return { batch, begin, end }
  }

  #enterRing(): boolean {
    const sequence = this.#tail.locate(this.cursor.vector)
    if (sequence === undefined) return false
    this.#sequence = sequence
    this.#isInStep = false
    this.#tail.attach(this)
    // Nobody waits for what the replay had ready beyond this point.
    this.#dropReplay()
    return true
  }

  /**
   * To the tail that goes on, at the same place.
   *
   * @param entered Which of the topics created anew the cursor is in already, by partition.
   */
  #followHandover({ tail, anew }: Handover, entered: ReadonlySet<string>): void {
    this.#dropReplay()
    const vector = tail.begin.slice()
    this.#cursor.table.partitions.forEach(({ topic, partition }, index) => {
      const next = tail.table.indexOf(topic, partition)
      if (next >= 0) vector[next] = this.#cursor.vector[index] as number
    })
    for (const { topic, partition, offset } of anew) {
      if (entered.has(partitionKey({ topic, partition }))) continue
      const index = tail.table.indexOf(topic, partition)
      const isNew = this.#cursor.table.indexOf(topic, partition) < 0
      const from = vector[index] as number
      vector[index] = offset
      if (isNew || from === offset) continue
      this.#gaps.push({ topic, partition, from, to: offset, reason: 'out-of-range' })
    }
    this.#tail = tail
    this.#cursor = new Cursor(tail.table, vector)
    this.#filter = passOf(this.#makeFilter(tail.table))
    this.#restarted = undefined
  }

  #leaveRing(): void {
    if (this.#sequence === undefined) return
    this.#sequence = undefined
    this.#tail.detach(this)
  }

  /** @returns false when the reader has reached the end of the ring. */
  #readRing(sequence: number): boolean {
    const batch = this.#tail.batch(sequence)
    if (!batch) {
      this.#tail.passed(sequence)
      this.#followHead(sequence)
      return false
    }
    this.#skip(this.#gapsAt(sequence))
    this.#sequence = sequence + 1
    this.#tail.passed(sequence + 1)
    this.#isInStep ||= isAtOrBelow(this.cursor.vector, batch.from)
    if (this.#isInStep && !this.#filter) {
      this.#rest = { batch, begin: 0 }
    } else {
      this.#select(batch)
    }
    return true
  }

  /** What was lost before a batch, as far as it concerns this reader. */
  #gapsAt(sequence: number): readonly Gap[] {
    return this.#tail.gapsBefore(sequence).filter(({ topic, partition, to, reason }) => {
      const index = this.cursor.table.indexOf(topic, partition)
      return reason === 'out-of-range' || to > (this.cursor.vector[index] as number)
    })
  }

  /** At the end of the ring the cursor moves with the tail, past offsets that no frame was made of. */
  #followHead(sequence: number): void {
    const { version, isBeyondBatches, head } = this.#tail
    if (version === this.#followed) return
    // A gap there is announced before what follows it.
    if (!isBeyondBatches || this.#tail.gapsBefore(sequence).length > 0) return
    this.#followed = version
    head.forEach((offset, index) => {
      if (offset <= (this.cursor.vector[index] as number)) return
      this.cursor.set(index, offset)
      this.#isBeyond = true
    })
  }

  /** What of a batch this reader is to get. */
  #select(batch: EncodedBatch): void {
    if (this.#filter) {
      this.#filter.start(batch)
      return
    }
    // The cursor itself moves when the frames are taken, not when they are made ready.
    const ahead = new Cursor(this.cursor.table, this.cursor.vector)
    const selected = batch.select(0, ahead)
    if (selected.length > 0) this.#rest = { batch: selected, begin: 0 }
    else this.cursor.moveTo(selected.to)
  }

  /** Lets the filter go on, as far as its turn goes. */
  #advance(pass: FilterPass, batch: EncodedBatch): void {
    const isFound = pass.advance(this.cursor.vector)
    const isPassed = pass.isThrough && this.#isInStep
    if (isFound) {
      const ahead = new Cursor(this.cursor.table, this.cursor.vector)
      const selected = pass.select(ahead)
      if (isPassed) selected.to.set(batch.to)
      this.#rest = { batch: selected, begin: 0, endsBeyond: isPassed && pass.endsBeyond }
    } else if (isPassed) {
      // Most of what comes is for others: a cursor that is in step goes by it as it is.
      this.cursor.moveTo(batch.to)
      this.#isBeyond ||= pass.endsBeyond
    } else {
      pass.select(this.cursor)
    }
    if (pass.isThrough) pass.stop()
  }

  /** @returns false when Kafka had nothing at hand. */
  async #readReplay(limit: number): Promise<boolean> {
    if (!this.#reader) {
      try {
        await this.#openReplay(true)
      } catch (error) {
        if (!this.#stopped) throw error
      }
      return true
    }
    const { records, encoded, gaps, ends } = await this.#readFrom(this.#reader, limit)
    for (const { topic, partition, reason } of gaps) {
      if (reason !== 'out-of-range') continue
      this.#restarted ??= new Set()
      this.#restarted.add(partitionKey({ topic, partition }))
    }
    const prepared =
      this.#preparation && records.length > 0
        ? await this.#preparation.insist(records, this.#signal, false)
        : records
    if (this.#closed || !prepared) return false
    this.#skip(gaps)
    const batch = encoded
      ? new EncodedBatch(this.cursor.table, encoded)
      : prepared.length > 0
        ? this.#encode(prepared)
        : undefined
    // A partition's end lies behind what was read of it: only when that is taken does it count.
    const base = batch ? batch.to : this.cursor.vector
    let endsBeyond = false
    for (const { topic, partition, offset } of ends) {
      const index = this.cursor.table.indexOf(topic, partition)
      if (index < 0 || offset <= (base[index] as number)) continue
      if (batch) {
        batch.to[index] = offset
        endsBeyond = true
      } else {
        this.cursor.set(index, offset)
        this.#isBeyond = true
      }
    }
    if (batch) this.#ready(batch, endsBeyond)
    return encoded !== undefined || records.length > 0 || gaps.length > 0 || ends.length > 0
  }

  /** Reads from a replay, and gives it up when it has brought nothing for too long. */
  async #readFrom(reader: AssignedConsumer, limit: number): Promise<Batch> {
    const left = this.#brought + REPLAY_STALL_MS - performance.now()
    let timer: ReturnType<typeof setTimeout> | undefined
    const stalled = new Promise<Batch>((resolve) => {
      timer = setTimeout(() => resolve(NOTHING), left)
    })
    // Records that are to be prepared come as they are.
    const frames = this.#preparation
      ? undefined
      : EncodedBatch.encodingRequest(this.cursor, this.#deserializer)
    const reading = reader.read(Math.min(REPLAY_LIMIT, limit), REPLAY_WAIT_MS, frames)
    const batch = await Promise.race([reading, stalled]).finally(() => clearTimeout(timer))
    const now = performance.now()
    const isEmpty = batch.records.length + batch.gaps.length + batch.ends.length === 0
    if (batch.encoded || !isEmpty) this.#brought = now
    // By the clock a timer may come a moment early: a read that goes on is never passed over.
    else if ((batch === NOTHING || now - this.#brought >= REPLAY_STALL_MS) && !this.#closed) {
      log.warn('A replay brought nothing for {seconds} s: going on with another consumer', {
        seconds: REPLAY_STALL_MS / 1_000,
      })
      this.#replays.countReplaced()
      this.#dropReplay()
    }
    return batch
  }

  #skip(gaps: readonly Gap[]): void {
    for (const gap of gaps) {
      this.#gaps.push(gap)
      const index = this.cursor.table.indexOf(gap.topic, gap.partition)
      if (index >= 0) this.cursor.set(index, gap.to)
    }
  }

  #encode(records: readonly ProcessedRecord[]): EncodedBatch {
    const ahead = new Cursor(this.cursor.table, this.cursor.vector)
    return EncodedBatch.encode(records, ahead, this.#deserializer)
  }

  /**
   * What a replay has read, from just where the cursor is.
   *
   * @param endsBeyond Whether the end of the batch lies behind offsets without a record, too.
   */
  #ready(batch: EncodedBatch, endsBeyond: boolean): void {
    this.#isInStep = true
    if (batch.length === 0) {
      this.cursor.moveTo(batch.to)
      this.#isBeyond ||= endsBeyond
    } else if (this.#filter) {
      this.#filter.start(batch, endsBeyond)
    } else {
      this.#rest = { batch, begin: 0, endsBeyond }
    }
  }

  async #openReplay(patient: boolean): Promise<AssignedConsumer> {
    const offsets = this.cursor.table.offsets(this.cursor.vector)
    const reader = await this.#replays.open(offsets, patient, this.#signal)
    this.#reader = reader
    this.#brought = performance.now()
    this.#skip(reader.gaps)
    if (this.#closed) await this.#closeReplay()
    return reader
  }

  /** Closes the consumer, and waits for nothing: a client gets its records all the same. */
  #dropReplay(): void {
    this.#closeReplay().catch((error: unknown) => {
      log.warn('Cannot close a consumer: {error}', { error })
    })
  }

  async #closeReplay(): Promise<void> {
    const reader = this.#reader
    this.#reader = undefined
    await reader?.close()
  }
}

function passOf(filter: Filter | undefined): FilterPass | undefined {
  return filter && new FilterPass(filter)
}
