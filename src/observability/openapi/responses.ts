/** Parts of an OpenAPI document that many operations have. */
import { ERROR_STATUSES } from '../../core/errors.ts'
import type { SCHEMAS } from './schemas.ts'

/** A part of an OpenAPI document. */
export type Json = Readonly<Record<string, unknown>>

export const ref = (name: keyof typeof SCHEMAS) => ({ $ref: `#/components/schemas/${name}` })
export const json = (name: keyof typeof SCHEMAS) => ({ 'application/json': { schema: ref(name) } })
export const text = (description: string) => ({ schema: { type: 'string', description } })

/** The answers of requests that are refused, by status. */
export function refusals(...statuses: readonly number[]): Record<number, Json> {
  return refusalsAs('Error', statuses)
}

export function refusalsAs(
  schema: keyof typeof SCHEMAS,
  statuses: readonly number[],
): Record<number, Json> {
  return Object.fromEntries(
    statuses.map((status) => {
      const codes = Object.entries(ERROR_STATUSES).filter(([, found]) => found === status)
      const description = codes.map(([code]) => `\`${code}\``).join(', ')
      return [status, { description, content: json(schema) }]
    }),
  )
}
