import { logOf } from '../../src/core/log.ts'
import type { Signal } from '../../src/core/signal.ts'
import { partitionKey, type TopicPartition } from '../../src/core/topic-partition.ts'
import type { MemberDescription } from '../client/client.ts'
import type { GroupHost } from './group-host.ts'

const log = logOf('group')

/** Milliseconds between two questions whether the members have divided the partitions again. */
const ASK_MS = 200
/** Milliseconds for a rebalance: it waits as long for a member that takes no part in it. */
const REBALANCE_MS = 70_000

/**
 * Finds partitions that no member of the group has, and asks for a rebalance.
 *
 * With cooperative rebalancing a member first gives partitions up, and then joins again so that they
 * get another owner. A static member whose process ends in between does not do the second step, and
 * when it comes back Kafka gives it what it has left, without a rebalance (KIP-345). The partitions
 * that it had given up would stay without an owner for as long as no member joins or leaves.
 */
export class OrphanedPartitions {
  readonly #host: GroupHost
  readonly #groupId: string
  readonly #signal: Signal
  /** Partitions without an owner at the last check: between the two steps they have none, either. */
  #suspected: ReadonlySet<string> = new Set()
  #isClosed = false
  /** A check under way. */
  #checking: Promise<void> | undefined

  /** @param signal Waited for between questions, and ended when the group closes. */
  constructor(host: GroupHost, groupId: string, signal: Signal) {
    this.#host = host
    this.#groupId = groupId
    this.#signal = signal
  }

  /** Begins a check, unless one is under way. */
  check(): void {
    this.#checking ??= this.#check().finally(() => {
      this.#checking = undefined
    })
  }

  /** Ends the check under way. */
  async close(): Promise<void> {
    this.#isClosed = true
    await this.#checking
  }

  async #check(): Promise<void> {
    try {
      const orphans = (await this.#host.orphans())?.map(partitionKey) ?? []
      const isConfirmed = orphans.some((orphan) => this.#suspected.has(orphan))
      this.#suspected = new Set(orphans)
      if (isConfirmed && !this.#isClosed) await this.#rebalance(orphans)
    } catch (error) {
      log.debug('Cannot compare the partitions of group {group} with its members: {error}', {
        group: this.#groupId,
        error,
      })
    }
  }

  /** A member that joins makes all members divide the partitions again, and so does its leaving. */
  async #rebalance(partitions: readonly string[]): Promise<void> {
    log.warn('No member of group {group} has {partitions}: asking for a rebalance', {
      group: this.#groupId,
      partitions: partitions.join(', '),
    })
    const member = await this.#host.joinBriefly()
    try {
      const until = performance.now() + REBALANCE_MS
      do await this.#signal.rest(ASK_MS)
      while (!this.#isClosed && performance.now() < until && (await this.#hasOrphans()))
    } finally {
      await member.close()
    }
  }

  /** Whether partitions have no member yet, or the members still divide them. */
  async #hasOrphans(): Promise<boolean> {
    const orphans = await this.#host.orphans()
    return orphans === undefined || orphans.length > 0
  }
}

/** The partitions that no member has. */
export function orphansOf(
  all: readonly TopicPartition[],
  members: readonly MemberDescription[],
): TopicPartition[] {
  const owned = new Set(
    members.flatMap(({ assignment }) => assignment?.topicPartitions?.map(partitionKey) ?? []),
  )
  return all.filter((partition) => !owned.has(partitionKey(partition)))
}

/** Whether members have all partitions, so that another member has none. */
export function haveAll(
  all: readonly TopicPartition[],
  members: readonly MemberDescription[],
): boolean {
  const hasSpare = members.some(({ assignment }) => !assignment?.topicPartitions?.length)
  return hasSpare && orphansOf(all, members).length === 0
}
