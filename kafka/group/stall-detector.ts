import { partitionKey } from '../../src/core/topic-partition.ts'
import type { PartitionOffset } from '../../src/port/kafka.ts'
import type { OwnedPartition } from './owned-partition.ts'

/** What is watched. */
export interface WatchedMember {
  /** Whether it reads nothing just now for a reason that is known. */
  readonly isHeldUp: boolean
  /** The partitions that it reads. */
  owned(): readonly OwnedPartition[]
  /** Their ends, asked of Kafka; in the order of what was asked. */
  ends(partitions: readonly OwnedPartition[]): Promise<PartitionOffset[]>
}

/** Compares from time to time what a member of a group has read with what Kafka has. */
export class StallDetector {
  readonly #watched: WatchedMember
  #rounds = -1
  /** Where partitions stood at the last look, of those that had stood there before. */
  #behind = new Map<OwnedPartition, number>()
  #positions = new Map<OwnedPartition, number>()

  constructor(watched: WatchedMember) {
    this.#watched = watched
  }

  /**
   * @param rounds How often the member has tried to read.
   * @returns what stands still, though it was behind Kafka when it was last looked at: partitions,
   * or reading itself; undefined where all is well, or Kafka does not answer.
   */
  async look(rounds: number): Promise<string | undefined> {
    if (rounds === this.#rounds) return 'no read comes back'
    this.#rounds = rounds
    const before = this.#positions
    const behindBefore = this.#behind
    // A later look has one of its own: an answer that comes so late is of no use.
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
