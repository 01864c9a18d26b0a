/**
 * The compact form of a cursor, in which a stream of many partitions names the position after each record:
 * `~` and for each topic its short name, the number of its partitions, the number of digits of each
 * offset, and the offset of each partition from 0 on. All of them are digits to the base 64, the
 * highest first, in the alphabet of RFC 4648 §5.
 */
import type { PartitionOffset } from '../port/kafka.ts'

const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const VALUES = new Map([...DIGITS].map((digit, value) => [digit, value]))

/** The first character of a compact cursor, and of a topic's short name: topics do not have it. */
export const COMPACT = '~'
const HASH_DIGITS = 5
const COUNT_DIGITS = 2
/** The most partitions of a topic in a compact cursor. */
export const MAX_COMPACT_PARTITIONS = 64 ** COUNT_DIGITS - 1
/** Digits of 2^53-1. */
const MAX_OFFSET_DIGITS = 9

const encoder = new TextEncoder()

/** A number as the given count of digits. */
export function compactNumber(value: number, digits: number): string {
  let text = ''
  for (let rest = value, left = digits; left > 0; left--, rest = Math.floor(rest / 64)) {
    text = DIGITS[rest % 64] + text
  }
  return text
}

/** How many digits a number needs, at least one. */
export function compactDigits(value: number): number {
  let digits = 1
  for (let limit = 64; value >= limit; limit *= 64) digits++
  return digits
}

/**
 * A topic's name in a compact cursor: `~` and 30 bits of the FNV-1a hash of 32 bits (RFC 9923) of its name,
 * folded by XOR.
 */
export function shortName(topic: string): string {
  let hash = 0x811c9dc5
  for (const byte of encoder.encode(topic)) hash = Math.imul(hash ^ byte, 0x01000193)
  return COMPACT + compactNumber((hash & 0x3fffffff) ^ (hash >>> 30), HASH_DIGITS)
}

/** The text before the offsets of a topic, without the number of their digits. */
export function compactLabel(topic: string, partitions: number): string {
  return shortName(topic).slice(COMPACT.length) + compactNumber(partitions, COUNT_DIGITS)
}

/**
 * Parses a compact cursor. The topics of its entries are {@link shortName}s.
 *
 * @param fail Throws an error with a description of the text's state.
 */
export function parseCompact(text: string, fail: (state: string) => never): PartitionOffset[] {
  const entries: PartitionOffset[] = []
  let at = COMPACT.length
  const number = (digits: number): number => {
    let value = 0
    for (const end = at + digits; at < end; at++) {
      const digit = VALUES.get(text.charAt(at))
      if (digit === undefined) return fail('its compact form is not whole, or was changed')
      value = value * 64 + digit
    }
    return value
  }
  if (text.length === at) fail('its compact form names no topic')
  while (at < text.length) {
    const topic = COMPACT + text.slice(at, at + HASH_DIGITS)
    number(HASH_DIGITS)
    const count = number(COUNT_DIGITS)
    const digits = number(1)
    if (count === 0 || digits === 0 || digits > MAX_OFFSET_DIGITS) {
      fail('its compact form has a topic without partitions, or offsets of no known length')
    }
    for (let partition = 0; partition < count; partition++) {
      const offset = number(digits)
      if (!Number.isSafeInteger(offset)) {
        fail(`the offset of ${topic}:${partition} must be a whole number from 0 to 2^53-1`)
      }
      entries.push({ topic, partition, offset })
    }
  }
  return entries
}
