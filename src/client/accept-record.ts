/** Validates values by schemas of any library that implements Standard Schema: valibot, zod, arktype and others. */
import type { SchemaResult, StandardSchema } from '../records/standard-schema.ts'
import type { ReceivedRecord, ReceiveOptions, ValueSchemas } from './record.ts'

/** The record with what its schema makes of the value; undefined for one that is announced and left out. */
export async function acceptRecord(
  record: ReceivedRecord,
  { schema, onInvalid }: ReceiveOptions<ValueSchemas | undefined>,
): Promise<ReceivedRecord | undefined> {
  if (!schema) return record
  const result = await validate(schema, record)
  if (!result.issues) return { ...record, value: result.value }
  if (onInvalid) onInvalid(record, result.issues)
  else console.warn('hono-kafka-consume: a record is left out', record.cursor, result.issues)
}

function validate(
  schemas: ValueSchemas,
  { error, topic, value }: ReceivedRecord,
): SchemaResult<unknown> | Promise<SchemaResult<unknown>> {
  if (error) return { issues: [error] }
  const schema = ('~standard' in schemas ? schemas : schemas[topic]) as StandardSchema | undefined
  return schema
    ? schema['~standard'].validate(value)
    : { issues: [{ message: `topic "${topic}" has no schema` }] }
}
