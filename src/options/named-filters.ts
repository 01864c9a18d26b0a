import * as v from 'valibot'
import { expressionOf } from '../records/expression.ts'

/** The most named filters of a route. */
const MAX_FILTERS = 100

/** Why a text is not an expression; undefined where it is one. */
function expressionError(text: string): string | undefined {
  try {
    expressionOf(text)
    return undefined
  } catch (error) {
    return (error as Error).message.replace('Cannot use parameter "filter": ', '')
  }
}

/** An expression of CEL. */
export const expression = v.pipe(
  v.string('a filter must be an expression'),
  v.rawCheck(({ dataset, addIssue }) => {
    const state = dataset.typed ? expressionError(dataset.value) : undefined
    if (state !== undefined) addIssue({ message: `cannot use the expression: ${state}` })
  }),
)

/** Expressions of CEL by name. */
export const namedFilters = v.pipe(
  v.record(
    v.pipe(
      v.string(),
      v.regex(/^[\w-]{1,64}$/, 'a name of filters has 1 to 64 letters, digits, "-" and "_"'),
    ),
    expression,
    'filters must be an object of expressions by name',
  ),
  v.check(
    (filters) => Object.keys(filters).length <= MAX_FILTERS,
    `filters must have at most ${MAX_FILTERS} names`,
  ),
)
