import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { KafkaConsumeError } from '../../src/core/errors.ts'
import { Cursor, PartitionTable } from '../../src/records/cursor.ts'
import { EncodedBatch } from '../../src/records/encoded-batch.ts'
import { expressionOf } from '../../src/records/expression.ts'
import { viewsOf } from '../../src/records/record-view.ts'
import { text } from './arbitraries.ts'

const encoder = new TextEncoder()
const table = new PartitionTable([{ topic: 't', partition: 0 }])

/** Expressions that are well-formed for the most part, and mean what they like. */
const { expression } = fc.letrec<{ expression: string }>((tie) => {
  const sub = tie('expression')
  const name = fc.constantFrom('value', 'key', 'headers', 'topic', 'offset', 'timestamp', 'x', 'a')
  return {
    expression: fc.oneof(
      { depthSize: 'medium', withCrossShrink: true },
      name,
      fc.constantFrom('value.a', 'value.list', 'value.text', 'value.list[0]', 'has(value.a)'),
      fc.constantFrom('1', '-1', '0', '1.5', '1e308', '9223372036854775807', '5u', 'null', 'true'),
      fc.constantFrom('""', '"a"', "'é'", 'b"\\xff"', '"\\u0000"', '[]', '{}', 'r"\\d"', '"""x"""'),
      fc
        .tuple(sub, fc.constantFrom('a', 'list', 'text', '__proto__', 'size'))
        .map((p) => p.join('.')),
      fc.tuple(sub, sub).map(([a, b]) => `${a}[${b}]`),
      fc
        .tuple(
          sub,
          fc.constantFrom('+', '-', '*', '/', '%', '==', '!=', '<', '>=', 'in', '&&', '||'),
          sub,
        )
        .map(([a, operator, b]) => `(${a} ${operator} ${b})`),
      sub.map((a) => `!${a}`),
      sub.map((a) => `-${a}`),
      fc.tuple(sub, sub, sub).map(([a, b, c]) => `(${a} ? ${b} : ${c})`),
      fc
        .tuple(
          fc.constantFrom(
            'size',
            'string',
            'int',
            'double',
            'bytes',
            'type',
            'json',
            'text',
            'timestamp',
            'duration',
            'dyn',
            'has',
          ),
          sub,
        )
        .map(([f, a]) => `${f}(${a})`),
      fc
        .tuple(sub, fc.constantFrom('all', 'exists', 'exists_one', 'map', 'filter'), sub)
        .map(([a, macro, b]) => `${a}.${macro}(x, ${b})`),
      fc
        .tuple(
          sub,
          fc.constantFrom(
            'contains',
            'startsWith',
            'matches',
            'split',
            'join',
            'indexOf',
            'getHours',
            'lowerAscii',
          ),
          sub,
        )
        .map(([a, method, b]) => `${a}.${method}(${b})`),
      fc.tuple(sub, sub).map(([a, b]) => `cel.bind(x, ${a}, ${b})`),
      fc.tuple(sub, sub).map(([a, b]) => `[${a}, ${b}]`),
      fc.tuple(sub, sub).map(([a, b]) => `{${a}: ${b}}`),
    ),
  }
})

/** Expressions, expressions with some characters changed, and any text. */
const hostile = fc.oneof(
  { weight: 4, arbitrary: expression },
  { weight: 2, arbitrary: expression.map((text) => `${text} == ${text}`) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(expression, fc.nat(), text)
      .map(
        ([base, at, extra]) =>
          base.slice(0, at % (base.length + 1)) + extra + base.slice(at % (base.length + 1)),
      ),
  },
  { weight: 1, arbitrary: text },
)

const value = fc.oneof(
  fc.json({ maxDepth: 3 }),
  fc
    .record({ a: fc.jsonValue(), list: fc.array(fc.jsonValue()), text: fc.string() })
    .map((v) => JSON.stringify(v)),
  text,
)

describe('any text as a filter', () => {
  test('is refused as the client’s error, or answers every record with yes or no', () => {
    let compiled = 0
    fc.assert(
      fc.property(hostile, value, (filter, json) => {
        let test: ReturnType<typeof expressionOf>
        try {
          test = expressionOf(filter)
        } catch (error) {
          if (!(error instanceof KafkaConsumeError)) throw error
          expect(error.status).toBe(400)
          expect(error.message).toStartWith('Cannot use parameter "filter": ')
          expect(error.message.length).toBeLessThan(400)
          expect(error.message).not.toMatch(/\n|node_modules|is not a|Cannot read/)
          return
        }
        compiled++
        const record = {
          topic: 't',
          partition: 0,
          offset: 1,
          timestamp: 1,
          key: encoder.encode('{"a":1}'),
          value: encoder.encode(json),
        }
        for (const mode of ['noop', 'json'] as const) {
          const batch = EncodedBatch.encode([record], new Cursor(table, new Float64Array(1)), mode)
          expect(viewsOf(batch).passes(test, 0)).toBeBoolean()
        }
      }),
      { numRuns: 4_000 },
    )
    // Most of them are expressions indeed.
    expect(compiled).toBeGreaterThan(100)
  })
})
