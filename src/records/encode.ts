import { toBase64 } from '../core/bytes.ts'
import type { TopicPartition } from '../core/topic-partition.ts'
import { headerEntry, type KafkaRecord } from '../port/kafka.ts'
import type { ProcessedRecord, RecordError } from './pipeline.ts'

/** How a value becomes JSON: `noop` a string, `json` the JSON that it is. */
export type MessageDeserializer = 'noop' | 'json'

// `ignoreBOM` keeps a byte order mark in the text instead of dropping it.
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
const strictDecoder = new TextDecoder('utf-8', { ignoreBOM: true, fatal: true })

/** The text of bytes; undefined when they are not UTF-8. */
export function textOf(bytes: Uint8Array): string | undefined {
  const text = decoder.decode(bytes)
  // U+FFFD replaces bytes that are not UTF-8, and may be in the text itself. Only then decode again
  // with a fatal decoder: it throws, which costs far more than decoding.
  if (!text.includes('\uFFFD')) return text
  try {
    return strictDecoder.decode(bytes)
  } catch {
    return undefined
  }
}

/** Makes the prefix of one record after another: most have the partition of the record before. */
export function prefixesInTurn(): (place: TopicPartition) => string {
  let last: TopicPartition | undefined
  let prefix = ''
  return (place) => {
    if (place.partition !== last?.partition || place.topic !== last.topic) {
      prefix = encodePrefix(place.topic, place.partition)
    }
    last = place
    return prefix
  }
}

/** The JSON of each record, on one line. */
export function encodeRecords(
  records: readonly ProcessedRecord[],
  deserializer: MessageDeserializer,
): string[] {
  const prefixOf = prefixesInTurn()
  return records.map((record) => prefixOf(record) + encodeBody(record, deserializer))
}

/**
 * The JSON of one record from its offset on: all fields after the topic and the partition.
 *
 * Bytes that are not UTF-8 become base64, and the record's field `encoding` names them. That is rare,
 * so the field is made only then.
 */
export function encodeBody(record: ProcessedRecord, deserializer: MessageDeserializer): string {
  const { offset, timestamp, headers, extraJson = '' } = record
  let { error } = record
  let encoding = ''
  let keyJson = keyJsonOf(record)
  if (keyJson === undefined) {
    keyJson = base64(record.key as Uint8Array)
    encoding += ',"key":"base64"'
  }
  let valueJson = valueJsonOf(record, deserializer)
  if (valueJson === undefined) {
    valueJson = base64(record.value as Uint8Array)
    encoding += ',"value":"base64"'
    if (deserializer === 'json') error ??= NOT_JSON
  }
  let headersJson = record.headersJson ?? '{}'
  if (headers !== undefined && headers.length > 0) {
    const encoded = encodeHeaders(headers)
    headersJson = record.headersJson ?? encoded.json
    if (encoded.base64) encoding += `,"headers":{${encoded.base64}}`
  }
  let notes = encoding && `,"encoding":{${encoding.slice(1)}}`
  if (record.schemaJson) notes += `,"schema":{${schemasJson(record.schemaJson)}}`
  if (error) notes += `,"error":${JSON.stringify(error)}`
  return `"offset":${offset},"timestamp":${timestamp},"key":${keyJson},"value":${valueJson},"headers":${headersJson}${extraJson}${notes}}`
}

function schemasJson({ key, value }: NonNullable<ProcessedRecord['schemaJson']>): string {
  const fields = [key && `"key":${key}`, value && `"value":${value}`]
  return fields.filter(Boolean).join(',')
}

/** The JSON of a key; undefined when its bytes must be base64. */
function keyJsonOf({ key, keyJson, base64: asBase64 }: ProcessedRecord): string | undefined {
  if (keyJson !== undefined) return keyJson
  if (key === null) return 'null'
  return asBase64?.includes('key') ? undefined : quote(textOf(key))
}

/** The JSON of a value; undefined when its bytes must be base64. */
function valueJsonOf(
  { value, valueJson, base64: asBase64 }: ProcessedRecord,
  deserializer: MessageDeserializer,
): string | undefined {
  if (valueJson !== undefined) return valueJson
  if (value === null) return 'null'
  const text = asBase64?.includes('value') ? undefined : textOf(value)
  return text === undefined || deserializer === 'noop' ? quote(text) : jsonOf(text)
}

/** The beginning of a record's JSON, up to its offset. */
export function encodePrefix(topic: string, partition: number): string {
  return `{"topic":${JSON.stringify(topic)},"partition":${partition},`
}

export const NOT_JSON: RecordError = {
  code: 'DESERIALIZATION_FAILED',
  message: 'Cannot deserialize the value: it is not valid JSON',
}

function base64(bytes: Uint8Array): string {
  return `"${toBase64(bytes)}"`
}

function quote(text: string | undefined): string | undefined {
  return text === undefined ? undefined : JSON.stringify(text)
}

/** A text that is JSON, on one line; undefined for other texts. */
export function jsonOf(text: string): string | undefined {
  try {
    JSON.parse(text)
  } catch {
    return undefined
  }
  // The text itself instead of its parsed form, so that numbers keep their digits. In valid JSON line
  // ends stand between tokens only; as spaces they cannot end a line of an event stream.
  return text.replace(/[\r\n]/g, ' ')
}

/** The values of one header name, in the record's order. */
export interface HeaderValues {
  readonly values: ReadonlyArray<string | null>
  /** Whether the values are base64: all values of a name are alike, so that clients need not guess. */
  readonly isBase64: boolean
}

/** Texts of the values of each header name. */
export function headerValues(
  headers: NonNullable<KafkaRecord['headers']>,
): Map<string, HeaderValues> {
  const bytes = new Map<string, Array<Uint8Array | null>>()
  for (const header of headers) {
    const [name, value] = headerEntry(header)
    const others = bytes.get(name)
    if (others) others.push(value)
    else bytes.set(name, [value])
  }
  const found = new Map<string, HeaderValues>()
  for (const [name, all] of bytes) {
    const texts = all.map((value) => value && textOf(value))
    found.set(
      name,
      texts.includes(undefined)
        ? { values: all.map((value) => value && toBase64(value)), isBase64: true }
        : { values: texts as Array<string | null>, isBase64: false },
    )
  }
  return found
}

function encodeHeaders(headers: NonNullable<KafkaRecord['headers']>): {
  json: string
  base64: string
} {
  const fields: string[] = []
  const inBase64: string[] = []
  for (const [name, { values, isBase64 }] of headerValues(headers)) {
    const nameJson = JSON.stringify(name)
    if (isBase64) inBase64.push(`${nameJson}:"base64"`)
    fields.push(`${nameJson}:${JSON.stringify(values.length === 1 ? values[0] : values)}`)
  }
  return { json: `{${fields.join(',')}}`, base64: inBase64.join(',') }
}
