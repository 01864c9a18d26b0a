/** What schemas say of a field that is wrong only beside others. */
import type * as v from 'valibot'

/** A field that is understood and of no effect yet: it is refused, since it must not be ignored. */
export const NOT_YET = 'not supported yet'

/** One of them. */
export interface Problem {
  readonly path: readonly [string, ...string[]]
  readonly message: string
  /** The field is missing, rather than wrong. */
  readonly isMissing?: true
}

/** A problem as valibot has it. */
export function issueOf(value: object, { path, message, isMissing }: Problem) {
  const items: v.ObjectPathItem[] = []
  let input = value as Record<string, unknown>
  for (const key of path) {
    items.push({ type: 'object', origin: 'value', input, key, value: input[key] })
    input = input[key] as Record<string, unknown>
  }
  return {
    message,
    // By this, too, a missing field is told from a wrong one.
    input: isMissing ? undefined : items.at(-1)?.value,
    path: items as [v.ObjectPathItem, ...v.ObjectPathItem[]],
  }
}
