import { beforeEach, describe, expect, test } from 'bun:test'
import { MessageChannel, type MessagePort } from 'node:worker_threads'
import { ClientGroups } from '../../src/http/route/client-groups.ts'
import { Memberships } from '../../src/http/route/memberships.ts'
import type { GroupOptions, GroupSession } from '../../src/port/kafka.ts'
import { type MessageChannelEnd, Messenger } from '../../src/threads/messenger.ts'
import { NameLists, remoteNames } from '../../src/threads/shared-names.ts'
import { until } from '../support/wait.ts'
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
      decodeRecords: () => records,
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

async function poll(groups: ClientGroups, name: string) {
  return (await groups.forClient(name)).poll(LIMITS)
}

/** Bun's `rejects` waits without taking messages of other threads. */
async function errorOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'no error',
    ({ code }) => code,
  )
}

/** The groups of a route in each of two threads, which count together. */
async function groupsOfThreads(limit: number) {
  const memberships = new Memberships(source)
  const lists = new NameLists()
  const ends: MessagePort[] = []
  const threads = [0, 1].map(() => {
    const { port1, port2 } = new MessageChannel()
    ends.push(port1, port2)
    const owner = new Messenger(port1 as unknown as MessageChannelEnd)
    lists.serve(owner)
    const share = remoteNames(new Messenger(port2 as unknown as MessageChannelEnd))
    const join = (groupId: string) => memberships.join(optionsOf(groupId))
    return { owner, groups: new ClientGroups(join, limit, share) }
  })
  const [one, other] = threads as [(typeof threads)[number], (typeof threads)[number]]
  return {
    one: one.groups,
    other: other.groups,
    /** Counts the first thread no more, as when it has ended. */
    endOne: () => lists.forget(one.owner),
    async [Symbol.asyncDispose]() {
      await Promise.all([one.groups.close(), other.groups.close()])
      for (const end of ends) end.close()
    },
  }
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
    await Promise.all([poll(groups, 'a'), poll(groups, 'a')])
    await (await groups.forClient('b')).ready()
    expect(events).toEqual(['join a', 'join b'])
    await groups.close()
    expect(events.slice(2)).toEqual(['leave a', 'leave b'])
  })

  test('one group more than the limit replaces the least recently used idle one', async () => {
    const groups = groupsOf(2)
    for (const name of ['a', 'b', 'a', 'c']) (await poll(groups, name)).ack()
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
    const delivery = await poll(groups, 'a')
    await expect(groups.forClient('b')).rejects.toThrow(
      expect.objectContaining({ code: 'TOO_MANY_GROUPS', status: 503, retryAfter: 5 }),
    )
    delivery.requeue()
    await groups.forClient('b')
    expect(events).toEqual(['join a', 'requeue', 'leave a', 'join b'])
    await groups.close()
  })

  test('a client that acknowledges one by one uses its group until the last', async () => {
    const groups = groupsOf(1)
    const { ackRange } = await poll(groups, 'a')
    ackRange(1, 2)
    await expect(groups.forClient('b')).rejects.toThrow('1 clients do so already')
    ackRange(0, 1)
    await groups.forClient('b')
    expect(events).toEqual(['join a', 'confirm', 'confirm', 'leave a', 'join b'])
    await groups.close()
  })

  test('a client whose group was replaced between two calls joins again with the second call', async () => {
    const groups = groupsOf(1)
    const a = await groups.forClient('a')
    await groups.forClient('b')
    await a.ready()
    expect(events).toEqual(['join a', 'leave a', 'join b', 'leave b', 'join a'])
    await groups.close()
  })

  test('a group that cannot be joined does not count for the limit', async () => {
    const groups = groupsOf(1)
    failure = new Error('down')
    await expect(poll(groups, 'a')).rejects.toThrow('down')
    await groups.forClient('b')
    expect(events).toEqual(['join a', 'leave a', 'join b'])
    await groups.close()
  })

  test('a client of two routes has one member, which stays with one route when the other replaces its group', async () => {
    const memberships = new Memberships(source)
    const [one, other] = [groupsOf(1, memberships), groupsOf(1, memberships)]
    await one.forClient('a')
    await other.forClient('a')
    expect(one.stats()).toEqual(other.stats())
    await one.forClient('b')
    expect(events).toEqual(['join a', 'join b'])
    await other.close()
    expect(events).toEqual(['join a', 'join b', 'leave a'])
    await one.close()
    expect(events.at(-1)).toBe('leave b')
  })

  test('no client joins once the groups are closed', async () => {
    const groups = groupsOf(1)
    const a = await groups.forClient('a')
    await groups.close()
    await expect(a.ready()).rejects.toMatchObject({ code: 'SHUTTING_DOWN' })
    expect(events).toEqual(['join a', 'leave a'])
  })
})

describe('groups of clients that read by several threads', () => {
  test('are counted together, and a client of both threads is one', async () => {
    await using threads = await groupsOfThreads(2)
    const { one, other } = threads
    const held = [await poll(one, 'a'), await poll(other, 'b')]
    // A client that another thread knows needs no further room.
    await other.forClient('a')
    for (const groups of [one, other]) {
      expect(await errorOf(groups.forClient('c'))).toBe('TOO_MANY_GROUPS')
    }
    expect(events).toEqual(['join a', 'join b'])
    for (const delivery of held) delivery.requeue()
  })

  test('the least recently used idle one of all threads makes room', async () => {
    await using threads = await groupsOfThreads(3)
    const { one, other } = threads
    const held = await poll(one, 'held')
    // The times of the uses differ.
    for (const [groups, name] of [
      [other, 'old'],
      [one, 'new'],
    ] as const) {
      await groups.forClient(name)
      const usedAt = Date.now()
      await until(() => Date.now() > usedAt, 'the next millisecond')
    }
    await one.forClient('next')
    expect(events).toEqual(['join held', 'join old', 'join new', 'leave old', 'join next'])
    held.requeue()
  })

  test('those of a thread that has ended are not counted any more', async () => {
    await using threads = await groupsOfThreads(1)
    const held = await poll(threads.one, 'a')
    expect(await errorOf(threads.other.forClient('b'))).toBe('TOO_MANY_GROUPS')
    threads.endOne()
    await threads.other.forClient('b')
    held.requeue()
  })
})
