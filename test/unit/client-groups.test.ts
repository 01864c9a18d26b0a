import { beforeEach, describe, expect, test } from 'bun:test'
import { ClientGroups } from '../../src/plugin/client-groups.ts'
import type { GroupSession } from '../../src/stream/source.ts'
import { until } from '../support/wait.ts'
import { recordAt } from './fakes.ts'

const LIMITS = { maxRecords: 1, maxBytes: 1, timeout: 0 }
/** What was joined and left, in order. */
let events: string[] = []

function join(groupId: string): GroupSession {
  events.push(`join ${groupId}`)
  return {
    ready: async () => undefined,
    commit: async () => undefined,
    poll: async () => ({
      records: [recordAt(0, 0), recordAt(0, 1)],
      gaps: [],
      partitions: [],
      done: () => events.push('done'),
      giveBack: () => events.push('give back'),
      confirm: () => events.push('confirm'),
    }),
    stats: () => ({ partitions: [], handedBack: 0, uncertain: 0, rebuilt: 0 }),
    close: async () => {
      events.push(`leave ${groupId}`)
    },
  }
}

beforeEach(() => {
  events = []
})

describe('groups of clients', () => {
  test('a client has one membership, whatever the number of its requests', async () => {
    const groups = new ClientGroups(join, 2)
    await Promise.all([groups.of('a').poll(LIMITS), groups.of('a').poll(LIMITS)])
    await groups.of('b').ready()
    expect(events).toEqual(['join a', 'join b'])
    await groups.close()
    expect(events.slice(2)).toEqual(['leave a', 'leave b'])
  })

  test('one more than may be takes the place of the one that rests longest', async () => {
    const groups = new ClientGroups(join, 2)
    for (const name of ['a', 'b', 'a', 'c']) (await groups.of(name).poll(LIMITS)).done()
    expect(events.filter((event) => event !== 'done')).toEqual([
      'join a',
      'join b',
      'leave b',
      'join c',
    ])
    await groups.close()
  })

  test('is refused while all of them have records on their way', async () => {
    const groups = new ClientGroups(join, 1)
    const delivery = await groups.of('a').poll(LIMITS)
    expect(() => groups.of('b')).toThrow(
      expect.objectContaining({ code: 'TOO_MANY_GROUPS', status: 503, retryAfter: 5 }),
    )
    delivery.giveBack()
    // The second word does not count: the use has ended already.
    delivery.done()
    groups.of('b')
    expect(events).toEqual(['join a', 'give back', 'done', 'leave a', 'join b'])
    await groups.close()
  })

  test('a client that rests leaves its group, and joins again', async () => {
    const groups = new ClientGroups(join, 2, 20)
    const group = groups.of('a')
    const delivery = await group.poll(LIMITS)
    await Bun.sleep(60)
    expect(events).toEqual(['join a'])
    delivery.done()
    await until(() => events.includes('leave a'), 'the resting client to leave')
    await group.ready()
    expect(events).toEqual(['join a', 'done', 'leave a', 'join a'])
    await groups.close()
  })

  test('a client that acknowledges one by one uses its group until the last', async () => {
    const groups = new ClientGroups(join, 1)
    const { records, confirm } = await groups.of('a').poll(LIMITS)
    confirm(records.slice(1))
    expect(() => groups.of('b')).toThrow('1 clients do so already')
    confirm(records.slice(0, 1))
    groups.of('b')
    expect(events).toEqual(['join a', 'confirm', 'confirm', 'leave a', 'join b'])
    await groups.close()
  })

  test('one that cannot be joined holds no place', async () => {
    const groups = new ClientGroups(
      (groupId) => ({
        ...join(groupId),
        poll: async () => {
          throw new Error('down')
        },
      }),
      1,
    )
    await expect(groups.of('a').poll(LIMITS)).rejects.toThrow('down')
    groups.of('b')
    expect(events).toEqual(['join a', 'leave a', 'join b'])
    await groups.close()
  })
})
