/** Errors of a field that depend on other fields. */
import type * as v from 'valibot'

/** The error of a field of Kong's that has no effect here yet: it is refused rather than ignored. */
export const NOT_YET = 'not supported yet'

/** An error of one field. */
export interface OptionError {
  readonly path: readonly [string, ...string[]]
  readonly message: string
  /** The field is missing, rather than wrong. */
  readonly isMissing?: true
}

/** A field's error as an issue of valibot. */
export function issueOf(value: object, { path, message, isMissing }: OptionError) {
  const items: v.ObjectPathItem[] = []
  let input = value as Record<string, unknown>
  for (const key of path) {
    items.push({ type: 'object', origin: 'value', input, key, value: input[key] })
    input = input[key] as Record<string, unknown>
  }
  return {
    message,
    // Kong's error of a missing field differs: an undefined input marks it.
    input: isMissing ? undefined : items.at(-1)?.value,
    path: items as [v.ObjectPathItem, ...v.ObjectPathItem[]],
  }
}
