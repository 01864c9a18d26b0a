/**
 * The names in the field `snis` of a certificate: Kong's shorthand for its SNIs, which are entities
 * of their own.
 */
import { isJsonObject } from '../../core/json-object.ts'
import type { KongSnapshot } from '../model/entities.ts'
import { SchemaViolation } from '../model/schema-violation.ts'
import { readEntity } from './read-entity.ts'

/** The names of a certificate's SNIs, sorted. */
export function serverNames({ snis }: KongSnapshot, certificateId: string): string[] {
  return snis
    .filter(({ certificate }) => certificate.id === certificateId)
    .map(({ name }) => name)
    .sort()
}

/** The names that a checked request gives a certificate; undefined where it leaves them as they are. */
export function givenNames(raw: unknown): readonly string[] | undefined {
  if (!isJsonObject(raw) || raw['snis'] === undefined) return undefined
  return (raw['snis'] ?? []) as readonly string[]
}

/**
 * A snapshot in which a certificate has SNIs of these names and no others. An SNI that stays keeps
 * its id.
 *
 * @throws SchemaViolation when another certificate has one of the names.
 */
export function withServerNames(
  snapshot: KongSnapshot,
  certificateId: string,
  names: readonly string[],
): KongSnapshot {
  const wanted = new Set(names)
  for (const { name, certificate } of snapshot.snis) {
    if (!wanted.has(name) || certificate.id === certificateId) continue
    throw new SchemaViolation({
      snis: `${name} already associated with existing certificate '${certificate.id}'`,
    })
  }
  const kept = snapshot.snis.filter(
    ({ name, certificate }) => certificate.id !== certificateId || wanted.has(name),
  )
  const known = new Set(kept.map(({ name }) => name))
  const added = names
    .filter((name) => !known.has(name))
    .map((name) => readEntity('snis', { name, certificate: { id: certificateId } }))
  return { ...snapshot, snis: [...kept, ...added] }
}
