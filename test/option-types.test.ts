import { expect, test } from 'bun:test'
import type * as v from 'valibot'
import type { optionsSchema } from '../src/options/consume-options.ts'
import type { KafkaConsumeOptions, KafkaProduceOptions } from '../src/options/option-types.ts'
import type { produceSchema } from '../src/options/produce-options.ts'
import { optionTypes, readOptionTypes } from './option-types.ts'

type AnyFunction = (...args: never[]) => unknown
/** Readonly at all depths: schemas do not tell. */
type Readonlies<T> = T extends AnyFunction
  ? T
  : T extends object
    ? { readonly [K in keyof T]: Readonlies<T[K]> }
    : T
/** With all fields, so that one that is optional here and absent there makes a difference. */
type Complete<T> = T extends AnyFunction
  ? T
  : T extends object
    ? { readonly [K in keyof T]-?: Complete<T[K]> }
    : T
type Mutual<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false
/** True where both have the same fields, of types that take the same values. */
type Agree<A, B> = Mutual<Readonlies<A>, Readonlies<B>> & Mutual<Complete<A>, Complete<B>>

test('the docstrings and types of options are those of the schemas: `bun test/option-types.ts` writes them', () => {
  expect(readOptionTypes()).toBe(optionTypes())
})

test('the interfaces take what the schemas take', () => {
  // The compiler holds it: a difference makes `false` of one of these.
  const consume: Agree<KafkaConsumeOptions, v.InferInput<typeof optionsSchema>> = true
  const produce: Agree<KafkaProduceOptions, v.InferInput<typeof produceSchema>> = true
  expect([consume, produce]).toEqual([true, true])
})
