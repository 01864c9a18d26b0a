import { toBase64 } from '../core/bytes.ts'
import {
  encodeRecords,
  headerValues,
  type MessageDeserializer,
  NOT_JSON,
  textOf,
} from './encode.ts'
import { isTooDeep, MAX_DEPTH } from './json-fields.ts'
import { type ProcessedRecord, type RecordError, RecordFailure } from './pipeline.ts'

/** Texts by name. A repeated name has an array; `null` stands for a header without a value. */
export interface RecordHeaders {
  /** The value of a header, or its values. */
  readonly [name: string]: string | null | ReadonlyArray<string | null>
}

/** The schema of a registry by which a key or value was deserialized. */
export interface RecordSchema {
  /** The registry's id of the schema. */
  readonly id: number
  /** The language of the schema, as the registry names it. */
  readonly type: 'AVRO' | 'PROTOBUF' | 'JSON'
  /** The full name of the Avro type or of the Protobuf message, or the title of the JSON Schema. */
  readonly name?: string
}

/** The fields of a record, with the types that the schemas of its topic give them. */
export interface TypedRecord<Topic extends string, Value, Key, Headers> {
  /** Name of the topic. */
  readonly topic: Topic
  /** Number of the partition, from 0. */
  readonly partition: number
  /** Offset in the partition. */
  readonly offset: number
  /** Milliseconds since 1970; -1 if the record has no timestamp. */
  readonly timestamp: number
  /**
   * Text, or base64 if `encoding` has the key; `null` for a record without a key; with a schema for keys
   * its output.
   */
  readonly key: Key
  /**
   * Text, or base64 if `encoding` has the value; parsed JSON with `messageDeserializer: 'json'` or a
   * schema registry; `null` for a tombstone; with a schema its output.
   */
  readonly value: Value
  /**
   * Texts by name. A repeated name has an array; `null` stands for a header without a value. With a
   * schema for headers its output.
   */
  readonly headers: Headers
  /** The fields that are base64, since their bytes are not valid UTF-8. */
  readonly encoding?: {
    readonly key?: 'base64'
    readonly value?: 'base64'
    readonly headers?: Readonly<Record<string, 'base64'>>
  }
  /** The schemas by which a schema registry deserialized the key and the value. */
  readonly schema?: {
    readonly key?: RecordSchema
    readonly value?: RecordSchema
  }
}

/** A record as clients see it, which handlers, transforms and formats get. */
export interface ConsumedRecord extends TypedRecord<string, unknown, string | null, RecordHeaders> {
  /** The error of a record that could not be deserialized, transformed or validated. */
  readonly error?: RecordError
}

/** A record of a topic without a schema, beside topics that have one. */
export interface PlainRecord<Topic extends string = string>
  extends TypedRecord<Topic, unknown, string | null, RecordHeaders> {
  /** The error of a record that could not be deserialized or transformed. */
  readonly error?: RecordError
}

/** A record of any topic, whatever its fields are. */
export interface AnyRecord extends TypedRecord<string, unknown, unknown, unknown> {
  /** The error of a record that could not be deserialized, transformed or validated. */
  readonly error?: RecordError | undefined
}

/** A record of a topic with a schema, which it fits. */
export interface ValidRecord<
  Topic extends string = string,
  Value = unknown,
  Key = string | null,
  Headers = RecordHeaders,
> extends TypedRecord<Topic, Value, Key, Headers> {
  /** Absent: `if (record.error)` tells a {@link FailedRecord}. */
  readonly error?: undefined
}

/** A record of a topic with a schema, which could not be deserialized or transformed, or does not fit. */
export interface FailedRecord<Topic extends string = string>
  extends TypedRecord<Topic, unknown, string | null, RecordHeaders> {
  /** Why the record failed. Its fields are as they were before the step that failed. */
  readonly error: RecordError
}

/** The text of an event stream, whose events carry records. `stream` of the client parses it. */
export type EventStreamText<Received extends AnyRecord = AnyRecord> = string & {
  /** The type of the records, for the compiler alone. */
  readonly records?: Received
}

/** A record's `encoding`, while it is built. */
interface Encoding {
  key?: 'base64'
  value?: 'base64'
  headers?: Readonly<Record<string, 'base64'>>
}

/**
 * Converts a record's bytes to the value that `JSON.parse` would make of the record's JSON.
 *
 * @param deserializer Applied to values that no pipeline step has deserialized.
 */
export function consumedRecordOf(
  record: ProcessedRecord,
  deserializer: MessageDeserializer,
): ConsumedRecord {
  // Fields that Lua functions add may have any name, and take the place of others.
  if (record.extraJson !== undefined) {
    const [json] = encodeRecords([record], deserializer)
    return JSON.parse(json as string) as ConsumedRecord
  }
  const { topic, partition, offset, timestamp } = record
  const encoding: Encoding = {}
  const key = keyOf(record, encoding)
  const { value, isNotJson } = deserializedValueOf(record, deserializer, encoding)
  const headers = headersOf(record, encoding)
  const error = record.error ?? (isNotJson ? NOT_JSON : undefined)
  const isEncoded = Object.keys(encoding).length > 0
  return {
    topic,
    partition,
    offset,
    timestamp,
    key,
    value,
    headers,
    ...(isEncoded && { encoding }),
    ...(record.schemaJson && { schema: schemaOf(record.schemaJson) }),
    ...(error && { error: { ...error } }),
  }
}

function schemaOf({ key, value }: NonNullable<ProcessedRecord['schemaJson']>) {
  return {
    ...(key !== undefined && { key: JSON.parse(key) as RecordSchema }),
    ...(value !== undefined && { value: JSON.parse(value) as RecordSchema }),
  }
}

function keyOf({ key, keyJson, base64 }: ProcessedRecord, encoding: Encoding): string | null {
  if (keyJson !== undefined) return JSON.parse(keyJson) as string | null
  if (key === null) return null
  const text = base64?.includes('key') ? undefined : textOf(key)
  if (text !== undefined) return text
  encoding.key = 'base64'
  return toBase64(key)
}

function deserializedValueOf(
  { value, valueJson, base64 }: ProcessedRecord,
  deserializer: MessageDeserializer,
  encoding: Encoding,
): { value: unknown; isNotJson?: true } {
  if (valueJson !== undefined) return { value: JSON.parse(valueJson) }
  if (value === null) return { value }
  const text = base64?.includes('value') ? undefined : textOf(value)
  if (text !== undefined && deserializer === 'noop') return { value: text }
  try {
    if (text !== undefined) return { value: JSON.parse(text) }
  } catch {
    // The value is returned as base64, with an error.
  }
  encoding.value = 'base64'
  return { value: toBase64(value), ...(deserializer === 'json' && { isNotJson: true }) }
}

function headersOf(
  { headers, headersJson }: ProcessedRecord,
  encoding: Encoding,
): ConsumedRecord['headers'] {
  const isEmpty = headers === undefined || headers.length === 0
  const byName = isEmpty ? [] : [...headerValues(headers)]
  const inBase64 = byName.filter(([, { isBase64 }]) => isBase64)
  if (inBase64.length > 0) {
    encoding.headers = Object.fromEntries(inBase64.map(([name]) => [name, 'base64' as const]))
  }
  if (headersJson !== undefined) return JSON.parse(headersJson) as ConsumedRecord['headers']
  // `fromEntries` defines own properties, even one named `__proto__`.
  return Object.fromEntries(
    byName.map(([name, { values }]) => [
      name,
      values.length === 1 ? (values[0] as string | null) : values,
    ]),
  )
}

/**
 * The record that a transform or a schema gets. An earlier step of the pipeline may have deserialized it.
 *
 * @param action The step's action, for the message.
 * @throws RecordFailure when its JSON is too deep to be compared and written again.
 */
export function consumedOf(record: ProcessedRecord, action = 'transform'): ConsumedRecord {
  const { keyJson = '0', valueJson = '0', extraJson = '' } = record
  if (isTooDeep(`{"key":${keyJson},"value":${valueJson}${extraJson}}`)) {
    throw new RecordFailure(
      `Cannot ${action} the record: its JSON is more than ${MAX_DEPTH} levels deep`,
    )
  }
  return consumedRecordOf(record, 'noop')
}
