import { partitionKey } from '../../src/core/topic-partition.ts'
import type { PartitionOffset } from '../../src/port/kafka.ts'
import type { OwnedPartition } from './partitions.ts'

/** What a stall detector asks of the member that it watches. */
export interface WatchedMember {
  /** Whether the member reads nothing for a known reason, such as a pause. */
  readonly isHeldUp: boolean
  /** The partitions that the member reads. */
  owned(): readonly OwnedPartition[]
  /** The ends of partitions, asked of Kafka; in the order of the question. */
  ends(partitions: readonly OwnedPartition[]): Promise<PartitionOffset[]>
}

/** Compares from time to time what a member of a group has read with what Kafka has. */
export class StallDetector {
  readonly #watched: WatchedMember
  #rounds = -1
  /** Positions of partitions that had not moved at the last check and were behind Kafka. */
  #behind = new Map<OwnedPartition, number>()
  #positions = new Map<OwnedPartition, number>()

  constructor(watched: WatchedMember) {
    this.#watched = watched
  }

  /**
   * @param rounds How often the member has tried to read.
   * @returns what stands still although it was behind Kafka at the last check: partitions, or reading
   * itself; undefined where there is no stall, or Kafka does not answer.
   */
  async check(rounds: number): Promise<string | undefined> {
    if (rounds === this.#rounds) return 'no read comes back'
    this.#rounds = rounds
    const before = this.#positions
    const behindBefore = this.#behind
    // A later check has a map of its own: an answer of Kafka that comes after it is of no use.
    const behind = new Map<OwnedPartition, number>()
    this.#behind = behind
    this.#positions = new Map()
    if (this.#watched.isHeldUp) return undefined
    const owned = this.#watched.owned()
    const still = owned.filter((each) => before.get(each) === each.position)
    for (const each of owned) this.#positions.set(each, each.position)
    const stuck = still.filter((each) => behindBefore.get(each) === each.position)
    if (stuck.length > 0) return `nothing comes of ${stuck.map(partitionKey).join(', ')}`
    if (still.length === 0) return undefined
    const positions = still.map(({ position }) => position)
    const ends = await this.#watched.ends(still)
    still.forEach((each, index) => {
      const position = positions[index] as number
      if ((ends[index] as PartitionOffset).offset > position) behind.set(each, position)
    })
    return undefined
  }
}
