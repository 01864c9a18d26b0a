/** Writes a snapshot of Kong's entities as one declarative document. */
import type { EntityKind, EntityKinds, KongSnapshot } from '../model/entities.ts'
import { fieldOf, KEYS, KINDS } from '../model/integrity.ts'

/**
 * Converts a snapshot to a declarative configuration, which has an equal effect when it is read again.
 *
 * @returns The document, to be written as YAML or JSON.
 */
export function writeDeclarative(snapshot: KongSnapshot): Readonly<Record<string, unknown>> {
  const kinds = KINDS.filter((kind) => snapshot[kind].length > 0).map(
    (kind) => [kind, snapshot[kind].map((entity) => written(kind, entity))] as const,
  )
  return { _format_version: '3.0', _transform: false, ...Object.fromEntries(kinds) }
}

function written(kind: EntityKind, entity: EntityKinds[EntityKind]): unknown {
  const foreign = KEYS[kind].foreign.map(({ field }) => field)
  const fields = Object.keys(entity).flatMap((field): Array<[string, unknown]> => {
    const value = fieldOf(entity, field)
    if (value === null) return []
    return [[field, foreign.includes(field) ? (value as { id: string }).id : value]]
  })
  return Object.fromEntries(fields)
}
