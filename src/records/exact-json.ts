import { isTooDeep, MAX_DEPTH } from './json-fields.ts'

/** What a reviver is told besides: where the runtime has it (ECMAScript 2026, "JSON.parse source text access"). */
interface JsonSource {
  readonly source?: string
}

const MAX_INT64 = 2n ** 63n - 1n
const MIN_INT64 = -(2n ** 63n)

/**
 * JSON as data of expressions: whole numbers that a double cannot hold are `bigint`, as far as 64
 * bits go, and objects are Maps where one of them has a field by which JavaScript tells classes:
 * `constructor` and `__proto__` are names like all others.
 *
 * @throws SyntaxError, also where it is deeper than {@link MAX_DEPTH}.
 */
export function parseExact(text: string): unknown {
  if (isTooDeep(text)) throw new SyntaxError(`JSON is more than ${MAX_DEPTH} levels deep`)
  const value = parseNumbers(text)
  return CLASS_NAMES.test(text) ? asMaps(value) : value
}

/** Such names, perhaps with letters that are written as escapes. */
const CLASS_NAMES = /constructor|__proto__|\\u00[567]/i

function asMaps(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(asMaps)
  return new Map(Object.entries(value).map(([name, field]) => [name, asMaps(field)]))
}

function parseNumbers(text: string): unknown {
  // A reviver is slow, and such a number has 16 digits at least.
  if (!/\d{16}/.test(text)) return JSON.parse(text)
  return JSON.parse(text, (_key, value: unknown, context?: JsonSource) => {
    if (typeof value !== 'number' || Number.isSafeInteger(value)) return value
    if (!context?.source || !/^-?\d+$/.test(context.source)) return value
    const exact = BigInt(context.source)
    return exact <= MAX_INT64 && exact >= MIN_INT64 ? exact : value
  })
}
