/** Fields that a schema does not know: their paths in its errors, and entities without them. */
import { isJsonObject } from '../../core/json-object.ts'
import type { FieldErrors } from '../model/schema-violation.ts'

type UnknownPath = readonly string[]

/** The paths of the fields that errors call unknown. Array elements are counted from one. */
export function unknownFields(errors: FieldErrors, path: UnknownPath = []): UnknownPath[] {
  return Object.entries(errors).flatMap(([name, error]) => {
    const here = [...path, name]
    if (typeof error !== 'string') return unknownFields(error, here)
    return error === 'unknown field' ? [here] : []
  })
}

/** The value at a path. */
export function valueAt(value: unknown, [name, ...rest]: UnknownPath): unknown {
  if (name === undefined) return value
  return valueAt(fieldOf(value, name), rest)
}

/** Whether a path leads to a field of a plugin's configuration. */
export function isOfConfig(value: unknown, path: UnknownPath): boolean {
  return path[0] === 'config' && valueAt(value, path) !== undefined
}

/** A copy of a value without the field at a path. */
export function withoutField(value: unknown, [name, ...rest]: UnknownPath): unknown {
  if (name === undefined) return value
  if (Array.isArray(value)) {
    return value.map((each, at) => (String(at + 1) === name ? withoutField(each, rest) : each))
  }
  if (!isJsonObject(value)) return value
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, each]) => {
      if (key !== name) return [[key, each]]
      return rest.length === 0 ? [] : [[key, withoutField(each, rest)]]
    }),
  )
}

function fieldOf(value: unknown, name: string): unknown {
  if (Array.isArray(value)) return value[Number(name) - 1]
  return isJsonObject(value) && Object.hasOwn(value, name) ? value[name] : undefined
}
