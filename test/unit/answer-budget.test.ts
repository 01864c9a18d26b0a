import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import {
  AnswerBudget,
  AnswerMemory,
  SMALL_ANSWER_BYTES as SMALL,
} from '../../src/http/response/answer-budget.ts'

const MIB = 1024 * 1024

function answers(limit: number) {
  const budget = new AnswerBudget(limit)
  return { budget, answer: () => new AnswerMemory([budget]) }
}

function expectClaim(answer: AnswerMemory, wanted: number, least: number): void {
  const before = answer.bytes
  const got = answer.claim(wanted, least)
  expect(answer.bytes).toBe(before + got)
  if (got > 0) expect(got).toBeGreaterThanOrEqual(least)
}

describe('an answer budget', () => {
  test('an answer gets all the memory that it asks for while much is left, and less the less is left', () => {
    const { budget, answer } = answers(128 * MIB)
    expect(answer().claim(16 * MIB, 100)).toBe(16 * MIB)
    const sizes = Array.from({ length: 60 }, () => answer().claim(16 * MIB, 100))
    expect(sizes.slice(0, 2)).toEqual([16 * MIB, 16 * MIB])
    expect(sizes.toSorted((a, b) => b - a)).toEqual(sizes)
    expect(sizes.at(-1)).toBe(SMALL)
    expect(budget.used).toBeLessThanOrEqual(128 * MIB)
  })

  test('small answers are served while large ones have all of their share', () => {
    const { budget, answer } = answers(16 * MIB)
    const large = Array.from({ length: 100 }, answer)
    for (const each of large) each.resize(MIB)
    expect(budget.used).toBeLessThanOrEqual(12 * MIB)
    expect(answer().resize(MIB)).toBe(false)
    const small = Array.from({ length: 100 }, () => answer().claim(MIB, 1_000))
    const room = (16 * MIB - budget.used) / SMALL
    expect(small.slice(0, 30)).toEqual(Array(30).fill(SMALL))
    expect(room).toBeLessThan(1)
    expect(small.at(-1)).toBe(0)
  })

  test('a record larger than the whole budget is delivered alone, and other answers wait until then', () => {
    const { budget, answer } = answers(MIB)
    const one = answer()
    expect(one.claim(16 * MIB, 5 * MIB)).toBe(5 * MIB)
    expect(answer().claim(MIB, 10)).toBe(0)
    one.release()
    expect(budget.used).toBe(0)
    expect(answer().claim(MIB, 5 * MIB)).toBe(5 * MIB)
  })

  test('an answer counts in all of its budgets, or in none', () => {
    const [own, all] = [new AnswerBudget(8 * MIB), new AnswerBudget(2 * MIB)]
    const first = new AnswerMemory([own, all])
    expect(first.resize(MIB)).toBe(true)
    const second = new AnswerMemory([own, all])
    expect(second.resize(2 * MIB)).toBe(false)
    expect([own.used, all.used]).toEqual([MIB, MIB])
    first.release()
    first.release()
    expect([own.used, all.used]).toEqual([0, 0])
  })

  test('any answers, in any order, never exceed the budget, and leave nothing when all have ended', () => {
    const step = fc.record({
      who: fc.nat(9),
      what: fc.constantFrom('claim', 'resize', 'release'),
      wanted: fc.integer({ min: 1, max: 4 * MIB }),
      least: fc.integer({ min: 0, max: 200_000 }),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { budget, answer } = answers(4 * MIB)
        const all = Array.from({ length: 10 }, answer)
        for (const { who, what, wanted, least } of steps) {
          const one = all[who] as AnswerMemory
          if (what === 'claim') expectClaim(one, wanted, least)
          else if (what === 'resize') one.resize(wanted)
          else one.release()
          expect(budget.used).toBe(all.reduce((sum, { bytes }) => sum + bytes, 0))
          // One may be of any size beside a quarter.
          expect(budget.used).toBeLessThanOrEqual(5 * MIB)
        }
        for (const one of all) one.release()
        expect(budget.used).toBe(0)
      }),
    )
  })
})
