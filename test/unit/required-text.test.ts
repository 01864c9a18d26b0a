import { describe, expect, test } from 'bun:test'
import { Cursor, PartitionTable } from '../../src/records/cursor.ts'
import { EncodedBatch } from '../../src/records/encoded-batch.ts'
import { expressionOf } from '../../src/records/expression.ts'
import { viewsOf } from '../../src/records/record-view.ts'

const encoder = new TextEncoder()
const table = new PartitionTable([{ topic: 'orders', partition: 0 }])

function batchOf(value: string): EncodedBatch {
  const record = {
    topic: 'orders',
    partition: 0,
    offset: 7,
    timestamp: 1_787_305_085_262,
    key: encoder.encode('k'),
    value: encoder.encode(value),
    headers: [{ trace: encoder.encode('t-1') }],
  }
  return EncodedBatch.encode([record], new Cursor(table, new Float64Array(1)), 'noop')
}

const SEARCH = 'text(key).lowerAscii().contains("x-1") || text(value).lowerAscii().contains("x-1")'

describe('a record without the texts that an expression requires', () => {
  test.each([
    SEARCH,
    `${SEARCH} || headers.exists(h, text(headers[h]).lowerAscii().contains("x-1"))`,
    'value.id == "x-1"',
    '"x-1" == value["id"] && value.total > 1',
    'value.id in ["x-1", "x-2"]',
    '"x-1" in value.tags',
    'value.tags.exists(tag, tag.startsWith("x-1"))',
    'headers.trace == "x-1" || key == "x-1"',
  ])('is not parsed for %s', (text) => {
    const { required } = expressionOf(text)
    expect(required).not.toEqual([])
    const views = viewsOf(batchOf('{"id":"a"}'))
    views.at = () => {
      throw new Error('The record was parsed')
    }
    expect(views.passes(expressionOf(text), 0)).toBe(false)
  })

  test.each([
    'value.total > 10',
    'value.id != "x-1"',
    '!(value.id == "x-1")',
    'value.id == "x-1" || value.total > 10',
    'value.id == "x-1" ? value.a : value.b',
    'value.id + "1" == "x-1"',
    'value.id.upperAscii() == "X-1"',
    'topic == "orders"',
    'value.tags.all(tag, tag == "x-1")',
    '["x-1"].exists(tag, tag == "x-1")',
    'value.tags.exists(tag, ["x-1"].exists(tag, tag == "x-1"))',
    'value.contains("/")',
    'value == ""',
    'value.id in []',
    'text(value.tags).contains("x-1")',
    'value.id in ["1", "2", "3", "4", "5", "6", "7", "8", "9"]',
  ])('is parsed for %s, which requires none', (text) => {
    expect(expressionOf(text).required).toEqual([])
  })
})

describe('a required text', () => {
  test.each([
    ['value.a == "A"', String.raw`{"a":"\u0041"}`],
    ['value.a == "a/b-c"', String.raw`{"a":"a\/b-c"}`],
    ['value.a == "x\\ny"', String.raw`{"a":"x\ny"}`],
    ['value.a == "é"', String.raw`{"a":"\u00E9"}`],
    ['json(value.a).b == "A"', JSON.stringify({ a: String.raw`{"b":"\u0041"}` })],
    ['value.a.b == "A" || value.a.contains("A")', JSON.stringify({ a: 'A' })],
    ['value.lowerAscii().contains("kelvin")', '\u212aelvin'],
    ['value.a.lowerAscii() == "kelvin"', String.raw`{"a":"\u212Aelvin"}`],
    ['value.lowerAscii().contains("izmir")', 'İZMİR and IZMIR'],
    ['value.lowerAscii().contains("i̇zmi̇r")', 'İZMİR'],
    ['value.a.lowerAscii() == "i̇"', String.raw`{"a":"\u0130"}`],
    ['value.lowerAscii().contains("ας")', 'ΑΣ ΑΒ'],
    ['value.lowerAscii().contains("éa")', 'ÉA'],
    ['value.a.lowerAscii() == "éa"', String.raw`{"a":"\u00c9A"}`],
    ['value.lowerAscii().contains("straße")', 'STRAẞE'],
    ['value.lowerAscii().contains("å")', '\u212b'],
    ['value.lowerAscii().contains("𐐨")', '𐐀'],
    ['value.lowerAscii().contains("say \\"hi\\"")', 'SAY "HI"'],
  ])('is found however it is spelled: %s in %s', (text, value) => {
    expect(viewsOf(batchOf(value)).passes(expressionOf(text), 0)).toBe(true)
  })
})
