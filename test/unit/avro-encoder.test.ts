import { describe, expect, test } from 'bun:test'
import avro from 'avsc'
import fc from 'fast-check'
import { avroDecoder } from '../../src/registry/avro.ts'
import { avroEncoder } from '../../src/registry/avro-encoder.ts'

const SCHEMA = JSON.stringify({
  type: 'record',
  name: 'All',
  fields: [
    { name: 'boolean', type: 'boolean' },
    { name: 'int', type: 'int' },
    { name: 'long', type: 'long' },
    { name: 'double', type: 'double' },
    { name: 'text', type: 'string' },
    { name: 'bytes', type: 'bytes' },
    { name: 'fixed', type: { type: 'fixed', name: 'Four', size: 4 } },
    { name: 'enum', type: { type: 'enum', name: 'Color', symbols: ['RED', 'BLUE'] } },
    { name: 'list', type: { type: 'array', items: 'int' } },
    { name: 'map', type: { type: 'map', values: ['null', 'string'] } },
    { name: 'union', type: ['null', 'long', 'string'] },
    { name: 'decimal', type: { type: 'bytes', logicalType: 'decimal', precision: 30, scale: 2 } },
  ],
})

const base64 = (length: object) =>
  fc.uint8Array(length).map((bytes) => Buffer.from(bytes).toString('base64'))
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
const json = fc
  .record({
    boolean: fc.boolean().map(String),
    int: fc.integer().map(String),
    long: int64.map(String),
    double: fc
      .double({ noNaN: true, noDefaultInfinity: true })
      .map((value) => JSON.stringify(value === 0 ? 0 : value)),
    text: fc.string({ unit: 'grapheme' }).map((text) => JSON.stringify(text)),
    bytes: base64({ maxLength: 20 }).map((text) => JSON.stringify(text)),
    fixed: base64({ minLength: 4, maxLength: 4 }).map((text) => JSON.stringify(text)),
    enum: fc.constantFrom('"RED"', '"BLUE"'),
    list: fc.array(fc.integer()).map((list) => JSON.stringify(list)),
    map: fc
      .dictionary(fc.string(), fc.option(fc.string()))
      .map((entries) => JSON.stringify({ ...entries })),
    union: fc.oneof(fc.constant('null'), int64.map(String), fc.constant('"text"')),
    decimal: fc
      .tuple(fc.bigInt({ min: -(10n ** 20n), max: 10n ** 20n }), fc.integer({ min: 10, max: 99 }))
      .map(([whole, cents]) => `"${whole}.${cents}"`),
  })
  .map((fields) => {
    const entries = Object.entries(fields).map(([name, value]) => `"${name}":${value}`)
    return `{${entries.join(',')}}`
  })

describe('the Avro encoder', () => {
  const encode = avroEncoder(SCHEMA, [])
  const { decode } = avroDecoder(SCHEMA, [])

  test('writes what the decoder reads as the same value, with all digits', () => {
    fc.assert(
      fc.property(json, (text) => {
        expect(decode(encode(text))).toBe(decode(encode(decode(encode(text)))))
        expect(JSON.parse(decode(encode(text)))).toEqual(JSON.parse(text))
      }),
      { numRuns: 300 },
    )
    const long = avroEncoder('"long"', [])
    expect(avroDecoder('"long"', []).decode(long('9223372036854775807'))).toBe(
      '9223372036854775807',
    )
  })

  test('writes what avsc writes', () => {
    const schema = {
      type: 'record',
      name: 'Order',
      fields: [
        { name: 'id', type: 'long' },
        { name: 'note', type: ['null', 'string'], default: null },
        { name: 'tags', type: { type: 'array', items: 'string' }, default: [] },
      ],
    }
    const type = avro.Type.forSchema(schema as never)
    const bytesOf = (value: unknown) => new Uint8Array(type.toBuffer(value))
    const own = avroEncoder(JSON.stringify(schema), [])
    const whole = { id: 7, note: 'n', tags: ['a', 'b'] }
    expect(own(JSON.stringify(whole))).toEqual(bytesOf(whole))
    expect(own('{"id":7}')).toEqual(bytesOf({ id: 7 }))
    expect(own('{"id":7,"note":{"string":"n"}}')).toEqual(bytesOf({ id: 7, note: 'n' }))
  })

  test.each([
    ['"int"', '2147483648', 'a whole number of 32 bits is expected'],
    ['"int"', '1.5', 'a whole number of 32 bits is expected'],
    ['"long"', '9223372036854775808', 'a whole number of 64 bits is expected'],
    ['"string"', 'null', 'a text is expected'],
    ['["null","string"]', '5', 'a value of null or string is expected'],
    [
      '["null",{"type":"array","items":"int"}]',
      '["x"]',
      '[0]: a whole number of 32 bits is expected',
    ],
    ['["null","string","int"]', 'true', 'a value of null or string or int is expected'],
    ['{"type":"fixed","name":"F","size":2}', '"AAAA"', 'base64 of 2 bytes is expected'],
    ['{"type":"enum","name":"E","symbols":["A"]}', '"B"', 'one of A is expected'],
    ['{"type":"array","items":"int"}', '[1,"x"]', '[1]: a whole number of 32 bits is expected'],
    ['{"type":"map","values":"int"}', '{"k":null}', 'k: a whole number of 32 bits is expected'],
    [
      '{"type":"array","items":{"type":"bytes","logicalType":"decimal","precision":4,"scale":1}}',
      '["1.25"]',
      'a decimal of at most 1 digits after the point is expected',
    ],
  ])('%s refuses %s by its place', (schema, value, message) => {
    expect(() => avroEncoder(schema, [])(value)).toThrow(message)
  })

  test('gives up on values of endless work', () => {
    const tree = {
      type: 'record',
      name: 'A',
      fields: [
        {
          name: 'next',
          type: [
            'A',
            { type: 'record', name: 'B', fields: [{ name: 'next', type: ['A', 'B', 'null'] }] },
            'null',
          ],
        },
      ],
    }
    const deep = `${'{"next":'.repeat(60)}"wrong"${'}'.repeat(60)}`
    expect(() => avroEncoder(JSON.stringify(tree), [])(deep)).toThrow()
  })
})
