/** What valibot finds, in Kong's words. */
import type * as v from 'valibot'
import { NOT_YET } from '../config/rules.ts'
import type { KongField } from './describe.ts'
import { renameKey } from './keys.ts'

type Issue = v.BaseIssue<unknown>

/**
 * An issue of the options' schema as one of Kong's: with Kong's message and the names of its fields.
 *
 * @param root The description of the fields that the issue's path leads through.
 */
export function inKongsWords(issue: Issue, root: KongField): Issue {
  let at: KongField | undefined = root
  const path = issue.path?.map((item) => {
    const inside: KongField | undefined = at
    // The names in a map are the user's own.
    const isNamed = typeof item.key === 'string' && inside?.type !== 'map'
    const key: unknown = isNamed ? renameKey(item.key as string) : item.key
    at = inside && fieldWithin(inside, key)
    return { ...item, key } as v.IssuePathItem
  })
  return {
    ...issue,
    message: messageOf(issue, at),
    ...(path ? { path: path as [v.IssuePathItem, ...v.IssuePathItem[]] } : {}),
  }
}

/** The field that a name or an index leads to. */
function fieldWithin(field: KongField, key: unknown): KongField | undefined {
  if (field.elements) return field.elements
  if (field.values) return field.values
  return field.fields?.find((each) => Object.hasOwn(each, String(key)))?.[String(key)]
}

function messageOf({ type, input, requirement, message }: Issue, field?: KongField): string {
  if (input === undefined || input === null) return 'required field missing'
  switch (type) {
    case 'string':
      return 'expected a string'
    case 'boolean':
      return 'expected a boolean'
    case 'number':
    case 'integer':
      return field?.type === 'integer' ? 'expected an integer' : 'expected a number'
    case 'array':
      return 'expected an array'
    case 'strict_object':
      return 'expected a record'
    case 'record':
      return 'expected a map'
    case 'picklist':
      if (typeof input !== 'string') return 'expected a string'
      return `expected one of: ${field?.one_of?.join(', ')}`
    case 'min_value':
    case 'max_value':
      return `value should be between ${field?.between?.join(' and ')}`
    case 'min_length':
      return `length must be at least ${requirement}`
    case 'max_length':
      return `length must be at most ${requirement}`
    case 'uuid':
      return 'expected a valid UUID'
    case 'regex':
      return `invalid value: ${input}`
    default:
      return message.endsWith(NOT_YET) ? `${message} by this gateway` : message
  }
}
