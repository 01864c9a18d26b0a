// @ts-check
/** The bytes of keys, values and headers. */

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

/**
 * The bytes that Kafka has, by what a route sent: base64, or text. JSON that a route has deserialized
 * has its bytes no longer.
 * @param {unknown} value
 * @param {string | undefined} encoding
 * @returns {Uint8Array | undefined}
 */
export function bytesOf(value, encoding) {
  if (value === null) return new Uint8Array(0)
  if (typeof value !== 'string') return undefined
  if (encoding !== 'base64') return encoder.encode(value)
  return Uint8Array.from(atob(value), (character) => character.charCodeAt(0))
}

/** @param {Uint8Array} bytes */
export function base64Of(bytes) {
  let text = ''
  // An argument for each byte: there may be a hundred thousand of them, and not a million.
  for (let at = 0; at < bytes.length; at += 32_768) {
    text += String.fromCharCode(...bytes.subarray(at, at + 32_768))
  }
  return btoa(text)
}

/** Bytes of a row of the list. */
const PREVIEW = 48

/**
 * The first bytes in hex.
 * @param {string} base64
 */
export function hexPreview(base64) {
  const bytes = atob(base64.slice(0, (PREVIEW / 3) * 4))
  const hex = [...bytes].map((byte) => byte.charCodeAt(0).toString(16).padStart(2, '0'))
  return hex.join(' ') + (base64.length > (PREVIEW / 3) * 4 ? ' …' : '')
}

const ROW = 16

/**
 * Bytes as a dump: offset, 16 bytes and their ASCII characters in each line.
 * @param {Uint8Array} bytes
 */
export function hexDump(bytes) {
  const lines = []
  for (let at = 0; at < bytes.length; at += ROW) {
    const row = [...bytes.subarray(at, at + ROW)]
    const hex = row.map((byte) => byte.toString(16).padStart(2, '0'))
    const left = hex.slice(0, ROW / 2).join(' ')
    const right = hex.slice(ROW / 2).join(' ')
    const ascii = row.map((byte) => (byte > 31 && byte < 127 ? String.fromCharCode(byte) : '.'))
    lines.push(
      `${at.toString(16).padStart(8, '0')}  ${left.padEnd(23)}  ${right.padEnd(23)}  ${ascii.join('')}`,
    )
  }
  return lines.join('\n')
}

/** The most common ids of schemas: a number beyond is rather something else. */
const MAX_SCHEMA_ID = 10_000_000

/**
 * The id of the schema that a framed value begins with, as Confluent's serializers write it: a zero
 * byte, then the id in four bytes.
 * @param {Uint8Array} bytes
 */
export function schemaIdIn(bytes) {
  if (bytes.length < 5 || bytes[0] !== 0) return undefined
  const id = new DataView(bytes.buffer, bytes.byteOffset + 1, 4).getUint32(0)
  return id > 0 && id <= MAX_SCHEMA_ID ? id : undefined
}

/** Bytes as text, with a sign for what is not UTF-8. @param {Uint8Array} bytes */
export function textOfBytes(bytes) {
  return decoder.decode(bytes)
}
