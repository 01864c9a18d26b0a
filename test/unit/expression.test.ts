import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import type { KafkaRecord } from '../../src/port/kafka.ts'
import { Cursor, PartitionTable } from '../../src/records/cursor.ts'
import type { MessageDeserializer } from '../../src/records/encode.ts'
import { EncodedBatch } from '../../src/records/encoded-batch.ts'
import { expressionOf } from '../../src/records/expression.ts'
import { viewsOf } from '../../src/records/record-view.ts'
import { cpuTime } from '../support/cpu-time.ts'
import { randomOf } from './fakes.ts'

const encoder = new TextEncoder()
const table = new PartitionTable([{ topic: 'orders', partition: 3 }])

const ORDER = `{"type":"order.placed","total":10.5,"count":3,"id":9007199254740993,"huge":123456789012345678901234567890,
  "tags":["new","gift"],"items":[{"sku":"a","price":2},{"sku":"b","price":40}],"to":{"city":"Łódź"},"note":null}`

const HEADERS = [
  { trace: encoder.encode('abc') },
  { n: encoder.encode('1') },
  { n: encoder.encode('2') },
]

/** A text as a literal of CEL. */
function celText(text: string): string {
  return JSON.stringify(text)
}

function batchOf(
  value: string | null,
  mode: MessageDeserializer,
  key: string | null = 'k1',
  headers: KafkaRecord['headers'] = HEADERS,
): EncodedBatch {
  const record = {
    topic: 'orders',
    partition: 3,
    offset: 41,
    timestamp: 1_787_305_085_262,
    key: key === null ? null : encoder.encode(key),
    value: value === null ? null : encoder.encode(value),
    headers,
  }
  return EncodedBatch.encode([record], new Cursor(table, new Float64Array(1)), mode)
}

function matches(text: string, value: string | null = ORDER, mode: MessageDeserializer = 'json') {
  return viewsOf(batchOf(value, mode)).passes(expressionOf(text), 0)
}

/** JSON of lists and objects within each other, at random. */
function nestedValue(depth: number, random: (below: number) => number): string {
  let [open, close] = ['', '']
  for (let level = 0; level < depth; level++) {
    const isList = random(2) === 0
    open += isList ? '[' : '{"a":'
    close = (isList ? ']' : '}') + close
  }
  return `{"a":${open}1${close}}`
}

describe('an expression', () => {
  test.each([
    'true',
    'topic == "orders" && partition == 3 && offset == 41',
    'timestamp > 1787305085000',
    'timestamp(timestamp / 1000) > timestamp("2026-01-31T09:30:00Z")',
    'key == "k1"',
    'key.startsWith("k") && key != null',
    'headers.trace == "abc" && "n" in headers && headers.n[1] == "2"',
    'value.type == "order.placed"',
    'value.type.matches("^order\\\\.(placed|paid)$")',
    'value.total > 10 && value.total < 10.6 && value.count == 3',
    // A number in JSON is a double; it can be combined with ints.
    'value.count % 2 == 1 && value.count + 1 == 4 && 2 * value.total == 21 && value.total - 1 == 9.5',
    'value.id == 9007199254740993 && value.id != 9007199254740992',
    'value.huge > 1.0e29',
    '"gift" in value.tags && value.tags.size() == 2 && value.tags[0] == "new"',
    'value.items.exists(i, i.price > 20) && value.items.all(i, i.price < 50)',
    'value.items.filter(i, i.sku == "b").map(i, i.price * 2).exists(p, p == 80)',
    'value["to"]["city"] == "Łódź" && value.to.city.size() == 4',
    'has(value.to.city) && !has(value.missing) && value.note == null',
    'value.missing == 1 || value.count == 3',
    'cel.bind(t, value.total, t > 10 && t < 11)',
    'value.exists(name, name == "tags")',
    'text(key) == "k1" && text(value.note) == "" && text(value.tags) == "[\\"new\\",\\"gift\\"]"',
    'text(value).contains("9007199254740993,\\"huge\\"") && text(value.id) == "9007199254740993"',
    'text(headers).contains("\\"n\\":[\\"1\\",\\"2\\"]") && text(headers.n) == "[\\"1\\",\\"2\\"]"',
    'text(json("{\\"constructor\\": 1}")) == "{\\"constructor\\":1}"',
    'json("[1, {}]").size() == 2 && json("9007199254740993") == 9007199254740993',
    'timestamp(timestamp / 1000).getHours("Europe/Warsaw") >= 0',
  ])('%s is true of an order', (text) => {
    expect(matches(text)).toBe(true)
  })

  test.each([
    'false',
    'value.total > 11',
    // An expression that cannot be evaluated does not match, and neither does its negation.
    'value.missing == 1',
    '!(value.missing == 1)',
    'value.type > 5',
    'value.tags[7] == "x"',
    'int(value.type) == 1',
    'json(value.type) == 1',
    'value.note.city == "x"',
    'value.constructor != null || value.__proto__ != null || "constructor" in value',
    'text(timestamp("2026-01-31T09:30:00Z")) != ""',
    // True only where it is true.
    'value.count',
    'value',
  ])('%s is not true of an order', (text) => {
    expect(matches(text)).toBe(false)
  })

  test('a value that is text is compared as text, and has the fields of the JSON that it is', () => {
    for (const text of [
      'value.contains("order.placed")',
      'value.size() > 100',
      'value.total > 10 && value.items[1].sku == "b" && has(value.to.city)',
      '"tags" in value && value.items.exists(i, i.price > 20)',
      'value.exists(name, name == "tags")',
    ]) {
      expect([text, matches(text, ORDER, 'noop')]).toEqual([text, true])
    }
    expect(matches('value.total > 10', 'no JSON', 'noop')).toBe(false)
    expect(matches('value == "no JSON"', 'no JSON', 'noop')).toBe(true)
    const key = viewsOf(batchOf(ORDER, 'json', '{"id":7}'))
    expect(key.passes(expressionOf('key.id == 7 && key.startsWith("{")'), 0)).toBe(true)
  })

  test('a field may have any name, those of JavaScript’s objects, too', () => {
    const plain = fc.constantFrom(
      ...['constructor', '__proto__', 'toString', 'hasOwnProperty', 'valueOf', 'prototype'],
    )
    const other = fc
      .string({ unit: 'grapheme-ascii' })
      .filter((text) => !['list', 'of'].includes(text))
    const name = fc.oneof(plain, other)
    const escaped = (json: string) =>
      json.replace(/[a-z_]/g, (letter) => `\\u00${letter.charCodeAt(0).toString(16)}`)
    fc.assert(
      fc.property(name, name, fc.boolean(), (one, other, asEscapes) => {
        const [q, r] = [JSON.stringify(one), JSON.stringify(other)]
        const [a, b] = asEscapes ? [escaped(q), escaped(r)] : [q, r]
        const value = `{${a}:7,"list":[{${b}:${q}}],"of":{${a}:{${b}:8}}}`
        const [c, d] = [celText(one), celText(other)]
        for (const text of [
          `value[${c}] == 7 && ${c} in value && value.list[0][${d}] == ${c}`,
          `value.of[${c}][${d}] == 8 && value.exists(n, n == ${c}) && value.of.size() == 1`,
          `value.of == {${c}: {${d}: 8}} && value.of != {${c}: {${d}: 9}}`,
          `!("x${one.length}y" in value.of) && json(${celText(value)})[${c}] == 7`,
        ]) {
          for (const mode of ['noop', 'json'] as const) {
            expect([text, matches(text, value, mode)]).toEqual([text, true])
          }
        }
      }),
    )
    for (const name of ['constructor', '__proto__', 'toString', 'hasOwnProperty']) {
      const value = JSON.stringify({ a: 1, [name]: { a: 2 } })
      expect(matches(`value.${name}.a == 2 && has(value.${name}.a) && value.a == 1`, value)).toBe(
        true,
      )
      expect(matches(`{"__proto__": 1, "x": 2} == {"x": 2}`)).toBe(false)
    }
  })

  test('a header may have any name', () => {
    const names = ['constructor', '__proto__', 'toString']
    const batch = batchOf(
      '1',
      'noop',
      'k',
      names.map((name) => ({ [name]: encoder.encode('x') })),
    )
    for (const name of names) {
      for (const text of [`headers.${name} == "x"`, `headers["${name}"] == "x" && value == "1"`]) {
        expect([text, viewsOf(batch).passes(expressionOf(text), 0)]).toEqual([text, true])
      }
    }
    expect(matches('"constructor" in headers')).toBe(false)
  })

  test('a tombstone and a record without a key are null', () => {
    expect(matches('value == null', null)).toBe(true)
    expect(matches('value.total > 1', null)).toBe(false)
    expect(viewsOf(batchOf(null, 'noop', null)).passes(expressionOf('key == null'), 0)).toBe(true)
  })

  test.each([
    ['value.total >', 'Unexpected token: EOF, at character 14'],
    ['value.total > > 1', 'at character 15'],
    ['"unfinished', 'Unterminated string, at character 1'],
    ['', 'at character 1'],
    ['total > 1', 'Unknown variable: total, at character 1'],
    ['topic == 1', 'no such overload: string == int'],
    ['offset + 1', 'it must be true or false, and is of type int'],
    ['now() > 1', "found no matching overload for 'now()'"],
    ['value.x.matches("(?=a)")', 'it is not a valid regular expression'],
    ['value.x.matches(value.y)', 'matches takes a regular expression in quotes, at character 17'],
    [`value.x.matches("${'(a{30}){30}'.repeat(30)}")`, 'the regular expression is too large'],
    ['value.list.exists(key, key > 1)', 'the variable "key" has the name of a field'],
    ['cel.bind(topic, 1, topic > 0)', 'the variable "topic" has the name of a field'],
    [`"${'x'.repeat(5_000)}" == key`, 'it must have at most 4096 characters, and has 5009'],
    [`${'1+'.repeat(1_000)}1 > 0`, 'maxAstNodes'],
    [`${'('.repeat(200)}1${')'.repeat(200)} > 0`, 'maxDepth'],
  ])('%s is refused in words', (text, words) => {
    let thrown: unknown
    try {
      expressionOf(text)
    } catch (error) {
      thrown = error
    }
    expect(thrown).toMatchObject({ code: 'INVALID_PARAMETER', status: 400 })
    expect((thrown as Error).message).toStartWith('Cannot use parameter "filter": ')
    expect((thrown as Error).message).toContain(words)
  })

  const fifty = `[${Array.from({ length: 50 }, (_, n) => n).join()}]`
  test.each([
    // More steps than there is time, texts and lists that double, errors that are caught.
    `${fifty}.all(a, ${fifty}.all(b, ${fifty}.all(c, ${fifty}.all(d, a + b + c + d >= 0))))`,
    `[value.type]${'.map(x, x + x)'.repeat(30)}.size() == 1`,
    `[value.tags]${'.map(x, x + x)'.repeat(30)}.size() == 1`,
    `${'value.tags.map(a, '.repeat(9)}[a, a]${')'.repeat(9)}.size() > 0`,
    `${'value.exists(a, '.repeat(9)}value.zz${')'.repeat(9)} || true`,
    `${'value.exists(a, '.repeat(6)}value == {"a": 1}${')'.repeat(6)} || true`,
  ])('%s ends, and does not match', (text) => {
    const started = cpuTime()
    for (let i = 0; i < 20; i++) expect(matches(text)).toBe(false)
    // Some milliseconds; without a limit, more than anybody waits for.
    expect(cpuTime() - started).toBeLessThan(10_000)
  })

  test('values as deep as filters look, of any shape, are compared without a compiled type for each', () => {
    const random = randomOf(12)
    const started = cpuTime()
    for (let shape = 0; shape < 200; shape++) {
      const value = nestedValue(950, random)
      for (const mode of ['noop', 'json'] as const) {
        expect(matches('value.a == 1', value, mode)).toBe(false)
        expect(matches('value.a != 1', value, mode)).toBe(true)
        expect(matches('value == value', value, mode)).toBe(true)
      }
    }
    // Half a second; by types it is minutes and gigabytes.
    expect(cpuTime() - started).toBeLessThan(20_000)
  }, 120_000)

  test('JSON deeper than filters look matches nothing, and the record’s other fields do', () => {
    for (const depth of [2_000, 60_000]) {
      const value = `{"a":${'['.repeat(depth)}12345678901234567${']'.repeat(depth)}}`
      for (const mode of ['noop', 'json'] as const) {
        for (const text of ['has(value.a)', 'value.a == 1', 'value.a != 1', '"a" in value']) {
          expect([text, matches(text, value, mode)]).toEqual([text, false])
        }
        expect(matches('key == "k1" && headers.trace == "abc"', value, mode)).toBe(true)
      }
    }
  })

  test('a regular expression that other engines backtrack over takes linear time', () => {
    const value = JSON.stringify({ text: `${'a'.repeat(5_000)}!` })
    expect(matches('value.text.matches("^(a+)+$")', value)).toBe(false)
    expect(matches('value.text.matches("^(a|aa)+!$")', value)).toBe(true)
  })

  test('parsing a text as a time counts for more than a step', () => {
    const later = 'timestamp("2026-01-02T03:04:05Z") > timestamp("2025-01-02T03:04:05Z")'
    expect(matches(`[1, 2, 3, 4, 5, 6].all(n, ${later})`)).toBe(true)
    expect(matches(`${fifty}.all(n, [1, 2].all(m, ${later}))`)).toBe(false)
    expect(matches(`${fifty}.all(n, [1, 2].all(m, "2026" > "2025"))`)).toBe(true)
  })

  test('an expression may take more steps on a larger record', () => {
    const numbers = JSON.stringify({ list: Array.from({ length: 5_000 }, (_, n) => n) })
    expect(matches('value.list.exists(n, n == 4999)', numbers)).toBe(true)
    expect(matches('value.list.all(a, value.list.exists(b, a == b))', numbers)).toBe(false)
  })

  test('equal expressions are compiled once, and evaluated once for each record', () => {
    const expression = expressionOf('value.total > 10')
    expect(expressionOf('value.total > 10')).toBe(expression)
    let asked = 0
    const counted = { required: [], matches: () => ++asked > 0 }
    const batch = batchOf(ORDER, 'json')
    for (let i = 0; i < 1_000; i++) expect(viewsOf(batch).passes(counted, 0)).toBe(true)
    expect(asked).toBe(1)
    expect(viewsOf(batch).at(0)).toBe(viewsOf(batch).at(0))
  })

  test('the 500 expressions used last are cached', () => {
    const first = expressionOf('offset > 0')
    for (let n = 1; n <= 499; n++) expressionOf(`offset > ${n}`)
    expect(expressionOf('offset > 0')).toBe(first)
    for (let n = 500; n <= 998; n++) expressionOf(`offset > ${n}`)
    expect(expressionOf('offset > 0')).toBe(first)
    for (let n = 1_000; n <= 1_500; n++) expressionOf(`offset > ${n}`)
    expect(expressionOf('offset > 0')).not.toBe(first)
  })

  test('records are cached in parsed form for the newest batches only', () => {
    const text = JSON.stringify({ pad: 'x'.repeat(3 * 1024 * 1024) })
    const old = batchOf(text, 'json')
    const view = viewsOf(old).at(0)
    viewsOf(batchOf(text, 'json'))
    expect(viewsOf(old).at(0)).toBe(view)
    for (let i = 0; i < 3; i++) viewsOf(batchOf(text, 'json'))
    expect(viewsOf(old).at(0)).not.toBe(view)
  })
})
