import { settledWithin } from '../../src/core/deadline.ts'
import { asKafkaConsumeError, KafkaConsumeError } from '../../src/core/errors.ts'
import { logOf } from '../../src/core/log.ts'
import type { Signal } from '../../src/core/signal.ts'
import { partitionKey, type TopicPartition } from '../../src/core/topic-partition.ts'
import type { GroupOptions, PartitionOffset } from '../../src/port/kafka.ts'
import type { Consumer } from '../client/client.ts'
import { isPassing } from '../client/errors.ts'
import type { Commits } from './commits.ts'
import type { GroupHost } from './group-host.ts'
import type { OwnedPartitions } from './partitions.ts'
import { OwnedPartition } from './partitions.ts'
import { type StartOffset, startOffsetOf } from './start-offset.ts'

const log = logOf('group')

const RETRY_MS = 1_000
/** Milliseconds for which answers in progress may delay the release of their partitions. */
const LAST_DELIVERIES_MS = 3_000
/** Milliseconds for which a closing client is offered the answer to its last rebalance. */
const CLOSING_MS = 5_000

const NO_IDS: ReadonlyMap<string, string> = new Map()

/** librdkafka's `rd_kafka_resp_err_t`. */
export const ASSIGN = -175
export const REVOKE = -174

/** The start of an assigned partition, and the known facts about its topic. */
interface AssignedStart extends StartOffset {
  readonly topicId: string | undefined
  /** All transactions below this offset are decided. */
  readonly stable: number
}

/** The parts of a member that an assignment changes. */
interface AssignmentContext {
  readonly host: GroupHost
  readonly options: GroupOptions
  readonly owned: OwnedPartitions
  readonly commits: Commits
  /** Notified when partitions are assigned. A release waits for it. */
  readonly signal: Signal
  /** Called when partitions were added. */
  onAssigned(): void
}

/** Answers rebalances: takes assigned partitions, and gives up revoked ones. */
export class Assignment {
  readonly #context: AssignmentContext
  /** The consumer that has joined: a former one may still be leaving. */
  #consumer: Consumer | undefined
  #left = Promise.withResolvers<undefined>()
  /** The rebalance that the client waits to have answered. */
  #answering: Promise<void> | undefined
  /** Partitions that are being given up. */
  #releasing: Promise<unknown> = Promise.resolve()
  /** The partitions that existed when the group was first joined. */
  #first: ReadonlySet<string> | undefined
  /**
   * Start offsets of partitions for which the group had committed nothing, by partition: a later
   * end would skip the records in between.
   */
  readonly #firstStarts = new Map<string, number>()
  #uncertain = 0

  constructor(context: AssignmentContext) {
    this.#context = context
  }

  /** The number of delivered records that another member may deliver again. */
  get uncertain(): number {
    return this.#uncertain
  }

  /**
   * Counts delivered records that were not committed before their partition moved to another member.
   */
  countUncertain(records: number): void {
    const { groupId, commitStrategy } = this.#context.options
    if (records === 0 || commitStrategy === 'off') return
    this.#uncertain += records
    log.warn('{records} records of group {group} may be delivered again by another member', {
      records,
      group: groupId,
    })
  }

  /** Records the partitions that exist at the first call. Others count as added. */
  noteExisting(all: readonly TopicPartition[]): void {
    this.#first ??= new Set(all.map(partitionKey))
  }

  /** Called before the consumer joins. */
  begin(consumer: Consumer): void {
    this.#consumer = consumer
    this.#left = Promise.withResolvers()
    this.#context.owned.error = undefined
    this.#setAnswering(undefined)
    void this.#noteSpare(consumer)
  }

  /**
   * Takes the absence of partitions for an assignment once Kafka confirms it: the client may report none.
   * Ends with the first assignment.
   */
  async #noteSpare(consumer: Consumer): Promise<void> {
    const { host, owned, signal } = this.#context
    const left = this.#left.promise
    const isWaiting = () => consumer === this.#consumer && !owned.isAssigned
    while (isWaiting() && !(await settledWithin(left, RETRY_MS))) {
      const isSpare = isWaiting() && (await host.isSpare().catch(() => false))
      if (!isSpare || !isWaiting()) continue
      owned.isAssigned = true
      signal.notify()
    }
  }

  /**
   * Gives all partitions up, before the consumer leaves.
   *
   * @param isLost Whether Kafka has given them to other members already.
   */
  async release(isLost: boolean): Promise<void> {
    const { owned } = this.#context
    this.#left.resolve(undefined)
    const released = this.#release(owned.remove([...owned]), isLost)
    await Promise.all([released, this.#releasing])
  }

  /** Called when the consumer has left: its partitions belong to other members from now on. */
  end(): void {
    this.#consumer = undefined
    this.#context.owned.isAssigned = false
  }

  /** Handles a rebalance, which the client reports and waits to have answered. */
  onRebalance(consumer: Consumer, code: number, partitions: readonly PartitionOffset[]): void {
    if (code === ASSIGN) this.#answer(consumer, this.#assign(consumer, partitions))
    else if (code === REVOKE) this.#answer(consumer, this.#revoke(consumer, partitions))
  }

  #answer(consumer: Consumer, answer: Promise<void>): void {
    const answered = answer
      .catch((cause) => this.#fail(consumer, cause))
      .finally(() => {
        if (this.#answering === answered) this.#setAnswering(undefined)
      })
    this.#setAnswering(answered)
  }

  #setAnswering(answer: Promise<void> | undefined): void {
    this.#answering = answer
    this.#context.owned.isChanging = answer !== undefined
  }

  /** Makes the next read fail, so that the member leaves. */
  #fail(consumer: Consumer, cause: unknown): void {
    log.debug('Cannot complete a change of members: {cause}', { cause })
    if (consumer !== this.#consumer) return
    this.#context.owned.error ??= new KafkaConsumeError(
      'KAFKA_UNAVAILABLE',
      'Cannot read as a group: a change of its members failed',
      { cause },
    )
  }

  async #assign(consumer: Consumer, partitions: readonly PartitionOffset[]): Promise<void> {
    const found = this.#findStarts(consumer, partitions)
    const starts = await Promise.race([found, this.#left.promise])
    // A consumer that is leaving takes the partitions as well: it could not leave otherwise.
    const taken = [...(starts ?? partitions)]
    const isTaken = this.#tell(consumer, () => consumer.incrementalAssign(taken))
    if (!isTaken) void this.#retryUnassign(consumer, taken)
    const { owned, signal } = this.#context
    if (!isTaken || owned.error || !starts || consumer !== this.#consumer) return
    this.#add(starts)
    owned.isAssigned = true
    signal.notify()
  }

  #add(starts: readonly AssignedStart[]): void {
    const { owned, commits, options } = this.#context
    for (const { topic, partition, offset, topicId, stable, gap, isOfNow } of starts) {
      const added = new OwnedPartition(topic, partition, offset, topicId)
      added.stable = stable
      owned.add(added)
      if (isOfNow) this.#firstStarts.set(partitionKey(added), offset)
      if (gap) owned.recordGap(gap)
    }
    this.#context.onAssigned()
    if (options.commitStrategy !== 'auto') return
    // If this process crashes, the next owner of the partition must start here, too.
    const ofNow = starts.filter(({ isOfNow }) => isOfNow)
    void commits.tryCommit(
      ofNow.map(({ topic, partition, offset }) => ({ topic, partition, offset })),
    )
  }

  /** @returns nothing when the member left meanwhile, or cannot read the partitions. */
  async #findStarts(
    consumer: Consumer,
    partitions: readonly TopicPartition[],
  ): Promise<AssignedStart[] | undefined> {
    if (partitions.length === 0) return []
    while (consumer === this.#consumer) {
      try {
        return await this.#askForStarts(consumer, partitions)
      } catch (thrown) {
        const error = asKafkaConsumeError(thrown)
        if (!isPassing(error)) {
          this.#context.owned.error = error
          return undefined
        }
        log.debug('{error}', { error: error.detail ?? error.message })
        await this.#context.signal.rest(RETRY_MS)
      }
    }
    return undefined
  }

  async #askForStarts(
    consumer: Consumer,
    partitions: readonly TopicPartition[],
  ): Promise<AssignedStart[]> {
    const { host, commits, options } = this.#context
    // Reading starts without topic ids as well: a later comparison learns them.
    const ids = await host.topicIds().catch(() => NO_IDS)
    // Ends are asked for last, so that no committed offset lies behind them.
    const committed = await host.committed(consumer, partitions)
    const firsts = await host.offsets(partitions, 'earliest')
    const ends = await host.offsets(partitions, 'latest')
    return partitions.map(({ topic, partition }, index) => {
      const key = partitionKey({ topic, partition })
      const standing = {
        topic,
        partition,
        committed: (committed[index] as PartitionOffset).offset,
        first: (firsts[index] as PartitionOffset).offset,
        end: (ends[index] as PartitionOffset).offset,
        remembered: commits.known(topic, partition),
        started: this.#firstStarts.get(key) ?? -1,
        isAdded: this.#first?.has(key) === false,
      }
      const start = startOffsetOf(standing, options.autoOffsetReset)
      // Consumers read decided records only: to them a partition ends where the decided ones do.
      return { ...start, topicId: ids.get(topic), stable: standing.end }
    })
  }

  async #revoke(consumer: Consumer, partitions: readonly PartitionOffset[]): Promise<void> {
    // A former consumer has given everything up: the present one may own these partitions by now.
    if (consumer === this.#consumer) {
      const { owned } = this.#context
      const gone = owned.remove(partitions)
      const isLost = consumer.assignmentLost()
      // The client joins again. Until Kafka has answered, an empty read does not say that there are no records.
      if (isLost && owned.isAssigned) {
        owned.isAssigned = false
        void this.#noteSpare(consumer)
      }
      const released = this.#release(gone, isLost)
      this.#releasing = Promise.all([this.#releasing, released])
      await released
    }
    // A consumer that is leaving waits for this answer, too.
    this.#tell(consumer, () => consumer.incrementalUnassign([...partitions]))
  }

  /**
   * Answers a change of members. A client that does not take the answer would wait for it without
   * partitions, for ever.
   *
   * @returns whether the client took the answer.
   */
  #tell(consumer: Consumer, answer: () => void): boolean {
    try {
      answer()
      return true
    } catch (cause) {
      this.#fail(consumer, cause)
      return false
    }
  }

  /**
   * A client that was told to close waits for an answer to its last assignment as well, and takes
   * only this one. It does not close before, so that it is there to be asked. Without an answer it
   * would stay a member that reads nothing, and hold up all others when members change.
   */
  async #retryUnassign(consumer: Consumer, partitions: PartitionOffset[]): Promise<void> {
    const until = performance.now() + CLOSING_MS
    while (performance.now() < until) {
      try {
        consumer.incrementalUnassign(partitions)
        return
      } catch {
        await this.#context.signal.next()
      }
    }
  }

  /**
   * Gives partitions up. Their next owner goes on from the committed offset, so that answers on
   * their way get some time to arrive, and what is delivered is committed first.
   *
   * @param isLost Whether Kafka has given the partitions to another member already.
   */
  async #release(gone: readonly OwnedPartition[], isLost: boolean): Promise<void> {
    const { commits, options, signal } = this.#context
    if (!isLost) {
      const until = performance.now() + LAST_DELIVERIES_MS
      while (gone.some(({ held }) => held > 0) && performance.now() < until) await signal.next()
    }
    if (isLost || options.commitStrategy === 'off') await commits.settled()
    else await commits.finish(gone)
    for (const owned of gone) owned.state = 'released'
    this.countUncertain(gone.reduce((sum, { offsets }) => sum + offsets.uncertain, 0))
  }
}
