import type { EncodedBatch } from './encoded-batch.ts'
import { keyTextOf, type RecordView, viewsOf } from './record-view.ts'

/** A property of records by which filters are indexed. */
export interface RecordProperty {
  /** Equal for paths to the same property. */
  readonly id: string
  /** The property of a record, as text that is equal for equal values; undefined when it has none. */
  textOf(batch: EncodedBatch, index: number): string | undefined
}

/** The key as clients name it. */
export const KEY_PROPERTY: RecordProperty = {
  id: 'key',
  textOf: (batch, index) => keyTextOf(batch, index) ?? undefined,
}

/** The index of the partition in the batch's table. */
export const PARTITION_PROPERTY: RecordProperty = {
  id: 'partition',
  textOf: (batch, index) => String(batch.partitions[index]),
}

/** A field of a record, or a field within its JSON: `value.customer.country`. */
export class FieldProperty implements RecordProperty {
  readonly id: string
  readonly #field: keyof RecordView['fields']
  readonly #names: readonly string[]

  constructor(field: keyof RecordView['fields'], names: readonly string[]) {
    this.id = JSON.stringify([field, ...names])
    this.#field = field
    this.#names = names
  }

  textOf(batch: EncodedBatch, index: number): string | undefined {
    const view = viewsOf(batch).at(index)
    const names = this.#names
    const field = this.#field
    // Only JSON has fields: a text that is JSON is parsed where an expression asks for a field of it.
    const isParsed = names.length > 0 && (field === 'key' || field === 'value')
    let value = isParsed ? view.jsonOf(field) : view.fields[field]
    for (const name of names) value = fieldOf(value, name)
    return scalarText(value)
  }
}

/** A field as expressions see it: objects and maps have fields, and nothing is inherited. */
function fieldOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  if (value instanceof Map) return value.get(name)
  return Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined
}

/**
 * A scalar as text that is equal for values that are equal in CEL: 1 equals 1.0, and does not equal
 * "1". Undefined for other values, which equal no scalar.
 */
export function scalarText(value: unknown): string | undefined {
  switch (typeof value) {
    case 'string':
      return `"${value}`
    case 'boolean':
      return String(value)
    case 'bigint':
      return `=${value}`
    case 'number':
      return `=${Number.isInteger(value) ? BigInt(value) : value}`
    default:
      return value === null ? 'null' : undefined
  }
}
