import fc from 'fast-check'
import type { KafkaRecord } from '../../src/port/kafka.ts'

const encoder = new TextEncoder()

/** Texts that have broken parsers of lines, of UTF-8 and of JSON. */
const nasty: Uint8Array[] = [
  ...[
    '\r',
    '\n',
    '\r\n',
    '\n\n',
    '\r\r',
    '\0',
    '\u2028',
    '\u2029',
    '\u0085',
    '\u000b',
    '\ufeff',
    '\ufffd',
    '\uffff',
    '🐢',
    '"',
    '\\',
    '\\u000a',
    '</script>',
    ':',
    ': comment',
    'data: {"topic":"forged"}',
    '\n\ndata: {"topic":"forged"}\n\n',
    '\r\rid: forged:0=1\r\r',
    'event: error\n',
    'retry: 1\n',
    '{"a":',
    '[1,\r\n2]',
    '1e400',
    '-0',
    'null',
    '"\u2028"',
  ].map((text) => encoder.encode(text)),
  ...[
    [0xff],
    [0xc0, 0x80],
    [0xc3],
    [0x80],
    [0xed, 0xa0, 0x80],
    [0xed, 0xbf, 0xbf],
    [0xed, 0xa0, 0xbd, 0xed, 0xb0, 0xa2],
    [0xf4, 0x90, 0x80, 0x80],
    [0xf8, 0x88, 0x80, 0x80, 0x80],
    [0xef, 0xbb, 0xbf],
    [0xfe, 0xff],
  ].map((codes) => new Uint8Array(codes)),
]

/** Bytes made of pieces that mean something to a parser on the way, and of chance. */
const bytes: fc.Arbitrary<Uint8Array> = fc
  .array(
    fc.oneof(
      { weight: 4, arbitrary: fc.constantFrom(...nasty) },
      { weight: 1, arbitrary: fc.uint8Array({ maxLength: 8 }) },
      { weight: 1, arbitrary: fc.string({ unit: 'grapheme', maxLength: 8 }).map(encode) },
      { weight: 1, arbitrary: fc.json({ maxDepth: 2 }).map(encode) },
    ),
    { maxLength: 6 },
  )
  .map((pieces) => Buffer.concat(pieces))

function encode(text: string): Uint8Array {
  return encoder.encode(text)
}

const headerName = fc.oneof(
  fc.constantFrom('a', 'b', 'a', '', '\n\n', '\r', '\u2028', '"', '0'),
  // Names that objects inherit, and the byte that ends a string of C.
  fc.constantFrom('__proto__', 'constructor', 'toString', '\0', 'a\0', 'a\0b'),
  fc.string({ unit: 'grapheme', maxLength: 6 }),
)

/** A header as Kafka's client gives it: an object of one name. */
const header = fc
  .tuple(headerName, fc.option(bytes, { freq: 4 }))
  .map(([name, value]) => ({ [name]: value }))

/** A record with anything in it, at a given place. */
export function record(
  topic: string,
  partition: number,
  offset: number,
): fc.Arbitrary<KafkaRecord> {
  return fc.record(
    {
      topic: fc.constant(topic),
      partition: fc.constant(partition),
      offset: fc.constant(offset),
      timestamp: fc.oneof(fc.constant(-1), fc.nat({ max: 4_000_000_000_000 })),
      key: fc.option(bytes),
      value: fc.option(bytes),
      headers: fc.array(header, { maxLength: 4 }),
    },
    { requiredKeys: ['topic', 'partition', 'offset', 'timestamp', 'key', 'value'] },
  )
}

/** Text that somebody might send for a parameter. */
export const text: fc.Arbitrary<string> = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({ unit: 'grapheme-ascii', maxLength: 40 }),
  fc.double().map(String),
  fc.bigInt().map(String),
  fc.json(),
  fc.constantFrom(
    '',
    ' ',
    '0',
    '-0',
    '1e3',
    '0x1',
    'Infinity',
    'NaN',
    '[]',
    '{}',
    '-P',
    '-PT',
    ':',
  ),
)
