import { beforeEach, describe, expect, test } from 'bun:test'
import { UnackedRecords } from '../../src/http/stream/unacked-records.ts'
import type { DeliveredRun } from '../../src/port/encoding.ts'
import type { Delivery } from '../../src/port/kafka.ts'

/** The ranges that were acked, and the requeued deliveries, in order. */
let events: string[] = []
beforeEach(() => {
  events = []
})

function deliveryOf(name: string): Delivery {
  return {
    ackRange: (begin: number, end: number) => events.push(`${name} ${begin}-${end}`),
    requeue: () => events.push(`${name} requeued`),
  } as unknown as Delivery
}

function runOf(partition: number, offsets: readonly number[], begin = 0): DeliveredRun {
  const end = begin + offsets.length
  return { topic: 't', partition, begin, end, offsets: Float64Array.from(offsets) }
}

function at(partition: number, offset: number) {
  return { topic: 't', partition, offset }
}

describe('records that a client has not acknowledged', () => {
  test('are acked up to the highest position of a message, partition by partition', () => {
    const unacked = new UnackedRecords()
    const delivery = deliveryOf('a')
    unacked.add(delivery, runOf(0, [5, 6, 9]), 0, [10, 20, 30])
    unacked.add(delivery, runOf(1, [0, 1], 3), 3, [1, 2])
    expect([unacked.length, unacked.bytes]).toEqual([5, 63])
    expect(unacked.ack([at(0, 6), at(1, 0), at(0, 5)])).toBe(true)
    expect(events).toEqual(['a 0-2', 'a 3-4'])
    expect([unacked.length, unacked.bytes]).toEqual([2, 32])
    expect(unacked.ack([at(0, 6)])).toBe(true)
    expect(events).toHaveLength(2)
    expect(unacked.ack([at(1, 1), at(0, 9)])).toBe(true)
    expect(events.slice(2)).toEqual(['a 4-5', 'a 2-3'])
    expect([unacked.length, unacked.bytes, unacked.since]).toEqual([0, 0, undefined])
  })

  test('are acked by a position between them, and by one that was acknowledged before', () => {
    const unacked = new UnackedRecords()
    unacked.add(deliveryOf('a'), runOf(0, [5, 6, 9]), 0, [1, 1, 1])
    expect(unacked.ack([at(0, 8)])).toBe(true)
    expect(unacked.ack([at(0, 5)])).toBe(true)
    expect(events).toEqual(['a 0-2'])
  })

  test('stay where a message names a record that was not sent', () => {
    const unacked = new UnackedRecords()
    unacked.add(deliveryOf('a'), runOf(0, [5, 6]), 0, [1, 1])
    expect(unacked.ack([at(0, 6), at(0, 7)])).toBe(false)
    expect(unacked.ack([at(0, 6), at(1, 0)])).toBe(false)
    expect(unacked.ack([{ topic: 'u', partition: 0, offset: 5 }])).toBe(false)
    expect([events, unacked.length]).toEqual([[], 2])
  })

  test('of a part of a run are acked by their places in the delivery', () => {
    const unacked = new UnackedRecords()
    const run = runOf(0, [5, 6, 7, 8], 10)
    unacked.add(deliveryOf('a'), run, 10, [1])
    unacked.add(deliveryOf('a'), run, 12, [1, 1])
    unacked.add(deliveryOf('a'), run, 14, [])
    expect(unacked.length).toBe(3)
    unacked.ack([at(0, 7)])
    expect(events).toEqual(['a 10-11', 'a 12-13'])
  })

  test('that were requeued by others and come after newer ones are acked with those', () => {
    const unacked = new UnackedRecords()
    unacked.add(deliveryOf('new'), runOf(0, [5, 6]), 0, [1, 1])
    unacked.add(deliveryOf('old'), runOf(0, [1, 2]), 0, [1, 1])
    unacked.ack([at(0, 5)])
    expect(events).toEqual(['new 0-1', 'old 0-2'])
    expect(unacked.length).toBe(1)
  })

  test('are requeued once for each delivery', () => {
    const unacked = new UnackedRecords()
    const [a, b] = [deliveryOf('a'), deliveryOf('b')]
    unacked.add(a, runOf(0, [5, 6]), 0, [1, 1])
    unacked.add(a, runOf(1, [5, 6], 2), 2, [1, 1])
    unacked.add(b, runOf(0, [7]), 0, [1])
    unacked.ack([at(0, 5)])
    unacked.requeue()
    expect(events).toEqual(['a 0-1', 'a requeued', 'b requeued'])
    unacked.requeue()
    expect([events.length, unacked.length, unacked.bytes]).toEqual([3, 0, 0])
  })
})
