/** The scope of a client: which records it may see. */
import * as v from 'valibot'
import { list, record } from '../../options/fields.ts'
import { expressionOf } from '../../records/expression.ts'

const filter = v.pipe(
  v.string('an expression is required'),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return
    try {
      expressionOf(dataset.value)
    } catch (error) {
      addIssue({ message: error instanceof Error ? error.message : String(error) })
    }
  }),
)

/** The scope of a client: the field `only` of the file, and the claim of a token. */
export const scopeSchema = record({
  topics: v.exactOptional(list(v.string('a name is required'))),
  partitions: v.exactOptional(
    list(v.pipe(v.number('a number is required'), v.integer('a whole number is required'))),
  ),
  keys: v.exactOptional(list(v.string('text is required'))),
  filters: v.exactOptional(v.pipe(list(filter), v.maxLength(8, 'at most 8 filters are allowed'))),
})
