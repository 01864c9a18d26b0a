/** Kong's description of fields, as `GET /schemas/…` gives it, made of the schemas that check them. */
import type * as v from 'valibot'

/** A field as Kong describes it. */
export interface KongField {
  readonly type: string
  readonly required?: boolean
  readonly default?: unknown
  readonly one_of?: readonly unknown[]
  readonly elements?: KongField
  readonly keys?: KongField
  readonly values?: KongField
  readonly reference?: string
  readonly fields?: KongFields
}

/** In Kong's order: one object a field. */
export type KongFields = ReadonlyArray<Readonly<Record<string, KongField>>>

/** What is read of valibot's schemas here. */
interface Schema {
  readonly type: string
  readonly default?: unknown
  readonly wrapped?: Schema
  readonly item?: Schema
  readonly key?: Schema
  readonly value?: Schema
  readonly options?: readonly unknown[]
  readonly entries?: Readonly<Record<string, Schema>>
  readonly pipe?: readonly { readonly type: string }[]
}

/** @param references Names of fields that refer to other entities, with the entities' kind. */
export function describeFields(
  schema: v.GenericSchema,
  references: Readonly<Record<string, string>> = {},
): KongFields {
  return fieldsOf(schema as unknown as Schema, references)
}

function fieldsOf({ entries = {} }: Schema, references: Readonly<Record<string, string>>) {
  return Object.entries(entries).map(([name, schema]) => {
    const reference = references[name]
    return { [name]: reference ? { type: 'foreign', reference } : describe(schema) }
  })
}

function describe(schema: Schema): KongField {
  if (!schema.wrapped) return { ...own(schema), required: true }
  const { required, ...field } = describe(schema.wrapped)
  const fallback = schema.default
  if (fallback === undefined || fallback === null) return field
  return { ...field, required: true, default: fallback }
}

function own(schema: Schema): KongField {
  const { type, item, key, value, options, pipe } = schema
  switch (type) {
    case 'array': {
      const isSet = pipe?.some((action) => action.type === 'transform')
      return { type: isSet ? 'set' : 'array', elements: element(item) }
    }
    case 'record':
      return { type: 'map', keys: element(key), values: element(value) }
    case 'strict_object':
      return { type: 'record', fields: fieldsOf(schema, {}) }
    case 'picklist':
      return {
        type: typeof options?.[0] === 'number' ? 'integer' : 'string',
        one_of: options ?? [],
      }
    case 'number':
      return { type: pipe?.some((action) => action.type === 'integer') ? 'integer' : 'number' }
    case 'boolean':
      return { type }
    default:
      return { type: 'string' }
  }
}

function element(schema: Schema | undefined): KongField {
  const { required: _, ...field } = schema ? describe(schema) : { type: 'string' }
  return field
}
