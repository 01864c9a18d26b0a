/** The regular expressions of routes' paths. */
import { checkPattern } from './pattern.ts'

/** A regular expression for paths, or why it cannot be served. */
export type PathPattern =
  | {
      readonly matches: (path: string) => boolean
      /** The text with which every matching path begins. The router's index uses it. */
      readonly prefix: string
      readonly error?: undefined
    }
  | { readonly error: string; readonly matches?: undefined }

/**
 * Compiles what follows the `~` of a path. It is anchored at the path's beginning and not at its
 * end, as in Kong.
 */
export function compilePathPattern(source: string): PathPattern {
  const pattern = checkPattern(source, 'start')
  if (!pattern.test) return { error: pattern.error }
  return { prefix: literalPrefix(source), matches: (path) => pattern.test(path) }
}

function literalPrefix(pattern: string): string {
  if (pattern.includes('|')) return ''
  const [literal = ''] = /^[\w/~%-]*/.exec(pattern) ?? []
  // A repeated character may be absent: `/ab*` matches `/a`, too.
  return /^[*?{]/.test(pattern.slice(literal.length)) ? literal.slice(0, -1) : literal
}
