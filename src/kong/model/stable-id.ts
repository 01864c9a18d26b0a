/** Ids for entities that have none in their file. */
import { fromHex, toHex } from '../../core/bytes.ts'

/** The namespace of ids of entities that have none of their own: chosen once, for ever. */
const NAMESPACE = fromHex('6f0c8a52d5c94d0f9b0e6c1f3a7be214')

/**
 * A UUID that is equal for equal names (version 5 of RFC 9562), so that an entity of a file
 * keeps its id, and its consumer group with it, over reloads and restarts.
 */
export async function stableId(name: string): Promise<string> {
  const text = new TextEncoder().encode(name)
  const bytes = new Uint8Array(NAMESPACE.length + text.length)
  bytes.set(NAMESPACE)
  bytes.set(text, NAMESPACE.length)
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-1', bytes)).subarray(0, 16)
  hash[6] = ((hash[6] as number) & 0x0f) | 0x50
  hash[8] = ((hash[8] as number) & 0x3f) | 0x80
  const hex = toHex(hash)
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20),
  ].join('-')
}
