/** Consumer groups of clients: mode `kong_consumer` reads as the group that has the client's name. */
import { KafkaConsumeError } from '../../core/errors.ts'
import type { GroupCalls, Membership, MembershipStats } from './memberships.ts'

/**
 * A route's memberships, one for each client that reads. They are made on demand, leave their group
 * while the client does not call, and end when another client needs the place.
 */
export class ClientGroups {
  readonly #join: (groupId: string) => Membership
  readonly #limit: number
  /** In the order of their last use. */
  readonly #memberships = new Map<string, Membership>()
  readonly #closing = new Set<Promise<void>>()
  #isClosed = false

  /**
   * @param join Gives a share in the membership of the group with this id.
   * @param limit Memberships at a time.
   */
  constructor(join: (groupId: string) => Membership, limit: number) {
    this.#join = join
    this.#limit = limit
  }

  /**
   * A client's membership of its group, for one request. Between two calls another client may have
   * taken its place: then the next call joins anew.
   *
   * @throws KafkaConsumeError TOO_MANY_GROUPS when as many clients as may are reading.
   */
  forClient(name: string): GroupCalls {
    const membership = () => this.#membershipOf(name)
    membership()
    return {
      ready: async (signal) => membership().ready(signal),
      poll: async (limits, signal) => membership().poll(limits, signal),
      commit: async (offsets) => membership().commit(offsets),
    }
  }

  /** How far each is. */
  stats(): MembershipStats[] {
    return [...this.#memberships.values()].map((membership) => membership.stats())
  }

  async close(): Promise<void> {
    this.#isClosed = true
    for (const name of this.#memberships.keys()) this.#end(name)
    await Promise.all(this.#closing)
  }

  /** The membership of this moment. */
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
      throw new KafkaConsumeError(
        'SHUTTING_DOWN',
        'Cannot read as the consumer group: the server is shutting down',
      )
    }
    if (this.#memberships.size < this.#limit) return
    const resting = [...this.#memberships].find(([, { isInUse }]) => !isInUse)
    if (resting) {
      this.#end(resting[0])
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
