import { toHex } from './bytes.ts'
import { packages } from './packages.ts'

const encoder = new TextEncoder()

/** The first 64 bits of a text's SHA-256 in hexadecimal: a name in place of a text that is long, or secret. */
export function shortHash(text: string): string {
  return sha256Hex(text).slice(0, 16)
}

/** The SHA-256 of a text in hexadecimal, at once: that of Web Crypto is a promise. */
export function sha256Hex(text: string): string {
  const { sha256 } = packages.sha2() as typeof import('@noble/hashes/sha2.js')
  return toHex(sha256(encoder.encode(text)))
}
