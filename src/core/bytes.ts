/** Bytes as hexadecimal and Base64 text. Bun and Deno have methods of `Uint8Array` for it; Node has them since 26. */

/** Arguments of one call of `String.fromCharCode`: engines limit their number. */
const CHUNK_LENGTH = 8_192

export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

/** @param hex An even number of digits. */
export function fromHex(hex: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16))
}

/** Base64 with padding. */
export const toBase64: (bytes: Uint8Array) => string =
  'toBase64' in Uint8Array.prototype
    ? (bytes) => bytes.toBase64()
    : (bytes) => {
        let text = ''
        for (let at = 0; at < bytes.length; at += CHUNK_LENGTH) {
          text += String.fromCharCode(...bytes.subarray(at, at + CHUNK_LENGTH))
        }
        return btoa(text)
      }

/** @throws where the text is not base64. */
export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0))
}

export function concatBytes(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  let length = 0
  for (const part of parts) length += part.length
  const all = new Uint8Array(length)
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}
