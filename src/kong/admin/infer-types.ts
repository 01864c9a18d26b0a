/**
 * Converts the texts of a form to the types of an entity's fields: a form has texts only, and an
 * entity has numbers, booleans and arrays.
 */
import type { KongField, KongFields } from '../model/field-description.ts'
import type { FormValue } from './form.ts'

/**
 * Converts the text of a form to the types of an entity's fields, as Kong does: empty text becomes
 * null, `9092` a number in a field of numbers, a single value an array in a field of arrays. Text
 * that does not fit stays text, which the schema then refuses.
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
      return BOOLEANS.get(value) ?? value
    case 'array':
    case 'set':
      return [value].flat().map((element) => inferValue(element, field.elements))
    case 'map':
      return isFormRecord(value) ? inferMap(value, field.values) : value
    case 'record':
      return isFormRecord(value) ? infer(value, field.fields ?? []) : value
    default:
      return value
  }
}

const BOOLEANS = new Map<FormValue, boolean>([
  ['true', true],
  ['false', false],
])

function inferMap(map: FormRecord, values: KongField | undefined): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(map).map(([key, value]) => [key, inferValue(value, values)]),
  )
}

/** Accepts decimal numbers only: `Number` would accept `0x10` and blanks, too. */
function number(text: string): number | string {
  return /^-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?$/.test(text) ? Number(text) : text
}

type FormRecord = { [field: string]: FormValue }

function isFormRecord(value: FormValue): value is FormRecord {
  return typeof value === 'object' && !Array.isArray(value)
}
