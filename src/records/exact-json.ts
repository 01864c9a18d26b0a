import { isTooDeep, MAX_DEPTH } from './json-fields.ts'

/** The third argument of a reviver: ECMAScript 2026, "JSON.parse source text access". Some runtimes lack it. */
interface JsonSource {
  readonly source?: string
}

const MAX_INT64 = 2n ** 63n - 1n
const MIN_INT64 = -(2n ** 63n)

/**
 * Parses JSON for expressions. Integers of up to 64 bits that a double cannot hold become `bigint`. If
 * a field is named `constructor` or `__proto__`, all objects become Maps: cel-js would take the objects
 * for instances of classes.
 *
 * @throws SyntaxError, also for JSON that is deeper than {@link MAX_DEPTH}.
 */
export function parseExact(text: string): unknown {
  if (isTooDeep(text)) throw new SyntaxError(`JSON is more than ${MAX_DEPTH} levels deep`)
  const value = parseNumbers(text)
  return CLASS_NAMES.test(text) ? asMaps(value) : value
}

/** The names `constructor` and `__proto__`, perhaps with escaped letters. */
const CLASS_NAMES = /constructor|__proto__|\\u00[567]/i

function asMaps(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(asMaps)
  return new Map(Object.entries(value).map(([name, field]) => [name, asMaps(field)]))
}

function parseNumbers(text: string): unknown {
  // A reviver is slow, and only numbers of 16 or more digits need it.
  if (!/\d{16}/.test(text)) return JSON.parse(text)
  return JSON.parse(text, (_key, value: unknown, context?: JsonSource) => {
    if (typeof value !== 'number' || Number.isSafeInteger(value)) return value
    if (!context?.source || !/^-?\d+$/.test(context.source)) return value
    const exact = BigInt(context.source)
    return exact <= MAX_INT64 && exact >= MIN_INT64 ? exact : value
  })
}

/**
 * JSON of a value that {@link parseExact} has made.
 *
 * @throws TypeError for other values, such as times.
 */
export function exactJson(value: unknown): string {
  if (typeof value === 'bigint') return String(value)
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map(exactJson).join()}]`
  const isPlain = value instanceof Map || Object.getPrototypeOf(value) === Object.prototype
  if (!isPlain) throw new TypeError('Cannot make JSON of a value that JSON does not have')
  const entries = value instanceof Map ? [...value] : Object.entries(value)
  const fields = entries.map(([name, field]) => `${JSON.stringify(name)}:${exactJson(field)}`)
  return `{${fields.join()}}`
}
