/** Content negotiation: the media type and the coding that a client accepts. */
import type { Context } from 'hono'
import { accepts } from 'hono/accepts'
import { KafkaConsumeError } from '../../core/errors.ts'

/** The media types of records. */
export type MediaType = 'application/json' | 'application/x-ndjson' | 'text/event-stream'

/**
 * The media type that a client prefers, by RFC 9110 section 12.5.1: the highest weight, then the most
 * specific range, then the route's own order.
 *
 * @param offered The types that the route can send. The first one is sent to a client without `Accept`.
 * @throws KafkaConsumeError NOT_ACCEPTABLE
 */
export function negotiate(c: Context, offered: readonly [MediaType, ...MediaType[]]): MediaType {
  const chosen = accepts(c, {
    header: 'Accept',
    supports: [...offered],
    default: offered[0],
    match: (ranges) => {
      const candidates = offered.map((type, order) => {
        const matching = ranges
          .map((range) => ({ q: range.q, specificity: specificity(range.type, type) }))
          .filter((range) => range.specificity > 0)
          .sort((a, b) => b.specificity - a.specificity)
        return { type, order, q: matching[0]?.q ?? 0, specificity: matching[0]?.specificity ?? 0 }
      })
      const [best] = candidates
        .filter(({ q }) => q > 0)
        .sort((a, b) => b.q - a.q || b.specificity - a.specificity || a.order - b.order)
      return best?.type ?? ''
    },
  })
  if (chosen === '') {
    throw new KafkaConsumeError(
      'NOT_ACCEPTABLE',
      `Cannot answer as "Accept" asks: this route sends ${offered.join(' or ')}`,
    )
  }
  return chosen as MediaType
}

/** The specificity of a media range for a type; 0 when the range does not include it. */
function specificity(range: string, type: string): number {
  const lower = range.toLowerCase()
  if (lower === type) return 3
  if (lower === `${type.split('/')[0]}/*`) return 2
  return lower === '*/*' || lower === '*' ? 1 : 0
}

/** Codings of answers; RFC 9110 section 8.4.1 and RFC 8878 define them. */
export type Coding = 'zstd' | 'gzip' | 'br' | 'deflate'

/**
 * The coding that a client accepts with the highest weight, by RFC 9110 section 12.5.3; then the
 * first one offered. Undefined where the client accepts none of them.
 */
export function chooseCoding(c: Context, offered: readonly Coding[]): Coding | undefined {
  const chosen = accepts(c, {
    header: 'Accept-Encoding',
    supports: [...offered],
    default: '',
    match: (asked) => {
      const weight = (coding: string) =>
        (
          asked.find(({ type }) => type.toLowerCase() === coding) ??
          asked.find(({ type }) => type === '*')
        )?.q ?? 0
      const [best] = offered
        .map((coding) => ({ coding, q: weight(coding) }))
        .filter(({ q }) => q > 0)
        .sort((one, other) => other.q - one.q)
      return best?.coding ?? ''
    },
  })
  return chosen === '' ? undefined : (chosen as Coding)
}
