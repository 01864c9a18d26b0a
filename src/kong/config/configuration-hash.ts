/** A hash by which nodes and tools tell whether two gateways have one configuration. */
import { md5 } from '@noble/hashes/legacy.js'
import { toHex } from '../../core/bytes.ts'
import { Turns } from '../../core/sliced-work.ts'
import type { KongSnapshot } from '../model/entities.ts'
import { KINDS } from '../model/integrity.ts'

/** Kong's hash of a node without a configuration. */
const NOTHING = '0'.repeat(32)

const hashes = new WeakMap<KongSnapshot, Promise<string>>()

/**
 * Kong's `configuration_hash`: 32 hexadecimal digits, equal for equal entities, whenever they were
 * made. It is computed once for each snapshot, in turns.
 */
export function configurationHash(snapshot: KongSnapshot): Promise<string> {
  const hash = hashes.get(snapshot) ?? computeHash(snapshot)
  hashes.set(snapshot, hash)
  return hash
}

async function computeHash(snapshot: KongSnapshot): Promise<string> {
  const hash = md5.create()
  const turns = new Turns()
  let isEmpty = true
  for (const kind of KINDS) {
    const entities = [...snapshot[kind]].sort((one, other) => (one.id < other.id ? -1 : 1))
    for (const { created_at, updated_at, ...fields } of entities) {
      isEmpty = false
      hash.update(new TextEncoder().encode(`${kind} ${JSON.stringify(fields)}\n`))
      await turns.next()
    }
  }
  return isEmpty ? NOTHING : toHex(hash.digest())
}
