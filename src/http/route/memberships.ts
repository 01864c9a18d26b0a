/** Consumer group memberships of one cluster: routes that read the same group share a member. */
import { shuttingDownError } from '../../core/errors.ts'
import { LateSignal } from '../../core/late-signal.ts'
import { logOf } from '../../core/log.ts'
import type {
  Delivery,
  GroupOptions,
  GroupSession,
  KafkaCluster,
  LeavingClient,
  MemberStats,
  PartitionOffset,
  PollLimits,
} from '../../port/kafka.ts'

const log = logOf('group')

/** A member of a group, and the number of routes that hold it. */
interface SharedMember {
  readonly number: number
  readonly options: GroupOptions
  readonly session: GroupSession
  holders: number
}

/** Statistics of a membership. */
export interface MembershipStats extends MemberStats {
  /** The group's id. */
  readonly id: string
  /** The member's number in this process: routes that share a member have one number. */
  readonly member: number
}

/** The calls that a request makes to its group. */
export type GroupCalls = Pick<GroupSession, 'ready' | 'pollNow' | 'poll' | 'commit'>

/** The number of the newest member, counted over all clusters of the process. */
let memberCount = 0

/**
 * Members of groups. Routes share a member if their groups, topics (in any order),
 * `autoOffsetReset`, `commitStrategy`, `groupInstanceId` and `groupProtocol` are equal. Otherwise each
 * has a member of its own: Kafka then divides the partitions of their common topics, and a warning says so.
 */
export class Memberships {
  readonly #cluster: Pick<KafkaCluster, 'group'>
  readonly #members = new Map<string, SharedMember>()

  constructor(source: Pick<KafkaCluster, 'group'>) {
    this.#cluster = source
  }

  /** A share in a member, which is made if there is none; `close` releases the share. */
  join(options: GroupOptions): Membership {
    const key = keyOf(options)
    const found = this.#members.get(key) ?? this.#make(options)
    this.#members.set(key, found)
    found.holders++
    return new Membership(found, async () => {
      found.holders--
      if (found.holders > 0) return
      if (this.#members.get(key) === found) this.#members.delete(key)
      await found.session.close()
    })
  }

  #make(options: GroupOptions): SharedMember {
    for (const other of this.#members.values()) warnOfSplitGroup(options, other.options)
    return { number: ++memberCount, options, session: this.#cluster.group(options), holders: 0 }
  }
}

/** One route's share in a member of a group. `close` ends the route's own calls only. */
export class Membership implements GroupSession {
  readonly #member: SharedMember
  readonly #release: () => Promise<void>
  /** The calls that have not settled. */
  readonly #pending = new Set<LateSignal>()
  #closed: Promise<void> | undefined

  constructor(member: SharedMember, release: () => Promise<void>) {
    this.#member = member
    this.#release = release
  }

  get isInUse(): boolean {
    return this.#member.session.isInUse
  }

  ready(signal?: AbortSignal): Promise<void> {
    const leaving = signal && { signal }
    return this.#untilClosed((call) => this.#member.session.ready(call.signal), leaving)
  }

  pollNow(limits: PollLimits): Delivery | undefined {
    return this.#closed ? undefined : this.#member.session.pollNow(limits)
  }

  poll(limits: PollLimits, leaving?: LeavingClient): Promise<Delivery> {
    return this.#untilClosed((call) => this.#member.session.poll(limits, call), leaving)
  }

  commit(offsets: readonly PartitionOffset[]): Promise<void> {
    return this.#member.session.commit(offsets)
  }

  stats(): MembershipStats {
    const { options, number, session } = this.#member
    return { id: options.groupId, member: number, ...session.stats() }
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    for (const call of this.#pending) call.abort()
    await this.#release()
  }

  /** Runs a call until it settles, its client leaves or the membership is closed. */
  async #untilClosed<T>(
    work: (call: LeavingClient) => Promise<T>,
    leaving: LeavingClient | undefined,
  ): Promise<T> {
    if (this.#closed) throw shuttingDownError('read as a group')
    const end = () => call.abort(leaving?.signal.reason)
    const call = new LateSignal(() => {
      if (leaving?.signal.aborted) end()
      else leaving?.signal.addEventListener('abort', end)
    })
    this.#pending.add(call)
    try {
      return await work(call)
    } catch (error) {
      throw this.#closed ? shuttingDownError('read as a group') : error
    } finally {
      this.#pending.delete(call)
      // Otherwise each poll of a long stream would leave a listener.
      if (call.isAsked) leaving?.signal.removeEventListener('abort', end)
    }
  }
}

/** The route's option for each setting of a group that may keep routes from sharing a member. */
const OPTIONS = {
  topics: 'topics',
  autoOffsetReset: 'autoOffsetReset',
  commitStrategy: 'commitStrategy',
  instanceId: 'groupInstanceId',
  protocol: 'groupProtocol',
} as const
const SETTINGS = Object.keys(OPTIONS) as Array<keyof typeof OPTIONS>

/** Routes with equal keys share a member. */
function keyOf({ groupId, topics, ...settings }: GroupOptions): string {
  const { autoOffsetReset, commitStrategy, instanceId, protocol = 'classic' } = settings
  const others = [autoOffsetReset, commitStrategy, instanceId, protocol]
  return JSON.stringify([groupId, topics.toSorted(), ...others])
}

/** Warns that two members of one process divide the partitions of their common topics. */
function warnOfSplitGroup(options: GroupOptions, other: GroupOptions): void {
  const { groupId, topics } = options
  if (other.groupId !== groupId || !topics.some((topic) => other.topics.includes(topic))) return
  const differing = SETTINGS.filter(
    (name) => JSON.stringify(options[name]) !== JSON.stringify(other[name]),
  )
  log.warn(
    'Two routes of this process read group {group} with different {settings}, so each is a member of its own and gets a part of the partitions. Give the routes equal settings, or different groups',
    { group: groupId, settings: differing.map((name) => OPTIONS[name]).join(', ') },
  )
}
