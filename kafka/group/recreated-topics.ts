import { asKafkaConsumeError } from '../../src/core/errors.ts'
import { logOf } from '../../src/core/log.ts'
import { TopicIds } from '../../src/core/topic-ids.ts'
import type { PartitionOffset } from '../../src/port/kafka.ts'
import { type Consumer, call } from '../client/client.ts'
import { isPassing } from '../client/errors.ts'
import type { GroupHost } from './group-host.ts'
import type { OwnedPartition, OwnedPartitions } from './partitions.ts'

const log = logOf('group')

/** Milliseconds between two comparisons of topic ids. */
const COMPARE_MS = 5_000
const SEEK_TIMEOUT_MS = 2_000

/** Finds topics that were re-created, and reads their partitions from the first record. */
export class RecreatedTopics {
  readonly #host: GroupHost
  readonly #owned: OwnedPartitions
  readonly #topicIds = new TopicIds()
  /** Partitions of re-created topics that are yet to be read from their first record. */
  #outdated: ReadonlySet<OwnedPartition> = new Set()
  /** When topic ids are compared next, in `performance.now()`'s time. */
  #compareAt = 0

  constructor(host: GroupHost, owned: OwnedPartitions) {
    this.#host = host
    this.#owned = owned
  }

  /**
   * Restarts the partitions of re-created topics that are known, and looks for others from time to
   * time. To be called between two reads, so that no read brings records of the old position.
   */
  async check(consumer: Consumer): Promise<void> {
    if (performance.now() > this.#compareAt) {
      this.#compareAt = performance.now() + COMPARE_MS
      void this.#compare()
    }
    if (this.#outdated.size > 0) await this.#restart(consumer)
  }

  async #compare(): Promise<void> {
    try {
      const ids = await this.#host.topicIds()
      const outdated = new Set(this.#outdated)
      for (const owned of this.#owned) {
        const id = ids.get(owned.topic)
        if (this.#topicIds.isRecreated(owned.topicId, id)) outdated.add(owned)
        else if (id !== undefined && !this.#topicIds.isRetired(id)) owned.topicId = id
      }
      for (const { topicId } of outdated) this.#topicIds.retire(topicId)
      this.#outdated = outdated
    } catch (error) {
      log.debug('Cannot compare topics: {error}', { error })
    }
  }

  /**
   * @throws KafkaConsumeError when the member must leave the group. Where Kafka does not answer now it must
   * not: after it has joined again, nothing would tell that the offsets are those of the old topic.
   */
  async #restart(consumer: Consumer): Promise<void> {
    try {
      // A partition that was revoked is its next owner's to restart.
      const outdated = [...this.#outdated].filter(({ state }) => state === 'owned')
      this.#outdated = new Set(outdated)
      if (outdated.length === 0) return
      const firsts = await this.#host.offsets(outdated, 'earliest')
      for (const [index, owned] of outdated.entries()) {
        const { offset } = firsts[index] as PartitionOffset
        if (owned.state === 'owned') await this.#restartPartition(consumer, owned, offset)
        this.#outdated = this.#outdated.difference(new Set([owned]))
      }
    } catch (thrown) {
      const error = asKafkaConsumeError(thrown)
      if (!isPassing(error)) throw error
      log.debug('Cannot restart re-created topics, trying again: {error}', { error })
    }
  }

  async #restartPartition(consumer: Consumer, owned: OwnedPartition, to: number): Promise<void> {
    const place = { topic: owned.topic, partition: owned.partition, offset: to }
    await call('Cannot read from Kafka', (done) =>
      consumer.seek(place, SEEK_TIMEOUT_MS, (error) => done(error, undefined)),
    )
    this.#owned.reset(owned, to)
  }
}
