import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { decodeForm, FormError } from '../../src/kong/admin/form.ts'
import { infer } from '../../src/kong/admin/infer-types.ts'
import type { KongFields } from '../../src/kong/model/field-description.ts'

const decode = (form: string) => decodeForm(new URLSearchParams(form))

describe('a form', () => {
  const read: ReadonlyArray<readonly [form: string, object]> = [
    ['', {}],
    ['a=1', { a: '1' }],
    ['a.b=1&a.c=2', { a: { b: '1', c: '2' } }],
    ['a[b]=1&a[c.d]=2', { a: { b: '1', 'c.d': '2' } }],
    ['a[]=1&a[]=2', { a: ['1', '2'] }],
    ['a=1&a=2', { a: ['1', '2'] }],
    ['a=1&a[]=2&a=3', { a: ['1', '2', '3'] }],
    ['a[1]=1&a[2]=2&a[]=3', { a: ['1', '2', '3'] }],
    ['a[2]=2&a[1]=1', { a: ['1', '2'] }],
    ['a[1].b=1&a[1].c=2&a[2].b=3', { a: [{ b: '1', c: '2' }, { b: '3' }] }],
    ['a[].b=1', { a: [{ b: '1' }] }],
    ['a[1][1]=1', { a: [['1']] }],
    ['a.b[1].c[]=1', { a: { b: [{ c: ['1'] }] } }],
    ['toString=1', { toString: '1' }],
  ]
  for (const [form, value] of read) {
    test(`${form} is ${JSON.stringify(value)}`, () => {
      expect(decode(form)).toEqual(value as ReturnType<typeof decode>)
    })
  }

  const refused: ReadonlyArray<readonly [form: string, expected: string]> = [
    ['a[0]=1', 'array indexes begin at 1 and leave none out'],
    ['a[2]=1', 'array indexes begin at 1 and leave none out'],
    ['a[-1]=1', 'array indexes begin at 1 and leave none out'],
    ['a[1]=1&a[3]=1', 'array indexes begin at 1 and leave none out'],
    ['a[99999999999999999999]=1', 'array indexes begin at 1 and leave none out'],
    ['a[1]=1&a[1]=2', 'given more than once'],
    ['a.b=1&a[1]=2', 'is given as a value, an array and a record at a time'],
    ['a=1&a.b=2', 'is given as a value, an array and a record at a time'],
    ['a.b=1&a=2', 'is given as a value, an array and a record at a time'],
    ['a.__proto__.b=1', 'unknown field'],
    ['__proto__=1', 'unknown field'],
    ['a[constructor][prototype]=1', 'unknown field'],
    ['=1', 'invalid name'],
    ['.a=1', 'invalid name'],
    ['a..b=1', 'invalid name'],
    ['a.=1', 'invalid name'],
    ['[1]=1', 'invalid name'],
    ['a[1=1', 'invalid name'],
    ['a]=1', 'invalid name'],
    [`${'a.'.repeat(40)}a=1`, 'nested too deeply'],
    ['a=1&'.repeat(1_001), 'Too many arguments'],
  ]
  for (const [form, expected] of refused) {
    test(`${form.slice(0, 40)} is refused: ${expected}`, () => {
      expect(() => decode(form)).toThrow(new FormError('', expected))
    })
  }

  const segment = fc.constantFrom(
    ...['a', 'b', '[]', '[0]', '[1]', '[2]', '[a]', '.a', '.b', '.', '[', ']', '[[', ''],
    ...['__proto__', '.__proto__', '[__proto__]', '.constructor', '.prototype', '[toString]'],
  )
  const name = fc.oneof(
    { weight: 3, arbitrary: fc.array(segment, { maxLength: 6 }).map((parts) => parts.join('')) },
    { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 20 }) },
  )

  test('with any names is parsed or refused, without side effects', () => {
    const before = Object.getOwnPropertyNames(Object.prototype).length
    fc.assert(
      fc.property(fc.array(fc.tuple(name, fc.string()), { maxLength: 8 }), (fields) => {
        try {
          const value = decodeForm(fields)
          expect(Object.getPrototypeOf(value)).toBe(Object.prototype)
          // A parsed form is plain data, which JSON preserves.
          expect(JSON.parse(JSON.stringify(value))).toEqual(value)
        } catch (error) {
          if (!(error instanceof FormError)) throw error
        }
        expect(Object.getOwnPropertyNames(Object.prototype)).toHaveLength(before)
        expect(Object.getOwnPropertyNames({})).toEqual([])
      }),
      { numRuns: 2_000 },
    )
  })

  const fieldName = fc.stringMatching(/^[a-z_]{1,8}$/).filter((field) => field !== 'constructor')
  const { value: nested } = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 3 },
      fc.string(),
      fc.array(tie('value'), { minLength: 1, maxLength: 3 }),
      fc.dictionary(fieldName, tie('value'), { minKeys: 1, maxKeys: 3 }),
    ),
  }))

  function* written(value: unknown, at: string): Generator<[string, string]> {
    if (typeof value === 'string') yield [at, value]
    else if (Array.isArray(value)) {
      for (const [index, inner] of value.entries()) yield* written(inner, `${at}[${index + 1}]`)
    } else {
      for (const [field, inner] of Object.entries(value as object)) {
        yield* written(inner, at === '' ? field : `${at}.${field}`)
      }
    }
  }

  test('every record of arrays, records and text can be written as a form, in any order', () => {
    const record = fc.dictionary(fieldName, nested, { minKeys: 1, maxKeys: 3 })
    const shuffled = record.chain((value) => {
      const fields = [...written(value, '')]
      return fc.tuple(
        fc.constant(value),
        fc.shuffledSubarray(fields, { minLength: fields.length, maxLength: fields.length }),
      )
    })
    fc.assert(
      fc.property(shuffled, ([value, fields]) => {
        expect(decodeForm(fields)).toEqual(value as ReturnType<typeof decode>)
      }),
    )
  })
})

test('text takes the types of its fields', () => {
  const fields: KongFields = [
    { port: { type: 'integer' } },
    { on: { type: 'boolean' } },
    { hosts: { type: 'set', elements: { type: 'string' } } },
    { ports: { type: 'array', elements: { type: 'integer' } } },
    { headers: { type: 'map', values: { type: 'array', elements: { type: 'string' } } } },
    { record: { type: 'record', fields: [{ ttl: { type: 'number' } }] } },
  ]
  const types = (form: string) => infer(decode(form), fields)
  expect(types('port=9092')).toEqual({ port: 9092 })
  expect(types('port=0x10')).toEqual({ port: '0x10' })
  expect(types('port=')).toEqual({ port: null })
  expect(types('on=true')).toEqual({ on: true })
  expect(types('on=yes')).toEqual({ on: 'yes' })
  expect(types('hosts=a')).toEqual({ hosts: ['a'] })
  expect(types('hosts=a,b')).toEqual({ hosts: ['a,b'] })
  expect(types('ports[]=1&ports[]=x')).toEqual({ ports: [1, 'x'] })
  expect(types('headers.x=1')).toEqual({ headers: { x: ['1'] } })
  expect(types('record.ttl=1.5&record.other=1')).toEqual({ record: { ttl: 1.5, other: '1' } })
  expect(types('record=1&unknown=1')).toEqual({ record: '1', unknown: '1' })
})
