import { hasStalled, stalledError } from '../../feed/stalled-read.ts'
import type { Subscription } from '../../feed/subscription.ts'
import type { Gap, RecordLimits } from '../../port/kafka.ts'
import { type AnswerMemory, tooManyAnswers } from '../response/answer-budget.ts'
import type { Slice } from '../response/body.ts'

/** Milliseconds that the filter of one request may take: the next page continues with the rest. */
const FILTER_TIME_MS = 1_000

/**
 * Milliseconds after its first records in which a search for records that pass a filter ends with those
 * found. To read them, or to deserialize them, may take longer than the filter itself.
 */
const SEARCH_MS = 2_500
/** Milliseconds after which a search asks whether it is to end. */
const SEARCH_STEP_MS = 250

/** The result of one read from a position. */
export interface PositionRead {
  readonly slices: readonly Slice[]
  readonly gaps: readonly Gap[]
  /** Whether a limit or the end was reached, so that more records would not have changed the read. */
  readonly isFull: boolean
}

/** How much one read may bring, and how long it may take. */
export interface PositionLimits extends RecordLimits {
  /** Milliseconds that the filter may take. Default: 1000. */
  readonly filterTime?: number
}

/**
 * Reads until a limit is reached or no more records are available, and waits for a first record as
 * long as the limits allow. The next read continues at the subscription's cursor. A slow filter ends
 * the read early, perhaps without a record; the cursor is then where the filter stopped.
 *
 * @param memory Counts the bytes of the records; the caller releases it. Default: they are not counted.
 * @param onWait Called when the read begins to wait for new records.
 * @throws KafkaConsumeError when Kafka cannot be read, or there is no memory for a first record.
 */
export async function readFromPosition(
  subscription: Subscription,
  limits: PositionLimits,
  signal: AbortSignal,
  memory?: AnswerMemory,
  onWait: () => void = () => {},
): Promise<PositionRead> {
  const read = new BoundedRead(subscription, limits, memory, onWait)
  const stop = () => subscription.stop()
  signal.addEventListener('abort', stop)
  try {
    let goesOn = true
    while (goesOn && !signal.aborted) goesOn = await read.step()
  } catch (error) {
    // Stopped, so that no later read continues with a failed subscription.
    subscription.stop()
    throw error
  } finally {
    signal.removeEventListener('abort', stop)
  }
  return read
}

/** A read in progress, and what its limits still allow. */
class BoundedRead implements PositionRead {
  readonly slices: Slice[] = []
  readonly gaps: Gap[] = []
  isFull = false
  readonly #onWait: () => void
  readonly #subscription: Subscription
  readonly #memory: AnswerMemory | undefined
  #records: number
  #bytes: number
  /** When the wait for a first record ends, in `performance.now()`'s time. */
  readonly #until: number
  readonly #filterTime: number
  /** When a search ends, in `performance.now()`'s time; infinite before the first records. */
  #searchUntil = Infinity
  readonly #startOffsets: Float64Array

  constructor(
    subscription: Subscription,
    limits: PositionLimits,
    memory: AnswerMemory | undefined,
    onWait: () => void,
  ) {
    this.#onWait = onWait
    this.#subscription = subscription
    this.#memory = memory
    this.#records = limits.maxRecords
    this.#bytes = limits.maxBytes
    this.#until = performance.now() + limits.timeout
    this.#filterTime = limits.filterTime ?? FILTER_TIME_MS
    this.#startOffsets = subscription.cursor.vector.slice()
  }

  /**
   * Takes a part that is available, or waits for one.
   *
   * @returns Whether the read goes on.
   */
  async step(): Promise<boolean> {
    if (this.#records <= 0 || this.#bytes <= 0 || this.#subscription.hasEnded) return this.#end()
    const now = performance.now()
    const until = Math.min(now + SEARCH_STEP_MS, this.#searchUntil)
    const search = { filterTime: this.#filterTime, until }
    const isReady = await this.#subscription.fill(this.#records, search)
    if (this.#hasMoved()) this.#searchUntil = Math.min(this.#searchUntil, now + SEARCH_MS)
    // A first record passes whatever its size; a further one must fit.
    if (this.slices.length > 0 && this.#subscription.nextBytes > this.#bytes) return this.#end()
    if (isReady) return this.#take()
    if (this.#subscription.hasEnded) return this.#end()
    if (this.#isComplete()) return false
    if (this.#subscription.isAtEnd) this.#onWait()
    await this.#subscription.wait(this.#until - performance.now())
    return true
  }

  #end(): false {
    this.isFull = true
    return false
  }

  /** @throws KafkaConsumeError KAFKA_TIMEOUT when Kafka has stalled before a first record. */
  #isComplete(): boolean {
    const { isAtEnd } = this.#subscription
    const hasRecords = this.slices.length > 0
    if (isAtEnd && hasRecords) return true
    const until = isAtEnd ? Infinity : this.#searchUntil
    const hasSpent = this.#subscription.hasSpent({ filterTime: this.#filterTime, until })
    if (hasSpent && this.#hasMoved()) return true
    const left = this.#until - performance.now()
    if (isAtEnd && left <= 0) return true
    // Before the end there are records to come: the timeout for a first record does not apply.
    if (!hasStalled(this.#until)) return false
    if (hasRecords) return true
    throw stalledError()
  }

  #hasMoved(): boolean {
    return this.#subscription.cursor.vector.some((offset, i) => offset !== this.#startOffsets[i])
  }

  #take(): boolean {
    const memory = this.#memory
    const room = memory ? memory.claim(this.#bytes, this.#subscription.nextBytes) : this.#bytes
    if (room === 0) {
      if (this.slices.length > 0) return false
      throw tooManyAnswers()
    }
    const part = this.#subscription.take({ records: this.#records, bytes: room })
    const bytes = part && 'batch' in part ? this.#add(part) : 0
    if (part && 'gap' in part) this.gaps.push(part.gap)
    memory?.resize(memory.bytes - room + bytes)
    return true
  }

  /** @returns The bytes of the slice. */
  #add(slice: Slice): number {
    const bytes = slice.batch.eventBytes(slice.begin, slice.end)
    this.slices.push(slice)
    this.#records -= slice.end - slice.begin
    this.#bytes -= bytes
    return bytes
  }
}
