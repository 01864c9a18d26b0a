import { beforeEach, describe, expect, test } from 'bun:test'
import { ClientGroups } from '../../src/http/route/client-groups.ts'
import { Memberships } from '../../src/http/route/memberships.ts'
import type { GroupOptions, GroupSession } from '../../src/port/kafka.ts'
import { recordAt } from './fakes.ts'

const LIMITS = { maxRecords: 1, maxBytes: 1, timeout: 0 }
/** The joins and leaves of groups, in order. */
let events: string[] = []

/** A member that is in use while records of it are neither delivered nor requeued. */
class FakeMember implements GroupSession {
  readonly #groupId: string
  #held = 0

  constructor(groupId: string) {
    this.#groupId = groupId
    events.push(`join ${groupId}`)
  }

  get isInUse(): boolean {
    return this.#held > 0
  }

  async ready() {}
  async commit() {}

  pollNow() {
    return undefined
  }

  async poll() {
    if (failure) throw failure
    const records = [recordAt(0, 0), recordAt(0, 1)]
    this.#held = records.length
    const settle = (event: string, count: number) => {
      events.push(event)
      this.#held = Math.max(0, this.#held - count)
    }
    return {
      length: records.length,
      bytes: 0,
      runs: [],
      records,
      encode: () => new Uint8Array(),
      gaps: [],
      partitions: [],
      ack: () => settle('done', this.#held),
      requeue: () => settle('requeue', this.#held),
      ackRange: (begin: number, end: number) => settle('confirm', end - begin),
    }
  }

  stats() {
    return { partitions: [], requeued: 0, uncertain: 0, rebuilt: 0 }
  }

  async close() {
    events.push(`leave ${this.#groupId}`)
  }
}

let failure: Error | undefined

/** The groups of one route's clients; a second route may have the same memberships. */
function groupsOf(limit: number, memberships = new Memberships(source)): ClientGroups {
  return new ClientGroups((groupId) => memberships.join(optionsOf(groupId)), limit)
}

const source = { group: ({ groupId }: GroupOptions) => new FakeMember(groupId) }

function optionsOf(groupId: string): GroupOptions {
  return { groupId, topics: ['t'], autoOffsetReset: 'earliest', commitStrategy: 'auto' }
}

beforeEach(() => {
  events = []
  failure = undefined
})

describe('groups of clients', () => {
  test('a client has one membership, whatever the number of its requests', async () => {
    const groups = groupsOf(2)
    await Promise.all([groups.forClient('a').poll(LIMITS), groups.forClient('a').poll(LIMITS)])
    await groups.forClient('b').ready()
    expect(events).toEqual(['join a', 'join b'])
    await groups.close()
    expect(events.slice(2)).toEqual(['leave a', 'leave b'])
  })

  test('one group more than the limit replaces the least recently used idle one', async () => {
    const groups = groupsOf(2)
    for (const name of ['a', 'b', 'a', 'c']) (await groups.forClient(name).poll(LIMITS)).ack()
    expect(events.filter((event) => event !== 'done')).toEqual([
      'join a',
      'join b',
      'leave b',
      'join c',
    ])
    await groups.close()
  })

  test('one group more than the limit is refused while all others have records on their way', async () => {
    const groups = groupsOf(1)
    const delivery = await groups.forClient('a').poll(LIMITS)
    expect(() => groups.forClient('b')).toThrow(
      expect.objectContaining({ code: 'TOO_MANY_GROUPS', status: 503, retryAfter: 5 }),
    )
    delivery.requeue()
    groups.forClient('b')
    expect(events).toEqual(['join a', 'requeue', 'leave a', 'join b'])
    await groups.close()
  })

  test('a client that acknowledges one by one uses its group until the last', async () => {
    const groups = groupsOf(1)
    const { ackRange } = await groups.forClient('a').poll(LIMITS)
    ackRange(1, 2)
    expect(() => groups.forClient('b')).toThrow('1 clients do so already')
    ackRange(0, 1)
    groups.forClient('b')
    expect(events).toEqual(['join a', 'confirm', 'confirm', 'leave a', 'join b'])
    await groups.close()
  })

  test('a client whose group was replaced between two calls joins again with the second call', async () => {
    const groups = groupsOf(1)
    const a = groups.forClient('a')
    groups.forClient('b')
    await a.ready()
    expect(events).toEqual(['join a', 'leave a', 'join b', 'leave b', 'join a'])
    await groups.close()
  })

  test('a group that cannot be joined does not count for the limit', async () => {
    const groups = groupsOf(1)
    failure = new Error('down')
    await expect(groups.forClient('a').poll(LIMITS)).rejects.toThrow('down')
    groups.forClient('b')
    expect(events).toEqual(['join a', 'leave a', 'join b'])
    await groups.close()
  })

  test('a client of two routes has one member, which stays with one route when the other replaces its group', async () => {
    const memberships = new Memberships(source)
    const [one, other] = [groupsOf(1, memberships), groupsOf(1, memberships)]
    one.forClient('a')
    other.forClient('a')
    expect(one.stats()).toEqual(other.stats())
    one.forClient('b')
    expect(events).toEqual(['join a', 'join b'])
    await other.close()
    expect(events).toEqual(['join a', 'join b', 'leave a'])
    await one.close()
    expect(events.at(-1)).toBe('leave b')
  })

  test('no client joins once the groups are closed', async () => {
    const groups = groupsOf(1)
    const a = groups.forClient('a')
    await groups.close()
    await expect(a.ready()).rejects.toMatchObject({ code: 'SHUTTING_DOWN' })
    expect(events).toEqual(['join a', 'leave a'])
  })
})
