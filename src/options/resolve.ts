import * as v from 'valibot'
import { KafkaConsumeError } from '../core/errors.ts'
import { nearestName } from '../core/nearest-name.ts'

/**
 * Checks options and fills in the defaults.
 *
 * @param name The function that takes the options, for the message.
 * @param found Errors that were found before, each with the name of its option.
 * @throws KafkaConsumeError INVALID_OPTIONS, whose message names each wrong field and what is allowed.
 */
export function resolveBy<T extends v.GenericSchema>(
  schema: T,
  options: object,
  name: string,
  found: readonly string[] = [],
): v.InferOutput<T> {
  const result = v.safeParse(schema, options)
  if (result.success && found.length === 0) return result.output
  const isObject = typeof options === 'object' && options !== null
  const own = isObject ? errorsBy(schema, result.issues ?? [], 'option') : ['an object is required']
  const errors = new Set([...found, ...own])
  throw new KafkaConsumeError(
    'INVALID_OPTIONS',
    `Cannot use these ${name} options: ${[...errors].join('; ')}`,
  )
}

/**
 * The issues of a schema as text: each names a field and what is allowed. An unknown field of a few is told
 * their names, unless one of them is near.
 *
 * @param kind The word for a field: "option".
 */
export function errorsBy(
  schema: v.GenericSchema,
  issues: ReadonlyArray<v.BaseIssue<unknown>>,
  kind: string,
): string[] {
  const known = 'entries' in schema ? Object.keys(schema.entries as object) : []
  // A value may break several rules that have one message.
  return [...new Set(issues.map((issue) => errorText(issue, known, kind)))]
}

/** The most names that a message lists. */
const MAX_LISTED = 8

/** @param known The names of the fields. */
function errorText(issue: v.BaseIssue<unknown>, known: readonly string[], kind: string): string {
  const path = v.getDotPath(issue) ?? `${kind}s`
  const isOfFields = issue.type === 'strict_object' && issue.path !== undefined
  if (!isOfFields) return `${path}: ${issue.message}`
  if (issue.expected !== 'never') return `${path}: it is required`
  return `${path}: unknown ${kind}${issue.path?.length === 1 ? hintFor(path, known) : ''}`
}

function hintFor(name: string, known: readonly string[]): string {
  const nearest = nearestName(name, known)
  if (nearest !== undefined) return ` (did you mean ${nearest}?)`
  return known.length <= MAX_LISTED ? ` (there are ${known.join(', ')})` : ''
}
