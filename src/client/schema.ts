/** Values by schemas of any library that implements Standard Schema: valibot, zod, arktype and others. */
import { type ReceivedRecord, type ReceiveOptions, reportInvalid } from './record.ts'

/** The part of https://standardschema.dev that is used here. */
export interface ValueSchema<Output = unknown> {
  readonly '~standard': {
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>
    readonly types?: { readonly input: unknown; readonly output: Output } | undefined
  }
}

type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] }

/** Why a value does not fit its schema. */
export interface SchemaIssue {
  readonly message: string
  readonly path?: ReadonlyArray<PropertyKey | { readonly key: PropertyKey }> | undefined
}

/** One schema for the values of all topics, or one for each topic. */
export type ValueSchemas = ValueSchema | Readonly<Record<string, ValueSchema>>

/** The type of the values that a schema returns. */
export type SchemaOutput<Schema> = Schema extends ValueSchema<infer Output> ? Output : never

/** A record whose value has the type of its schema; with a schema for each topic, a union by `topic`. */
export type RecordBySchema<Schemas extends ValueSchemas | undefined> = Schemas extends ValueSchema
  ? ReceivedRecord<string, SchemaOutput<Schemas>>
  : Schemas extends Readonly<Record<string, ValueSchema>>
    ? {
        [Topic in keyof Schemas & string]: ReceivedRecord<Topic, SchemaOutput<Schemas[Topic]>>
      }[keyof Schemas & string]
    : ReceivedRecord

/** The record with what its schema makes of the value; undefined for one that is announced and left out. */
export async function acceptRecord(
  record: ReceivedRecord,
  { schema, onInvalid }: ReceiveOptions<ValueSchemas | undefined>,
): Promise<ReceivedRecord | undefined> {
  if (!schema) return record
  const result = await validateRecord(schema, record)
  if (!result.issues) return result.value
  reportInvalid(record, result.issues, onInvalid)
}

async function validateRecord(
  schemas: ValueSchemas,
  record: ReceivedRecord,
): Promise<SchemaResult<ReceivedRecord>> {
  if (record.error) return { issues: [record.error] }
  const schema = isSchema(schemas) ? schemas : schemas[record.topic]
  if (!schema) return { issues: [{ message: `topic "${record.topic}" has no schema` }] }
  const result = await schema['~standard'].validate(record.value)
  if (result.issues) return result
  return { value: { ...record, value: result.value } }
}

function isSchema(schemas: ValueSchemas): schemas is ValueSchema {
  return '~standard' in schemas
}
