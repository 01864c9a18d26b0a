/** Kong's form of a password of `basic-auth`. */
import { sha1 } from '@noble/hashes/legacy.js'
import { toHex } from '../../core/bytes.ts'

/**
 * The hash under which Kong keeps a password: SHA-1 of the password and the consumer's id, as
 * hexadecimal digits.
 *
 * The id is the salt. SHA-1 is Kong's choice, and files that Kong has exported need it.
 */
export function passwordHash(password: string, consumerId: string): string {
  return toHex(sha1(new TextEncoder().encode(password + consumerId)))
}
