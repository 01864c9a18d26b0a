/** Parses the records that a client sends: answers with `format=records` can be sent back unchanged. */
import { fromBase64 } from '../../core/bytes.ts'
import { KafkaConsumeError } from '../../core/errors.ts'
import { isJsonObject } from '../../core/json-object.ts'
import { MAX_PARTITION, PARTITION_RANGE } from '../../core/topic-partition.ts'
import type { ProducerRecord } from '../../port/producer.ts'

/** Values for records that do not name their own. */
export interface RecordDefaults {
  /** Undefined: each record must name its topic. */
  readonly topic: string | undefined
  /** Topics that records may name. */
  readonly topics: readonly string[]
  readonly partition: number | undefined
  readonly key: string | undefined
}

const encoder = new TextEncoder()

/** Fields of a record; `offset`, `schema` and `error` are accepted because answers have them. */
const RECORD_FIELDS = [
  'topic',
  'partition',
  'offset',
  'timestamp',
  'key',
  'value',
  'headers',
  'encoding',
  'schema',
  'error',
]

/** @throws KafkaConsumeError INVALID_RECORD for a text that is not `{"records":[…]}`. */
export function recordsOfJson(text: string, defaults: RecordDefaults): ProducerRecord[] {
  const body = parse(text, 'the body')
  const { records } = isJsonObject(body) ? body : { records: undefined }
  if (!Array.isArray(records)) {
    throw invalidRecord(
      'the body must be {"records":[{"key":…,"value":…}]}; other types of content are one value',
    )
  }
  return records.map((record: unknown, index) => recordOf(record, `record ${index + 1}`, defaults))
}

/** @throws KafkaConsumeError INVALID_RECORD for a line that is not a record. */
export function recordsOfLines(text: string, defaults: RecordDefaults): ProducerRecord[] {
  return text.split('\n').flatMap((line, index) => {
    if (line.trim() === '') return []
    const at = `line ${index + 1}`
    return [recordOf(parse(line, at), at, defaults)]
  })
}

/** @throws KafkaConsumeError INVALID_RECORD */
function recordOf(given: unknown, at: string, defaults: RecordDefaults): ProducerRecord {
  if (!isJsonObject(given)) throw invalidRecord(`${at} is not an object`)
  const unknown = Object.keys(given).find((name) => !RECORD_FIELDS.includes(name))
  if (unknown !== undefined) {
    throw invalidRecord(
      `${at} has a field "${unknown.slice(0, 40)}"; those of a record are ${RECORD_FIELDS.join(', ')}`,
    )
  }
  if (!('value' in given)) throw invalidRecord(`${at} has no value; null is a tombstone`)
  const { topic = defaults.topic, partition = defaults.partition, timestamp } = given
  if (typeof topic !== 'string' || !defaults.topics.includes(topic)) {
    throw invalidRecord(`${at} needs a topic of ${defaults.topics.join(', ')}`)
  }
  if (partition !== undefined && !isWhole(partition, MAX_PARTITION)) {
    throw invalidRecord(`the partition of ${at} must be ${PARTITION_RANGE}`)
  }
  if (timestamp !== undefined && !isTimestamp(timestamp)) {
    throw invalidRecord(
      `the timestamp of ${at} must be whole milliseconds since 1970, from 1 to 2^53-1, or absent for the present time`,
    )
  }
  const encoding = isJsonObject(given['encoding']) ? given['encoding'] : {}
  return {
    topic,
    partition,
    timestamp,
    key: bytesOf(given['key'] ?? defaults.key, encoding['key'], `the key of ${at}`),
    value: bytesOf(given['value'], encoding['value'], `the value of ${at}`),
    headers: headersOf(given['headers'] ?? {}, encoding['headers'], `of ${at}`),
  }
}

function headersOf(
  headers: unknown,
  encoding: unknown,
  at: string,
): NonNullable<ProducerRecord['headers']> {
  if (!isJsonObject(headers)) throw invalidRecord(`the headers ${at} must be an object of texts`)
  const encodings = isJsonObject(encoding) ? encoding : {}
  return Object.entries(headers).flatMap(([name, given]) =>
    (Array.isArray(given) ? given : [given]).map((value: unknown) => {
      if (typeof value !== 'string' && value !== null) {
        throw invalidRecord(`the headers ${at} must be an object of texts`)
      }
      // A header's name may be that of an inherited property.
      const encoding = Object.hasOwn(encodings, name) ? encodings[name] : undefined
      return { [name]: bytesOf(value, encoding, `a header ${at}`) }
    }),
  )
}

/** Encodes a text as it is, and other JSON as its JSON text. */
function bytesOf(value: unknown, encoding: unknown, what: string): Uint8Array | null {
  if (value === null || value === undefined) return null
  if (encoding === undefined) {
    return encoder.encode(typeof value === 'string' ? value : JSON.stringify(value))
  }
  try {
    if (encoding === 'base64' && typeof value === 'string') return fromBase64(value)
  } catch {
    // The error is thrown below.
  }
  throw invalidRecord(`${what} is not base64, as its encoding says`)
}

/** Parses JSON. Numbers keep all their digits, so that the record has the value that was sent. */
function parse(text: string, what: string): unknown {
  try {
    return JSON.parse(text, (_key, value: unknown, context?: { readonly source?: string }) => {
      const source = context?.source
      const isExact = typeof value !== 'number' || source === undefined || String(value) === source
      return isExact ? value : rawJson(source)
    })
  } catch {
    throw invalidRecord(`${what} is not valid JSON`)
  }
}

/** `JSON.rawJSON` of ECMAScript 2026, from the proposal "JSON.parse source text access". */
const rawJson = (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON

/**
 * Whether a record may have a timestamp. Kafka returns -1 for a record without one. Kafka's client would
 * write the present time in place of 0.
 */
function isTimestamp(value: unknown): value is number {
  return value === -1 || (value !== 0 && isWhole(value, Number.MAX_SAFE_INTEGER))
}

function isWhole(value: unknown, max: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= max
}

export function invalidRecord(state: string): KafkaConsumeError {
  return new KafkaConsumeError('INVALID_RECORD', `Cannot write records: ${state}`)
}
