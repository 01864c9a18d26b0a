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

function encodeHeaders(headers: NonNullable<KafkaRecord['headers']>): {
  json: string
  base64: string
} {
  const values = new Map<string, Array<Uint8Array | null>>()
  for (const header of headers) {
    const [name, bytes] = headerEntry(header)
    const same = values.get(name)
    if (same) same.push(bytes)
    else values.set(name, [bytes])
  }
  const fields: string[] = []
  const inBase64: string[] = []
  for (const [name, all] of values) {
    const nameJson = JSON.stringify(name)
    const texts = all.map((bytes) => bytes && textOf(bytes))
    let encoded: string[]
    if (texts.includes(undefined)) {
      // All values of the name alike, so that a reader need not guess which of them are base64.
      inBase64.push(`${nameJson}:"base64"`)
      encoded = all.map((bytes) => (bytes ? base64(bytes) : 'null'))
    } else {
      encoded = texts.map((text) => JSON.stringify(text))
    }
    fields.push(`${nameJson}:${encoded.length === 1 ? encoded[0] : `[${encoded.join(',')}]`}`)
  }
  return { json: `{${fields.join(',')}}`, base64: inBase64.join(',') }
}
