import { getLogger } from '@logtape/logtape'
import { asKafkaConsumeError, type ErrorCode, KafkaConsumeError } from '../../src/core/errors.ts'
import type {
  Delivery,
  Gap,
  GroupOptions,
  GroupSession,
  KafkaRecord,
  MemberStats,
  PartitionOffset,
  PollLimits,
} from '../../src/port/kafka.ts'
import type { ClientError } from '../client/errors.ts'
import { type DeliverySink, GroupDelivery } from './group-delivery.ts'
import { type GroupHost, GroupMember } from './member.ts'
import type { OwnedPartition } from './owned-partition.ts'
import { PollQueue } from './poll-queue.ts'
import { ReadyRecords } from './ready-records.ts'
import { Signal } from './signal.ts'
import { StallDetector } from './stall-detector.ts'

const log = getLogger(['hono-kafka-consume', 'group'])

/** Records held ready for the next caller; when there are more, partitions are paused. */
const READY_RECORDS = 1_000
const READY_BYTES = 8 * 1024 * 1024
/**
 * Milliseconds for which they wait for callers before partitions are paused, which throws away what
 * the client has fetched ahead. Membership is not served meanwhile.
 */
const FULL_MS = 500
/** Milliseconds for the group to assign partitions and for them to answer. */
const JOIN_TIMEOUT_MS = 30_000
/** Milliseconds without that after which the member leaves, and joins as another one. */
const STUCK_MS = 60_000
const RETRY_MS = 1_000
/** Milliseconds between two looks at what is read and what Kafka has. */
const LOOK_MS = 10_000
/** Kafka's own default of `max.poll.interval.ms`, after which a consumer that does not poll is out. */
const IDLE_TIMEOUT_MS = 5 * 60_000

/** librdkafka's `rd_kafka_resp_err_t`. */
const FATAL = -150
const FENCED = 82

/**
 * One member of a consumer group, shared by all callers. Reads a little ahead into a bounded
 * buffer, hands records to callers in turn, takes them back from callers that went away, and
 * commits what was delivered without a hole.
 *
 * While nobody calls it leaves the group, so that other members deliver what would wait here in
 * vain. It joins again with the next caller, and remembers where it was.
 */
export class Group implements GroupSession {
  readonly #host: GroupHost
  readonly #options: GroupOptions
  readonly #member: GroupMember
  readonly #changes = new Signal()
  readonly #callers = new PollQueue(() => this.#serve())
  readonly #ready = new ReadyRecords()
  readonly #dealer: DeliverySink = {
    delivered: (late) => {
      this.#markUsed()
      this.#changes.notify()
      this.#member.countUncertain(late)
      this.#member.commitDelivered()
    },
    returned: (records, gaps) => this.#takeBack(records, gaps),
  }
  readonly #loop: Promise<void>
  /** Whether the last read brought fewer records than it might have. */
  #drained = false
  #closing = false
  #failure: KafkaConsumeError | undefined
  /** Since when no more records can be held, in `performance.now()`'s time. */
  #fullSince: number | undefined
  /** When partitions had last answered, or the group was joined; in `performance.now()`'s time. */
  #readyAt = 0
  /** The failure that the log knows of: it stays over attempts, until the group reads again. */
  #told: ErrorCode | undefined
  #handedBack = 0
  #rebuilt = 0
  /** Ends the read that is under way. */
  #giveUp: ((stall: Stall) => void) | undefined
  readonly #lookEvery: number
  readonly #idleTimeout: number
  /** When the last caller came or had its records, in `performance.now()`'s time. */
  #usedAt = performance.now()
  /** Calls that wait for the group itself: `ready` and `commit`. */
  #pendingCalls = 0
  /** Ends the time in which the group is left. */
  #wake: (() => void) | undefined

  /** @param lookEvery Another one for tests. */
  constructor(host: GroupHost, options: GroupOptions, lookEvery = LOOK_MS) {
    this.#host = host
    this.#options = options
    this.#lookEvery = lookEvery
    this.#idleTimeout = options.idleTimeout ?? IDLE_TIMEOUT_MS
    this.#member = new GroupMember(host, options, this.#changes, this.#ready)
    this.#loop = this.#run()
  }

  /** Resolves when the group is left for good. */
  get ended(): Promise<void> {
    return this.#loop
  }

  get isInUse(): boolean {
    return this.#callers.first !== undefined || this.#pendingCalls > 0 || this.#member.isHeld
  }

  ready(signal?: AbortSignal): Promise<void> {
    return this.#call(() => this.#readySoon(signal))
  }

  async #readySoon(signal?: AbortSignal): Promise<void> {
    const until = performance.now() + JOIN_TIMEOUT_MS
    while (!this.#member.isReady) {
      if (this.#closing) throw closing()
      if (this.#failure) throw this.#failure
      signal?.throwIfAborted()
      if (performance.now() > until) throw tooLate()
      await this.#changes.next(signal)
    }
  }

  poll(limits: PollLimits, signal?: AbortSignal): Promise<Delivery> {
    if (this.#closing) return Promise.reject(closing())
    if (this.#failure) return Promise.reject(this.#failure)
    const delivery = this.#callers.add(limits, signal)
    this.#markUsed()
    this.#serve()
    if (this.#callers.first) this.#readSooner()
    return delivery
  }

  /** A poll that wants more than is ready must not wait for reading that rests with a full buffer. */
  #readSooner(): void {
    this.#member.pause(false)
    this.#changes.notify()
  }

  commit(offsets: readonly PartitionOffset[]): Promise<void> {
    return this.#call(async () => {
      if (this.#failure) throw this.#failure
      if (this.#wake) await this.#readySoon()
      await this.#member.commits.commit(offsets)
    })
  }

  stats(): MemberStats {
    return {
      partitions: this.#member.positions(),
      handedBack: this.#handedBack,
      uncertain: this.#member.uncertain,
      rebuilt: this.#rebuilt,
    }
  }

  async close(): Promise<void> {
    this.#closing = true
    this.#wake?.()
    this.#callers.reject(closing())
    this.#changes.end()
    await this.#loop
  }

  async #run(): Promise<void> {
    while (!this.#closing) {
      try {
        await this.#member.join()
        this.#failure = undefined
        this.#readyAt = performance.now()
        await this.#readOn()
        if (!this.#closing) await this.#rest()
      } catch (thrown) {
        if (this.#closing) break
        if (thrown instanceof Stall) await this.#rebuild(thrown)
        else await this.#recover(asKafkaConsumeError(thrown))
      }
    }
    await this.#member.leave()
  }

  /** Joined as long as it lasts, whatever becomes of it. */
  async #call<T>(work: () => Promise<T>): Promise<T> {
    this.#pendingCalls++
    this.#markUsed()
    try {
      return await work()
    } finally {
      this.#pendingCalls--
      this.#markUsed()
    }
  }

  #markUsed(): void {
    this.#usedAt = performance.now()
    if (this.#wake && this.isInUse) this.#wake()
  }

  /** Whether nobody has called for long, and leaving loses no caller's position. */
  get #isIdle(): boolean {
    const isLate = performance.now() - this.#usedAt > this.#idleTimeout
    return isLate && !this.isInUse && !this.#member.isAheadOfCommits
  }

  /** Leaves the group until the next caller comes: what was read ahead goes to other members. */
  async #rest(): Promise<void> {
    log.debug('Leaving group {group} until a caller comes', { group: this.#options.groupId })
    const woken = Promise.withResolvers<void>()
    this.#wake = () => woken.resolve()
    await this.#member.leave()
    this.#failure = undefined
    if (!this.#closing && !this.isInUse) await woken.promise
    this.#wake = undefined
  }

  /**
   * Resolves when nobody has called for long, or the group is closing.
   *
   * @throws Stall when nothing comes of it, though there is more.
   */
  async #readOn(): Promise<void> {
    const progress = new StallDetector(this.#member)
    let rounds = 0
    const looks = setInterval(() => {
      const look = progress.look(rounds).catch((error) => log.debug('{error}', { error }))
      void look.then((stall) => stall && this.#giveUp?.(new Stall(stall)))
    }, this.#lookEvery)
    try {
      while (!this.#closing && !this.#isIdle) {
        await new Promise<void>((resolve, reject) => {
          this.#giveUp = reject
          this.#read().then(resolve, reject)
        })
        rounds++
      }
    } finally {
      clearInterval(looks)
      this.#giveUp = undefined
    }
  }

  /** Callers that wait do not see it. */
  async #rebuild({ message }: Stall): Promise<void> {
    this.#rebuilt++
    log.warn('Reading as group {group} has come to a stop, {message}: going on as another member', {
      group: this.#options.groupId,
      message,
    })
    await this.#member.leave()
  }

  async #recover(thrown: KafkaConsumeError): Promise<void> {
    const error = this.#explain(thrown)
    this.#fail(error)
    const isFenced = error.code === 'GROUP_MEMBER_FENCED'
    await this.#member.leave(isFenced)
    do await this.#changes.rest(RETRY_MS)
    while (isFenced && !this.#closing && !this.#isIdle && (await this.#isInstanceTaken()))
    if (!this.#closing && this.#isIdle) await this.#rest()
  }

  /** A member whose instance id another one has taken is told of it by a fatal error only. */
  #explain(error: KafkaConsumeError): KafkaConsumeError {
    const { instanceId } = this.#options
    const cause = error.cause as Partial<ClientError> | undefined
    if (instanceId === undefined || (cause?.code !== FATAL && cause?.code !== FENCED)) return error
    return new KafkaConsumeError(
      'GROUP_MEMBER_FENCED',
      `Cannot read as a group: another member has the group instance id "${instanceId}"`,
      { cause, retryAfter: 5 },
    )
  }

  /** To join again while the other one is there would only fence it in turn. */
  async #isInstanceTaken(): Promise<boolean> {
    try {
      return await this.#host.isInstanceTaken()
    } catch (error) {
      log.debug('Cannot ask for the members of {group}: {error}', {
        group: this.#options.groupId,
        error,
      })
      return true
    }
  }

  #fail(error: KafkaConsumeError): void {
    if (error.code !== this.#told) {
      log.warn('Cannot read as group {group}: {error}', {
        group: this.#options.groupId,
        error: error.detail ?? error.message,
      })
    }
    this.#told = error.code
    this.#failure = error
    this.#callers.reject(error)
    this.#changes.notify()
  }

  async #read(): Promise<void> {
    const next = this.#callers.first
    const capacity = Math.max(READY_RECORDS, next?.limits.maxRecords ?? 0)
    const bytes = Math.max(READY_BYTES, next?.limits.maxBytes ?? 0)
    const isFull = this.#ready.length >= capacity || this.#ready.bytes >= bytes
    if (!isFull) {
      this.#fullSince = undefined
      this.#member.pause(false)
    } else if (!next) {
      this.#fullSince ??= performance.now()
      if (performance.now() - this.#fullSince < FULL_MS) return this.#changes.next()
      this.#member.pause(true)
    }
    const limit = Math.max(1, Math.min(READY_RECORDS, capacity - this.#ready.length))
    // It may be resumed while that read goes on, which waits for nothing all the same.
    const { isPaused } = this.#member
    const read = await this.#member.read(limit)
    const { isReady, isChanging } = this.#member
    if (isReady && !isChanging) {
      this.#readyAt = performance.now()
      this.#told = undefined
    } else if (performance.now() - this.#readyAt > STUCK_MS) throw tooLate()
    this.#drained = !isPaused && read < limit
    this.#changes.notify()
    this.#serve()
  }

  #serve(): void {
    for (let caller = this.#callers.first; caller; caller = this.#callers.first) {
      if (this.#ready.length > 0) {
        const { maxRecords, maxBytes } = caller.limits
        const isShort = this.#ready.length < maxRecords && this.#ready.bytes < maxBytes
        // More is at hand in Kafka than here: one more read brings it.
        if (isShort && !this.#drained && !this.#member.isAtEnd()) return
        this.#callers.takeFirst()
        caller.resolve(this.#deliver(caller.limits))
        continue
      }
      const { isReady } = this.#member
      if (!isReady && performance.now() - caller.since > JOIN_TIMEOUT_MS) {
        this.#callers.takeFirst()
        caller.reject(tooLate())
        continue
      }
      if (isReady) this.#callers.count()
      const due = this.#callers.takeDue()
      if (!due) return
      due.resolve(this.#deliver(due.limits))
    }
  }

  #deliver(limits: PollLimits): Delivery {
    const records = new Map<KafkaRecord, OwnedPartition>()
    let owned: OwnedPartition | undefined
    for (const record of this.#ready.take(limits)) {
      if (!owned?.is(record)) owned = this.#member.ownerOf(record) as OwnedPartition
      records.set(record, owned)
    }
    this.#changes.notify()
    // At once, not after the read that goes on: paused, that one waits for nothing.
    this.#member.pause(false)
    const gaps = this.#member.takeGaps()
    return new GroupDelivery({ records, gaps, partitions: this.#member.states() }, this.#dealer)
  }

  #takeBack(records: readonly KafkaRecord[], gaps: readonly Gap[]): void {
    this.#markUsed()
    this.#member.returnGaps(gaps)
    this.#changes.notify()
    if (records.length === 0 || this.#closing) return
    this.#handedBack += records.length
    this.#ready.putBack(records)
    this.#serve()
  }
}

/** Reading that does not go on, and why it is thought so. */
class Stall extends Error {}

function closing(): KafkaConsumeError {
  return new KafkaConsumeError(
    'SHUTTING_DOWN',
    'Cannot read as a group: the server is shutting down',
  )
}

function tooLate(): KafkaConsumeError {
  return new KafkaConsumeError(
    'KAFKA_TIMEOUT',
    `Cannot read as a group: Kafka assigned no partitions within ${JOIN_TIMEOUT_MS / 1000} s`,
    { retryAfter: 2 },
  )
}
