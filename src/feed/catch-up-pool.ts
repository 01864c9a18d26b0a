import { KafkaConsumeError } from '../core/errors.ts'
import type { AssignedConsumer, KafkaCluster, PartitionOffset } from '../port/kafka.ts'
import type { SharedPlaces } from '../port/threads.ts'

/** Milliseconds between two attempts to take a place that another thread may have left. */
const RETRY_MS = 20
/** Attempts after which other threads are asked again. */
const RETRIES_PER_ASK = 5
/**
 * Attempts for which a free place is left to a thread that has waited longer. A thread that is blocked does
 * not take it.
 */
const RETRIES_FOR_OTHERS = 10
/** Milliseconds that other threads may take to leave a place: they close a consumer first. */
const OTHERS_MS = 1_000

/** A catch-up read that is paused, since its client takes nothing now. */
export interface PausedRead {
  /** Closes the consumer of the read, which continues at its cursor with another one. */
  giveWay(): void
}

/** A stream that waits for a place. */
interface WaitingStream {
  readonly enter: () => void
  /** Milliseconds since 1970, by a clock that is not set. */
  readonly since: number
}

/**
 * The consumers of catch-up reads, up to a limit.
 *
 * Overflow policy, at the limit:
 * 1. A request waits for a consumer that is being closed.
 * 2. Else a consumer that is suspended for a next page gives way.
 * 3. Else the read that has been paused the longest gives way.
 * 4. Else other threads that share the limit are asked to let one of their reads give way.
 * 5. Else a new request is refused with TOO_MANY_CATCH_UP_READS. An open stream waits instead, since its
 *    client would lose its place. The next place goes to the stream that has waited the longest, in
 *    whichever thread.
 */
export class CatchUpPool {
  readonly #cluster: KafkaCluster
  readonly #limit: number
  readonly #evictSuspended: () => boolean
  readonly #places: SharedPlaces | undefined
  /** Paused reads, the longest paused first. */
  readonly #paused = new Set<PausedRead>()
  readonly #queue: WaitingStream[] = []
  #open = 0
  /** Consumers that are being closed. Their places will become free. */
  #closing = 0
  /** Takes places that other threads have left, while streams wait for one. */
  #retries: ReturnType<typeof setInterval> | undefined
  /** Attempts in a row that left a free place to another thread. */
  #leftToOthers = 0
  #fallenBehind = 0
  #replaced = 0

  /**
   * @param evictSuspended Closes a consumer that is suspended for a next page. Returns whether there was one.
   * @param places Counts the consumers of other threads, too. Default: those of this pool alone.
   */
  constructor(
    cluster: KafkaCluster,
    limit: number,
    evictSuspended: () => boolean = () => false,
    places?: SharedPlaces,
  ) {
    this.#cluster = cluster
    this.#limit = limit
    this.#evictSuspended = evictSuspended
    this.#places = places
    places?.onAsked(() => this.#makeRoom())
  }

  /** The number of open consumers. */
  get count(): number {
    return this.#open
  }

  /** The most consumers that may be open. */
  get limit(): number {
    return this.#limit
  }

  /** The number of streams that wait for a consumer. */
  get waiting(): number {
    return this.#queue.length
  }

  /** The number of streams that fell behind the ring buffer, since the start. */
  get fallenBehind(): number {
    return this.#fallenBehind
  }

  /** The number of stalled consumers that were replaced, since the start. */
  get replaced(): number {
    return this.#replaced
  }

  /** Counts a stalled consumer that is replaced. */
  countReplaced(): void {
    this.#replaced++
  }

  /** Counts a stream that has fallen behind the ring buffer. */
  countFallenBehind(): void {
    this.#fallenBehind++
  }

  /** Offers the place of a read to others, until {@link resume}. */
  pause(read: PausedRead): void {
    if (this.#queue.length > 0) read.giveWay()
    else this.#paused.add(read)
  }

  resume(read: PausedRead): void {
    this.#paused.delete(read)
  }

  /**
   * @param patient Whether to wait for a place instead of being refused. The signal ends the wait.
   * @throws KafkaConsumeError TOO_MANY_CATCH_UP_READS, or why Kafka cannot be read.
   */
  async open(
    from: readonly PartitionOffset[],
    patient: boolean,
    signal?: AbortSignal,
  ): Promise<AssignedConsumer> {
    await this.#enter(patient, signal)
    let consumer: AssignedConsumer
    try {
      consumer = await this.#cluster.openConsumer(from, 'catch-up')
    } catch (error) {
      this.#leave()
      throw error
    }
    let closed = false
    return {
      gaps: consumer.gaps,
      read: (limit, wait, encoding) => consumer.read(limit, wait, encoding),
      close: async (hasStalled) => {
        if (closed) return
        closed = true
        this.#closing++
        try {
          await consumer.close(hasStalled)
        } finally {
          this.#closing--
          this.#leave()
        }
      },
    }
  }

  async #enter(patient: boolean, signal?: AbortSignal): Promise<void> {
    if (this.#mayPass() && this.#takePlace()) return
    // The place of a read that has just ended is free soon: to close a consumer takes a while.
    const isLeft = this.#closing > this.#queue.length || this.#makeRoom()
    if (!isLeft && !patient) {
      if (await this.#takePlaceOfOthers()) return
      throw new KafkaConsumeError(
        'TOO_MANY_CATCH_UP_READS',
        `Cannot read older records: ${this.#limit} clients do so already`,
        { retryAfter: 5 },
      )
    }
    // A read that ends hands its place over to the next in the queue, so the count does not change.
    await new Promise<void>((resolve, reject) => {
      const enter = () => {
        signal?.removeEventListener('abort', leave)
        resolve()
      }
      const since = Math.round(performance.timeOrigin + performance.now())
      const waiting = { enter, since }
      const leave = () => {
        this.#queue.splice(this.#queue.indexOf(waiting), 1)
        this.#tellOthers()
        reject(signal?.reason)
      }
      signal?.throwIfAborted()
      signal?.addEventListener('abort', leave, { once: true })
      this.#queue.push(waiting)
      this.#tellOthers()
      this.#awaitOthers()
    })
  }

  /** Whether a stream of another thread has waited longer than each of this one's. */
  get #isTurnOfOthers(): boolean {
    const since = this.#places?.othersWaitSince
    return since !== undefined && since < (this.#queue[0]?.since ?? Infinity)
  }

  /** Whether a request that has not waited may take a free place: nobody waits for it. */
  #mayPass(): boolean {
    return this.#queue.length === 0 && !this.#isTurnOfOthers
  }

  /** Lets the stream in that has waited the longest. */
  #admit(): void {
    const next = this.#queue.shift()
    this.#tellOthers()
    next?.enter()
  }

  #tellOthers(): void {
    this.#places?.waitSince(this.#queue[0]?.since)
  }

  get #hasPlace(): boolean {
    return (this.#places?.taken ?? this.#open) < this.#limit
  }

  /** @returns Whether there was a place. */
  #takePlace(): boolean {
    if (!this.#hasPlace) return false
    this.#open++
    this.#places?.add(1)
    return true
  }

  /** @returns Whether another thread has left a place. */
  async #takePlaceOfOthers(): Promise<boolean> {
    if (!this.#places) return false
    this.#places.ask()
    const until = performance.now() + OTHERS_MS
    while (performance.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
      if (this.#mayPass() && this.#takePlace()) return true
    }
    return false
  }

  /**
   * Lets waiting streams in when another thread has left a place, of which it does not notify this one. Other
   * threads are asked again and again: their reads may be paused only later, and each time one gives way.
   */
  #awaitOthers(): void {
    const places = this.#places
    if (!places || this.#retries) return
    places.ask()
    let retries = 0
    this.#retries = setInterval(() => {
      while (this.#queue.length > 0 && this.#mayTakeNow() && this.#takePlace()) this.#admit()
      if (this.#queue.length > 0) {
        if (++retries % RETRIES_PER_ASK === 0) places.ask()
        return
      }
      clearInterval(this.#retries)
      this.#retries = undefined
    }, RETRY_MS)
  }

  /** Whether there is a place, and it is not left to a stream of another thread that has waited longer. */
  #mayTakeNow(): boolean {
    const isFree = this.#hasPlace
    const isLeft = isFree && this.#isTurnOfOthers && this.#leftToOthers < RETRIES_FOR_OTHERS
    this.#leftToOthers = isLeft ? this.#leftToOthers + 1 : 0
    return isFree && !isLeft
  }

  /** @returns Whether a place will become free. */
  #makeRoom(): boolean {
    if (this.#evictSuspended()) return true
    const [longest] = this.#paused
    if (!longest) return false
    this.#paused.delete(longest)
    longest.giveWay()
    return true
  }

  #leave(): void {
    if (this.#queue.length > 0 && !this.#isTurnOfOthers) {
      this.#admit()
      return
    }
    this.#open--
    this.#places?.add(-1)
  }
}
