/** Catch-up reads: reading ahead while the client takes the last records, and consumers that stall. */
import { describe, expect, test } from 'bun:test'
import { CatchUpPool } from '../../src/feed/catch-up-pool.ts'
import { CatchUpRead } from '../../src/feed/catch-up-read.ts'
import { PendingRecords } from '../../src/feed/pending-records.ts'
import type { EncodingRequest } from '../../src/port/encoding.ts'
import { Cursor, PartitionTable } from '../../src/records/cursor.ts'
import { EncodedBatch } from '../../src/records/encoded-batch.ts'
import { RecordProcessor } from '../../src/records/record-processor.ts'
import { stopClock } from '../support/clock.ts'
import { recordAt, ScriptedReader, SourceOf, settle } from './fakes.ts'

const table = new PartitionTable([{ topic: 't', partition: 0 }])
const { signal } = new AbortController()

/** A consumer that notes the position of each read. */
class NotingReader extends ScriptedReader {
  readonly positions: Array<number | undefined> = []

  override read(limit: number, wait: number, encoding?: EncodingRequest) {
    this.positions.push(encoding?.from[0])
    return super.read(limit, wait)
  }
}

/** Records as a read brings them encoded. */
function encoded(from: number, to: number) {
  const records = Array.from({ length: to - from }, (_, n) => recordAt(0, from + n))
  return { encoded: EncodedBatch.encode(records, new Cursor(table, Float64Array.of(from)), 'noop') }
}

async function opened(processor?: RecordProcessor) {
  const source = new SourceOf(NotingReader)
  const read = new CatchUpRead(new CatchUpPool(source, 1), 'noop', processor, 'events')
  const pending = new PendingRecords(table, new Float64Array(1), undefined)
  await read.open(pending, false, signal)
  return { read, pending, reader: source.readers[0] as NotingReader, source }
}

test('the next read begins at once, behind the records of the last one, and is never more than one', async () => {
  const { read, pending, reader } = await opened()
  reader.answer(encoded(0, 3))
  expect(await read.read(pending, 100, signal)).toBe(true)
  expect(reader.positions).toEqual([0, 3])
  reader.answer(encoded(3, 5))
  reader.answer(encoded(5, 6))
  await settle()
  read.readAhead(pending)
  expect(reader.positions).toEqual([0, 3])
  // The read that was begun is the one that is taken.
  expect(await read.read(pending, 100, signal)).toBe(true)
  expect(reader.positions).toEqual([0, 3, 5])
  expect(reader.unread).toBe(0)
  await read.close()
})

test('nothing is read ahead at the end of a partition, nor where the limit is reached', async () => {
  const { read, pending, reader } = await opened()
  reader.answer({ ...encoded(0, 3), ends: [{ topic: 't', partition: 0, offset: 3 }] })
  await read.read(pending, 100, signal)
  reader.answer(encoded(3, 5))
  await read.read(pending, 2, signal)
  expect(reader.positions).toHaveLength(2)
  await read.close()
})

test('records that a processor must see are not read ahead', async () => {
  const { read, pending, reader } = await opened(new RecordProcessor(async (records) => records))
  reader.answer({ records: [recordAt(0, 0)] })
  await read.read(pending, 100, signal)
  read.readAhead(pending)
  expect(reader.positions).toEqual([undefined])
  await read.close()
})

test('a read ahead that fails is reported by the read that takes it, and by none if the read is closed', async () => {
  const failed = await opened()
  failed.reader.answer(encoded(0, 3))
  await failed.read.read(failed.pending, 100, signal)
  failed.reader.answer(new Error('broken'))
  await settle()
  await expect(failed.read.read(failed.pending, 100, signal)).rejects.toThrow('broken')
  await failed.read.close()

  const closed = await opened()
  closed.reader.answer(encoded(0, 3))
  await closed.read.read(closed.pending, 100, signal)
  closed.reader.answer(new Error('broken'))
  await closed.read.close()
  await settle()
  expect(closed.reader.closed).toBe(true)
})

test('a read ahead is given up with its consumer: another one begins at the cursor', async () => {
  const { read, pending, reader, source } = await opened()
  reader.answer(encoded(0, 3))
  await read.read(pending, 100, signal)
  read.giveWay()
  reader.answer(encoded(3, 5))
  await settle()
  await read.open(pending, false, signal)
  const again = source.readers[1] as NotingReader
  again.answer(encoded(3, 4))
  expect(await read.read(pending, 100, signal)).toBe(true)
  expect([again.positions[0]]).toEqual(again.from.map(({ offset }) => offset))
  await read.close()
})

describe('a consumer that brings nothing', () => {
  test('for 20 s of reading is replaced, and closed as one that has stalled', async () => {
    using clock = stopClock()
    const { read, pending, reader } = await opened()
    const reading = read.read(pending, 100, signal)
    clock.pass(20_000)
    reader.answer({})
    expect(await reading).toBe(false)
    expect([read.isOpen, reader.closed, reader.hasStalled]).toEqual([false, true, true])
  })

  test('for some seconds is closed as one that has stalled when its request gives up', async () => {
    using clock = stopClock()
    const { read, pending, reader } = await opened()
    for (let second = 0; second < 10; second++) {
      const reading = read.read(pending, 100, signal)
      clock.pass(1_000)
      reader.answer({})
      await reading
    }
    expect(read.isOpen).toBe(true)
    await read.close()
    expect(reader.hasStalled).toBe(true)
  })

  test('is not one whose client takes nothing for long, nor one that brings something again', async () => {
    using clock = stopClock()
    const { read, pending, reader } = await opened()
    const first = read.read(pending, 100, signal)
    clock.pass(4_000)
    reader.answer({})
    await first
    clock.pass(60_000)
    const again = read.read(pending, 100, signal)
    reader.answer({})
    expect(await again).toBe(false)
    expect(read.isOpen).toBe(true)
    const last = read.read(pending, 2, signal)
    clock.pass(4_000)
    reader.answer(encoded(0, 2))
    expect(await last).toBe(true)
    await read.close()
    expect(reader.hasStalled).toBe(false)
  })
})
