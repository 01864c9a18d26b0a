import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import type { KafkaRecord } from '../../src/port/kafka.ts'
import { Cursor, PartitionTable } from '../../src/records/cursor.ts'
import { EncodedBatch } from '../../src/records/encoded-batch.ts'
import { expressionOf } from '../../src/records/expression.ts'
import { viewsOf } from '../../src/records/record-view.ts'
import { record } from './arbitraries.ts'

const encoder = new TextEncoder()
const decoder = new TextDecoder()
const table = new PartitionTable([{ topic: 'topic', partition: 0 }])

/** Texts whose upper and lower case, or whose spelling in JSON, is out of the ordinary. */
const word = fc.oneof(
  fc.constantFrom(
    ...['order', 'K', '\u212a', 'İ', 'i\u0307', 'ΑΣ', 'ας', 'ß', 'ẞ', 'Å', '\u212b', 'ϴ', 'é', 'É'],
    ...[
      'привет',
      'ПРИВЕТ',
      '日本',
      '🐢',
      '𐐀',
      '𐐨',
      '\ud83d',
      '/',
      '\\',
      '"',
      '\n',
      '\u2028',
      '\x7f',
    ],
    ...[
      'a/b',
      'a"b',
      'say "hi"',
      'C:\\dir',
      'line\nend',
      '\\u0041',
      'u0041',
      'null',
      '/wA=',
      '\u0000',
    ],
  ),
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 4 }),
)
const words = fc.array(word, { minLength: 1, maxLength: 4 }).map((parts) => parts.join(''))

/** JSON in which a seed decides which characters of texts are escapes such as `\u0041`. */
function escapedJson(value: unknown, seed: number): string {
  let state = seed
  return JSON.stringify(value).replaceAll(/\\.|[^"{}[\],:\\]/g, (found) => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
    if (found === '\\/' || state % 5 > 0) return found
    if (found.length > 1 || /[\d.truefalsn\-+E]/.test(found)) return found
    const hex = found.charCodeAt(0).toString(16).padStart(4, '0')
    return `\\u${state % 2 ? hex : hex.toUpperCase()}`
  })
}

/** A value within JSON within JSON, whose texts are spelled in odd ways. */
const value = fc
  .tuple(words, words, fc.nat(1_000), fc.constantFrom(0, 1, 2))
  .map(([a, b, seed, depth]) => {
    const inner = { a, list: [b, a], b: { name: b } }
    const nested = depth === 2 ? { ...inner, text: escapedJson({ a: b }, seed) } : inner
    return encoder.encode(depth === 0 ? a + b : escapedJson(nested, seed))
  })

const oddRecord = fc
  .tuple(record('topic', 0, 0), fc.option(value), fc.option(words), words, words)
  .map(
    ([base, value, key, name, header]): KafkaRecord => ({
      ...base,
      ...(value && { value }),
      ...(key !== null && { key: encoder.encode(key) }),
      headers: [...(base.headers ?? []), { [name]: encoder.encode(header) }],
    }),
  )

/** Parts of a record, to be searched for in it. */
function textsOf({ key, value, headers = [] }: KafkaRecord): string[] {
  const bytes = [key, value, ...headers.flatMap((header) => Object.values(header) as Uint8Array[])]
  const texts = bytes.map((each) => (each ? decoder.decode(each) : ''))
  const names = headers.flatMap((header) => Object.keys(header))
  const parsed = texts.flatMap((text) => {
    try {
      return JSON.stringify(JSON.parse(text)).match(/[^"{}[\],:\\]+/g) ?? []
    } catch {
      return []
    }
  })
  return [...texts, ...names, ...parsed].filter((text) => text !== '')
}

/** A literal of CEL, which has no half of a pair of surrogates. */
function celText(text: string): string {
  return JSON.stringify(text.toWellFormed())
}

const PATHS = [
  'key',
  'value',
  'value.a',
  'value["a"]',
  'value.list[1]',
  'value.b.name',
  'value.text',
  'headers.a',
]
const METHODS = ['contains', 'startsWith', 'endsWith']

/** Conditions on a text that may be a part of a record, in any of the forms that are recognized. */
function condition(text: string) {
  const literal = fc.constant(celText(text))
  const folded = fc.constant(celText(text.toLowerCase()))
  const path = fc.constantFrom(...PATHS)
  const { part } = fc.letrec<{ part: string }>((tie) => ({
    part: fc.oneof(
      { depthSize: 'small', maxDepth: 3 },
      fc.tuple(path, literal).map(([a, b]) => `${a} == ${b}`),
      fc.tuple(literal, path).map(([a, b]) => `${a} == ${b}`),
      fc.tuple(path, literal).map(([a, b]) => `${a} in [${b}, "other"]`),
      fc
        .tuple(literal, fc.constantFrom('value', 'value.list', 'value.b', 'headers'))
        .map(([a, b]) => `${a} in ${b}`),
      fc.tuple(path, fc.constantFrom(...METHODS), literal).map(([a, m, b]) => `${a}.${m}(${b})`),
      fc
        .tuple(path, fc.constantFrom(...METHODS), folded)
        .map(([a, m, b]) => `${a}.lowerAscii().${m}(${b})`),
      fc.tuple(path, literal).map(([a, b]) => `${a}.trim() == ${b}`),
      fc
        .tuple(fc.constantFrom('key', 'value', 'headers', 'value.list', 'headers.a'), literal)
        .map(([a, b]) => `text(${a}).contains(${b})`),
      fc
        .tuple(fc.constantFrom('key', 'value', 'headers', 'value.list'), folded)
        .map(([a, b]) => `text(${a}).lowerAscii().contains(${b})`),
      folded.map((a) => `headers.exists(h, text(headers[h]).lowerAscii().contains(${a}))`),
      literal.map((a) => `value.list.exists(x, x == ${a})`),
      literal.map((a) => `["", ${a}].exists(x, x == ${a})`),
      literal.map((a) => `value.list.exists(x, [${a}].exists(x, x.contains(${a})))`),
      folded.map((a) => `headers.exists(h, headers[h].lowerAscii().contains(${a}))`),
      folded.map((a) => `value.exists_one(f, f.lowerAscii() == ${a})`),
      tie('part').map((a) => `!(${a})`),
      fc
        .tuple(tie('part'), fc.constantFrom('&&', '||'), tie('part'))
        .map(([a, o, b]) => `(${a}) ${o} (${b})`),
      fc
        .tuple(tie('part'), tie('part'), tie('part'))
        .map(([a, b, c]) => `(${a}) ? (${b}) : (${c})`),
    ),
  }))
  return part
}

const search = oddRecord.chain((record) => {
  const texts = textsOf(record)
  const whole = texts.length > 0 ? fc.oneof(fc.constantFrom(...texts), words) : words
  const text = fc
    .tuple(whole, fc.nat(20), fc.integer({ min: 1, max: 12 }))
    .map(([text, from, length]) => {
      return text.slice(from % text.length, (from % text.length) + length) || text
    })
  return fc.tuple(fc.constant(record), text.chain(condition))
})

describe('the texts that an expression requires', () => {
  test('leave out no record for which the expression is true, whatever characters it has and however they are spelled', () => {
    let passed = 0
    let leftOut = 0
    fc.assert(
      fc.property(search, ([record, text]) => {
        const expression = expressionOf(text)
        for (const mode of ['noop', 'json'] as const) {
          const batch = EncodedBatch.encode([record], new Cursor(table, new Float64Array(1)), mode)
          const content = decoder.decode(batch.content(0))
          const isTrue = expression.matches(viewsOf(batch).at(0))
          expect(viewsOf(batch).passes(expression, 0)).toBe(isTrue)
          if (isTrue) passed++
          else if (!expression.required.every((each) => each.test(content))) leftOut++
        }
      }),
      { numRuns: 4_000 },
    )
    // Both kinds occur indeed.
    expect(passed).toBeGreaterThan(100)
    expect(leftOut).toBeGreaterThan(100)
  })
})
