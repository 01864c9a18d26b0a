import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { joinParts, jsonOfSlices, linesOf } from '../../src/http/response/body.ts'
import { Cursor, PartitionTable } from '../../src/records/cursor.ts'
import { encodeBody, encodePrefix } from '../../src/records/encode.ts'
import { EncodedBatch } from '../../src/records/encoded-batch.ts'
import { customFormat, FORMATS, type FormatRecord } from '../../src/records/format.ts'
import { formatSlice } from '../../src/records/format-batch.ts'
import { fieldTexts } from '../../src/records/json-fields.ts'
import type { ProcessedRecord } from '../../src/records/pipeline.ts'
import { recordAt } from './fakes.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
const headersOf = (headers: Record<string, string>) =>
  Object.entries(headers).map(([name, value]) => ({ [name]: bytes(value) }))

/** A record's JSON, as it is made for clients. */
function jsonOf(more: Partial<ProcessedRecord>, deserializer: 'noop' | 'json' = 'noop'): string {
  const record = { ...recordAt(1, 42, 'hi', 'orders'), ...more }
  return encodePrefix('orders', 1) + encodeBody(record, deserializer)
}

const event = (more: Partial<ProcessedRecord>, deserializer: 'noop' | 'json' = 'noop') =>
  JSON.parse(FORMATS.cloudevents(jsonOf(more, deserializer))) as unknown

describe('the texts of fields of a JSON object', () => {
  test('are those of the fields that parsing finds', () =>
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (object) => {
        const fields = fieldTexts(JSON.stringify(object))
        expect([...fields.keys()].sort()).toEqual(Object.keys(object).sort())
        for (const [name, text] of fields) expect(text).toBe(JSON.stringify(object[name]))
      }),
    ))

  test('keep digits and spaces', () => {
    const fields = fieldTexts('{"a":1.00000000000000000001,"b":{ "c" : [ 1 , "]}\\"" ] },"d":null}')
    expect([...fields]).toEqual([
      ['a', '1.00000000000000000001'],
      ['b', '{ "c" : [ 1 , "]}\\"" ] }'],
      ['d', 'null'],
    ])
  })
})

describe('format value', () => {
  test('shows the value alone, with its digits', () => {
    const { value } = FORMATS
    expect(value(jsonOf({}))).toBe('"hi"')
    expect(value(jsonOf({ value: null }))).toBe('null')
    expect(value(jsonOf({ value: bytes('12345678901234567890') }, 'json'))).toBe(
      '12345678901234567890',
    )
    expect(value(jsonOf({ value: Uint8Array.of(0xff) }))).toBe('"/w=="')
    const headers = headersOf({ value: '{"value":1}' })
    expect(value(jsonOf({ key: bytes('"value":'), headers }))).toBe('"hi"')
  })

  test('shows a record with an error whole', () => {
    const json = jsonOf({ value: bytes('{') }, 'json')
    expect(FORMATS.value(json)).toBe(json)
  })
})

describe('format cloudevents', () => {
  const place = { specversion: '1.0', id: '1:42', source: '/topics/orders' }

  test('shows a plain record', () => {
    expect(event({ key: bytes('k'), headers: headersOf({ traceparent: '00-1-2-01' }) })).toEqual({
      ...place,
      type: 'org.apache.kafka.record',
      time: '2023-11-14T22:13:20.042Z',
      subject: 'k',
      partitionkey: 'k',
      traceparent: '00-1-2-01',
      datacontenttype: 'text/plain',
      data: 'hi',
    })
  })

  test('shows a record without key, value and timestamp', () => {
    expect(event({ key: null, value: null, timestamp: -1 })).toEqual({
      ...place,
      type: 'org.apache.kafka.record',
    })
    expect(event({ key: bytes('') })).not.toHaveProperty('subject')
  })

  test('leaves out a time after the year 9999, which RFC 3339 cannot express', () => {
    const timeOf = (timestamp: number) => (event({ timestamp }) as { time?: string }).time
    expect(timeOf(0)).toBe('1970-01-01T00:00:00.000Z')
    expect(timeOf(253_402_300_799_999)).toBe('9999-12-31T23:59:59.999Z')
    for (const none of [-2, 253_402_300_800_000, 8.64e15 + 1, 1_795_875_915_705_000_000, 2 ** 63]) {
      expect(timeOf(none)).toBeUndefined()
    }
  })

  test('accepts attributes of any name, even those of JavaScript’s objects', () => {
    const headers = headersOf({
      ce_specversion: '1.0',
      ce_id: 'a',
      ce_source: '/s',
      ce_type: 't',
      ce_constructor: 'c',
      ce_valueof: 'v',
      constructor: 'x',
    })
    expect(event({ headers })).toMatchObject({ constructor: 'c', valueof: 'v' })
  })

  test('shows data that is JSON as JSON, with its digits, and data that is not text as base64', () => {
    expect(
      FORMATS.cloudevents(jsonOf({ value: bytes('{"n":12345678901234567890}') }, 'json')),
    ).toEndWith(',"datacontenttype":"application/json","data":{"n":12345678901234567890}}')
    const headers = headersOf({ 'content-type': 'application/vnd.x+json; charset=utf-8' })
    expect(event({ value: bytes('{"a":\n1}'), headers })).toMatchObject({
      datacontenttype: 'application/vnd.x+json; charset=utf-8',
      data: { a: 1 },
    })
    expect(event({ value: bytes('{'), headers })).toMatchObject({ data: '{' })
    expect(event({ value: Uint8Array.of(0xff) })).toMatchObject({
      datacontenttype: 'application/octet-stream',
      data_base64: '/w==',
    })
  })

  test('shows a record that is an event in binary mode with its own attributes', () => {
    const headers = headersOf({
      ce_specversion: '1.0',
      ce_id: 'a-1',
      ce_source: '/shop',
      ce_type: 'order.placed',
      ce_customer: '7',
      ce_data: 'no',
      'content-type': 'application/json',
    })
    expect(event({ value: bytes('{"a":1}'), headers })).toEqual({
      specversion: '1.0',
      id: 'a-1',
      source: '/shop',
      type: 'order.placed',
      customer: '7',
      datacontenttype: 'application/json',
      data: { a: 1 },
    })
    expect(event({ headers: headersOf({ ce_specversion: '1.0', ce_id: 'a' }) })).toMatchObject(
      place,
    )
  })

  test('shows a record that is an event in structured mode as that event', () => {
    const own = { specversion: '1.0', id: 'x', source: '/s', type: 't', data: 1 }
    const headers = headersOf({ 'content-type': 'application/cloudevents+json; charset=utf-8' })
    const value = bytes(JSON.stringify(own, null, 1))
    expect(event({ value, headers })).toEqual(own)
    expect(event({ value, headers }, 'json')).toEqual(own)
    expect(event({ value: bytes('[1]'), headers })).toMatchObject(place)
  })

  test('shows the error of a record as attributes', () => {
    expect(event({ value: bytes('{') }, 'json')).toMatchObject({
      ...place,
      errorcode: 'DESERIALIZATION_FAILED',
      errormessage: 'Cannot deserialize the value: it is not valid JSON',
      data_base64: btoa('{'),
    })
  })

  test('shows any record as JSON on one line with the attributes that CloudEvents requires', () =>
    fc.assert(
      fc.property(
        fc.option(fc.uint8Array()),
        fc.option(fc.oneof(fc.uint8Array(), fc.json().map(bytes))),
        fc.array(
          fc.tuple(
            fc.oneof(
              fc.string(),
              fc.constantFrom('content-type', 'ce_id', 'ce_type', 'ce_source', 'ce_specversion'),
            ),
            fc.oneof(fc.string(), fc.constantFrom('1.0', 'application/cloudevents+json')),
          ),
        ),
        fc.constantFrom('noop', 'json'),
        (key, value, headers, deserializer) => {
          const list = headers.map(([name, text]) => ({ [name]: bytes(text) }))
          const json = FORMATS.cloudevents(
            jsonOf({ key, value, headers: list }, deserializer as 'noop'),
          )
          expect(json).not.toMatch(/[\r\n]/)
          const made = JSON.parse(json) as Record<string, unknown>
          if (made['specversion'] !== '1.0') return // Its own, in structured mode.
          for (const name of ['id', 'source', 'type']) expect(made[name]).toBeTruthy()
        },
      ),
    ))
})

describe('a format of the app’s own', () => {
  test('may return any JSON value', () => {
    const of = (format: FormatRecord) => customFormat(format)(jsonOf({}))
    expect(of(({ offset, value }) => [offset, value])).toBe('[42,"hi"]')
    expect(of(() => 'a\nb')).toBe('"a\\nb"')
    expect(of(() => null)).toBe('null')
  })

  const failing: ReadonlyArray<readonly [string, FormatRecord]> = [
    [
      'throws',
      () => {
        throw new Error('hunter2')
      },
    ],
    ['returns nothing', () => undefined],
    ['returns a value that is not valid JSON', () => 1n],
    ['returns a function', () => () => 1],
    ['returns a promise', async () => 1],
  ]
  test.each(failing)('shows the record whole, with an error, when it %s', (_, format) => {
    const shown = customFormat(format)(jsonOf({}))
    expect(JSON.parse(shown)).toMatchObject({
      topic: 'orders',
      value: 'hi',
      error: { code: 'FORMAT_FAILED' },
    })
    expect(shown).not.toContain('hunter2')
  })

  test('is called once for each record of a cached batch, and again when the batch is no longer cached', () => {
    let calls = 0
    const format = customFormat(({ value }) => {
      calls++
      return (value as string).length
    })
    const chunkOf = (size: number) => batch([recordAt(0, 0, size), recordAt(1, 0, size)])
    const first = chunkOf(10)
    for (let reader = 0; reader < 5; reader++) {
      const { batch } = formatSlice({ batch: first }, format)
      expect(
        new TextDecoder().decode(
          joinParts(linesOf(jsonOfSlices([{ batch, begin: 0, end: 2 }], 'list'))),
        ),
      ).toBe('10\n10\n')
    }
    expect(calls).toBe(2)
    for (let i = 0; i < 9; i++) formatSlice({ batch: chunkOf(1_000_000) }, format)
    calls = 0
    formatSlice({ batch: first }, format)
    expect(calls).toBe(2)
  })
})

const table = new PartitionTable([0, 1].map((partition) => ({ topic: 't', partition })))
const batch = (records: readonly ProcessedRecord[]) =>
  EncodedBatch.encode(records, new Cursor(table, new Float64Array(2)), 'noop')

describe('a batch in another format', () => {
  test('has the same records and ids, and may be selected from', () => {
    const records = [recordAt(0, 0, 'a'), recordAt(1, 0, 'ü☃'), recordAt(0, 1, 'c')]
    const shown = batch(records).reformat(FORMATS.value)
    const text = (from: typeof shown) => new TextDecoder().decode(from.bytes)
    expect(text(shown)).toBe(
      'data: "a"\nid: t:0=1,1=0\n\ndata: "ü☃"\nid: t:0=1,1=1\n\ndata: "c"\nid: t:0=2,1=1\n\n',
    )
    const some = shown.select(0, new Cursor(table, new Float64Array(2)), (i) => i !== 0)
    expect(text(some)).toBe('data: "ü☃"\nid: t:0=1,1=1\n\ndata: "c"\nid: t:0=2,1=1\n\n')
  })
})
