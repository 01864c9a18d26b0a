import { logOf } from '../../src/core/log.ts'
import { TopicIds } from '../../src/core/topic-ids.ts'
import type { PartitionOffset } from '../../src/port/kafka.ts'
import { type Consumer, call } from '../client/client.ts'
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
  #outdated: OwnedPartition[] = []
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
    if (this.#outdated.length > 0) await this.#restart(consumer)
  }

  async #compare(): Promise<void> {
    try {
      const ids = await this.#host.topicIds()
      for (const owned of this.#owned) {
        const id = ids.get(owned.topic)
        if (this.#topicIds.isRecreated(owned.topicId, id)) this.#outdated.push(owned)
        else if (id !== undefined && !this.#topicIds.isRetired(id)) owned.topicId = id
      }
      for (const { topicId } of this.#outdated) this.#topicIds.retire(topicId)
    } catch (error) {
      log.debug('Cannot compare topics: {error}', { error })
    }
  }

  async #restart(consumer: Consumer): Promise<void> {
    const outdated = this.#outdated.filter(({ state }) => state === 'owned')
    this.#outdated = []
    const firsts = await this.#host.offsets(outdated, 'earliest')
    for (const [index, owned] of outdated.entries()) {
      // The partition may have been revoked meanwhile.
      if (owned.state !== 'owned') continue
      const { offset } = firsts[index] as PartitionOffset
      const place = { topic: owned.topic, partition: owned.partition, offset }
      this.#owned.reset(owned, offset)
      await call('Cannot read from Kafka', (done) =>
        consumer.seek(place, SEEK_TIMEOUT_MS, (error) => done(error, undefined)),
      )
    }
  }
}
