import { packages } from './packages.ts'

/** Edits by which a mistyped name may differ. */
const MAX_EDITS = 3
/** The share of a name's characters that may be edits: without it every short name is near. */
const MAX_EDITED_SHARE = 0.4

/**
 * The known name that was probably meant: the only one that begins with the given name, else the one
 * with the least edit distance; undefined when none is near.
 */
export function nearestName(given: string, known: readonly string[]): string | undefined {
  if (known.length === 0) return undefined
  const continued = known.filter((name) => name.startsWith(given))
  if (continued.length === 1) return continued[0]
  const { closest, distance } = packages.levenshtein() as typeof import('fastest-levenshtein')
  const found = closest(given, known)
  const edits = distance(given, found)
  return edits <= MAX_EDITS && edits <= MAX_EDITED_SHARE * found.length ? found : undefined
}
