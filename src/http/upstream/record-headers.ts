import type { ResolvedUpstreamOptions } from '../../options/upstream-options.ts'
import type { ProducerRecord } from '../../port/producer.ts'

/** A runtime puts it between the values of a repeated header (https://fetch.spec.whatwg.org/#concept-header-list-combine). */
const SEPARATOR = ', '

/**
 * The headers of a record: those of its request that the options choose, under their new names.
 *
 * Runtimes join the values of a repeated header before an app sees them, which makes `x: a` and `x: b`
 * the same as `x: a, b`. A value with a comma is far more frequent than a repeated header, so that
 * joined values stay together but with `take_first`.
 */
export function recordHeaders(
  headers: Headers,
  options: ResolvedUpstreamOptions['headers'],
): NonNullable<ProducerRecord['headers']> {
  if (!options.forwardHttpHeadersAsRecordHeaders) return []
  const included = lowerCase(options.includeHeaders)
  const excluded = lowerCase(options.excludeHeaders)
  const names = new Map(
    Object.entries(options.nameMappings).map(([from, to]) => [from.toLowerCase(), to]),
  )
  const encoder = new TextEncoder()
  return merged(headers, options.repeatedHeadersBehavior).flatMap(([name, value]) => {
    const isForwarded = options.forwardAllByDefault ? !excluded.has(name) : included.has(name)
    if (!isForwarded) return []
    return [{ [names.get(name) ?? name]: encoder.encode(value) }]
  })
}

type Repeated = ResolvedUpstreamOptions['headers']['repeatedHeadersBehavior']

function merged(headers: Headers, repeated: Repeated): Array<readonly [string, string]> {
  const entries = [...headers]
  switch (repeated) {
    case 'retain_duplicates':
      return entries
    case 'take_first': {
      // Only the first of several `set-cookie`, which runtimes do not join.
      const firsts = new Map(entries.toReversed())
      return [...firsts].map(([name, value]) => [name, value.split(SEPARATOR, 1)[0] ?? ''])
    }
    case 'concatenate_by_comma': {
      const joined = new Map<string, string>()
      for (const [name, value] of entries) {
        const before = joined.get(name)
        joined.set(name, before === undefined ? value : `${before},${value}`)
      }
      return [...joined]
    }
  }
}

function lowerCase(names: readonly string[]): ReadonlySet<string> {
  return new Set(names.map((name) => name.toLowerCase()))
}
