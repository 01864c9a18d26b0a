import { toBase64 } from '../core/bytes.ts'
import { headerEntry, type KafkaRecord } from '../port/kafka.ts'
import type { ProcessedRecord, RecordError } from './pipeline.ts'

/** How a value becomes JSON: `noop` a string, `json` the JSON that it is. */
export type MessageDeserializer = 'noop' | 'json'

// `ignoreBOM` keeps a byte order mark in the text instead of dropping it.
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
const strictDecoder = new TextDecoder('utf-8', { ignoreBOM: true, fatal: true })

/** Text of bytes, or undefined where they are not UTF-8. */
export function textOf(bytes: Uint8Array): string | undefined {
  const text = decoder.decode(bytes)
  // U+FFFD stands for bytes that are no UTF-8, unless it was there itself: only then look closer,
  // since a fatal decoder throws, which costs far more than decoding.
  if (!text.includes('\uFFFD')) return text
  try {
    return strictDecoder.decode(bytes)
  } catch {
    return undefined
  }
}

/** The JSON of each record, on one line. */
export function encodeRecords(
  records: readonly ProcessedRecord[],
  deserializer: MessageDeserializer,
): string[] {
  let last: ProcessedRecord | undefined
  let prefix = ''
  return records.map((record) => {
    if (record.partition !== last?.partition || record.topic !== last.topic) {
      prefix = encodePrefix(record.topic, record.partition)
    }
    last = record
    return prefix + encodeBody(record, deserializer)
  })
}

/**
 * The JSON of one record from its offset on: what follows the topic and the partition.
 *
 * Bytes that are no UTF-8 become base64, and the record says so. That is rare: what needs to be
 * said beside the fields is collected only then.
 */
export function encodeBody(record: ProcessedRecord, deserializer: MessageDeserializer): string {
  const { key, value, headers, base64: asBase64 } = record
  let encoding = ''
  let { error } = record
  let keyJson = record.keyJson ?? 'null'
  if (key !== null && record.keyJson === undefined) {
    const text = asBase64?.includes('key') ? undefined : textOf(key)
    if (text === undefined) encoding += ',"key":"base64"'
    keyJson = text === undefined ? base64(key) : JSON.stringify(text)
  }
  let valueJson = record.valueJson ?? 'null'
  if (value !== null && record.valueJson === undefined) {
    const text = asBase64?.includes('value') ? undefined : textOf(value)
    const json = text === undefined || deserializer === 'noop' ? quote(text) : jsonOf(text)
    if (json !== undefined) valueJson = json
    else {
      valueJson = base64(value)
      encoding += ',"value":"base64"'
      if (deserializer === 'json') error ??= NOT_JSON
    }
  }
  let headersJson = '{}'
  if (headers !== undefined && headers.length > 0) {
    const encoded = encodeHeaders(headers)
    headersJson = encoded.json
    if (encoded.base64) encoding += `,"headers":{${encoded.base64}}`
  }
  let notes = encoding && `,"encoding":{${encoding.slice(1)}}`
  if (error) notes += `,"error":${JSON.stringify(error)}`
  return `"offset":${record.offset},"timestamp":${record.timestamp},"key":${keyJson},"value":${valueJson},"headers":${headersJson}${record.extraJson ?? ''}${notes}}`
}

/** The beginning of a record's JSON, up to its offset. */
export function encodePrefix(topic: string, partition: number): string {
  return `{"topic":${JSON.stringify(topic)},"partition":${partition},`
}

export const NOT_JSON: RecordError = {
  code: 'DESERIALIZATION_FAILED',
  message: 'Cannot deserialize the value: it is no JSON',
}

function base64(bytes: Uint8Array): string {
  return `"${toBase64(bytes)}"`
}

function quote(text: string | undefined): string | undefined {
  return text === undefined ? undefined : JSON.stringify(text)
}

/** A text as the JSON that it is, on one line; undefined where it is none. */
export function jsonOf(text: string): string | undefined {
  try {
    JSON.parse(text)
  } catch {
    return undefined
  }
  // The text itself, not its parsed form: numbers keep their digits. Line ends can only stand
  // between tokens here; as spaces they cannot end a line of an event stream.
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
