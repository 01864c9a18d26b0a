import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { consumedRecordOf } from '../../src/records/consumed-record.ts'
import { encodeRecords, type MessageDeserializer } from '../../src/records/encode.ts'
import type { ProcessedRecord, RecordField } from '../../src/records/pipeline.ts'

const encoder = new TextEncoder()

/** Bytes that are text, JSON with digits that a number loses, or not UTF-8. */
const bytes = fc.oneof(
  fc.constant(null),
  fc.uint8Array({ maxLength: 6 }),
  fc.string({ unit: 'binary', maxLength: 8 }).map((text) => encoder.encode(text)),
  fc.json({ maxDepth: 2 }).map((text) => encoder.encode(text)),
  fc
    .constantFrom('12345678901234567890.123', '{"__proto__":1}', ' [1,\r\n2]', '\uFEFF1', '-0')
    .map((text) => encoder.encode(text)),
)
const header = fc
  .tuple(fc.oneof(fc.constantFrom('a', '__proto__', '1', 'constructor'), fc.string()), bytes)
  .map(([name, value]) => {
    const made: { [name: string]: Uint8Array | null } = {}
    // The Kafka client sets headers by assignment, too.
    made[name] = value
    return made
  })
const json = fc.option(fc.json({ maxDepth: 2 }), { nil: undefined })
const record: fc.Arbitrary<ProcessedRecord> = fc
  .record({
    topic: fc.constantFrom('orders', 'payments'),
    partition: fc.nat(2),
    offset: fc.maxSafeNat(),
    timestamp: fc.constantFrom(-1, 0, 1_700_000_000_000),
    key: bytes,
    value: bytes,
    headers: fc.option(fc.array(header, { maxLength: 4 }), { nil: undefined }),
    keyJson: json,
    valueJson: json,
    extraJson: fc.constantFrom(undefined, ',"more":[1]', ',"value":2,"__proto__":{"x":1}'),
    base64: fc.option(fc.subarray<RecordField>(['key', 'value']), { nil: undefined }),
    error: fc.option(
      fc.constant({ code: 'TRANSFORM_FAILED' as const, message: 'Cannot transform: “no”' }),
      { nil: undefined },
    ),
  })
  .map((made) => {
    const given = Object.entries(made).filter(([, value]) => value !== undefined)
    return Object.fromEntries(given) as unknown as ProcessedRecord
  })

test('a record as an object is what JSON.parse makes of its JSON, field by field and in order', () => {
  fc.assert(
    fc.property(
      fc.array(record, { maxLength: 3 }),
      fc.constantFrom<MessageDeserializer>('noop', 'json'),
      (records, deserializer) => {
        const texts = encodeRecords(records, deserializer)
        const made = records.map((each) => consumedRecordOf(each, deserializer))
        expect(made).toStrictEqual(texts.map((text) => JSON.parse(text)))
        expect(made.map((each) => JSON.stringify(each))).toEqual(
          texts.map((text) => JSON.stringify(JSON.parse(text))),
        )
      },
    ),
    { numRuns: 2_000 },
  )
})
