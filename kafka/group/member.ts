import { KafkaConsumeError } from '../../src/core/errors.ts'
import { logOf } from '../../src/core/log.ts'
import type { Signal } from '../../src/core/signal.ts'
import { partitionKey, type TopicPartition } from '../../src/core/topic-partition.ts'
import type {
  Gap,
  GroupOptions,
  PartitionOffset,
  PartitionPosition,
  PartitionState,
} from '../../src/port/kafka.ts'
import { type Consumer, call } from '../client/client.ts'
import { type ClientError, fromClient, isPassing, isUnknownTopic } from '../client/errors.ts'
import { Assignment } from './assignment.ts'
import { Commits } from './commits.ts'
import type { ReadyRecords } from './deliveries.ts'
import type { GroupHost } from './group-host.ts'
import type { WatchedMember } from './member-progress.ts'
import { type OwnedPartition, OwnedPartitions } from './partitions.ts'
import type { BlockRead } from './record-block.ts'
import { RecreatedTopics } from './recreated-topics.ts'

const log = logOf('group')

/** Milliseconds that one call of the client waits for a first record. */
const READ_WAIT_MS = 100
/** Milliseconds that one call of the client waits while paused, when only rebalances can come. */
const PAUSED_WAIT_MS = 250
const WAKE_TIMEOUT_MS = 1_000
/**
 * Milliseconds without a sign of life after which Kafka may have given the partitions to other members:
 * half of the shortest session timeout.
 */
const SUSPENDED_MS = 5_000
/** Milliseconds within which the client reports the loss of its partitions, after Kafka has refused a commit. */
const LOSS_MS = 3_000

/** The value by which Kafka's ListOffsets request asks for the end. */
const LATEST = -1

/**
 * The consumer of a group's member: it joins and leaves again and again, reads the partitions that
 * it owns and commits what is delivered. Commits are remembered from one consumer to the next.
 */
export class GroupMember implements WatchedMember {
  readonly commits: Commits
  drains = 0
  readonly #host: GroupHost
  readonly #options: GroupOptions
  readonly #signal: Signal
  readonly #ready: ReadyRecords
  readonly #owned: OwnedPartitions
  readonly #assignment: Assignment
  readonly #recreated: RecreatedTopics
  /** All partitions of the topics, whoever owns them. */
  #all: readonly TopicPartition[] = []
  #consumer: Consumer | undefined
  #isPaused = false
  /** The last sign of life, in `performance.now()`'s time. */
  #seenAt = performance.now()
  #isConfirming = false
  /** The states of the partitions; undefined when something has changed since they were made. */
  #states: readonly PartitionState[] | undefined

  /**
   * @param signal Notified when partitions are assigned, and waited for where the client is to be
   * asked again.
   * @param ready Where records go that were read, and out of which they are dropped when their
   * partition is revoked.
   * @param onCommit Called when a commit begins, whose result only a read brings.
   */
  constructor(
    host: GroupHost,
    options: GroupOptions,
    signal: Signal,
    ready: ReadyRecords,
    onCommit: () => void,
  ) {
    this.#host = host
    this.#options = options
    this.#signal = signal
    this.#ready = ready
    this.#owned = new OwnedPartitions(options.groupId, ready)
    this.#recreated = new RecreatedTopics(host, this.#owned)
    const consumer = () => {
      if (this.#consumer) return this.#consumer
      throw new KafkaConsumeError(
        'KAFKA_UNAVAILABLE',
        'Cannot commit offsets: the group is not joined',
      )
    }
    this.commits = new Commits(options.groupId, consumer, onCommit)
    this.#assignment = new Assignment({
      host,
      options,
      signal,
      owned: this.#owned,
      commits: this.commits,
      onAssigned: () => this.#onAssigned(),
    })
  }

  /**
   * Whether partitions are assigned and Kafka has answered for each. A paused member has records
   * enough.
   */
  get isReady(): boolean {
    if (!this.#owned.isAssigned) return false
    if (this.#isPaused) return true
    for (const owned of this.#owned) if (!owned.answered) return false
    return true
  }

  /** Whether the client waits for the answer to a rebalance. */
  get isChanging(): boolean {
    return this.#owned.isChanging
  }

  get isHeldUp(): boolean {
    return this.#isPaused || this.isChanging
  }

  /** Whether clients have records that are neither delivered nor requeued. */
  get isHeld(): boolean {
    return this.#owned.isHeld
  }

  /**
   * Whether records were delivered whose offsets no client has posted: after leaving, the group would
   * deliver these records again.
   */
  get isAheadOfCommits(): boolean {
    if (this.#options.commitStrategy === 'auto') return false
    return this.owned().some(({ topic, partition, start, offsets }) => {
      const committed = Math.max(start, this.commits.known(topic, partition))
      return (offsets.delivered ?? -1) > committed
    })
  }

  /** The number of delivered records that another member may deliver again. */
  get uncertain(): number {
    return this.#assignment.uncertain
  }

  get isPaused(): boolean {
    return this.#isPaused
  }

  owned(): readonly OwnedPartition[] {
    return [...this.#owned]
  }

  ends(partitions: readonly TopicPartition[]): Promise<PartitionOffset[]> {
    return this.#host.offsets(partitions, 'latest')
  }

  async join(): Promise<void> {
    this.#all = await this.#host.partitions()
    this.#assignment.noteExisting(this.#all)
    const consumer = await this.#host.connect((error, partitions) =>
      this.#assignment.onRebalance(consumer, error.code, partitions),
    )
    this.#consumer = consumer
    this.#assignment.begin(consumer)
    consumer.subscribe([...this.#options.topics])
  }

  /** @param isLost Whether Kafka has given the partitions to other members already. */
  async leave(isLost = false): Promise<void> {
    const consumer = this.#consumer
    await this.#whileAsking(consumer, this.#assignment.release(isLost))
    this.#consumer = undefined
    this.#assignment.end()
    this.#isPaused = false
    if (consumer) await this.#host.disconnect(consumer)
  }

  /** The client reports the results of commits only while it is asked for records. */
  async #whileAsking(consumer: Consumer | undefined, work: Promise<unknown>): Promise<void> {
    let isOver = false
    const over = work.finally(() => {
      isOver = true
    })
    while (consumer && !isOver) {
      // Records that it brings belong to the partitions' next owners.
      const asked = this.#host.read(consumer, { records: 1, wait: READ_WAIT_MS })
      await Promise.race([over, asked.catch(() => this.#signal.next())])
    }
    await over
  }

  /**
   * Asks Kafka to confirm the membership where the process was suspended or blocked: other members may have
   * the partitions by now, which the client learns only from its next heartbeat.
   * @returns Whether records must wait, since others may have delivered them.
   */
  confirmIfSuspended(): boolean {
    const now = performance.now()
    const isLate = now - this.#seenAt > SUSPENDED_MS
    this.#seenAt = now
    if (isLate && !this.#isConfirming) void this.#confirm()
    return this.#isConfirming
  }

  /** Kafka refuses commits of others. Where it refuses, the client reports the loss soon. */
  async #confirm(): Promise<void> {
    if (this.#options.commitStrategy !== 'auto') return
    this.#isConfirming = true
    const asked = this.owned()
    if (!(await this.commits.confirm(asked))) {
      const until = performance.now() + LOSS_MS
      const isOwned = () => asked.some(({ state }) => state === 'owned')
      while (isOwned() && performance.now() < until) await this.#signal.next()
    }
    this.#isConfirming = false
  }

  /** The gaps to be reported with the next delivery. */
  takeGaps(): readonly Gap[] {
    return this.#owned.takeGaps()
  }

  /** Notes that clients were told of gaps, and commits what lies behind them. */
  markTold(gaps: readonly Gap[]): void {
    this.#owned.markTold(gaps)
    this.commitDelivered()
  }

  /** Takes back gaps that did not reach their client. */
  returnGaps(gaps: readonly Gap[]): void {
    this.#owned.returnGaps(gaps)
  }

  /**
   * Commits the committable offsets.
   *
   * @param delivered Records that were delivered since the last call.
   */
  commitDelivered(delivered = 0): void {
    if (this.#options.commitStrategy === 'auto') this.commits.soon(() => this.#owned, delivered)
  }

  /**
   * Counts delivered records that were not committed before their partition moved to another member.
   */
  countUncertain(records: number): void {
    this.#assignment.countUncertain(records)
  }

  /**
   * Reads the next records of our partitions, and waits for a while if there are none. While paused
   * it still serves changes of members: without that, others could not join.
   *
   * @returns whether Kafka's client has no more records.
   * @throws KafkaConsumeError when the member must leave the group.
   */
  async read(limit: number): Promise<boolean> {
    const consumer = this.#consumer as Consumer
    await this.#recreated.check(consumer)
    if (this.#owned.error) throw this.#owned.error
    const wait = this.#isPaused ? PAUSED_WAIT_MS : READ_WAIT_MS
    const read = await this.#host
      .read(consumer, { records: limit, wait, ready: this.#ready.form })
      .catch(failedRead)
    // A read that was abandoned may still return.
    if (consumer !== this.#consumer) return false
    for (const part of read.parts) {
      if ('block' in part) this.#owned.push(part, (owned) => this.#lowOffset(owned))
      else this.#reach(part)
    }
    this.#states = undefined
    if (read.isDrained) this.drains++
    if (read.error) await this.#recover(fromClient(read.error, 'Cannot read from Kafka'))
    return read.isDrained
  }

  /** @throws KafkaConsumeError when the member must leave the group. */
  async #recover(error: KafkaConsumeError): Promise<void> {
    // Kafka's metadata decides: a broker that has just started has yet to load its topics.
    if (isUnknownTopic(error)) await this.#host.partitions()
    else if (!isPassing(error)) throw error
    // The client recovers by itself, as when the group's coordinator moves.
    log.debug('{error}', { error: error.detail ?? error.message })
    await this.#signal.rest(READ_WAIT_MS)
  }

  /** Pauses or resumes all partitions. Rebalances are answered in either case. */
  pause(pause: boolean): void {
    if (pause === this.#isPaused) return
    this.#setPaused(pause)
    if (!pause) this.#wakeClient()
  }

  #setPaused(pause: boolean): void {
    const partitions = this.#owned.places()
    if (pause) this.#consumer?.pause(partitions)
    else this.#consumer?.resume(partitions)
    this.#isPaused = pause
  }

  /**
   * The client's threads may sleep for up to a second while there is nothing to fetch, and `resume`
   * does not wake them; a question to the leaders of the partitions does.
   */
  #wakeClient(): void {
    const consumer = this.#consumer
    const asked = this.#owned.places().map((place) => ({ ...place, offset: LATEST }))
    if (!consumer || asked.length === 0) return
    call('Cannot wake the client', (done) =>
      consumer.offsetsForTimes(asked, WAKE_TIMEOUT_MS, done as never),
    ).catch(() => {
      // The threads wake by themselves, only later.
    })
  }

  #onAssigned(): void {
    this.#states = undefined
    // The client remembers which partitions were paused when they were last revoked.
    this.#setPaused(false)
    // Partitions of other members may be new, too.
    this.#host.partitions().then(
      (all) => {
        this.#all = all
        this.#states = undefined
      },
      () => {},
    )
  }

  /** Called when the client has seen the end of a partition. */
  #reach(end: PartitionOffset): void {
    const { offset } = end
    let owned = this.#owned.get(end)
    if (!owned) return
    if (offset < owned.position) owned = this.#owned.jump(owned, offset, this.#lowOffset(owned))
    owned.answered = true
    owned.end = offset
    owned.stable = Math.max(owned.stable, offset)
    if (offset <= owned.position) return
    this.#owned.jump(owned, offset, this.#lowOffset(owned))
    owned.offsets.skip(owned.position, offset)
    owned.position = offset
    this.commitDelivered()
  }

  /** Whether every partition is read up to its end, as of the last fetch. */
  isAtEnd(): boolean {
    for (const owned of this.#owned) {
      if (owned.position < this.#highWatermark(owned) && owned.position !== owned.end) return false
    }
    return true
  }

  #highWatermark({ topic, partition }: TopicPartition): number {
    return this.#consumer?.getWatermarkOffsets(topic, partition).highOffset ?? -1
  }

  #lowOffset({ topic, partition }: TopicPartition): number {
    return this.#consumer?.getWatermarkOffsets(topic, partition).lowOffset ?? -1
  }

  /** The state of all partitions of the topics, whoever owns them, as of the last read. */
  states(): readonly PartitionState[] {
    this.#states ??= this.#makeStates()
    return this.#states
  }

  #makeStates(): PartitionState[] {
    return this.#listed().map(({ topic, partition }) => {
      const owned = this.#owned.get({ topic, partition })
      if (!owned) return { topic, partition, highWatermark: -1, lastStableOffset: -1 }
      const highWatermark = Math.max(this.#highWatermark(owned), owned.end, -1)
      const lastStableOffset = owned.lastStableOffset(highWatermark)
      return { topic, partition, highWatermark, lastStableOffset }
    })
  }

  /** All partitions, by topic: a partition may be assigned before the list of partitions has it. */
  #listed(): readonly TopicPartition[] {
    const listed = new Set(this.#all.map(partitionKey))
    const missing = this.owned().filter((owned) => !listed.has(partitionKey(owned)))
    if (missing.length === 0) return this.#all
    return [...Map.groupBy([...this.#all, ...missing], ({ topic }) => topic).values()].flat()
  }

  positions(): PartitionPosition[] {
    const ready = this.#ready.first()
    return this.owned().map((owned) => {
      const { topic, partition, position, offsets } = owned
      const end = Math.max(this.#highWatermark(owned), owned.end, -1)
      const next = offsets.next ?? ready.get(owned) ?? position
      return { topic, partition, end, next }
    })
  }
}

/** A read that brought nothing. */
function failedRead(error: ClientError): BlockRead {
  return { parts: [], isDrained: false, error }
}
