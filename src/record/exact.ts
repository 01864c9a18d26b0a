/** What a reviver is told besides: where the runtime has it (ECMAScript 2026, "JSON.parse source text access"). */
interface Source {
  readonly source?: string
}

const MAX_INT64 = 2n ** 63n - 1n
const MIN_INT64 = -(2n ** 63n)

/**
 * JSON, with whole numbers that a double cannot hold as `bigint`, as far as 64 bits go.
 *
 * @throws SyntaxError
 */
export function parseExact(text: string): unknown {
  // A reviver is slow, and such a number has 16 digits at least.
  if (!/\d{16}/.test(text)) return JSON.parse(text)
  return JSON.parse(text, (_key, value: unknown, context?: Source) => {
    if (typeof value !== 'number' || Number.isSafeInteger(value)) return value
    if (!context?.source || !/^-?\d+$/.test(context.source)) return value
    const exact = BigInt(context.source)
    return exact <= MAX_INT64 && exact >= MIN_INT64 ? exact : value
  })
}
