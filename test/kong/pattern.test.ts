import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { checkPattern, MAX_TEXT, rememberedBytes } from '../../src/kong/model/pattern.ts'
import { cpuTime } from '../support/cpu-time.ts'

/** Expressions of any shape, over few characters so that they match often. */
const anyPattern = fc.letrec<{ pattern: string; atom: string; repeated: string }>((tie) => ({
  atom: fc.oneof(
    { withCrossShrink: true, maxDepth: 2 },
    fc.constantFrom('a', 'b', '/', '.', '\\w', '\\d', '[ab]', '[^a]', 'é'),
    tie('pattern').map((inner) => `(${inner})`),
    tie('pattern').map((inner) => `(?:${inner})`),
  ),
  repeated: fc
    .tuple(tie('atom'), fc.constantFrom('', '', '*', '+', '?', '*?', '{2}', '{1,3}', '{0,4}'))
    .map(([atom, repeat]) => atom + repeat),
  pattern: fc
    .array(fc.array(tie('repeated'), { minLength: 1, maxLength: 4 }), {
      minLength: 1,
      maxLength: 2,
    })
    .map((alternatives) => alternatives.map((each) => each.join('')).join('|')),
})).pattern

describe('expressions of a configuration', () => {
  test('any expression matches as a backtracking engine matches it', () => {
    // Short ones: the engine that this is compared with takes exponential time.
    const anyText = fc.array(fc.constantFrom('a', 'b', '/', '1', 'é'), { maxLength: 6 })
    fc.assert(
      fc.property(anyPattern, anyText, (source, characters) => {
        const text = characters.join('')
        for (const [anchor, begin, end] of [
          [undefined, '', ''],
          ['start', '^', ''],
          ['whole', '^', '$'],
        ] as const) {
          const pattern = checkPattern(source, anchor)
          if (!pattern.test) continue
          const expected = new RegExp(`${begin}(?:${source})${end}`, 'u').test(text)
          expect(pattern.test(text)).toBe(expected)
        }
      }),
      { numRuns: 1_000 },
    )
  })

  test('any accepted expression is matched against the longest texts to their end', () => {
    const texts = ['a', 'ab', '/a', 'aab1'].map((part) =>
      `${part.repeat(MAX_TEXT)}`.slice(0, MAX_TEXT - 1).concat('!'),
    )
    fc.assert(
      fc.property(anyPattern, (source) => {
        const pattern = checkPattern(source, 'whole')
        if (pattern.test) for (const text of texts) pattern.test(text)
      }),
      { numRuns: 300 },
    )
  }, 120_000)

  test('texts longer than the limit match nothing', () => {
    const pattern = checkPattern('a*', 'whole')
    expect(pattern.test?.('a'.repeat(MAX_TEXT))).toBe(true)
    expect(pattern.test?.('a'.repeat(MAX_TEXT + 1))).toBe(false)
  })

  test.each([
    ['of classes', '\\pL{1000}'.repeat(100)],
    ['of characters', 'a{1000}'.repeat(140)],
    ['within each other', '(((a{0,10}){0,10}){0,10}){9}'],
  ])(
    'an expression of too many states is refused before it is compiled: repeats %s',
    (_, source) => {
      const begin = cpuTime()
      for (let i = 0; i < 200; i++) checkPattern(source.slice(i)).error
      expect(checkPattern(source).error).toContain('is too large: it becomes more than 500 states')
      // Compiled, 200 of them take longer than 10 s.
      expect(cpuTime() - begin).toBeLessThan(3_000)
    },
  )

  test('the states that expressions cache are dropped once they are too many, and matching goes on', () => {
    const sources = Array.from({ length: 40 }, (_, n) => `.*a.{13}x${n}`)
    const texts = (n: number) => {
      let seed = n
      const bits = Array.from({ length: 1_000 }, () => {
        seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31
        return seed % 3 === 0 ? 'a' : 'b'
      })
      return bits.join('')
    }
    for (let round = 0; round < 20; round++) {
      for (const [n, source] of sources.entries()) {
        const pattern = checkPattern(source, 'whole')
        expect(pattern.test?.(`${texts(round * 40 + n)}a${'b'.repeat(13)}x${n}`)).toBe(true)
      }
    }
    // Remembered by all of them, the states that they have seen take 200 MB.
    expect(rememberedBytes()).toBeLessThanOrEqual(32 * 1024 * 1024)
  })
})
