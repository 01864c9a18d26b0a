/** Converts the issues of valibot to Kong's nested errors of fields. */
import type * as v from 'valibot'
import type { FieldErrors } from './schema-violation.ts'

/** Errors by field, while they are collected. */
interface Nested {
  [field: string]: string | Nested
}

/**
 * Converts valibot's issues to Kong's errors by field: array elements are counted from one, and each
 * field has its first error only.
 */
export function fieldErrors(issues: ReadonlyArray<v.BaseIssue<unknown>>): FieldErrors {
  const root: Nested = Object.create(null)
  for (const issue of issues) {
    const path = (issue.path ?? []).map(({ key }) =>
      typeof key === 'number' ? String(key + 1) : String(key),
    )
    add(root, path.length > 0 ? path : ['@entity'], messageOf(issue))
  }
  return root
}

function add(at: Nested, [field = '', ...rest]: readonly string[], text: string): void {
  const present = at[field]
  if (rest.length === 0) at[field] ??= text
  else if (present === undefined) {
    const inner: Nested = Object.create(null)
    at[field] = inner
    add(inner, rest, text)
  } else if (typeof present !== 'string') add(present, rest, text)
}

function messageOf(issue: v.BaseIssue<unknown>): string {
  if (issue.type === 'strict_object' && issue.expected === 'never') return 'unknown field'
  if (issue.kind === 'schema' && (issue.input === null || issue.input === undefined)) {
    return 'required field missing'
  }
  return issue.message
}
