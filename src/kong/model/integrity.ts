/** The integrity of a snapshot: unique keys, and foreign keys that lead to an entity. */
import type { SlicedWork } from '../../core/sliced-work.ts'
import { missingReference, primaryKeyViolation, uniqueViolation } from './constraint-violations.ts'
import type { EntityKind, EntityKinds, KongSnapshot } from './entities.ts'

/** A field of an entity that refers to another entity. */
export interface ForeignKey {
  readonly field: string
  readonly parent: EntityKind
  /** Whether the removal of the referenced entity removes this one, or is refused. */
  readonly onDelete: 'cascade' | 'restrict'
}

interface Keys {
  /** The field that may name an entity in place of its id. */
  readonly endpoint: string | undefined
  readonly unique: readonly string[]
  readonly foreign: readonly ForeignKey[]
  /** Fields that answers never show. */
  readonly secrets?: readonly string[]
}

/** The consumer that a credential or a plugin belongs to. */
const OWNER: ForeignKey = { field: 'consumer', parent: 'consumers', onDelete: 'cascade' }

export const KEYS: Readonly<Record<EntityKind, Keys>> = {
  services: {
    endpoint: 'name',
    unique: ['name'],
    foreign: [{ field: 'client_certificate', parent: 'certificates', onDelete: 'restrict' }],
  },
  routes: {
    endpoint: 'name',
    unique: ['name'],
    foreign: [{ field: 'service', parent: 'services', onDelete: 'restrict' }],
  },
  plugins: {
    endpoint: 'instance_name',
    unique: ['instance_name'],
    foreign: [
      { field: 'route', parent: 'routes', onDelete: 'cascade' },
      { field: 'service', parent: 'services', onDelete: 'cascade' },
      OWNER,
    ],
  },
  consumers: { endpoint: 'username', unique: ['username', 'custom_id'], foreign: [] },
  keyauth_credentials: { endpoint: 'key', unique: ['key'], foreign: [OWNER], secrets: ['key'] },
  basicauth_credentials: {
    endpoint: 'username',
    unique: ['username'],
    foreign: [OWNER],
    secrets: ['password'],
  },
  jwt_secrets: { endpoint: 'key', unique: ['key'], foreign: [OWNER], secrets: ['secret'] },
  certificates: { endpoint: undefined, unique: [], foreign: [], secrets: ['key'] },
  snis: {
    endpoint: 'name',
    unique: ['name'],
    foreign: [{ field: 'certificate', parent: 'certificates', onDelete: 'cascade' }],
  },
}

export const KINDS = [
  'services',
  'routes',
  'plugins',
  'consumers',
  'keyauth_credentials',
  'basicauth_credentials',
  'jwt_secrets',
  'certificates',
  'snis',
] as const

/** A field whose name is known only at run time. */
export function fieldOf(entity: EntityKinds[EntityKind], field: string): unknown {
  return (entity as unknown as Readonly<Record<string, unknown>>)[field]
}

/** The id in a reference, if there is one. */
export function referenced(entity: EntityKinds[EntityKind], field: string): string | undefined {
  return (fieldOf(entity, field) as { readonly id: string } | null | undefined)?.id
}

/**
 * Checks all entities against each other: ids and names are unique, references lead to an entity, and
 * a combination of route, service and consumer has one plugin of a name.
 *
 * @throws Violation
 */
export function* checkIntegrity(snapshot: KongSnapshot): SlicedWork<void> {
  const ids = Object.fromEntries(
    KINDS.map((kind) => [kind, new Set(snapshot[kind].map(({ id }) => id))]),
  ) as Record<EntityKind, Set<string>>
  for (const kind of KINDS) {
    const { unique, foreign, secrets = [] } = KEYS[kind]
    if (ids[kind].size < snapshot[kind].length)
      throw primaryKeyViolation(repeatedId(snapshot[kind]))
    for (const field of unique) {
      checkUnique(snapshot[kind], field, secrets.includes(field))
      yield
    }
    for (const { field, parent } of foreign) {
      checkReferences(snapshot[kind], field, parent, ids[parent])
      yield
    }
  }
  yield* checkPluginScopes(snapshot)
}

function checkReferences(
  entities: ReadonlyArray<EntityKinds[EntityKind]>,
  field: string,
  parent: EntityKind,
  ids: ReadonlySet<string>,
): void {
  for (const entity of entities) {
    const id = referenced(entity, field)
    if (id !== undefined && !ids.has(id)) throw missingReference(field, { id }, parent)
  }
}

function repeatedId(entities: ReadonlyArray<EntityKinds[EntityKind]>): string {
  const seen = new Set<string>()
  for (const { id } of entities) {
    if (seen.has(id)) return id
    seen.add(id)
  }
  return ''
}

function checkUnique(
  entities: ReadonlyArray<EntityKinds[EntityKind]>,
  field: string,
  isSecret: boolean,
): void {
  const seen = new Set<unknown>()
  for (const entity of entities) {
    const value = fieldOf(entity, field)
    if (value === null) continue
    if (seen.has(value)) throw uniqueViolation({ [field]: isSecret ? '***' : value })
    seen.add(value)
  }
}

function* checkPluginScopes({ plugins }: KongSnapshot): SlicedWork<void> {
  const seen = new Set<string>()
  for (const { consumer, name, route, service } of plugins) {
    const scope = JSON.stringify([consumer?.id, name, route?.id, service?.id])
    if (seen.has(scope)) throw uniqueViolation({ consumer, name, route, service })
    seen.add(scope)
    yield
  }
}
