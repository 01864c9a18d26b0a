import { mapConcurrently } from '../../core/map-concurrently.ts'
import type { ProducerRecord } from '../../port/producer.ts'
import { consumedRecordOf } from '../../records/consumed-record.ts'
import { CONCURRENCY, RecordFailure } from '../../records/pipeline.ts'
import type { SchemasByTopic, TopicSchemas } from '../../records/topic-schemas.ts'
import { validateRecord } from '../../records/validate-record.ts'
import { invalidRecord } from './parse-records.ts'

/**
 * Validates records as a reader would get them. They are written as they were given, because readers
 * apply their schemas to what Kafka has.
 *
 * @throws KafkaConsumeError INVALID_RECORD for the first record that does not fit its topic's schema;
 *   otherwise what a schema throws.
 */
export async function assertRecordsFit(
  records: readonly ProducerRecord[],
  schemas: SchemasByTopic,
): Promise<void> {
  if (schemas.size === 0) return
  const failures = await mapConcurrently(records, CONCURRENCY, (record) => {
    const own = schemas.get(record.topic)
    return own && failureOf(record, own)
  })
  const index = failures.findIndex((failure) => failure !== undefined)
  if (index < 0) return
  const { topic } = records[index] as ProducerRecord
  const at = records.length === 1 ? 'the record' : `record ${index + 1}`
  throw invalidRecord(`${at} does not fit the schema of topic ${topic}: ${failures[index]}`)
}

/** @returns Why a record does not fit; undefined when it does. A promise only for an asynchronous schema. */
function failureOf(
  { topic, key, value, headers }: ProducerRecord,
  schemas: TopicSchemas,
): string | undefined | Promise<string | undefined> {
  const raw = {
    topic,
    partition: 0,
    offset: 0,
    timestamp: 0,
    key,
    value,
    ...(headers && { headers }),
  }
  const record = consumedRecordOf(raw, schemas.value ? 'json' : 'noop')
  if (record.error) return 'value: it is not valid JSON'
  try {
    const outputs = validateRecord(schemas, record)
    return outputs instanceof Promise ? outputs.then(() => undefined, issuesOf) : undefined
  } catch (thrown) {
    return issuesOf(thrown)
  }
}

/** @throws The error, unless it is one of the record. */
function issuesOf(thrown: unknown): string {
  if (thrown instanceof RecordFailure) return thrown.message.slice(thrown.message.indexOf(': ') + 2)
  throw thrown
}
