/**
 * Kong's description of fields, as `GET /schemas/…` gives it, made of the schemas that check them.
 */
import * as v from 'valibot'

/** A field as Kong describes it. */
export interface KongField {
  readonly type: string
  readonly required?: boolean
  readonly default?: unknown
  readonly one_of?: readonly unknown[]
  readonly between?: readonly [number, number]
  readonly len_min?: number
  readonly uuid?: true
  /** The gateway generates the field when a request does not give it. */
  readonly auto?: true
  /** The field is a secret, which no answer shows. */
  readonly encrypted?: true
  /** The field may be a vault reference. */
  readonly referenceable?: true
  /** The only value that the field may have. */
  readonly eq?: null
  readonly elements?: KongField
  readonly keys?: KongField
  readonly values?: KongField
  readonly reference?: string
  readonly fields?: KongFields
}

/** Fields in Kong's order: one object for each field. */
export type KongFields = ReadonlyArray<Readonly<Record<string, KongField>>>

/** The part of valibot's schemas that is read here. */
interface Schema {
  readonly type: string
  readonly default?: unknown
  readonly wrapped?: Schema
  readonly item?: Schema
  readonly key?: Schema
  readonly value?: Schema
  readonly options?: readonly unknown[]
  readonly entries?: Readonly<Record<string, Schema>>
  readonly pipe?: readonly { readonly type: string; readonly requirement?: unknown }[]
}

/** Converts a name of a schema to Kong's. */
type Rename = (name: string) => string

/**
 * @param references Names of fields that refer to other entities, with the entities' kind.
 * @param rename Default: the schema has Kong's names.
 */
export function describeFields(
  schema: v.GenericSchema,
  references: Readonly<Record<string, string>> = {},
  rename: Rename = (name) => name,
): KongFields {
  return fieldsOf(schema as unknown as Schema, rename, references)
}

function fieldsOf(
  { entries = {} }: Schema,
  rename: Rename,
  references: Readonly<Record<string, string>> = {},
): KongFields {
  return Object.entries(entries).map(([name, schema]) => {
    const reference = references[name]
    const field = reference ? { type: 'foreign', reference } : describe(schema, rename)
    return { [rename(name)]: field }
  })
}

function describe(schema: Schema, rename: Rename): KongField {
  if (!schema.wrapped) return { ...own(schema, rename), required: true }
  const { required, ...field } = describe(schema.wrapped, rename)
  const fallback = schema.default
  if (fallback === undefined || fallback === null) return field
  // A default that is a function generates the value.
  if (typeof fallback === 'function') return { ...field, auto: true }
  // A record that is not given has the defaults of its fields.
  return { ...field, required: true, ...(field.fields ? {} : { default: fallback }) }
}

function own(schema: Schema, rename: Rename): KongField {
  const { type, item, key, value, options, pipe = [] } = schema
  switch (type) {
    case 'array': {
      const isSet = pipe.some((action) => action.type === 'transform')
      const [{ requirement } = {}] = pipe.filter((action) => action.type === 'min_length')
      return {
        type: isSet ? 'set' : 'array',
        elements: element(item, rename),
        ...(typeof requirement === 'number' ? { len_min: requirement } : {}),
      }
    }
    case 'record':
      return { type: 'map', keys: element(key, rename), values: element(value, rename) }
    case 'strict_object':
      return { type: 'record', fields: fieldsOf(schema, rename) }
    case 'picklist':
      return {
        type: typeof options?.[0] === 'number' ? 'integer' : 'string',
        one_of: options ?? [],
      }
    case 'number':
      return numberOf(pipe)
    case 'boolean':
      return { type }
    default:
      return {
        type: 'string',
        ...(pipe.some((action) => action.type === 'uuid') ? { uuid: true } : {}),
        ...secrecyOf(metadataOf(schema)),
      }
  }
}

/** A secret may be a vault reference, too. */
function secrecyOf(
  metadata: Readonly<Record<string, unknown>>,
): Pick<KongField, 'encrypted' | 'referenceable'> {
  if (metadata['secret']) return { encrypted: true, referenceable: true }
  return metadata['referenceable'] ? { referenceable: true } : {}
}

function numberOf(pipe: NonNullable<Schema['pipe']>): KongField {
  const find = (type: string) => pipe.find((action) => action.type === type)?.requirement
  const [min, max] = [find('min_value'), find('max_value')]
  return {
    type: pipe.some((action) => action.type === 'integer') ? 'integer' : 'number',
    ...(Number.isFinite(min) && Number.isFinite(max)
      ? { between: [Number(min), Number(max)] }
      : {}),
  }
}

function metadataOf(schema: Schema): Readonly<Record<string, unknown>> {
  return v.getMetadata(schema as unknown as v.GenericSchema)
}

function element(schema: Schema | undefined, rename: Rename): KongField {
  const { required: _, ...field } = schema ? describe(schema, rename) : { type: 'string' }
  return field
}
