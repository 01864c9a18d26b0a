/** The JSON Schemas of schemas that an app gives for its topics. */
import { type ConversionConfig, toJsonSchema } from '@valibot/to-json-schema'
import type { GenericSchema } from 'valibot'
import type { StandardSchema } from '../../records/standard-schema.ts'
import type { Json } from './responses.ts'

/** A side of a schema: the values that it accepts, or those that it returns. */
export type SchemaSide = 'input' | 'output'

/** The part of Standard JSON Schema (https://standardschema.dev/json-schema) that is used here. */
interface JsonSchemaConverter {
  readonly jsonSchema?: Readonly<Record<SchemaSide, (options: object) => Json>>
}

/** A `Date`, as JSON has it. */
const DATE = { type: 'string', format: 'date-time' } as const
const TARGET = 'draft-2020-12'

/**
 * The JSON Schema of one side of a schema, in the 2020-12 draft that OpenAPI 3.1 has. Parts that JSON
 * Schema cannot express, such as the result of a function, allow anything; so does a schema of a
 * library without a conversion.
 */
export function jsonSchemaOf(schema: StandardSchema, side: SchemaSide): Json {
  const { vendor, jsonSchema } = schema['~standard'] as StandardSchema['~standard'] &
    JsonSchemaConverter
  try {
    if (jsonSchema) return jsonSchema[side]({ target: TARGET, libraryOptions: OPTIONS[vendor] })
    if (vendor === 'valibot') return ofValibot(schema as GenericSchema, side)
  } catch {
    // A library may not convert all of its schemas.
  }
  return {}
}

/** Options of libraries, so that a part without a JSON Schema does not fail the whole. */
const OPTIONS: Readonly<Record<string, object>> = {
  zod: {
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema }: ZodContext) => {
      if (zodSchema._zod.def.type === 'date') Object.assign(jsonSchema, DATE)
    },
  },
  arktype: {
    fallback: (context: ArkTypeContext) => {
      return context.code === 'date' || context.proto === Date ? DATE : context.base
    },
  },
}

interface ZodContext {
  readonly zodSchema: { readonly _zod: { readonly def: { readonly type: string } } }
  readonly jsonSchema: object
}

interface ArkTypeContext {
  readonly code: string
  readonly base: object
  readonly proto?: unknown
}

function ofValibot(schema: GenericSchema, side: SchemaSide): Json {
  const converted = toJsonSchema(schema, {
    target: TARGET,
    typeMode: side,
    errorMode: 'ignore',
    overrideSchema: ({ valibotSchema }) => (valibotSchema.type === 'date' ? DATE : undefined),
    overrideAction: ({ valibotAction, jsonSchema }) => {
      if (valibotAction.kind !== 'transformation') return undefined
      return valibotAction.type in TRANSFORMED
        ? TRANSFORMED[valibotAction.type]
        : SAME.includes(valibotAction.type)
          ? jsonSchema
          : {}
    },
  })
  return { ...converted }
}

type ActionOverride = ReturnType<NonNullable<ConversionConfig['overrideAction']>>

/** The JSON Schemas of what transformations of valibot return. */
const TRANSFORMED: Readonly<Record<string, ActionOverride>> = {
  to_date: DATE,
  to_number: { type: 'number' },
  to_boolean: { type: 'boolean' },
  to_string: { type: 'string' },
}

/** Transformations of valibot whose result is of the type that they are given. */
const SAME: readonly string[] = [
  'trim',
  'trim_start',
  'trim_end',
  'normalize',
  'to_lower_case',
  'to_upper_case',
  'readonly',
  'brand',
]
