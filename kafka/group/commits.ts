import { settledWithin } from '../../src/core/deadline.ts'
import { asKafkaConsumeError, type KafkaConsumeError } from '../../src/core/errors.ts'
import { logOf } from '../../src/core/log.ts'
import { partitionKey } from '../../src/core/topic-partition.ts'
import type { PartitionOffset } from '../../src/port/kafka.ts'
import { type Consumer, commitOffsets } from '../client/client.ts'
import { isPassing } from '../client/errors.ts'
import type { CommittableOffset, OwnedPartition } from './partitions.ts'

const log = logOf('group')

const TIMEOUT_MS = 5_000
const RETRY_MS = 1_000
/**
 * Milliseconds between a commit and the next one: small answers follow each other more quickly, and a
 * commit costs as much as several of them. A process that is killed repeats so much more.
 */
const PAUSE_MS = 50
/**
 * Delivered records that are committed without that pause: a member that catches up delivers ten thousands
 * in 50 ms.
 */
const PAUSE_RECORDS = 2_000
/**
 * Milliseconds for which partitions that are given up wait for their last commit, which is tried
 * again.
 */
const LAST_COMMIT_MS = 3_000
const LAST_RETRY_MS = 100

/** The commits of one member of a group, one after the other. */
export class Commits {
  readonly #groupId: string
  readonly #consumer: () => Consumer
  readonly #onBegin: () => void
  /** The last offset that was committed of each partition. */
  readonly #known = new Map<string, number>()
  #last: Promise<void> = Promise.resolve()
  #isAsked = false
  /** Ends the pause before the commit that is asked for. */
  #pause: ReturnType<typeof setTimeout> | undefined
  /** Records that were delivered since the last commit began. */
  #delivered = 0
  #underWay = 0
  /** When the last commit of {@link soon} ended, in `performance.now()`'s time. */
  #committedAt = -Infinity
  /** Topics whose failed commits were logged already. */
  readonly #failing = new Set<string>()

  /**
   * @param consumer Returns the joined consumer; throws when there is none.
   * @param onBegin Called when a commit begins: the client reports its result only while it is asked for
   * records.
   */
  constructor(groupId: string, consumer: () => Consumer, onBegin: () => void = () => {}) {
    this.#groupId = groupId
    this.#consumer = consumer
    this.#onBegin = onBegin
  }

  /** The last committed offset of a partition; -1 if there is none. */
  known(topic: string, partition: number): number {
    return this.#known.get(partitionKey({ topic, partition })) ?? -1
  }

  /** Resolves when the commits that were asked for before are done, or take too long. */
  async settled(): Promise<void> {
    await settledWithin(this.#last, LAST_COMMIT_MS)
  }

  /**
   * Commits each topic by itself, so that one that fails does not hold up the others.
   *
   * @throws KafkaConsumeError
   */
  commit(offsets: readonly PartitionOffset[]): Promise<void> {
    return this.#enqueue(async () => {
      const topics = [...Map.groupBy(offsets, ({ topic }) => topic).values()]
      const done = await Promise.allSettled(topics.map((ofTopic) => this.#commit(ofTopic)))
      for (const each of done) if (each.status === 'rejected') throw each.reason
    })
  }

  /** Commits offsets that no client waits for: an error is logged. */
  async tryCommit(offsets: readonly PartitionOffset[]): Promise<void> {
    const [first] = offsets
    if (first) await this.commit(offsets).catch((error) => this.#logError(first.topic, error))
  }

  /**
   * Commits an offset again that was committed last: Kafka refuses it of a member that others have
   * replaced.
   *
   * @returns whether Kafka took it. Nothing is known before the first commit.
   */
  async confirm(partitions: readonly OwnedPartition[]): Promise<boolean> {
    let isTaken = false
    const commit = async () => {
      const committed = partitions.find(({ offsets }) => offsets.lastCommitted !== undefined)
      if (!committed) return
      const { topic, partition, offsets } = committed
      const position = { topic, partition, offset: offsets.lastCommitted as number }
      await commitOffsets(this.#consumer(), [position], TIMEOUT_MS)
      isTaken = true
    }
    await this.#enqueue(commit).catch(() => {})
    return isTaken
  }

  /**
   * Commits the committable offsets of partitions, and tries again while that fails.
   *
   * @param delivered Records that were delivered since the last call.
   */
  soon(partitions: () => Iterable<OwnedPartition>, delivered = 0): void {
    this.#delivered += delivered
    const isMuch = this.#delivered >= PAUSE_RECORDS
    if (this.#isAsked && !(isMuch && this.#pause !== undefined)) return
    this.#isAsked = true
    const pause = isMuch ? 0 : this.#committedAt + PAUSE_MS - performance.now()
    if (pause > 0) this.#pause = setTimeout(() => this.#commitSoon(partitions), pause)
    else this.#commitSoon(partitions)
  }

  #commitSoon(partitions: () => Iterable<OwnedPartition>): void {
    clearTimeout(this.#pause)
    this.#pause = undefined
    void this.#enqueue(async () => {
      this.#isAsked = false
      this.#delivered = 0
      const error = await this.#commitDelivered(partitions())
      this.#committedAt = performance.now()
      if (error) setTimeout(() => this.soon(partitions), RETRY_MS)
    })
  }

  /**
   * Commits the committable offsets of partitions that are given up. Resolves even when that fails.
   */
  async finish(gone: readonly OwnedPartition[]): Promise<void> {
    const until = performance.now() + LAST_COMMIT_MS
    const finished = this.#enqueue(async () => {
      let error = await this.#commitDelivered(gone)
      while (error && isPassing(error) && performance.now() < until) {
        await new Promise((resolve) => setTimeout(resolve, LAST_RETRY_MS))
        error = await this.#commitDelivered(gone)
      }
    })
    await settledWithin(finished, LAST_COMMIT_MS)
  }

  /**
   * @returns an error of the commit, if any, and rather one that passes: the next commit succeeds
   * then.
   */
  async #commitDelivered(
    partitions: Iterable<OwnedPartition>,
  ): Promise<KafkaConsumeError | undefined> {
    const committable = [...partitions].flatMap(
      (owned): Array<[OwnedPartition, CommittableOffset]> => {
        const offset = owned.offsets.committable()
        return offset ? [[owned, offset]] : []
      },
    )
    const topics = [...Map.groupBy(committable, ([{ topic }]) => topic)]
    const errors = await Promise.all(topics.map((ofTopic) => this.#commitTopic(...ofTopic)))
    return errors.find((error) => error && isPassing(error)) ?? errors.find(Boolean)
  }

  async #commitTopic(
    topic: string,
    committable: ReadonlyArray<readonly [OwnedPartition, CommittableOffset]>,
  ): Promise<KafkaConsumeError | undefined> {
    try {
      await this.#commit(
        committable.map(([{ partition }, { offset }]) => ({ topic, partition, offset })),
      )
      for (const [{ offsets }, offset] of committable) offsets.committed(offset)
      return undefined
    } catch (error) {
      for (const [{ offsets }] of committable) offsets.uncommitted()
      return this.#logError(topic, error)
    }
  }

  /** @param offsets Offsets of one topic. */
  async #commit(offsets: readonly PartitionOffset[]): Promise<void> {
    await commitOffsets(this.#consumer(), offsets, TIMEOUT_MS)
    for (const { topic, partition, offset } of offsets) {
      this.#failing.delete(topic)
      this.#known.set(partitionKey({ topic, partition }), offset)
    }
  }

  /**
   * Logs an error once until a commit succeeds, and errors that pass not at all, as those of a change
   * of members.
   */
  #logError(topic: string, thrown: unknown): KafkaConsumeError {
    const error = asKafkaConsumeError(thrown)
    if (isPassing(error) || this.#failing.has(topic)) return error
    log.warn('Cannot commit offsets of {topic} for group {group}: {error}', {
      topic,
      group: this.#groupId,
      error: error.detail ?? error.message,
    })
    this.#failing.add(topic)
    return error
  }

  /** Whether Kafka has yet to answer a commit. */
  get isUnderWay(): boolean {
    return this.#underWay > 0
  }

  #enqueue(work: () => Promise<void>): Promise<void> {
    this.#underWay++
    this.#onBegin()
    const done = this.#last.then(work).finally(() => this.#underWay--)
    this.#last = done.catch(() => {})
    return done
  }
}
