import { StallDetector } from '../../src/core/stall-detector.ts'
import { partitionKey } from '../../src/core/topic-partition.ts'
import type { PartitionOffset } from '../../src/port/kafka.ts'
import type { OwnedPartition } from './partitions.ts'

/** The part of a group's member that shows its progress. */
export interface WatchedMember {
  /** Whether the member reads nothing for a known reason, such as a pause. */
  readonly isHeldUp: boolean
  /** How often a read has taken all records that the client had. */
  readonly drains: number
  /** The partitions that the member reads. */
  owned(): readonly OwnedPartition[]
  /** Asks Kafka for the ends of partitions; in the order of `partitions`. */
  ends(partitions: readonly OwnedPartition[]): Promise<PartitionOffset[]>
}

/**
 * Compares from time to time what a member of a group has read with what Kafka has.
 *
 * Known limit: a stalled partition is not detected while another partition has an endless backlog, and
 * clients poll more slowly than Kafka's client fetches. No read then takes all that the client has, and
 * each check begins again, since the stalled partition cannot be told from a healthy one:
 * - Its records may wait in the client's queue, whose bytes the client does not tell.
 * - Its broker may not have been asked. Brokers are asked only while the queue has room, a pause empties
 *   the queue, and the broker of the backlog may fill it again first.
 *
 * Replacing the member on a guess would throw away what it has fetched, and change nothing. The partition is
 * detected once a read takes all records. Its lag shows before (`hono_kafka_group_lag_records`).
 */
export class MemberProgress {
  readonly #watched: WatchedMember
  readonly #stallDetector = new StallDetector<OwnedPartition>()
  /**
   * Partitions that stood still at the last check: the member may have paused since the check before.
   */
  #suspected: ReadonlySet<OwnedPartition> = new Set()
  #rounds = -1
  #drains = -1

  constructor(watched: WatchedMember) {
    this.#watched = watched
  }

  /**
   * @param rounds How often the member has tried to read.
   * @returns A description of the stall: the partitions that were behind Kafka and did not move for two
   * checks, in each of which a read took all records of the client, or that no read comes back. Undefined
   * without a stall, or when Kafka does not answer.
   */
  async check(rounds: number): Promise<string | undefined> {
    if (rounds === this.#rounds) return 'no read comes back'
    this.#rounds = rounds
    // Records of a partition that stands still may wait in the client, behind those of others.
    const isClientFull = this.#watched.drains === this.#drains
    this.#drains = this.#watched.drains
    if (this.#watched.isHeldUp || isClientFull) {
      this.#stallDetector.reset()
      this.#suspected = new Set()
      return undefined
    }
    const owned = this.#watched.owned()
    const positions = owned.map(({ position }) => position)
    const ends = await this.#watched.ends(owned)
    const progress = owned.map((each, index) => {
      const { offset } = ends[index] as PartitionOffset
      return [each, { position: positions[index] as number, end: offset }] as const
    })
    const still = this.#stallDetector.check(new Map(progress))
    const stuck = still.filter((each) => this.#suspected.has(each))
    this.#suspected = new Set(still)
    return stuck.length > 0 ? `nothing comes of ${stuck.map(partitionKey).join(', ')}` : undefined
  }
}
