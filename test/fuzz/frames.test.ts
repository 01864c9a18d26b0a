import { describe, expect, test } from 'bun:test'
import { createParser, type EventSourceMessage } from 'eventsource-parser'
import fc from 'fast-check'
import type { KafkaRecord } from '../../src/port/kafka.ts'
import { Cursor, PartitionTable, parseCursor } from '../../src/records/cursor.ts'
import { EncodedBatch } from '../../src/records/encoded-batch.ts'
import { expectIntact } from '../support/decoded.ts'
import type { StreamedRecord } from '../support/sse.ts'
import { record } from './arbitraries.ts'

const RUNS = { numRuns: 1_000 }
const topic = 'fuzz'
const table = new PartitionTable([0, 1].map((partition) => ({ topic, partition })))

function cursor(offsets = new Float64Array(2)): Cursor {
  return new Cursor(table, offsets)
}

/** Records of two partitions in turn. */
const records = fc.tuple(...[0, 1, 2, 3, 4, 5].map((n) => record(topic, n % 2, Math.floor(n / 2))))

interface Parsed {
  readonly events: EventSourceMessage[]
  /** Other finds of the parser: retry fields, comments, errors. */
  readonly strays: unknown[]
}

/** The events that a client parses from bytes that are cut at the given places. */
function parse(bytes: Uint8Array, cuts: readonly number[] = []): Parsed {
  const parsed: Parsed = { events: [], strays: [] }
  const parser = createParser({
    onEvent: (event) => parsed.events.push(event),
    onRetry: (retry) => parsed.strays.push(retry),
    onComment: (comment) => parsed.strays.push(comment),
    onError: (error) => parsed.strays.push(error),
  })
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  const ends = [...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].sort((a, b) => a - b)
  let begin = 0
  for (const end of ends) {
    parser.feed(decoder.decode(bytes.subarray(begin, end), { stream: true }))
    begin = end
  }
  return parsed
}

function frame(batch: EncodedBatch, index: number): Uint8Array {
  return batch.events(index, index + 1)
}

/** The ids that a client has which keeps each as soon as its line has ended. */
function idsRead(bytes: Uint8Array): string[] {
  const lines = Buffer.from(bytes).toString('latin1').split('\n').slice(0, -1)
  return lines.filter((line) => line.startsWith('id: ')).map((line) => line.slice(4))
}

describe('records of any bytes', () => {
  test('a client gets one event for each record, with every byte intact, however the stream is cut', () => {
    fc.assert(
      fc.property(records, fc.array(fc.nat(), { maxLength: 5 }), (written, cuts) => {
        const batch = EncodedBatch.encode(written, cursor(), 'noop')
        const { events, strays } = parse(batch.bytes, cuts)
        expect(strays).toEqual([])
        expect(events).toHaveLength(written.length)
        events.forEach((event, index) => {
          expect(event.event).toBeUndefined()
          expectIntact(JSON.parse(event.data) as StreamedRecord, written[index] as KafkaRecord)
        })
      }),
      RUNS,
    )
  })

  test('ids are the cursor after each record, and parse', () => {
    fc.assert(
      fc.property(records, (written) => {
        const { events } = parse(EncodedBatch.encode(written, cursor(), 'noop').bytes)
        const position = [0, 0]
        events.forEach(({ id }, index) => {
          const { partition, offset } = written[index] as KafkaRecord
          position[partition] = offset + 1
          expect(id).toBe(`fuzz:0=${position[0]},1=${position[1]}`)
          expect(parseCursor(id ?? '', 'id')).toEqual(
            position.map((next, at) => ({ topic, partition: at, offset: next })),
          )
        })
      }),
      { numRuns: 200 },
    )
  })

  test('the json deserializer keeps one record to an event and never fails a batch', () => {
    fc.assert(
      fc.property(records, (written) => {
        const { events, strays } = parse(EncodedBatch.encode(written, cursor(), 'json').bytes)
        expect(strays).toEqual([])
        expect(events).toHaveLength(written.length)
        events.forEach(({ data }, index) => {
          const received = JSON.parse(data) as StreamedRecord
          const { value, offset } = written[index] as KafkaRecord
          expect(received.offset).toBe(offset)
          if (received.error !== undefined) {
            expect(received.error.code).toBe('DESERIALIZATION_FAILED')
            expect(received.value).toBe(Buffer.from(value ?? []).toString('base64'))
          } else if (value === null) {
            expect(received.value).toBeNull()
          } else {
            const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(value)
            expect(received.value).toEqual(JSON.parse(text))
          }
        })
      }),
      RUNS,
    )
  })

  test('frames and lines have the places that the batch gives, and each line is one line', () => {
    fc.assert(
      fc.property(records, fc.constantFrom('noop', 'json'), (written, deserializer) => {
        const batch = EncodedBatch.encode(written, cursor(), deserializer)
        expect(batch.starts.at(-1)).toBe(batch.bytes.length)
        written.forEach((original, index) => {
          const { events } = parse(frame(batch, index))
          expect(events).toHaveLength(1)
          const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
          const line = strict.decode(batch.json(index))
          expect(line).not.toMatch(/[\r\n]/)
          expect(line).toBe(events[0]?.data ?? '')
          expect(JSON.parse(line)).toMatchObject({ offset: original.offset })
        })
      }),
      RUNS,
    )
  })

  test('a reader that is ahead of a batch gets only what it lacks, with ids of its own', () => {
    fc.assert(
      fc.property(records, fc.nat(4), fc.nat(4), fc.nat(6), (written, zero, one, begin) => {
        const batch = EncodedBatch.encode(written, cursor(), 'noop')
        const reader = cursor(Float64Array.of(zero, one))
        const selected = batch.select(begin, reader)
        const expected = written
          .slice(begin)
          .filter(({ partition, offset }) => offset >= (partition === 0 ? zero : one))
        const { events, strays } = parse(selected.bytes)
        expect(strays).toEqual([])
        expect(events).toHaveLength(expected.length)
        const position = [zero, one]
        events.forEach((event, index) => {
          const original = expected[index] as KafkaRecord
          position[original.partition] = original.offset + 1
          expect(event.id).toBe(`fuzz:0=${position[0]},1=${position[1]}`)
          expectIntact(JSON.parse(event.data) as StreamedRecord, original)
          expect(parse(frame(selected, index)).events).toEqual([event])
        })
      }),
      RUNS,
    )
  })

  test('an id that is read names no event that is still to be dispatched, wherever the stream is cut', () => {
    fc.assert(
      fc.property(records, (written) => {
        const batch = EncodedBatch.encode(written, cursor(), 'noop')
        const dispatched = parse(batch.bytes).events
        written.forEach((_, index) => {
          const bytes = frame(batch, index)
          // Before its last byte, the frame's end, comes that of the line of its id.
          for (let cut = 0; cut < bytes.length - 1; cut++) {
            const [id] = idsRead(bytes.subarray(0, cut))
            if (id !== undefined) throw new Error(`Cannot cut at ${cut}: the id ${id} was read`)
          }
          expect(idsRead(bytes)).toEqual([dispatched[index]?.id ?? ''])
        })
      }),
      { numRuns: 50 },
    )
  })

  test('a megabyte of line ends is one event, and comes out whole', () => {
    for (const end of ['\n', '\r', '\r\n', '\n\n', '\u2028']) {
      const value = Buffer.from(end.repeat(Math.floor(1_000_000 / Buffer.byteLength(end))))
      const written: KafkaRecord = {
        topic,
        partition: 0,
        offset: 0,
        timestamp: 0,
        key: value,
        value,
        headers: [{ [end]: value }],
      }
      const { events, strays } = parse(EncodedBatch.encode([written], cursor(), 'noop').bytes)
      expect(strays).toEqual([])
      expect(events).toHaveLength(1)
      expectIntact(JSON.parse(events[0]?.data ?? '') as StreamedRecord, written)
    }
  })
})
