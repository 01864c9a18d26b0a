/** Validates the values, keys and headers of records by the schemas of their topics. */
import { type ConsumedRecord, consumedOf } from './consumed-record.ts'
import { type PipelineStep, type ProcessedRecord, RecordFailure } from './pipeline.ts'
import type { SchemaIssue, SchemaResult, StandardSchema } from './standard-schema.ts'
import type {
  SchemasByTopic,
  TopicSchemas,
  ValidatedField,
  ValidatedFields,
} from './topic-schemas.ts'
import { withinLimit } from './within-limit.ts'

const FIELDS = ['value', 'key', 'headers'] as const satisfies readonly ValidatedField[]

/** The most issues that a message names. */
const MAX_ISSUES = 3
/** The most characters of a message's issues, which may quote the record. */
const MAX_ISSUES_LENGTH = 500

/**
 * Validates a record.
 *
 * @returns The values of the fields that have a schema. A promise only for an asynchronous schema.
 * @throws RecordFailure for a record that does not fit, or an asynchronous schema that takes too long;
 *   otherwise what a schema throws.
 */
export function validateRecord(
  schemas: TopicSchemas,
  record: Pick<ConsumedRecord, ValidatedField>,
): ValidatedFields | Promise<ValidatedFields> {
  const fields = FIELDS.filter((field) => schemas[field] !== undefined)
  const results = fields.map((field) => {
    return (schemas[field] as StandardSchema)['~standard'].validate(record[field])
  })
  if (!results.some((result) => result instanceof Promise)) {
    return outputsOf(fields, results as SchemaResult[])
  }
  return withinLimit(Promise.all(results), 'Cannot validate the record: its schema').then((late) =>
    outputsOf(fields, late),
  )
}

/** @throws RecordFailure */
function outputsOf(
  fields: readonly ValidatedField[],
  results: readonly SchemaResult[],
): ValidatedFields {
  const outputs: { [Field in ValidatedField]?: unknown } = {}
  const issues: string[] = []
  for (const [index, field] of fields.entries()) {
    const result = results[index] as SchemaResult
    if (result.issues) issues.push(...result.issues.map((issue) => issueText(field, issue)))
    else outputs[field] = result.value
  }
  if (issues.length === 0) return outputs
  const more = issues.length > MAX_ISSUES ? `; and ${issues.length - MAX_ISSUES} more` : ''
  const text = `${issues.slice(0, MAX_ISSUES).join('; ')}${more}`
  const isLong = text.length > MAX_ISSUES_LENGTH
  throw new RecordFailure(
    `Cannot validate the record: ${isLong ? `${text.slice(0, MAX_ISSUES_LENGTH)}…` : text}`,
  )
}

/** An issue with the place that it is about: `value.lines.0.price: a number is required`. */
function issueText(field: ValidatedField, { message, path = [] }: SchemaIssue): string {
  const names = path.map((part) => String(typeof part === 'object' ? part.key : part))
  return `${[field, ...names].join('.')}: ${message}`
}

/**
 * The pipeline step that validates records, and replaces their fields by what the schemas return. A
 * field that a schema leaves as it is keeps its text, with all digits of its numbers.
 */
export function schemaStep(schemas: SchemasByTopic): PipelineStep {
  return validationStep(schemas, (record, own, consumed) => {
    const before = FIELDS.map((field) => own[field] && JSON.stringify(consumed[field]))
    return (outputs) => replaced(record, before, outputs)
  })
}

/**
 * The pipeline step that validates records and leaves their fields as they are. The record has what the
 * schemas return beside them, for a handler that gets it.
 */
export function checkStep(schemas: SchemasByTopic): PipelineStep {
  return validationStep(schemas, (record) => (outputs) => ({ ...record, outputs }))
}

/**
 * @param begin Called before a record is validated, since a schema may change what it is given. Returns what
 * makes the step's record of the schemas' outputs.
 */
function validationStep(
  schemas: SchemasByTopic,
  begin: (
    record: ProcessedRecord,
    own: TopicSchemas,
    consumed: Pick<ConsumedRecord, ValidatedField>,
  ) => (outputs: ValidatedFields) => ProcessedRecord,
): PipelineStep {
  return {
    code: 'VALIDATION_FAILED',
    run(record) {
      const own = schemas.get(record.topic)
      if (!own) return record
      const consumed = consumedOf(record, 'validate')
      const finish = begin(record, own, consumed)
      const outputs = validateRecord(own, consumed)
      return outputs instanceof Promise ? outputs.then(finish) : finish(outputs)
    },
  }
}

/** @throws RecordFailure for an output that JSON cannot represent. */
function replaced(
  record: ProcessedRecord,
  before: ReadonlyArray<string | undefined>,
  outputs: ValidatedFields,
): ProcessedRecord {
  const next: { -readonly [K in keyof ProcessedRecord]: ProcessedRecord[K] } = { ...record }
  for (const [index, field] of FIELDS.entries()) {
    if (!(field in outputs)) continue
    const json = jsonOf(outputs[field])
    if (json === undefined) {
      throw new RecordFailure(
        `Cannot validate the record: JSON cannot represent the ${field} that its schema returned`,
      )
    }
    if (json !== before[index]) next[`${field}Json`] = json
  }
  return next
}

function jsonOf(output: unknown): string | undefined {
  try {
    return JSON.stringify(output)
  } catch {
    return undefined
  }
}
