/** The places of catch-up reads, where the pools of several threads share them. */
import { expect, test } from 'bun:test'
import { MessageChannel } from 'node:worker_threads'
import { CatchUpPool } from '../../src/feed/catch-up-pool.ts'
import type { AssignedConsumer, KafkaCluster } from '../../src/port/kafka.ts'
import type { SharedPlaces } from '../../src/port/threads.ts'
import { type MessageChannelEnd, Messenger } from '../../src/threads/messenger.ts'
import { RemoteKafka } from '../../src/threads/remote-kafka.ts'
import { GaugePlaces, gaugeMemory, SharedGauges } from '../../src/threads/shared-gauges.ts'
import { sleep, until, within } from '../support/wait.ts'

const CLUSTER = {
  openConsumer: async (): Promise<AssignedConsumer> => ({
    gaps: [],
    read: async () => ({ records: [], gaps: [], ends: [] }),
    close: async () => undefined,
  }),
} as unknown as KafkaCluster

/** The pools of several threads. */
class Pools {
  readonly #limit: number
  #taken = 0
  readonly #asked: Array<() => void> = []
  /** Since when each thread has waited. */
  readonly waiting: Array<number | undefined> = []

  constructor(limit: number) {
    this.#limit = limit
  }

  make(thread: number): CatchUpPool {
    const pools = this
    return new CatchUpPool(CLUSTER, this.#limit, undefined, {
      get taken() {
        return pools.#taken
      },
      get othersWaitSince() {
        const others = pools.waiting.filter(
          (since, other) => other !== thread && since !== undefined,
        )
        return others.length > 0 ? Math.min(...(others as number[])) : undefined
      },
      add: (places) => {
        pools.#taken += places
      },
      waitSince: (time) => {
        pools.waiting[thread] = time
      },
      ask: () => {
        for (const [other, leave] of pools.#asked.entries()) if (other !== thread) leave()
      },
      onAsked: (leave) => {
        pools.#asked[thread] = leave
      },
      release: () => undefined,
    })
  }
}

/** The pools of two threads. */
function twoPools(limit: number): [CatchUpPool, CatchUpPool] {
  const pools = new Pools(limit)
  return [pools.make(0), pools.make(1)]
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

/** Reads one after another of a thread, of which some wait at any time. */
class ConstantLoad {
  /** How many reads have had a place. */
  reads = 0
  #isOver = false
  readonly #streams: Promise<void>[]

  constructor(pool: CatchUpPool, streams: number) {
    this.#streams = Array.from({ length: streams }, async () => {
      while (!this.#isOver) {
        const read = await pool.open([], true)
        this.reads++
        await sleep(1)
        await read.close()
      }
    })
  }

  async end(): Promise<void> {
    this.#isOver = true
    await Promise.all(this.#streams)
  }
}

test.each([1, 3])(
  'a stream gets one of %d places after those that waited before it, while other threads always have streams that wait',
  async (limit) => {
    const pools = new Pools(limit)
    const [one, two, other] = [pools.make(0), pools.make(1), pools.make(2)] as const
    const loads = [new ConstantLoad(one, 8), new ConstantLoad(two, 8)]
    const reads = () => loads.reduce((sum, load) => sum + load.reads, 0)
    await until(() => loads.every((load) => load.reads > 0), 'reads of both threads')
    for (let round = 0; round < 3; round++) {
      const before = reads()
      const read = await within(other.open([], true), 'a place of the third thread')
      // Streams of one millisecond have waited equally long.
      expect(reads() - before).toBeLessThanOrEqual(2 * 16 + limit)
      await read.close()
    }
    for (const load of loads) await load.end()
  },
)

test('a place is not kept for a thread that does not take it', async () => {
  const pools = new Pools(1)
  const pool = pools.make(0)
  const read = await pool.open([], true)
  pools.waiting[1] = 1
  const waiting = pool.open([], true)
  await read.close()
  expect(pool.count).toBe(0)
  await within(waiting, 'the place that the blocked thread does not take')
  expect(pool.count).toBe(1)
})

test('threads see since when others wait, until they end', async () => {
  const memory = gaugeMemory(2)
  const gaugePlaces = new GaugePlaces(memory, 2)
  const channels = [new MessageChannel(), new MessageChannel()]
  const made = channels.map(async ({ port1, port2 }, thread) => {
    gaugePlaces.serve(new Messenger(port1 as unknown as MessageChannelEnd), thread)
    const messenger = new Messenger(port2 as unknown as MessageChannelEnd)
    const gauges = new SharedGauges(messenger, memory, 2, thread)
    const places = new RemoteKafka(messenger, (name) => gauges.make(name)).sharedPlaces('reads')
    await gauges.ready()
    return places
  })
  const [one, other] = (await Promise.all(made)) as [SharedPlaces, SharedPlaces]
  one.waitSince(5)
  expect([one.othersWaitSince, other.othersWaitSince]).toEqual([undefined, 5])
  other.waitSince(7)
  one.waitSince(9)
  expect([one.othersWaitSince, other.othersWaitSince]).toEqual([7, 9])
  one.waitSince(undefined)
  gaugePlaces.forget(1)
  expect([one.othersWaitSince, other.othersWaitSince]).toEqual([undefined, undefined])
  for (const { port1 } of channels) port1.close()
})
