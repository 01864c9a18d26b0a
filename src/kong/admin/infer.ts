import type { KongField, KongFields } from '../model/describe.ts'
import type { FormValue } from './form.ts'

/**
 * Gives a form's text the types that fields have, as Kong does: nothing becomes null, `9092` a
 * number where one is wanted, a single value an array where one is wanted. What doesn't fit stays
 * text, which the schema then refuses.
 */
export function infer(
  values: Readonly<Record<string, FormValue>>,
  fields: KongFields,
): Record<string, unknown> {
  const types = new Map(fields.flatMap((field) => Object.entries(field)))
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, inferValue(value, types.get(name))]),
  )
}

function inferValue(value: FormValue, field: KongField | undefined): unknown {
  if (value === '') return null
  switch (field?.type) {
    case 'number':
    case 'integer':
      return typeof value === 'string' ? number(value) : value
    case 'boolean':
      return value === 'true' ? true : value === 'false' ? false : value
    case 'array':
    case 'set': {
      const elements = Array.isArray(value) ? value : [value]
      return elements.map((element) => inferValue(element, field.elements))
    }
    case 'map':
      if (!isRecord(value)) return value
      return Object.fromEntries(
        Object.entries(value).map(([key, inner]) => [key, inferValue(inner, field.values)]),
      )
    case 'record':
      return isRecord(value) ? infer(value, field.fields ?? []) : value
    default:
      return value
  }
}

/** Digits only: `Number` would take `0x10` and blanks too. */
function number(text: string): number | string {
  return /^-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?$/.test(text) ? Number(text) : text
}

function isRecord(value: FormValue): value is { [field: string]: FormValue } {
  return typeof value === 'object' && !Array.isArray(value)
}
