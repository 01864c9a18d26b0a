import type { PartitionOffset } from '../../src/port/kafka.ts'
import type { GroupProgress, GroupState, GroupsProgress } from '../../src/port/topic-details.ts'
import { administer, type Consumer } from '../client/client.ts'
import { type ClusterConnection, REQUEST_TIMEOUT_MS } from './connection.ts'

/** Groups that one call asks about: each is a request of its own. */
const MAX_GROUPS = 100
/** Milliseconds for which a group without committed offsets in the topics is not asked about again. */
const STALE_MS = 30_000

/** librdkafka's `rd_kafka_consumer_group_state_t`. */
const STATES: readonly GroupState[] = [
  'unknown',
  'rebalancing',
  'rebalancing',
  'stable',
  'dead',
  'empty',
]
const DEAD = STATES.indexOf('dead')
const ACTION = 'Cannot read the progress of consumer groups'

interface ListedGroup {
  readonly groupId: string
  readonly state: number
}

/** A group's topics as of the last request about it. */
interface Remembered {
  readonly at: number
  /** The topics in which it has committed offsets. */
  readonly topics: ReadonlySet<string>
}

/**
 * How far the consumer groups of a cluster have come. A cluster may have thousands of groups, and Kafka
 * does not say which of them read a topic: those that did before are asked about first, then those that
 * were not asked about for the longest time.
 */
export class GroupProgressQueries {
  readonly #connection: ClusterConnection
  /** By group. A group is forgotten when Kafka does not list it any more. */
  #remembered = new Map<string, Remembered>()

  constructor(connection: ClusterConnection) {
    this.#connection = connection
  }

  /**
   * The groups with committed offsets in topics.
   *
   * @throws KafkaConsumeError
   */
  async of(topics: readonly string[]): Promise<GroupsProgress> {
    const client = await this.#connection.client()
    const { groups: listed } = await administer<{ groups: readonly ListedGroup[] }>(
      ACTION,
      client,
      (admin, done) => admin.listGroups({ timeout: REQUEST_TIMEOUT_MS }, done as never),
    )
    const wanted = new Set(topics)
    const ids = new Set(listed.map(({ groupId }) => groupId))
    this.#remembered = new Map([...this.#remembered].filter(([id]) => ids.has(id)))
    const alive = listed.filter(({ state }) => state !== DEAD)
    const { due, leftOut } = this.#due(alive, wanted)
    const found: Array<Omit<GroupProgress, 'members'>> = []
    // One after another: each request takes a thread of the pool in which consumers read, too.
    for (const { groupId: id, state } of due) {
      const committed = await committedOf(id, client, wanted).catch(() => [])
      const reads = new Set(committed.map(({ topic }) => topic))
      this.#remembered.set(id, { at: performance.now(), topics: reads })
      if (committed.length > 0) found.push({ id, state: STATES[state] ?? 'unknown', committed })
    }
    const members = await membersOfGroups(found, client)
    return {
      groups: found.map((group) => ({ ...group, members: members.get(group.id) ?? 0 })),
      leftOut,
    }
  }

  /** The groups to ask about now, and the number of those that are due and have to wait. */
  #due(groups: readonly ListedGroup[], topics: ReadonlySet<string>) {
    const now = performance.now()
    const ranked = groups
      .map((group) => {
        const known = this.#remembered.get(group.groupId)
        const isReader = known !== undefined && !known.topics.isDisjointFrom(topics)
        return { group, isReader, at: known?.at ?? Number.NEGATIVE_INFINITY }
      })
      .filter(({ isReader, at }) => isReader || now - at >= STALE_MS)
      .sort((a, b) => Number(b.isReader) - Number(a.isReader) || a.at - b.at)
    return {
      due: ranked.slice(0, MAX_GROUPS).map(({ group }) => group),
      leftOut: Math.max(0, ranked.length - MAX_GROUPS),
    }
  }
}

async function committedOf(
  groupId: string,
  client: Consumer,
  topics: ReadonlySet<string>,
): Promise<PartitionOffset[]> {
  const options = { timeout: REQUEST_TIMEOUT_MS }
  const [answer] = await administer<Array<{ partitions: PartitionOffset[] }>>(
    ACTION,
    client,
    (admin, done) => admin.listConsumerGroupOffsets([{ groupId }], options, done as never),
  )
  return (answer?.partitions ?? [])
    .filter(({ topic, offset }) => topics.has(topic) && offset >= 0)
    .map(({ topic, partition, offset }) => ({ topic, partition, offset }))
}

/** The numbers of members by group; without a group that this user may not describe. */
async function membersOfGroups(
  groups: ReadonlyArray<{ readonly id: string }>,
  client: Consumer,
): Promise<ReadonlyMap<string, number>> {
  if (groups.length === 0) return new Map()
  const ids = groups.map(({ id }) => id)
  const described = await administer<{
    groups: Array<{ groupId: string; members: unknown[] }>
  }>(ACTION, client, (admin, done) =>
    admin.describeGroups(ids, { timeout: REQUEST_TIMEOUT_MS }, done as never),
  ).catch(() => ({ groups: [] }))
  return new Map(described.groups.map(({ groupId, members }) => [groupId, members.length]))
}
