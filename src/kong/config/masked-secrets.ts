/**
 * Masks in place of secrets: the Admin API shows `***`. A client that sends the mask back keeps the
 * secret.
 */
import { isJsonObject } from '../../core/json-object.ts'
import type { EntityKind, EntityKinds, KongPlugin } from '../model/entities.ts'
import { isUuid } from '../model/fields.ts'
import { fieldOf, KEYS } from '../model/integrity.ts'
import { isVaultReference } from '../model/references.ts'
import { SchemaViolation } from '../model/schema-violation.ts'
import { MASK, maskSecrets } from './plugin-config.ts'

const STANDS_FOR_NOTHING = `${MASK} stands for a secret that is not held here: give the secret itself, or a reference such as {vault://env/NAME}`

/**
 * An entity for an answer: `***` replaces its secrets. Vault references are not secrets.
 *
 * The mask of a secret that identifies its entity has the entity's id behind it, because clients such
 * as decK refuse a list in which two keys are equal.
 */
export function maskEntity<K extends EntityKind>(kind: K, entity: EntityKinds[K]): EntityKinds[K] {
  if (kind === 'plugins') {
    const plugin = entity as KongPlugin
    return {
      ...plugin,
      config: maskSecrets(plugin.config),
    } as EntityKinds[EntityKind] as EntityKinds[K]
  }
  const shown = (KEYS[kind].secrets ?? []).map((field) => {
    const secret = String(fieldOf(entity, field))
    const mask = KEYS[kind].unique.includes(field) ? MASK + entity.id : MASK
    return [field, isVaultReference(secret) ? secret : mask]
  })
  return { ...entity, ...Object.fromEntries(shown) }
}

/** How an answer shows an entity. */
export type ShowEntity = <K extends EntityKind>(kind: K, entity: EntityKinds[K]) => EntityKinds[K]

/** An entity for the answer to a client that may see secrets. */
export const showEntity: ShowEntity = (_kind, entity) => entity

/** Replaces masks that a client sent back by the secrets of the existing entity. */
export function restoreSecrets<K extends EntityKind>(
  kind: K,
  entity: EntityKinds[K],
  held: EntityKinds[K],
): EntityKinds[K] {
  return restore(entity, held, maskEntity(kind, held)) as EntityKinds[K]
}

/** Whether a field of an entity has a mask, alone or with an id behind it. */
export function isMask(value: unknown): boolean {
  if (typeof value !== 'string' || !value.startsWith(MASK)) return false
  const id = value.slice(MASK.length)
  return id === '' || isUuid(id)
}

/** @throws SchemaViolation that names where a mask stands in a secret's place. */
export function refuseMasks<K extends EntityKind>(kind: K, entity: EntityKinds[K]): void {
  for (const field of KEYS[kind].secrets ?? []) {
    if (isMask(fieldOf(entity, field))) throw new SchemaViolation({ [field]: STANDS_FOR_NOTHING })
  }
  if (kind !== 'plugins') return
  const { config } = entity as KongPlugin
  const errors = masked(config, maskSecrets(replaceMasks(config)))
  if (errors) throw new SchemaViolation({ config: errors })
}

interface MaskErrors {
  [field: string]: string | MaskErrors
}

function restore(value: unknown, held: unknown, shown: unknown): unknown {
  if (value === shown && typeof value === 'string') return held
  if (Array.isArray(value) && Array.isArray(held) && Array.isArray(shown)) {
    return value.map((inner, index) => {
      const at = whereShown(inner, index, shown)
      return restore(inner, held[at], shown[at])
    })
  }
  if (!isJsonObject(value) || !isJsonObject(held) || !isJsonObject(shown)) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, restore(inner, held[key], shown[key])]),
  )
}

/** Topics are compared by name, so that a secret stays with its topic when their order changes. */
function whereShown(value: unknown, index: number, shown: readonly unknown[]): number {
  if (!isJsonObject(value) || !('name' in value)) return index
  return shown.findIndex((other) => isJsonObject(other) && other['name'] === value['name'])
}

/** Changes the masks that a user wrote, so that after masking only secrets have the mask. */
function replaceMasks(value: unknown): Record<string, unknown> {
  return JSON.parse(JSON.stringify(value, (_, inner) => (inner === MASK ? `not ${MASK}` : inner)))
}

function masked(value: unknown, shown: unknown): MaskErrors | undefined {
  const found: MaskErrors = {}
  if (typeof value !== 'object' || value === null) return undefined
  const isArray = Array.isArray(value)
  for (const [key, inner] of Object.entries(value)) {
    const other = (shown as Record<string, unknown> | undefined)?.[key]
    const error = inner === MASK && other === MASK ? STANDS_FOR_NOTHING : masked(inner, other)
    if (error) found[isArray ? String(Number(key) + 1) : key] = error
  }
  return Object.keys(found).length > 0 ? found : undefined
}
