import { getLogger } from '@logtape/logtape'
import { asKafkaConsumeError, type KafkaConsumeError } from '../../src/core/errors.ts'
import { partitionKey } from '../../src/core/topic-partition.ts'
import type { PartitionOffset } from '../../src/port/kafka.ts'
import { type Consumer, commitOffsets } from '../client/client.ts'
import { isPassing } from '../client/errors.ts'
import type { CommittableOffset } from './offset-tracker.ts'
import type { OwnedPartition } from './owned-partition.ts'

const log = getLogger(['hono-kafka-consume', 'group'])

const TIMEOUT_MS = 5_000
const RETRY_MS = 1_000
/** How long who gives partitions up waits for commits, and tries them again while Kafka cannot take them. */
const LAST_COMMIT_MS = 3_000
const LAST_RETRY_MS = 100

/** The commits of one member of a group, one after the other. */
export class Commits {
  readonly #groupId: string
  readonly #consumer: () => Consumer
  /** The last offset that was committed of each partition. */
  readonly #known = new Map<string, number>()
  #last: Promise<void> = Promise.resolve()
  #isAsked = false
  /** Topics of which the log knows that nothing can be committed. */
  readonly #failing = new Set<string>()

  /** @param consumer The member; throws when there is none. */
  constructor(groupId: string, consumer: () => Consumer) {
    this.#groupId = groupId
    this.#consumer = consumer
  }

  /** What was committed last of a partition; -1 for nothing. */
  known(topic: string, partition: number): number {
    return this.#known.get(partitionKey({ topic, partition })) ?? -1
  }

  /** Resolves when the commits that were asked for before are done, or take too long. */
  settled(): Promise<void> {
    return withinLimit(this.#last)
  }

  /**
   * Commits each topic by itself: one that cannot be does not hold up the others.
   *
   * @throws KafkaConsumeError
   */
  commit(offsets: readonly PartitionOffset[]): Promise<void> {
    return this.#inLine(async () => {
      const topics = [...Map.groupBy(offsets, ({ topic }) => topic).values()]
      const done = await Promise.allSettled(topics.map((ofTopic) => this.#commit(ofTopic)))
      for (const each of done) if (each.status === 'rejected') throw each.reason
    })
  }

  /** The same, of what nobody waits for: a failure is logged. */
  async tryCommit(offsets: readonly PartitionOffset[]): Promise<void> {
    const [first] = offsets
    if (first) await this.commit(offsets).catch((error) => this.#cannot(first.topic, error))
  }

  /** Commits what is delivered of the partitions by then, and tries again while that fails. */
  soon(partitions: () => Iterable<OwnedPartition>): void {
    if (this.#isAsked) return
    this.#isAsked = true
    void this.#inLine(async () => {
      this.#isAsked = false
      if (await this.#commitDelivered(partitions())) {
        setTimeout(() => this.soon(partitions), RETRY_MS)
      }
    })
  }

  /** Commits what is delivered of partitions that are given up; resolves also when it cannot. */
  finish(gone: readonly OwnedPartition[]): Promise<void> {
    const until = performance.now() + LAST_COMMIT_MS
    const finished = this.#inLine(async () => {
      let error = await this.#commitDelivered(gone)
      while (error && isPassing(error) && performance.now() < until) {
        await new Promise((resolve) => setTimeout(resolve, LAST_RETRY_MS))
        error = await this.#commitDelivered(gone)
      }
    })
    return withinLimit(finished)
  }

  /** @returns why something could not be committed, what may pass first: it goes with the next commit. */
  async #commitDelivered(
    partitions: Iterable<OwnedPartition>,
  ): Promise<KafkaConsumeError | undefined> {
    const claims = [...partitions].flatMap((owned): Array<[OwnedPartition, CommittableOffset]> => {
      const claim = owned.offsets.committable()
      return claim ? [[owned, claim]] : []
    })
    const topics = [...Map.groupBy(claims, ([{ topic }]) => topic)]
    const errors = await Promise.all(topics.map((ofTopic) => this.#commitClaims(...ofTopic)))
    return errors.find((error) => error && isPassing(error)) ?? errors.find(Boolean)
  }

  async #commitClaims(
    topic: string,
    claims: ReadonlyArray<readonly [OwnedPartition, CommittableOffset]>,
  ): Promise<KafkaConsumeError | undefined> {
    try {
      await this.#commit(
        claims.map(([{ partition }, { offset }]) => ({ topic, partition, offset })),
      )
      for (const [{ offsets }, claim] of claims) offsets.committed(claim)
      return undefined
    } catch (error) {
      for (const [{ offsets }] of claims) offsets.uncommitted()
      return this.#cannot(topic, error)
    }
  }

  /** @param offsets Of one topic. */
  async #commit(offsets: readonly PartitionOffset[]): Promise<void> {
    await commitOffsets(this.#consumer(), offsets, TIMEOUT_MS)
    for (const { topic, partition, offset } of offsets) {
      this.#failing.delete(topic)
      this.#known.set(partitionKey({ topic, partition }), offset)
    }
  }

  /** Told once, until a commit succeeds; what passes by itself, as a change of members, not at all. */
  #cannot(topic: string, thrown: unknown): KafkaConsumeError {
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

  #inLine(work: () => Promise<void>): Promise<void> {
    const done = this.#last.then(work)
    this.#last = done.catch(() => {})
    return done
  }
}

async function withinLimit(commits: Promise<void>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, LAST_COMMIT_MS)
  })
  await Promise.race([commits, late])
  clearTimeout(timer)
}
