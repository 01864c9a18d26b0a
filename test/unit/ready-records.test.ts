/** The buffer of a group's records that were read and not delivered yet. */
import { expect, test } from 'bun:test'
import { ReadyRecords, RecordRange } from '../../kafka/group/deliveries.ts'
import { OwnedPartition } from '../../kafka/group/partitions.ts'
import { RecordBlock } from '../../kafka/group/record-block.ts'

/** Three packed records of 100 B, whose JSON has 600 B each, as of values of control characters. */
function blockWithJson(): RecordBlock {
  return new RecordBlock(
    new Uint8Array(300),
    Uint32Array.of(0, 100, 200, 300),
    Float64Array.of(0, 1, 2),
    {
      valuesAreJson: false,
      separator: ',{',
      bytes: new Uint8Array(1_800),
      starts: Uint32Array.of(0, 600, 1_200, 1_800),
    },
  )
}

test('JSON that reads make counts toward the bytes of the buffer, until its records leave it', () => {
  const ready = new ReadyRecords()
  const owned = new OwnedPartition('orders', 0, 0)
  ready.push(new RecordRange(owned, blockWithJson(), 0, 3))
  expect(ready.bytes).toBe(2_100)
  const taken = ready.take({ maxRecords: 1, maxBytes: 1_000 })
  // The limit of a poll is one of records, without their JSON.
  expect(taken.map(({ bytes }) => bytes)).toEqual([100])
  expect(ready.bytes).toBe(1_400)
  ready.putBack(taken)
  expect(ready.bytes).toBe(2_100)
  ready.drop(() => true)
  expect([ready.length, ready.bytes]).toEqual([0, 0])
})
