/** The scope of a client: which records it may see. */
import * as v from 'valibot'
import type { KafkaClient } from '../../http/request/client.ts'
import { list, record } from '../../options/fields.ts'
import { expression } from '../../options/named-filters.ts'

/** Values of one kind that a description names. */
const MAX_NAMED = 5

/**
 * A scope in words, for the users of pages: one text for each condition that a record must meet.
 */
export function describeScope(only: KafkaClient['only'] = {}): readonly string[] {
  const { topics = [], partitions = [], keys = [], filters = [] } = only
  const lists: ReadonlyArray<readonly [name: string, values: readonly unknown[]]> = [
    ['topic', topics],
    ['partition', partitions],
    ['key', keys],
  ]
  return [
    ...lists
      .filter(([, values]) => values.length > 0)
      .map(([name, values]) => `${name}${values.length > 1 ? 's' : ''} ${enumerate(values)}`),
    ...filters.map((filter) => `records for which ${filter}`),
  ]
}

function enumerate(values: readonly unknown[]): string {
  const named = values.slice(0, MAX_NAMED).join(', ')
  const more = values.length - MAX_NAMED
  return more > 0 ? `${named} and ${more} more` : named
}

/** The scope of a client: the field `only` of the file, and the claim of a token. */
export const scopeSchema = record({
  topics: v.exactOptional(list(v.string('a name is required'))),
  partitions: v.exactOptional(
    list(v.pipe(v.number('a number is required'), v.integer('a whole number is required'))),
  ),
  keys: v.exactOptional(list(v.string('text is required'))),
  filters: v.exactOptional(
    v.pipe(list(expression), v.maxLength(8, 'at most 8 filters are allowed')),
  ),
})
