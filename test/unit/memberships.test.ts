import { beforeEach, describe, expect, test } from 'bun:test'
import { Memberships } from '../../src/http/route/memberships.ts'
import type { Delivery, GroupOptions, GroupSession, LeavingClient } from '../../src/port/kafka.ts'
import { collectLog, messagesOf } from '../support/log.ts'
import { within } from '../support/wait.ts'

const LIMITS = { maxRecords: 1, maxBytes: 1, timeout: 60_000 }
const OPTIONS: GroupOptions = {
  groupId: 'g',
  topics: ['t', 'u'],
  autoOffsetReset: 'earliest',
  commitStrategy: 'auto',
}

/** A member whose calls wait until they are aborted. */
class WaitingMember implements GroupSession {
  readonly isInUse = false
  closes = 0

  ready(signal?: AbortSignal): Promise<void> {
    return untilAborted(signal)
  }

  pollNow() {
    return undefined
  }

  poll(_: unknown, leaving?: LeavingClient): Promise<Delivery> {
    return untilAborted(leaving?.signal)
  }

  async commit() {}

  stats() {
    return { partitions: [], requeued: 0, uncertain: 0, rebuilt: 0 }
  }

  async close() {
    this.closes++
  }
}

function untilAborted(signal?: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal?.addEventListener('abort', () => reject(new Error('aborted')))
  })
}

let made: WaitingMember[] = []
let memberships: Memberships

beforeEach(() => {
  made = []
  memberships = new Memberships({
    group: () => {
      const member = new WaitingMember()
      made.push(member)
      return member
    },
  })
})

const logged = collectLog()
const warnings = () => messagesOf(logged)

describe('memberships of groups', () => {
  test('routes with the same settings share a member, which ends with the last of them', async () => {
    const one = memberships.join(OPTIONS)
    const other = memberships.join({ ...OPTIONS, topics: ['u', 't'] })
    expect(made).toHaveLength(1)
    expect(one.stats()).toEqual(other.stats())
    await one.close()
    await one.close()
    expect(made[0]?.closes).toBe(0)
    await other.close()
    expect(made[0]?.closes).toBe(1)
    await memberships.join(OPTIONS).close()
    expect(made.map(({ closes }) => closes)).toEqual([1, 1])
    expect(warnings()).toEqual([])
  })

  test.each<[setting: string, other: Partial<GroupOptions>]>([
    ['topics', { topics: ['t'] }],
    ['autoOffsetReset', { autoOffsetReset: 'latest' }],
    ['commitStrategy', { commitStrategy: 'off' }],
    ['groupInstanceId', { instanceId: 'node' }],
  ])(
    'routes of a group that differ in %s are two members, and a warning says so',
    (setting, other) => {
      const one = memberships.join(OPTIONS)
      const two = memberships.join({ ...OPTIONS, ...other })
      memberships.join({ ...OPTIONS, ...other })
      expect(made).toHaveLength(2)
      expect(one.stats().member).not.toBe(two.stats().member)
      expect(warnings()).toEqual([expect.stringContaining(`different ${setting},`)])
    },
  )

  test('members with other topics, or of another group, are not warned of', () => {
    memberships.join(OPTIONS)
    memberships.join({ ...OPTIONS, topics: ['v'] })
    memberships.join({ ...OPTIONS, groupId: 'h', autoOffsetReset: 'latest' })
    expect(made).toHaveLength(3)
    expect(warnings()).toEqual([])
  })

  test('a route that closes ends its own polls, and those of other routes go on', async () => {
    const [closes, stays] = [memberships.join(OPTIONS), memberships.join(OPTIONS)]
    const ends = new AbortController()
    const goesOn = stays.poll(LIMITS, ends)
    const calls = [closes.poll(LIMITS), closes.ready(), closes.poll(LIMITS, ends)]
    const outcomes = Promise.allSettled(calls)
    await closes.close()
    for (const outcome of await within(outcomes, 'the calls to end')) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'SHUTTING_DOWN' } })
    }
    await expect(closes.poll(LIMITS)).rejects.toMatchObject({ code: 'SHUTTING_DOWN' })
    ends.abort()
    await expect(goesOn).rejects.toThrow('aborted')
  })

  test('a poll that ends leaves no listener on the signal of its request', async () => {
    const ends = new AbortController()
    let listeners = 0
    const { signal } = ends
    const [add, remove] = [signal.addEventListener, signal.removeEventListener]
    signal.addEventListener = (...args: unknown[]) => {
      listeners++
      return add.apply(signal, args as never)
    }
    signal.removeEventListener = (...args: unknown[]) => {
      listeners--
      return remove.apply(signal, args as never)
    }
    const membership = memberships.join(OPTIONS)
    const polls = Array.from({ length: 10 }, () => membership.poll(LIMITS, ends))
    expect(listeners).toBe(10)
    const outcomes = Promise.allSettled(polls)
    await membership.close()
    await outcomes
    expect(listeners).toBe(0)
  })
})
