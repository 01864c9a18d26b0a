/** Values by schemas of any library that implements Standard Schema: valibot, zod, arktype and others. */
import type { SchemaOutput, SchemaResult, StandardSchema } from '../records/standard-schema.ts'
import { type ReceivedRecord, type ReceiveOptions, reportInvalid } from './record.ts'

/** One schema for the values of all topics, or one for each topic. */
export type ValueSchemas = StandardSchema | Readonly<Record<string, StandardSchema>>

/** A record whose value has the type of its schema; with a schema for each topic, a union by `topic`. */
export type RecordBySchema<Schemas extends ValueSchemas | undefined> =
  Schemas extends StandardSchema
    ? ReceivedRecord<string, SchemaOutput<Schemas>>
    : Schemas extends Readonly<Record<string, StandardSchema>>
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

function isSchema(schemas: ValueSchemas): schemas is StandardSchema {
  return '~standard' in schemas
}
