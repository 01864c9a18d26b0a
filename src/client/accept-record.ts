/** Validates values by schemas of any library that implements Standard Schema: valibot, zod, arktype and others. */
import type { SchemaResult, StandardSchema } from '../records/standard-schema.ts'
import {
  type ReceivedRecord,
  type ReceiveOptions,
  reportInvalid,
  type ValueSchemas,
} from './record.ts'

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
