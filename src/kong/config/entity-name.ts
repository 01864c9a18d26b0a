/** Names entities that have no id in their document. Their ids are derived from these names. */
import { isJsonObject } from '../../core/json-object.ts'
import type { EntityKind } from '../model/entities.ts'
import { KEYS } from '../model/integrity.ts'

type RawEntityFields = Readonly<Record<string, unknown>>

const CREDENTIALS: readonly EntityKind[] = [
  'keyauth_credentials',
  'basicauth_credentials',
  'jwt_secrets',
]

/** A text that identifies an entity without an id among all of its kind. */
export function nameOf(kind: EntityKind, raw: RawEntityFields, filePlace: string): string {
  if (kind === 'plugins') {
    // The configuration is left out, so that a change of it keeps the id, and the consumer group.
    const place = [raw['route'], raw['service'], raw['consumer']]
    return JSON.stringify([kind, raw['name'], place])
  }
  // Credentials are named by their place among their siblings: an id derived from a secret would help
  // to guess it.
  if (CREDENTIALS.includes(kind)) {
    return JSON.stringify([kind, raw['consumer'], filePlace.replace(/^consumers\[\d+\]/, '')])
  }
  const { endpoint } = KEYS[kind]
  const name = endpoint === undefined ? undefined : raw[endpoint]
  return JSON.stringify([kind, name ?? sorted(raw)])
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (!isJsonObject(value)) return value
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return entries.map(([key, each]) => [key, sorted(each)])
}
