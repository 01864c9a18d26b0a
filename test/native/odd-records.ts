import type { KafkaRecord } from '../../src/port/kafka.ts'

type OddRecord = Pick<KafkaRecord, 'key' | 'value' | 'headers'>

const binary = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))

/** Records on which `encode.ts` and the addon must agree, and which a generator rarely produces. */
const cases: OddRecord[] = [
  ...Array.from({ length: 0x20 }, (_, code) => String.fromCharCode(code)),
  '\u007f\u0080\u07ff\u0800\ud7ff\ue000\uffff\u{10000}\u{10ffff}\u2028\u2029\ufeff',
  'plain text of more than eight characters, with a "quote" and a \\ in it',
  ...['', ' ', '{}', '[]', '{ }', '[ ]', '{"a":1,"a":[2,{"b":null}]}', '[1,2', '[1,]', '{"a"}'],
  ...['{"a":1,}', '{a:1}', '01', '1.', '.5', '-', '-0', '1e5', '1E+5', '1e-5', '1e', '+1'],
  ...['1.5e300', '1 2', 'tru', 'true', 'truefalse', 'null', 'NaN', "'a'", '"a', '"\\x"'],
  ...['"\\u00e9\\ud800"', '"\\u00g0"', '"\\u00"', '"\t"', '\ufeff1', '\u00a01', '1\u2028'],
  ...['[1,\r\n 2]', '\n1\n', '"a" ', '[[[[[[[[]]]]]]]]', '[[]', '[]]', '"\u2028é🐢"', '{"":{}}'],
  ...['"\\"\\\\\\/\\b\\f\\n\\r\\t"', '{"a" : "b" , "c" : [ ] }', `${'['.repeat(500)}1`],
  `${'['.repeat(500)}${']'.repeat(500)}`,
  `{"long":"${'x'.repeat(5_000)}\\n${'é'.repeat(5_000)}"}`,
  `${'"'.repeat(10_000)}`,
]
  .map((text) => ({ key: Buffer.from(text), value: Buffer.from(text) }))
  .concat(
    [binary, binary.subarray(128), ...[1, 2, 3, 4].map((n) => binary.subarray(255 - n))].map(
      (bytes) => ({ key: bytes, value: bytes }),
    ),
  )

const headers: KafkaRecord['headers'] = [
  { ['__proto__']: binary.subarray(65, 70) },
  ...[1, 2].map((n) => ({ again: binary.subarray(48, 48 + n) })),
  ...[1, 128].map((n) => ({ mixed: binary.subarray(n, n + 1) })),
  { constructor: binary.subarray(255) },
  ...[null, binary.subarray(65, 66), null].map((value) => ({ ['a\0b']: value })),
  ...[null, binary.subarray(255)].map((value) => ({ ['null among bytes']: value })),
  ...['nothing', '\0', ''].map((name) => ({ [name]: null })),
  ...Array.from({ length: 2_000 }, (_, n) => ({ [`name ${n % 1_500}`]: Buffer.from(`${n}`) })),
]

/** Records on which two encoders are most likely to differ. */
export const ODD_RECORDS: readonly OddRecord[] = [
  ...cases,
  { key: null, value: null, headers },
  { key: null, value: binary, headers },
]
