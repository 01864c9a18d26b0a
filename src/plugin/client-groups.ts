/** Consumer groups of clients: mode `kong_consumer` reads as the group that has the client's name. */
import { KafkaConsumeError } from '../errors.ts'
import type { Delivery, GroupSession, MemberStats } from '../stream/source.ts'

/** Milliseconds without a use after which a client's membership of its group ends. */
const IDLE_MS = 5 * 60_000
const NOTHING: MemberStats = { partitions: [], handedBack: 0, uncertain: 0, rebuilt: 0 }

interface Member {
  readonly session: GroupSession
  /** Polls and commits under way, and deliveries that are not settled. */
  uses: number
  idleTimer: ReturnType<typeof setTimeout> | undefined
}

/**
 * A route's memberships, one for each client that reads. They are made on demand and end when they
 * were idle for a while, or when another client needs the place.
 */
export class ClientGroups {
  readonly #join: (groupId: string) => GroupSession
  readonly #limit: number
  readonly #idle: number
  /** The one that was used last is the last. */
  readonly #members = new Map<string, Member>()
  readonly #closing = new Set<Promise<void>>()
  #isClosed = false

  /**
   * @param join Makes a membership of the group with this id.
   * @param limit Memberships at a time.
   * @param idle Milliseconds. Default: five minutes.
   */
  constructor(join: (groupId: string) => GroupSession, limit: number, idle = IDLE_MS) {
    this.#join = join
    this.#limit = limit
    this.#idle = idle
  }

  /**
   * A client's membership of its group, for one request.
   *
   * @throws KafkaConsumeError TOO_MANY_GROUPS when as many clients as may are reading.
   */
  of(name: string): GroupSession {
    this.#member(name)
    const using = async <T>(work: (session: GroupSession) => Promise<T>): Promise<T> => {
      const { session, finish } = this.#use(name)
      try {
        return await work(session)
      } finally {
        finish()
      }
    }
    return {
      ready: (signal) => using((session) => session.ready(signal)),
      commit: (offsets) => using((session) => session.commit(offsets)),
      poll: (limits, signal) =>
        using(async (session) => {
          const delivery = await session.poll(limits, signal)
          return this.#tracked(name, delivery)
        }),
      stats: () => this.#members.get(name)?.session.stats() ?? NOTHING,
      close: async () => undefined,
    }
  }

  /** How far each is. */
  stats(): Array<MemberStats & { readonly id: string }> {
    return [...this.#members].map(([id, { session }]) => ({ id, ...session.stats() }))
  }

  async close(): Promise<void> {
    this.#isClosed = true
    for (const name of this.#members.keys()) this.#end(name)
    await Promise.all(this.#closing)
  }

  /** The delivery, which is a use until all of its records are settled. */
  #tracked(name: string, delivery: Delivery): Delivery {
    const { records, gaps, partitions } = delivery
    const { finish } = this.#use(name)
    let unsettled = records.length
    if (unsettled === 0) finish()
    return {
      records,
      gaps,
      partitions,
      done: () => {
        delivery.done()
        finish()
      },
      giveBack: () => {
        delivery.giveBack()
        finish()
      },
      confirm: (confirmed) => {
        delivery.confirm(confirmed)
        unsettled -= confirmed.length
        if (unsettled <= 0) finish()
      },
    }
  }

  #member(name: string): Member {
    const found = this.#members.get(name)
    if (found) return found
    if (this.#members.size >= this.#limit) this.#makeRoom()
    const member: Member = { session: this.#join(name), uses: 0, idleTimer: undefined }
    this.#members.set(name, member)
    this.#rest(name, member)
    return member
  }

  /** @throws KafkaConsumeError TOO_MANY_GROUPS */
  #makeRoom(): void {
    const resting = [...this.#members].find(([, { uses }]) => uses === 0)
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

  /** The membership of this moment, and what ends its use; of no effect when called again. */
  #use(name: string): { readonly session: GroupSession; finish(): void } {
    const member = this.#member(name)
    this.#members.delete(name)
    this.#members.set(name, member)
    clearTimeout(member.idleTimer)
    member.uses++
    let isUsed = true
    const finish = () => {
      if (!isUsed) return
      isUsed = false
      member.uses--
      if (member.uses === 0) this.#rest(name, member)
    }
    return { session: member.session, finish }
  }

  #rest(name: string, member: Member): void {
    if (this.#members.get(name) !== member || this.#isClosed) return
    member.idleTimer = setTimeout(() => this.#end(name), this.#idle)
  }

  #end(name: string): void {
    const member = this.#members.get(name)
    if (!member) return
    this.#members.delete(name)
    clearTimeout(member.idleTimer)
    const closing = member.session
      .close()
      .catch(() => undefined)
      .finally(() => this.#closing.delete(closing))
    this.#closing.add(closing)
  }
}
