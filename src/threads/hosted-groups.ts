/** Answers for the members of groups to one other thread, whose clients get their records. */
import { shuttingDownError } from '../core/errors.ts'
import { bodyOfDelivery } from '../http/response/body.ts'
import type { GroupConnection } from '../http/route/cluster-registry.ts'
import type { Membership } from '../http/route/memberships.ts'
import type { DeliveredRun } from '../port/encoding.ts'
import type {
  Delivery,
  GroupOptions,
  LeavingClient,
  MemberStats,
  PartitionOffset,
  PollLimits,
} from '../port/kafka.ts'
import { BodySender } from './body-memory.ts'
import { type MessageHandlers, Transferred } from './messenger.ts'
import type { SentAck, SentDelivery, SmallDelivery } from './remote-delivery.ts'
import { type SentPoll, unpackPoll } from './sent-poll.ts'

type PollAnswer = SentDelivery | SmallDelivery | Transferred

interface JoinedGroup {
  readonly joining: Promise<Membership>
  membership: Membership | undefined
}

export class HostedGroups {
  readonly #connection: (cluster: number) => Promise<GroupConnection>
  readonly #groups = new Map<number, JoinedGroup>()
  /** Deliveries that the thread has neither acked nor requeued. */
  readonly #deliveries = new Map<number, Delivery>()
  #bodies: BodySender | undefined
  #ids = 0
  #isOver = false

  constructor(connection: (cluster: number) => Promise<GroupConnection>) {
    this.#connection = connection
  }

  get handlers(): MessageHandlers {
    return {
      bodyMemory: (memory: SharedArrayBuffer) => {
        this.#bodies = new BodySender(memory)
      },
      join: (sent: { cluster: number; group: number; options: GroupOptions }) => this.#join(sent),
      ready: async ({ group }: { group: number }, leaving) =>
        (await this.#group(group)).ready(leaving.signal),
      poll: (poll: SentPoll, leaving) => this.#poll(poll, leaving),
      commit: async ({ group, offsets }: { group: number; offsets: PartitionOffset[] }) =>
        (await this.#group(group)).commit(offsets),
      leave: (group: number) => this.#leave(group),
      groupStats: () => this.#stats(),
      ackRange: ([delivery, begin, end]: SentAck) =>
        this.#deliveries.get(delivery)?.ackRange(begin, end),
      ack: (delivery: number) => this.#take(delivery)?.ack(),
      requeue: (delivery: number) => this.#take(delivery)?.requeue(),
    }
  }

  /** Requeues the records of a thread that has ended. Records that it is given from now on are, too. */
  requeueAll(): void {
    this.#isOver = true
    for (const delivery of this.#deliveries.values()) delivery.requeue()
    this.#deliveries.clear()
  }

  async leaveAll(): Promise<void> {
    await Promise.allSettled([...this.#groups.keys()].map((group) => this.#leave(group)))
  }

  #join({ cluster, group, options }: { cluster: number; group: number; options: GroupOptions }) {
    const joined: JoinedGroup = {
      joining: this.#connection(cluster).then(({ memberships }) => {
        joined.membership = memberships.join(options)
        return joined.membership
      }),
      membership: undefined,
    }
    joined.joining.catch(() => undefined)
    this.#groups.set(group, joined)
  }

  #group(id: number): Promise<Membership> {
    return this.#groups.get(id)?.joining ?? Promise.reject(shuttingDownError('read as a group'))
  }

  /** Records that are ready are answered at once, together with the other polls of their message. */
  #poll(poll: SentPoll, leaving: LeavingClient): PollAnswer | Promise<PollAnswer> {
    const [group] = poll
    const limits = unpackPoll(poll)
    const ready = this.#groups.get(group)?.membership?.pollNow(limits)
    if (!ready) return this.#wait(group, limits, leaving)
    return this.#deliver(ready, limits, this.#bodies)
  }

  async #wait(group: number, limits: PollLimits, leaving: LeavingClient): Promise<PollAnswer> {
    const membership = await this.#group(group)
    const delivery = membership.pollNow(limits) ?? (await membership.poll(limits, leaving))
    if (this.#isOver) {
      delivery.requeue()
      throw shuttingDownError('read as a group')
    }
    return this.#deliver(delivery, limits)
  }

  /**
   * Gives a delivery to the thread.
   *
   * @param sender Takes a small body, for an answer that is sent with this call: bodies must be taken in the
   * order in which they were put in. Default: bodies are moved.
   */
  #deliver(
    delivery: Delivery,
    limits: PollLimits,
    sender?: BodySender,
  ): PollAnswer | Promise<PollAnswer> {
    const id = ++this.#ids
    this.#deliveries.set(id, delivery)
    const fail = (error: unknown): never => {
      this.#take(id)?.requeue()
      throw error
    }
    try {
      const { layout } = limits
      const body = layout && bodyOfDelivery(delivery, layout, sender !== undefined)
      if (!body) return sentDelivery(id, delivery, limits, undefined)
      if (body instanceof Promise) {
        return body.then((bytes) => movedDelivery(id, delivery, limits, bytes)).catch(fail)
      }
      if (!sender) return movedDelivery(id, delivery, limits, body)
      const { wantsRecords, wantsRuns } = limits
      const isSmall = !wantsRecords && !wantsRuns && delivery.gaps.length === 0
      const shared = isSmall ? sender.put(body) : undefined
      if (!shared) return movedDelivery(id, delivery, limits, body)
      return [id, delivery.length, delivery.bytes, shared.at, shared.length, shared.used]
    } catch (error) {
      return fail(error)
    }
  }

  async #leave(id: number): Promise<void> {
    const joined = this.#groups.get(id)
    this.#groups.delete(id)
    await (await joined?.joining.catch(() => undefined))?.close()
  }

  #stats(): Array<[number, MemberStats]> {
    return [...this.#groups].flatMap(([id, { membership }]): Array<[number, MemberStats]> => {
      return membership ? [[id, membership.stats()]] : []
    })
  }

  /** A delivery that ends now. */
  #take(id: number): Delivery | undefined {
    const delivery = this.#deliveries.get(id)
    this.#deliveries.delete(id)
    return delivery
  }
}

function movedDelivery(
  id: number,
  delivery: Delivery,
  limits: PollLimits,
  body: Uint8Array,
): Transferred {
  // Memory of native code cannot move. A structured clone would copy it twice.
  const copy = new Uint8Array(body)
  return new Transferred(sentDelivery(id, delivery, limits, copy), [copy.buffer])
}

/** A delivery with the parts that its poll wants. */
function sentDelivery(
  id: number,
  delivery: Delivery,
  { wantsRecords, wantsRuns }: PollLimits,
  body: SentDelivery['body'],
): SentDelivery {
  const { length, bytes, gaps } = delivery
  return {
    id,
    length,
    bytes,
    body,
    ...(gaps.length > 0 && { gaps }),
    ...(wantsRecords && { records: delivery.decodeRecords(), partitions: delivery.partitions }),
    ...(wantsRuns && { runs: delivery.runs.map(sentRun) }),
  }
}

function sentRun({ topic, partition, begin, end, offsets }: DeliveredRun): DeliveredRun {
  // A view would be sent with all of its memory.
  return { topic, partition, begin, end, offsets: offsets.slice() }
}
