/** Hubs: what readers of several threads get from one consumer. */
import { describe, expect, test } from 'bun:test'
import type { Gap, PartitionOffset } from '../../src/port/kafka.ts'
import type { ConsumerUse } from '../../src/port/threads.ts'
import { type HostedConsumer, LiveHubs } from '../../src/threads/live-hub.ts'
import { until } from '../support/wait.ts'
import { recordAt, ScriptedSource } from './fakes.ts'

const ANYWHERE: ConsumerUse = { spec: undefined, mayBeginElsewhere: true }
const EXACT: ConsumerUse = { spec: undefined, mayBeginElsewhere: false }
const RECREATED: Gap = {
  ...{ topic: 't', partition: 0, from: 100, to: 0 },
  reason: 'out-of-range',
}

function at(offset: number): PartitionOffset[] {
  return [{ topic: 't', partition: 0, offset }]
}

/** The offsets of the next batch that has any. */
async function read(consumer: HostedConsumer): Promise<number[]> {
  let offsets: number[] = []
  await until(async () => {
    const { records } = await consumer.read(1_000, 250)
    offsets = records.map(({ offset }) => offset)
    return offsets.length > 0
  }, 'a batch with records')
  return offsets
}

describe('a hub', () => {
  test('reads records that it does not encode once for all threads', async () => {
    const cluster = new ScriptedSource()
    const hubs = new LiveHubs()
    const first = await hubs.openConsumer(cluster, at(5), ANYWHERE)
    cluster.last.answer({ records: [recordAt(0, 5), recordAt(0, 7)] })
    expect(await read(first)).toEqual([5, 7])
    const second = await hubs.openConsumer(cluster, at(5), EXACT)
    expect(await read(second)).toEqual([5, 7])
    const third = await hubs.openConsumer(cluster, at(8), EXACT)
    cluster.last.answer({ records: [recordAt(0, 8)] })
    for (const each of [first, second, third]) expect(await read(each)).toEqual([8])
    expect(cluster.opened).toHaveLength(1)
    for (const each of [first, second, third]) await each.close()
    await until(() => cluster.last.closed, 'the consumer to be closed with its last reader')
  })

  test('bounds the records that it keeps for slow threads, and they go on by another consumer', async () => {
    const cluster = new ScriptedSource()
    const hubs = new LiveHubs()
    const fast = await hubs.openConsumer(cluster, at(0), ANYWHERE)
    const slow = await hubs.openConsumer(cluster, at(0), EXACT)
    const hub = cluster.last
    for (let offset = 0; offset < 12; offset++) {
      hub.answer({ records: [recordAt(0, offset, 1024 * 1024)] })
      expect(await read(fast)).toEqual([offset])
    }
    // Reading waits a second for the slow thread, and then drops what exceeds 8 MiB.
    await until(() => hub.unread === 0, 'the hub to have read all')
    const reading = read(slow)
    await until(() => cluster.opened.length === 2, 'another consumer')
    expect(cluster.last.from).toEqual(at(0))
    cluster.last.answer({ records: [recordAt(0, 0)] })
    expect(await reading).toEqual([0])
    await Promise.all([fast.close(), slow.close()])
  })

  test('of a topic before it was re-created serves no reader of the topic after it', async () => {
    const cluster = new ScriptedSource()
    const hubs = new LiveHubs()
    const before = await hubs.openConsumer(cluster, at(0), ANYWHERE)
    cluster.last.answer({ records: [recordAt(0, 0, 'old')] })
    expect(await read(before)).toEqual([0])
    const use: ConsumerUse = { ...ANYWHERE, topicIds: 'new' }
    const after = await hubs.openConsumer(cluster, at(0), use)
    expect(cluster.opened).toHaveLength(2)
    expect(after.start).toBeUndefined()
    cluster.last.answer({ records: [recordAt(0, 0, 'new')] })
    expect(await read(after)).toEqual([0])
    // Another thread that notices later, and one that begins later, share the newer consumer.
    for (const [offset, each] of [
      [1, { ...EXACT, topicIds: 'new' }],
      [1, EXACT],
    ] as const) {
      const later = await hubs.openConsumer(cluster, at(offset), each)
      expect(later.start).toBeUndefined()
      await later.close()
    }
    expect(cluster.opened).toHaveLength(2)
    await Promise.all([before.close(), after.close()])
  })

  test('sends no reader of the present offsets to the gap before them', async () => {
    const cluster = new ScriptedSource()
    const hubs = new LiveHubs()
    const before = await hubs.openConsumer(cluster, at(100), ANYWHERE)
    cluster.last.answer({ gaps: [RECREATED], records: [recordAt(0, 0), recordAt(0, 1)] })
    expect(await read(before)).toEqual([0, 1])
    const after = await hubs.openConsumer(cluster, at(0), ANYWHERE)
    expect(after.start).toEqual(at(2))
    cluster.last.answer({ records: [recordAt(0, 2)] })
    expect(await read(after)).toEqual([2])
    await Promise.all([before.close(), after.close()])
  })
})
