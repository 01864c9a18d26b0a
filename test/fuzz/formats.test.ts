import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { joinParts, jsonOfSlices, linesOf } from '../../src/http/response/body.ts'
import type { KafkaRecord } from '../../src/port/kafka.ts'
import { Cursor, PartitionTable } from '../../src/records/cursor.ts'
import { EncodedBatch } from '../../src/records/encoded-batch.ts'
import { customFormat, FORMATS, type Format } from '../../src/records/format.ts'
import { record } from './arbitraries.ts'

const table = new PartitionTable([{ topic: 'fuzz', partition: 0 }])
const encoder = new TextEncoder()

const deep = (levels: number) => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`

/** JSON that formats have failed on, or may. */
const hostileJson = fc.oneof(
  fc
    .tuple(
      fc.stringMatching(/^[ \t\r\n]{0,3}$/),
      fc.oneof(fc.json({ maxDepth: 2 }), fc.constantFrom('1', '"x"', 'true', 'null', '[]', '{}')),
      fc.stringMatching(/^[ \t\r\n]{0,3}$/),
    )
    .map((parts) => parts.join('')),
  fc.constantFrom(
    ...['{"a":1}\n', '[1] ', '"x" ', '\ufeff{"a":1}', '{"a":1,"a":2}', '{"value":1,"error":2}'],
    ...['1e400', '-0', '123456789012345678901234567890', '"\\ud800"', '{"\\udc00":"\\ud800"}'],
    ...['{"__proto__":{"a":1}}', '{"constructor":1,"toString":2,"hasOwnProperty":3}'],
    ...['{"specversion":"1.0"} ', ' {"specversion":"1.0","id":1}\n', deep(3_000), deep(60_000)],
  ),
)

const headers = fc.array(
  fc
    .tuple(
      fc.constantFrom(
        ...['content-type', 'ce_id', 'ce_type', 'ce_source', 'ce_specversion', 'traceparent'],
        ...['ce_constructor', 'constructor', 'toString', 'ce_time', 'ce_data'],
      ),
      fc.oneof(
        fc.constantFrom('application/cloudevents+json', 'application/json', '1.0', ''),
        fc.string(),
      ),
    )
    .map(([name, text]) => ({ [name]: encoder.encode(text) })),
  { maxLength: 6 },
)

const timestamp = fc.oneof(
  fc.constantFrom(-1, -2, 0, 8.64e15, 8.64e15 + 1, 253_402_300_800_000),
  fc.constantFrom(1_795_875_915_705_000_000, 2 ** 63, -(2 ** 63)),
)

/** Records of one partition, of which any may be hostile. */
const records = fc
  .array(
    fc.oneof(
      record('fuzz', 0, 0),
      fc
        .tuple(record('fuzz', 0, 0), hostileJson, headers, timestamp)
        .map(([base, json, headers, timestamp]) => ({
          ...base,
          value: encoder.encode(json),
          headers,
          timestamp,
        })),
    ),
    { minLength: 1, maxLength: 5 },
  )
  .map((all): KafkaRecord[] => all.map((one, offset) => ({ ...one, offset })))

const formats: Record<string, Format> = {
  value: FORMATS.value,
  cloudevents: FORMATS.cloudevents,
  'an own one': customFormat(({ offset, value, headers }) => ({ offset, value, headers })),
  'one that fails': customFormat(({ value }) => {
    if (typeof value !== 'string') throw new Error('hunter2')
    return value
  }),
}

function shownBy(format: Format, written: readonly KafkaRecord[], deserializer: 'noop' | 'json') {
  const batch = EncodedBatch.encode(written, new Cursor(table, new Float64Array(1)), deserializer)
  const end = written.length
  const lines = joinParts(
    linesOf(jsonOfSlices([{ batch: batch.reformat(format), begin: 0, end }], 'list')),
  )
  return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(lines).split('\n')
}

describe.each(Object.entries(formats))('by the format %s', (_, format) => {
  test('any record is shown, as JSON on one line, and its neighbours do not change it', () => {
    fc.assert(
      fc.property(records, fc.constantFrom('noop', 'json'), (written, deserializer) => {
        const lines = shownBy(format, written, deserializer as 'noop')
        expect(lines).toHaveLength(written.length + 1)
        written.forEach((one, index) => {
          expect(lines[index]).not.toContain('\r')
          expect(() => JSON.parse(lines[index] as string) as unknown).not.toThrow()
          expect(shownBy(format, [one], deserializer as 'noop')[0]).toBe(lines[index] as string)
        })
      }),
      { numRuns: 300 },
    )
  })
})
