/** Consumer groups of clients: in mode `kong_consumer` each client reads as the group of its name. */
import { KafkaConsumeError, shuttingDownError } from '../../core/errors.ts'
import type { SharedNames, ShareNames } from '../../core/shared-names.ts'
import type { GroupCalls, Membership, MembershipStats } from './memberships.ts'

interface UsedMembership {
  readonly membership: Membership
  /** The time of the last use, in milliseconds since 1970. */
  readonly usedAt: number
}

/**
 * A route's memberships, one for each client that reads. A membership is made with the client's first
 * request and leaves its group while the client is idle.
 *
 * Overflow policy: the least recently used idle membership is closed; if none is idle, the client is
 * refused.
 */
export class ClientGroups {
  readonly #join: (groupId: string) => Membership
  readonly #limit: number
  /** The memberships by client, the least recently used one first. */
  readonly #memberships = new Map<string, UsedMembership>()
  /** Counts the groups of all threads; undefined where this one counts alone. */
  readonly #shared: SharedNames | undefined
  readonly #closing = new Set<Promise<void>>()
  #isClosed = false

  /**
   * @param join Makes a share in the membership of a group.
   * @param limit Memberships that exist at a time.
   * @param share Counts the groups of all threads. Default: this one counts alone.
   */
  constructor(join: (groupId: string) => Membership, limit: number, share?: ShareNames) {
    this.#join = join
    this.#limit = limit
    this.#shared = share?.('groups', limit, {
      idle: () => this.#idle().map(([name, { usedAt }]) => [name, usedAt] as const),
      leaveIdle: (name) => {
        if (this.#memberships.get(name)?.membership.isInUse) return false
        this.#end(name)
        return true
      },
    })
  }

  /**
   * A client's membership of its group, for one request. If it is closed between two calls, because
   * another client needed room, the next call joins again.
   *
   * @throws KafkaConsumeError TOO_MANY_GROUPS when no membership is idle.
   */
  async forClient(name: string): Promise<GroupCalls> {
    const membership = () => this.#membershipOf(name)
    await membership()
    return {
      ready: async (signal) => (await membership()).ready(signal),
      pollNow: (limits) => this.#use(name)?.pollNow(limits),
      poll: async (limits, leaving) => (await membership()).poll(limits, leaving),
      commit: async (offsets) => (await membership()).commit(offsets),
    }
  }

  /** Statistics of each membership. */
  stats(): MembershipStats[] {
    return [...this.#memberships.values()].map(({ membership }) => membership.stats())
  }

  async close(): Promise<void> {
    this.#isClosed = true
    for (const name of this.#memberships.keys()) this.#end(name)
    this.#shared?.release()
    await Promise.all(this.#closing)
  }

  /** The client's open membership, which counts as used. */
  #use(name: string): Membership | undefined {
    const found = this.#memberships.get(name)
    if (!found) return undefined
    this.#memberships.delete(name)
    this.#memberships.set(name, { ...found, usedAt: Date.now() })
    return found.membership
  }

  /**
   * The client's membership, which is made if there is none.
   *
   * @throws KafkaConsumeError TOO_MANY_GROUPS, or SHUTTING_DOWN
   */
  async #membershipOf(name: string): Promise<Membership> {
    const open = this.#use(name)
    if (open) return open
    if (this.#shared) {
      const hasRoom = await this.#shared.use(name)
      // Another request of the client may have made it meanwhile.
      const found = this.#use(name)
      if (found) return found
      if (!hasRoom) this.#refuse()
    }
    if (this.#isClosed) {
      this.#shared?.leave(name)
      throw shuttingDownError('read as the consumer group')
    }
    if (!this.#shared) this.#makeRoom()
    const membership = this.#join(name)
    this.#memberships.set(name, { membership, usedAt: Date.now() })
    return membership
  }

  /** @throws KafkaConsumeError TOO_MANY_GROUPS */
  #makeRoom(): void {
    if (this.#memberships.size < this.#limit) return
    const [oldest] = this.#idle()
    if (!oldest) this.#refuse()
    this.#end(oldest[0])
  }

  #refuse(): never {
    throw new KafkaConsumeError(
      'TOO_MANY_GROUPS',
      `Cannot read as the consumer group: ${this.#limit} clients do so already`,
      { retryAfter: 5 },
    )
  }

  #idle(): Array<[name: string, used: UsedMembership]> {
    return [...this.#memberships].filter(([, { membership }]) => !membership.isInUse)
  }

  #end(name: string): void {
    const membership = this.#memberships.get(name)?.membership
    if (!membership) return
    this.#memberships.delete(name)
    this.#shared?.leave(name)
    const closing = membership
      .close()
      .catch(() => undefined)
      .finally(() => this.#closing.delete(closing))
    this.#closing.add(closing)
  }
}
