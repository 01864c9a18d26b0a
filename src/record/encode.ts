import type { KafkaRecord } from '../stream/source.ts'

/** How a value becomes JSON: `noop` a string, `json` the JSON that it is. */
export type MessageDeserializer = 'noop' | 'json'

// `ignoreBOM` keeps a byte order mark in the text instead of dropping it.
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
const strictDecoder = new TextDecoder('utf-8', { ignoreBOM: true, fatal: true })

/** Text of bytes, or undefined where they are not UTF-8. */
function textOf(bytes: Uint8Array): string | undefined {
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

/** What needs to be said of a record beside its fields; most records need nothing. */
class Notes {
  encoding: string[] | undefined
  error: string | undefined

  base64(field: string, bytes: Uint8Array): string {
    this.encoding ??= []
    this.encoding.push(`"${field}":"base64"`)
    return `"${bytes.toBase64()}"`
  }
}

/** The JSON of one record from its offset on: what follows the topic and the partition. */
export function encodeBody(record: KafkaRecord, deserializer: MessageDeserializer): string {
  const notes = new Notes()
  const { key, value } = record
  const keyJson = key === null ? 'null' : textOrBase64('key', key, notes)
  let valueJson: string
  if (value === null) valueJson = 'null'
  else if (deserializer === 'json') valueJson = jsonOrBase64(value, notes)
  else valueJson = textOrBase64('value', value, notes)
  const headersJson = record.headers?.length ? encodeHeaders(record.headers, notes) : '{}'
  let json = `"offset":${record.offset},"timestamp":${record.timestamp},"key":${keyJson},"value":${valueJson},"headers":${headersJson}`
  if (notes.encoding) json += `,"encoding":{${notes.encoding.join(',')}}`
  if (notes.error) json += `,"error":{"code":"DESERIALIZATION_FAILED","message":"${notes.error}"}`
  return `${json}}`
}

/** The beginning of a record's JSON, up to its offset. */
export function encodePrefix(topic: string, partition: number): string {
  return `{"topic":${JSON.stringify(topic)},"partition":${partition},`
}

function textOrBase64(field: string, bytes: Uint8Array, notes: Notes): string {
  const text = textOf(bytes)
  return text === undefined ? notes.base64(field, bytes) : JSON.stringify(text)
}

function jsonOrBase64(bytes: Uint8Array, notes: Notes): string {
  const text = textOf(bytes)
  if (text !== undefined) {
    try {
      JSON.parse(text)
      // The text itself, not its parsed form: numbers keep their digits. Line ends can only stand
      // between tokens here; as spaces they cannot end a line of an event stream.
      return text.replace(/[\r\n]/g, ' ')
    } catch {
      // told below
    }
  }
  notes.error = 'Cannot deserialize the value: it is no JSON'
  return notes.base64('value', bytes)
}

function encodeHeaders(headers: NonNullable<KafkaRecord['headers']>, notes: Notes): string {
  const values = new Map<string, Uint8Array[]>()
  for (const header of headers) {
    const [name, bytes] = entryOf(header)
    const same = values.get(name)
    if (same) same.push(bytes)
    else values.set(name, [bytes])
  }
  const fields: string[] = []
  const base64: string[] = []
  for (const [name, all] of values) {
    const nameJson = JSON.stringify(name)
    const texts = all.map(textOf)
    let encoded: string[]
    if (texts.includes(undefined)) {
      // All values of the name alike, so that a reader need not guess which of them are base64.
      base64.push(`${nameJson}:"base64"`)
      encoded = all.map((bytes) => `"${bytes.toBase64()}"`)
    } else {
      encoded = texts.map((text) => JSON.stringify(text))
    }
    fields.push(`${nameJson}:${encoded.length === 1 ? encoded[0] : `[${encoded.join(',')}]`}`)
  }
  if (base64.length > 0) {
    notes.encoding ??= []
    notes.encoding.push(`"headers":{${base64.join(',')}}`)
  }
  return `{${fields.join(',')}}`
}

/**
 * A header's name and value. One named `__proto__` is no property of its object: the client sets
 * headers by assignment, which makes the value the object's prototype instead.
 */
export function entryOf(header: { readonly [name: string]: Uint8Array }): [string, Uint8Array] {
  const [name] = Object.keys(header)
  if (name !== undefined) return [name, header[name] as Uint8Array]
  const prototype: unknown = Object.getPrototypeOf(header)
  return ['__proto__', prototype instanceof Uint8Array ? prototype : new Uint8Array()]
}
