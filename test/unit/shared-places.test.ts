/** The places of catch-up reads, where the pools of several threads share them. */
import { expect, test } from 'bun:test'
import { CatchUpPool } from '../../src/feed/catch-up-pool.ts'
import type { AssignedConsumer, KafkaCluster } from '../../src/port/kafka.ts'
import type { SharedPlaces } from '../../src/port/threads.ts'
import { within } from '../support/wait.ts'

const CLUSTER = {
  openConsumer: async (): Promise<AssignedConsumer> => ({
    gaps: [],
    read: async () => ({ records: [], gaps: [], ends: [] }),
    close: async () => undefined,
  }),
} as unknown as KafkaCluster

/** The pools of two threads. */
function twoPools(limit: number): [CatchUpPool, CatchUpPool] {
  let taken = 0
  const askedOf: Array<() => void> = []
  const placesOf = (thread: number): SharedPlaces => ({
    get taken() {
      return taken
    },
    add: (places) => {
      taken += places
    },
    ask: () => askedOf[1 - thread]?.(),
    onAsked: (leave) => {
      askedOf[thread] = leave
    },
    release: () => undefined,
  })
  const pool = (thread: number) => new CatchUpPool(CLUSTER, limit, undefined, placesOf(thread))
  return [pool(0), pool(1)]
}

test('a stream that waits gets the place of a read that another thread pauses later', async () => {
  const [one, other] = twoPools(1)
  const read = await one.open([], true)
  const waiting = other.open([], true)
  expect(other.waiting).toBe(1)
  one.pause({ giveWay: () => void read.close() })
  await within(waiting, 'the place of the paused read')
  expect([one.count, other.count]).toEqual([0, 1])
})

test('streams of one thread that wait get the places of all reads that another one has paused', async () => {
  const [one, other] = twoPools(3)
  for (let n = 0; n < 3; n++) {
    const read = await one.open([], true)
    one.pause({ giveWay: () => void read.close() })
  }
  await within(Promise.all([1, 2, 3].map(() => other.open([], true))), 'three places')
  expect([one.count, other.count]).toEqual([0, 3])
})
