import {
  asKafkaConsumeError,
  type KafkaConsumeError,
  shuttingDownError,
} from '../../src/core/errors.ts'
import { logOf } from '../../src/core/log.ts'
import { Signal } from '../../src/core/signal.ts'
import type {
  Delivery,
  Gap,
  GroupOptions,
  GroupSession,
  LeavingClient,
  MemberStats,
  PartitionOffset,
  PollLimits,
} from '../../src/port/kafka.ts'
import { type DeliverySink, GroupDelivery, ReadyRecords, type RecordRange } from './deliveries.ts'
import { explainFenced, joinTimedOut } from './group-errors.ts'
import type { GroupHost } from './group-host.ts'
import { GroupMember } from './member.ts'
import { MemberChecks, Stall } from './member-checks.ts'
import { OrphanedPartitions } from './orphaned-partitions.ts'
import { canEnd, PollQueue } from './poll-queue.ts'

const log = logOf('group')

/** The most records that are read ahead: small polls of one turn of the event loop take hundreds. */
const READY_RECORDS = 4_000
/** Records of one read, unless a poll wants more. */
const READ_RECORDS = 2_000
const READY_BYTES = 8 * 1024 * 1024
/**
 * Milliseconds for which a full buffer waits for polls before partitions are paused: a pause throws
 * away what the client has fetched ahead. Changes of members are not served meanwhile.
 */
const FULL_MS = 500
/** Milliseconds between two reads of a buffer with enough, which ask whether a commit has been answered. */
const COMMIT_REST_MS = 5
/** Milliseconds without a read while half of the buffer is left: changes of members wait as long. */
const PLENTY_MS = 100
/** Milliseconds in which the group must assign partitions, and Kafka must answer for them. */
const JOIN_TIMEOUT_MS = 30_000
/** Milliseconds without an answer for partitions after which the member joins as a new one. */
const STUCK_MS = 60_000
const RETRY_MS = 1_000
/** Milliseconds between two checks for stalls. */
const CHECK_MS = 10_000
/** Kafka's default of `max.poll.interval.ms`, after which a silent consumer loses its membership. */
const IDLE_TIMEOUT_MS = 5 * 60_000

/**
 * One member of a consumer group, shared by all clients of this process. It reads a little ahead
 * into a bounded buffer, answers polls in turn, requeues records whose client left, and commits
 * offsets below which every record was delivered.
 *
 * A member that no client polls leaves the group, so that other members deliver the records that
 * would wait here. It joins again with the next poll, and remembers where it was.
 */
export class Group implements GroupSession {
  readonly #host: GroupHost
  readonly #options: GroupOptions
  readonly #member: GroupMember
  readonly #signal = new Signal()
  /** Notified when reading is to go on. */
  readonly #wanted = new Signal()
  readonly #polls = new PollQueue(() => this.#serve())
  readonly #ready = new ReadyRecords()
  readonly #sink: DeliverySink = {
    delivered: (records, late) => {
      this.#markUsed()
      this.#signal.notify()
      if (late > 0) this.#member.countUncertain(late)
      this.#member.commitDelivered(records)
    },
    told: (gaps) => this.#member.markTold(gaps),
    used: (form) => this.#ready.prepare(form),
    returned: (ranges, gaps) => this.#requeue(ranges, gaps),
  }
  readonly #loop: Promise<void>
  /** Whether the last read took all that Kafka's client had. */
  #isDrained = false
  #isClosing = false
  #failure: KafkaConsumeError | undefined
  /** When the last read began, in `performance.now()`'s time. */
  #readAt = 0
  /** When the read began that filled the buffer, while no poll waits; in `performance.now()`'s time. */
  #fullSince: number | undefined
  /** When partitions last answered, or the group was joined; in `performance.now()`'s time. */
  #readyAt = 0
  /** The code of the error that was logged last: retries do not log it again. */
  #reportedError: KafkaConsumeError['code'] | undefined
  #requeued = 0
  #rebuilt = 0
  /** Ends the read that is under way. */
  #endRead: ((stall: Stall) => void) | undefined
  readonly #checkEvery: number
  readonly #idleTimeout: number
  /** When the last poll came or was delivered, in `performance.now()`'s time. */
  #usedAt = performance.now()
  /** Calls that wait for the group itself: `ready` and `commit`. */
  #pendingCalls = 0
  /** Makes the member join again; set while it has left the group. */
  #endRest: (() => void) | undefined

  /** @param checkEvery Milliseconds between two checks for stalls; shorter in tests. */
  constructor(host: GroupHost, options: GroupOptions, checkEvery = CHECK_MS) {
    this.#host = host
    this.#options = options
    this.#checkEvery = checkEvery
    this.#idleTimeout = options.idleTimeout ?? IDLE_TIMEOUT_MS
    const onCommit = () => this.#wanted.notify()
    this.#member = new GroupMember(host, options, this.#signal, this.#ready, onCommit)
    this.#loop = this.#run()
  }

  /** Resolves when the group is left for good. */
  get ended(): Promise<void> {
    return this.#loop
  }

  get isInUse(): boolean {
    return this.#polls.first !== undefined || this.#pendingCalls > 0 || this.#member.isHeld
  }

  ready(signal?: AbortSignal): Promise<void> {
    return this.#call(() => this.#readySoon(signal))
  }

  async #readySoon(signal?: AbortSignal): Promise<void> {
    const until = performance.now() + JOIN_TIMEOUT_MS
    while (!this.#member.isReady) {
      if (this.#isClosing) throw shuttingDownError('read as a group')
      if (this.#failure) throw this.#failure
      signal?.throwIfAborted()
      if (performance.now() > until) throw joinTimedOut(JOIN_TIMEOUT_MS)
      await this.#signal.next(signal)
    }
  }

  pollNow(limits: PollLimits): Delivery | undefined {
    if (this.#isClosing || this.#failure || this.#polls.first || !canEnd(limits)) return undefined
    if (!this.#isEnoughReady(limits) || this.#member.confirmIfSuspended()) return undefined
    this.#markUsed()
    return this.#deliver(limits)
  }

  poll(limits: PollLimits, leaving?: LeavingClient): Promise<Delivery> {
    if (this.#isClosing) return Promise.reject(shuttingDownError('read as a group'))
    if (this.#failure) return Promise.reject(this.#failure)
    const delivery = this.#polls.add(limits, leaving?.signal)
    this.#markUsed()
    this.#serve()
    if (this.#polls.first) {
      // The poll may want more than the full buffer has.
      this.#member.pause(false)
      this.#wanted.notify()
    }
    return delivery
  }

  /** Whether reading can rest: a few large reads cost less than many small ones. */
  get #hasPlenty(): boolean {
    return this.#ready.length > READY_RECORDS / 2
  }

  commit(offsets: readonly PartitionOffset[]): Promise<void> {
    return this.#call(async () => {
      if (this.#failure) throw this.#failure
      if (this.#endRest) await this.#readySoon()
      await this.#member.commits.commit(offsets)
    })
  }

  stats(): MemberStats {
    return {
      partitions: this.#member.positions(),
      requeued: this.#requeued,
      uncertain: this.#member.uncertain,
      rebuilt: this.#rebuilt,
    }
  }

  async close(): Promise<void> {
    this.#isClosing = true
    this.#endRest?.()
    this.#polls.reject(shuttingDownError('read as a group'))
    this.#signal.end()
    this.#wanted.end()
    await this.#loop
  }

  async #run(): Promise<void> {
    while (!this.#isClosing) {
      try {
        await this.#member.join()
        this.#failure = undefined
        this.#readyAt = performance.now()
        await this.#readOn()
        if (!this.#isClosing) await this.#rest()
      } catch (thrown) {
        if (this.#isClosing) break
        if (thrown instanceof Stall) await this.#rebuild(thrown)
        else await this.#recover(asKafkaConsumeError(thrown))
      }
    }
    await this.#member.leave()
  }

  /** Keeps the member joined while some work lasts. */
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
    if (this.#endRest && this.isInUse) this.#endRest()
  }

  /** Whether the idle timeout is over, and leaving loses no client's position. */
  get #isIdle(): boolean {
    const isLate = performance.now() - this.#usedAt > this.#idleTimeout
    return isLate && !this.isInUse && !this.#member.isAheadOfCommits
  }

  /** Leaves the group until the next poll: records that were read ahead go to other members. */
  async #rest(): Promise<void> {
    log.debug('Leaving group {group} until the next poll', { group: this.#options.groupId })
    const woken = Promise.withResolvers<void>()
    this.#endRest = () => woken.resolve()
    await this.#member.leave()
    this.#failure = undefined
    if (!this.#isClosing && !this.isInUse) await woken.promise
    this.#endRest = undefined
  }

  /**
   * Resolves when the member is idle, or the group is closing.
   *
   * @throws Stall when reading brings nothing although Kafka has more.
   */
  async #readOn(): Promise<void> {
    const orphans = new OrphanedPartitions(this.#host, this.#options.groupId, this.#signal)
    const onStall = (stall: Stall) => this.#endRead?.(stall)
    const checks = new MemberChecks(this.#member, orphans, this.#checkEvery, onStall)
    try {
      while (!this.#isClosing && !this.#isIdle) {
        await new Promise<void>((resolve, reject) => {
          this.#endRead = reject
          this.#read().then(resolve, reject)
        })
        checks.rounds++
      }
    } finally {
      this.#endRead = undefined
      await checks.close()
    }
  }

  /** Joins again as a new member. Waiting polls do not notice. */
  async #rebuild({ message }: Stall): Promise<void> {
    this.#rebuilt++
    log.warn('Reading as group {group} has come to a stop, {message}: going on as another member', {
      group: this.#options.groupId,
      message,
    })
    await this.#member.leave()
  }

  async #recover(thrown: KafkaConsumeError): Promise<void> {
    const error = explainFenced(thrown, this.#options.instanceId)
    this.#fail(error)
    const isFenced = error.code === 'GROUP_MEMBER_FENCED'
    await this.#member.leave(isFenced)
    do await this.#signal.rest(RETRY_MS)
    while (isFenced && !this.#isClosing && !this.#isIdle && (await this.#isInstanceTaken()))
    if (!this.#isClosing && this.#isIdle) await this.#rest()
  }

  /** Whether another member still has the instance id: joining now would fence it in turn. */
  #isInstanceTaken(): Promise<boolean> {
    return this.#host.isInstanceTaken().catch((error) => {
      const { groupId: group } = this.#options
      log.debug('Cannot ask for the members of {group}: {error}', { group, error })
      return true
    })
  }

  #fail(error: KafkaConsumeError): void {
    if (error.code !== this.#reportedError) {
      log.warn('Cannot read as group {group}: {error}', {
        group: this.#options.groupId,
        error: error.detail ?? error.message,
      })
    }
    this.#reportedError = error.code
    this.#failure = error
    this.#polls.reject(error)
    this.#signal.notify()
  }

  async #read(): Promise<void> {
    const next = this.#polls.first
    const capacity = Math.max(READY_RECORDS, next?.limits.maxRecords ?? 0)
    const bytes = Math.max(READY_BYTES, next?.limits.maxBytes ?? 0)
    if (!next && this.#hasPlenty && performance.now() - this.#readAt < PLENTY_MS) {
      return this.#restWithPlenty()
    }
    const isFull = this.#ready.length >= capacity || this.#ready.bytes >= bytes
    if (!isFull) {
      this.#fullSince = undefined
      this.#member.pause(false)
    } else if (!next) {
      this.#fullSince ??= this.#readAt
      if (performance.now() - this.#fullSince < FULL_MS) return this.#restWithPlenty()
      this.#member.pause(true)
    }
    // Few large reads cost less than many small ones: a read may exceed the capacity by its own size.
    const limit = Math.max(READ_RECORDS, (next?.limits.maxRecords ?? 0) - this.#ready.length)
    // A read that began paused brings nothing, even if partitions are resumed meanwhile.
    const { isPaused } = this.#member
    this.#readAt = performance.now()
    const isDrained = await this.#member.read(limit)
    const { isReady, isChanging } = this.#member
    if (isReady && !isChanging) {
      this.#readyAt = performance.now()
      this.#reportedError = undefined
    } else if (performance.now() - this.#readyAt > STUCK_MS) throw joinTimedOut(JOIN_TIMEOUT_MS)
    this.#isDrained = !isPaused && isDrained
    this.#signal.notify()
    this.#serve()
  }

  /**
   * Waits for polls while the buffer has enough. The client reports the result of a commit, for which the
   * next commit waits, only while it is asked for records.
   */
  async #restWithPlenty(): Promise<void> {
    if (!this.#member.commits.isUnderWay) return this.#wanted.next()
    await new Promise((resolve) => setTimeout(resolve, COMMIT_REST_MS))
    const room = READY_RECORDS - this.#ready.length
    await this.#member.read(Math.min(READ_RECORDS, Math.max(1, room)))
  }

  #serve(): void {
    if (this.#member.confirmIfSuspended()) return
    for (let poll = this.#polls.first; poll; poll = this.#polls.first) {
      if (this.#ready.length > 0) {
        if (!this.#isEnoughReady(poll.limits)) return
        this.#polls.takeFirst()
        poll.resolve(this.#deliver(poll.limits))
        continue
      }
      if (!this.#member.isReady) {
        // A poll whose timeout is over waits, too: an empty answer would say that Kafka has no records.
        if (performance.now() - Math.max(poll.since, this.#readyAt) <= JOIN_TIMEOUT_MS) return
        this.#polls.rejectFirst(joinTimedOut(JOIN_TIMEOUT_MS))
        continue
      }
      this.#polls.startTimeouts()
      const due = this.#polls.takeDue()
      if (!due) return
      due.resolve(this.#deliver(due.limits))
    }
  }

  /** Whether as many records are ready as a poll can get. */
  #isEnoughReady({ maxRecords, maxBytes }: PollLimits): boolean {
    const { length, bytes } = this.#ready
    // Where Kafka has more than the buffer, one more read brings it.
    const isShort = length < maxRecords && bytes < maxBytes
    return length > 0 && (!isShort || this.#isDrained || this.#member.isAtEnd())
  }

  #deliver(limits: PollLimits): Delivery {
    const ranges = this.#ready.take(limits)
    if (!this.#hasPlenty) this.#wanted.notify()
    // Resume at once and not after the read under way: that read began paused and brings nothing.
    this.#member.pause(false)
    const partitions = () => this.#member.states()
    return new GroupDelivery({ ranges, gaps: this.#member.takeGaps(), partitions }, this.#sink)
  }

  #requeue(ranges: readonly RecordRange[], gaps: readonly Gap[]): void {
    this.#markUsed()
    this.#member.returnGaps(gaps)
    this.#signal.notify()
    if (ranges.length === 0 || this.#isClosing) return
    this.#requeued += ranges.reduce((sum, { length }) => sum + length, 0)
    this.#ready.putBack(ranges)
    this.#serve()
  }
}
