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
  const known = 'entries' in schema ? Object.keys(schema.entries as object) : []
  // A value may break several rules that have one message.
  const errors = new Set(found)
  for (const issue of result.issues ?? []) errors.add(errorText(issue, known))
  throw new KafkaConsumeError(
    'INVALID_OPTIONS',
    `Cannot use these ${name} options: ${[...errors].join('; ')}`,
  )
}

/** @param known The names of the options. */
function errorText(issue: v.BaseIssue<unknown>, known: readonly string[]): string {
  const path = v.getDotPath(issue) ?? 'options'
  const isOfFields = issue.type === 'strict_object' && issue.path !== undefined
  if (!isOfFields) return `${path}: ${issue.message}`
  if (issue.expected !== 'never') return `${path}: it is required`
  const nearest = issue.path?.length === 1 ? nearestName(path, known) : undefined
  return `${path}: unknown option${nearest === undefined ? '' : ` (did you mean ${nearest}?)`}`
}
