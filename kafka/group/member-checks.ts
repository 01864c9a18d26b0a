import { logOf } from '../../src/core/log.ts'
import { MemberProgress, type WatchedMember } from './member-progress.ts'
import type { OrphanedPartitions } from './orphaned-partitions.ts'

const log = logOf('group')

/** A stall of the member. The message names the partitions that stand still. */
export class Stall extends Error {}

/** The checks of a joined member, from time to time: whether it stalls, and whether partitions have no member. */
export class MemberChecks {
  /** How often the member has tried to read. */
  rounds = 0
  readonly #orphans: OrphanedPartitions
  readonly #timer: ReturnType<typeof setInterval>

  /**
   * @param every Milliseconds between two checks.
   */
  constructor(
    member: WatchedMember,
    orphans: OrphanedPartitions,
    every: number,
    onStall: (stall: Stall) => void,
  ) {
    this.#orphans = orphans
    const progress = new MemberProgress(member)
    this.#timer = setInterval(() => {
      const checked = progress.check(this.rounds).catch((error) => log.debug('{error}', { error }))
      void checked.then((stall) => stall && onStall(new Stall(stall)))
      orphans.check()
    }, every)
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#orphans.close()
  }
}
