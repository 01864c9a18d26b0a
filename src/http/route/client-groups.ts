/** Consumer groups of clients: in mode `kong_consumer` each client reads as the group of its name. */
import { KafkaConsumeError, shuttingDownError } from '../../core/errors.ts'
import type { GroupCalls, Membership, MembershipStats } from './memberships.ts'

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
  readonly #memberships = new Map<string, Membership>()
  readonly #closing = new Set<Promise<void>>()
  #isClosed = false

  /**
   * @param join Makes a share in the membership of a group.
   * @param limit Memberships that exist at a time.
   */
  constructor(join: (groupId: string) => Membership, limit: number) {
    this.#join = join
    this.#limit = limit
  }

  /**
   * A client's membership of its group, for one request. If it is closed between two calls, because
   * another client needed room, the next call joins again.
   *
   * @throws KafkaConsumeError TOO_MANY_GROUPS when no membership is idle.
   */
  forClient(name: string): GroupCalls {
    const membership = () => this.#membershipOf(name)
    membership()
    return {
      ready: async (signal) => membership().ready(signal),
      pollNow: (limits) => membership().pollNow(limits),
      poll: async (limits, signal) => membership().poll(limits, signal),
      commit: async (offsets) => membership().commit(offsets),
    }
  }

  /** Statistics of each membership. */
  stats(): MembershipStats[] {
    return [...this.#memberships.values()].map((membership) => membership.stats())
  }

  async close(): Promise<void> {
    this.#isClosed = true
    for (const name of this.#memberships.keys()) this.#end(name)
    await Promise.all(this.#closing)
  }

  /** The client's open membership, which counts as used. */
  #membershipOf(name: string): Membership {
    const found = this.#memberships.get(name)
    if (!found) this.#makeRoom()
    const membership = found ?? this.#join(name)
    this.#memberships.delete(name)
    this.#memberships.set(name, membership)
    return membership
  }

  /** @throws KafkaConsumeError TOO_MANY_GROUPS, or SHUTTING_DOWN */
  #makeRoom(): void {
    if (this.#isClosed) {
      throw shuttingDownError('read as the consumer group')
    }
    if (this.#memberships.size < this.#limit) return
    const idle = [...this.#memberships].find(([, { isInUse }]) => !isInUse)
    if (idle) {
      this.#end(idle[0])
      return
    }
    throw new KafkaConsumeError(
      'TOO_MANY_GROUPS',
      `Cannot read as the consumer group: ${this.#limit} clients do so already`,
      { retryAfter: 5 },
    )
  }

  #end(name: string): void {
    const membership = this.#memberships.get(name)
    if (!membership) return
    this.#memberships.delete(name)
    const closing = membership
      .close()
      .catch(() => undefined)
      .finally(() => this.#closing.delete(closing))
    this.#closing.add(closing)
  }
}
