import { afterEach, describe, expect, test } from 'bun:test'
import { LiveConsumer } from '../../src/feed/live-consumer.ts'
import type { RingBufferReader } from '../../src/feed/pacing.ts'
import { isAtOrBelow } from '../../src/feed/ring-buffer.ts'
import type { KafkaRecord } from '../../src/port/kafka.ts'
import { PartitionTable } from '../../src/records/cursor.ts'
import { skip } from '../support/clock.ts'
import { stays, until, within } from '../support/wait.ts'
import { recordAt, ScriptedSource, settle } from './fakes.ts'

const table = new PartitionTable([
  { topic: 't', partition: 0 },
  { topic: 't', partition: 1 },
])

const started: Array<{ live: LiveConsumer; source: ScriptedSource }> = []
afterEach(async () => {
  for (const { live, source } of started.splice(0)) {
    const stopped = live.stop()
    source.last.answer({}) // The read that it waits for need not take its time.
    await within(stopped, 'a live consumer to stop')
  }
})

async function startedOn(
  source: ScriptedSource,
  budget: number,
  head = [0, 0],
): Promise<LiveConsumer> {
  const live = new LiveConsumer({
    cluster: source,
    table,
    head: Float64Array.from(head),
    deserializer: 'noop',
    ringBytes: budget,
  })
  started.push({ live, source })
  await live.start()
  return live
}

/** Records of partition 0, each with a value of so many bytes. */
function some(from: number, count: number, bytes = 100): KafkaRecord[] {
  return Array.from({ length: count }, (_, index) => recordAt(0, from + index, bytes))
}

/** The offsets of each batch in the ring buffer, oldest first. */
function offsetsOf(live: LiveConsumer): number[][] {
  const batches: number[][] = []
  for (let sequence = live.ring.end - 1; live.ring.batch(sequence); sequence--) {
    batches.unshift([...(live.ring.batch(sequence)?.offsets ?? [])])
  }
  return batches
}

async function feed(source: ScriptedSource, ...batches: KafkaRecord[][]): Promise<void> {
  for (const records of batches) source.last.answer({ records })
  await until(() => source.last.unread === 0, 'the live consumer to read')
  await settle()
}

describe('the ring buffer of a live consumer', () => {
  test('keeps its budget: the oldest batch is dropped', async () => {
    const source = new ScriptedSource()
    const live = await startedOn(source, 8_000)
    for (let batch = 0; batch < 20; batch++) {
      await feed(source, some(batch * 2, 2))
      expect(live.ring.bytes).toBeLessThanOrEqual(8_000)
    }
    const kept = offsetsOf(live)
    expect(kept.length).toBeGreaterThan(1)
    expect(kept.flat()).toEqual(
      Array.from({ length: kept.length * 2 }, (_, index) => 40 - kept.length * 2 + index),
    )
    const held = kept.map((_, index) => live.ring.batch(live.ring.end - 1 - index)?.heldBytes ?? 0)
    expect(live.ring.bytes).toBe(held.reduce((sum, size) => sum + size, 0))
  })

  test('keeps the newest batch whatever its size', async () => {
    const source = new ScriptedSource()
    const live = await startedOn(source, 500)
    await feed(source, some(0, 1), some(1, 1, 10_000))
    expect(offsetsOf(live)).toEqual([[1]])
    await feed(source, some(2, 1))
    expect(offsetsOf(live)).toEqual([[2]])
  })

  test('locates a position at the newest batch from which no record is missing', async () => {
    const source = new ScriptedSource()
    const live = await startedOn(source, 1_000_000, [10, 0])
    await feed(source, some(10, 2), [recordAt(1, 0), recordAt(1, 1)], some(12, 2))
    expect(live.locate(Float64Array.of(14, 2))).toBe(3)
    expect(live.locate(Float64Array.of(99, 99))).toBe(3)
    expect(live.locate(Float64Array.of(13, 2))).toBe(2)
    expect(live.locate(Float64Array.of(14, 1))).toBe(1)
    expect(live.locate(Float64Array.of(12, 0))).toBe(1)
    expect(live.locate(Float64Array.of(11, 2))).toBe(0)
    expect(live.locate(Float64Array.of(9, 2))).toBeUndefined()
  })

  test('moves its head to ends that Kafka reports, and never back', async () => {
    const source = new ScriptedSource()
    const live = await startedOn(source, 1_000)
    source.last.answer({
      records: some(0, 2),
      ends: [
        { topic: 't', partition: 0, offset: 5 },
        { topic: 't', partition: 1, offset: 3 },
        { topic: 'other', partition: 0, offset: 9 },
      ],
    })
    await until(() => live.ring.end === 1, 'a batch')
    expect([...live.head]).toEqual([5, 3])
    source.last.answer({ ends: [{ topic: 't', partition: 0, offset: 1 }] })
    await until(() => source.last.unread === 0, 'the live consumer to read')
    await settle()
    expect([...live.head]).toEqual([5, 3])
  })

  test('gives a gap to each subscriber that reaches the batch after it, as long as it has that batch', async () => {
    const source = new ScriptedSource()
    const live = await startedOn(source, 1_000)
    await feed(source, some(0, 1))
    const gap = { topic: 't', partition: 0, from: 1, to: 50, reason: 'retention' } as const
    source.last.answer({ gaps: [gap], records: some(50, 1) })
    await until(() => live.ring.end === 2, 'a batch')
    expect(live.ring.gapsBefore(0)).toEqual([])
    expect(live.ring.gapsBefore(1)).toEqual([gap])
    expect([...(live.ring.batch(1)?.from ?? [])]).toEqual([50, 0])
    await feed(source, some(51, 1, 2_000))
    expect(live.ring.gapsBefore(1)).toEqual([])
  })
})

class WokenReader implements RingBufferReader {
  woken = 0

  wake(): void {
    this.woken++
  }
}

describe('a live consumer and its subscribers', () => {
  test('the live consumer waits while it is a quarter of its budget ahead of the foremost subscriber', async () => {
    const source = new ScriptedSource()
    const live = await startedOn(source, 16_000)
    const reader = new WokenReader()
    live.pacing.attach(reader)
    for (let offset = 0; offset < 12; offset++) source.last.answer({ records: some(offset, 1) })
    await until(() => live.ring.bytes > 4_000, 'the live consumer to be ahead')
    const reached = live.ring.end
    expect(reached).toBeLessThan(12)
    await stays(() => live.ring.end === reached, 'the live consumer waits', 50)
    // Just beyond the quarter, by the batch that took it there.
    expect(live.ring.bytes).toBeGreaterThan(4_000)
    expect(live.ring.bytes - (live.ring.batch(reached - 1)?.heldBytes ?? 0)).toBeLessThanOrEqual(
      4_000,
    )
    live.pacing.markTaken(2)
    await until(() => live.ring.end > reached, 'the live consumer to go on')
    await until(() => live.ring.end === reached + 2, 'the live consumer to be ahead again')
    await stays(() => live.ring.end === reached + 2, 'the live consumer waits', 50)
    live.pacing.detach(reader)
  })

  for (const [readers, isHeld] of [
    [1, false],
    [9, true],
  ] as const) {
    test(`${readers} that stay a quarter behind ${isHeld ? 'hold' : 'do not hold'} it far behind Kafka`, async () => {
      const source = new ScriptedSource()
      const live = await startedOn(source, 4_000)
      for (let n = 0; n < readers; n++) live.pacing.attach(new WokenReader())
      using _ = skip(11_000)
      for (let offset = 0; offset < 12; offset++) source.last.answer({ records: some(offset, 1) })
      if (isHeld) await stays(() => live.ring.end < 12, 'the live consumer waits', 200)
      else await until(() => live.ring.end === 12, 'the live consumer to read all')
    })
  }

  test('a subscriber that has fallen behind does not hold the live consumer back', async () => {
    const source = new ScriptedSource()
    const live = await startedOn(source, 4_000)
    const readers = [new WokenReader(), new WokenReader()]
    for (const reader of readers) live.pacing.attach(reader)
    for (let offset = 0; offset < 30; offset++) {
      source.last.answer({ records: some(offset, 1) })
      await until(() => live.ring.end === offset + 1, 'the live consumer to read')
      live.pacing.markTaken(offset + 1)
    }
    expect(live.ring.isDropped(0)).toBe(true)
    for (const reader of readers) live.pacing.detach(reader)
  })

  test('a subscriber that has stopped delays the live consumer once, by a second at most', async () => {
    const source = new ScriptedSource()
    const live = await startedOn(source, 4_000)
    const reader = new WokenReader()
    live.pacing.attach(reader)
    for (let offset = 0; offset < 40; offset++) source.last.answer({ records: some(offset, 1) })
    const began = performance.now()
    await stays(() => live.ring.end < 40, 'the live consumer waits', 500)
    await until(() => live.ring.end === 40, 'the live consumer to go on')
    // A second for each quarter of its budget would be 16 s and more.
    expect(performance.now() - began).toBeLessThan(8_000)
    expect(live.ring.isDropped(0)).toBe(true)
    live.pacing.detach(reader)
  })

  test('the live consumer does not wait when nobody subscribes, or when the last subscriber leaves', async () => {
    const source = new ScriptedSource()
    const live = await startedOn(source, 4_000)
    await feed(source, ...Array.from({ length: 20 }, (_, offset) => some(offset, 1)))
    expect(live.ring.end).toBe(20)
    const reader = new WokenReader()
    live.pacing.attach(reader)
    live.pacing.markTaken(20)
    for (let offset = 20; offset < 60; offset++) source.last.answer({ records: some(offset, 1) })
    await stays(() => live.ring.end < 60, 'the live consumer waits', 30)
    live.pacing.detach(reader)
    await until(() => live.ring.end === 60, 'the live consumer to go on')
  })

  test('subscribers are woken at each batch until they leave', async () => {
    const source = new ScriptedSource()
    const live = await startedOn(source, 4_000)
    const [there, left] = [new WokenReader(), new WokenReader()]
    live.pacing.attach(there)
    live.pacing.attach(left)
    live.pacing.detach(left)
    await feed(source, some(0, 1), some(1, 1))
    expect([there.woken, left.woken]).toEqual([2, 0])
  })
})

describe('a live consumer that fails', () => {
  test('goes on at its position with a new Kafka consumer, as soon as one can be had: nothing is lost or doubled', async () => {
    const source = new ScriptedSource()
    const live = await startedOn(source, 100_000, [5, 7])
    await feed(source, some(5, 3), [recordAt(1, 7)])
    const first = source.last
    source.failure = new Error('no broker')
    first.answer(new Error('the broker went away'))
    await until(() => first.closed, 'the first reader to be closed')
    await until(() => source.failed > 1, 'another try')
    expect(source.opened).toHaveLength(1)
    source.failure = undefined
    await until(() => source.opened.length === 2, 'a second reader')
    expect(source.last.from).toEqual([
      { topic: 't', partition: 0, offset: 8 },
      { topic: 't', partition: 1, offset: 8 },
    ])
    await feed(source, some(8, 2))
    expect(offsetsOf(live)).toEqual([[5, 6, 7], [7], [8, 9]])
    expect(source.purposes).toEqual(['live', 'live'])
  })

  test('reports why it cannot start', async () => {
    const source = new ScriptedSource()
    source.failure = new Error('no broker')
    const live = new LiveConsumer({
      cluster: source,
      table,
      head: new Float64Array(2),
      deserializer: 'noop',
      ringBytes: 1_000,
    })
    await expect(live.start()).rejects.toThrow('no broker')
    await within(live.stop(), 'a live that never started to stop')
  })
})

describe('a live consumer that is stopped', () => {
  test('closes its Kafka consumer and wakes subscribers, also while it waits for a Kafka consumer', async () => {
    const source = new ScriptedSource()
    const live = await startedOn(source, 400)
    const reader = new WokenReader()
    live.pacing.attach(reader)
    for (let offset = 0; offset < 9; offset++) source.last.answer({ records: some(offset, 1) })
    await until(() => live.ring.end > 0, 'a first batch')
    await stays(() => source.last.unread > 0, 'the live consumer waits', 20)
    const { woken } = reader
    await within(live.stop(), 'the live to stop')
    expect(source.last.closed).toBe(true)
    expect(reader.woken).toBe(woken + 1)
    const { end } = live.ring
    await stays(() => live.ring.end === end, 'nothing more is read', 20)
  })

  test('ends at once when it is idle', async () => {
    const source = new ScriptedSource()
    const live = await startedOn(source, 1_000)
    await within(live.stop(), 'the live to stop')
    expect(source.last.closed).toBe(true)
  })
})

test('a vector is at or below another if it is in every partition', () => {
  expect(isAtOrBelow(Float64Array.of(1, 2), Float64Array.of(1, 3))).toBe(true)
  expect(isAtOrBelow(Float64Array.of(1, 4), Float64Array.of(9, 3))).toBe(false)
  expect(isAtOrBelow(Float64Array.of(), Float64Array.of())).toBe(true)
})
