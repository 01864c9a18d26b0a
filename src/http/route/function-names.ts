/** Names of the functions and schemas of routes, by which threads recognize equal routes. */
import type { ResolvedOptions } from '../../options/consume-options.ts'

const names = new WeakMap<object, string>()
/** The number of functions of each text, and of schemas. */
const counts = new Map<string, number>()

/**
 * Names the functions and schemas of a route that is made. Each thread evaluates the app, so that the names
 * are equal in all threads if each makes its routes in one order; the order of first requests does not count.
 */
export function nameFunctions({ transform, schemas }: ResolvedOptions): void {
  nameOf(transform)
  for (const { value, key, headers } of schemas.values()) [value, key, headers].forEach(nameOf)
}

/** The name of a function or schema, which no other one of this thread has; empty without one. */
export function nameOf(value: object | undefined): string {
  if (!value) return ''
  const known = names.get(value)
  if (known !== undefined) return known
  const text = typeof value === 'function' ? Function.prototype.toString.call(value) : 'schema'
  const number = (counts.get(text) ?? 0) + 1
  counts.set(text, number)
  const name = `${number} ${text}`
  names.set(value, name)
  return name
}
