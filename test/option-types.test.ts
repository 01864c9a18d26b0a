import { expect, test } from 'bun:test'
import type * as v from 'valibot'
import type { KafkaConsumeOptions, KafkaProduceOptions } from '../src/config/option-types.ts'
import type { optionsSchema } from '../src/config/options.ts'
import type { produceSchema } from '../src/config/produce.ts'
import { optionTypes, readOptionTypes } from './option-types.ts'

type Readonlies<T> = T extends (...args: never[]) => unknown
  ? T
  : T extends object
    ? { readonly [K in keyof T]: Readonlies<T[K]> }
    : T
/** True where each is assignable to the other. */
type Agree<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false

test('the docstrings and types of options are those of the schemas: `bun test/option-types.ts` writes them', () => {
  expect(readOptionTypes()).toBe(optionTypes())
})

test('the interfaces take what the schemas take', () => {
  // The compiler holds it: a difference makes `false` of one of these.
  const consume: Agree<
    Readonlies<KafkaConsumeOptions>,
    Readonlies<v.InferInput<typeof optionsSchema>>
  > = true
  const produce: Agree<
    Readonlies<KafkaProduceOptions>,
    Readonlies<v.InferInput<typeof produceSchema>>
  > = true
  expect([consume, produce]).toEqual([true, true])
})
