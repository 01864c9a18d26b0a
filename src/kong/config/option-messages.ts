/** Converts valibot's issues about options to Kong's words. */
import type * as v from 'valibot'
import { NOT_YET } from '../../options/option-errors.ts'
import type { KongField } from '../model/field-description.ts'
import { renameKey } from '../model/field-names.ts'

type Issue = v.BaseIssue<unknown>

/**
 * Converts an issue of the options' schema to Kong's words and field names.
 *
 * @param root The description of the fields that the issue's path leads through.
 * @returns One issue, or one for each unknown field: valibot names only the first.
 */
export function inKongsWords(issue: Issue, root: KongField): Issue[] {
  let record: KongField | undefined
  let at: KongField | undefined = root
  const path = issue.path?.map((item) => {
    record = at
    // The names in a map are the user's own.
    const isNamed = typeof item.key === 'string' && record?.type !== 'map'
    const key: unknown = isNamed ? renameKey(item.key as string) : item.key
    at = record && fieldWithin(record, key)
    return { ...item, key } as v.IssuePathItem
  })
  const message = messageOf(issue, at)
  const last = path?.at(-1)
  if (!path || !last) return [{ ...issue, message }]
  const keys = isUnknownField(issue)
    ? Object.keys(last.input as object)
        .map(renameKey)
        .filter((key) => !record || !fieldWithin(record, key))
    : [last.key]
  return keys.map((key) => {
    const items = path.with(-1, { ...last, key } as v.IssuePathItem)
    return { ...issue, message, path: items as [v.IssuePathItem, ...v.IssuePathItem[]] }
  })
}

function isUnknownField({ type, expected }: Issue): boolean {
  return type === 'strict_object' && expected === 'never'
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
      if (field?.type === 'integer' && typeof input !== 'number') return 'expected an integer'
      if (field?.type !== 'integer' && typeof input !== 'string') return 'expected a string'
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
