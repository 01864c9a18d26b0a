/** Reads entities: checks a raw one by its schema, and completes it. */
import * as v from 'valibot'
import { isJsonObject } from '../../core/json-object.ts'
import type { EntityKind, EntityKinds, KongPlugin } from '../model/entities.ts'
import { fieldErrors } from '../model/field-errors.ts'
import { errorAt, type FieldErrors, SchemaViolation } from '../model/schema-violation.ts'
import { entitySchemas } from './entity-schemas.ts'
import { pluginProtocols, readConfig } from './plugins.ts'

/**
 * A change replaces these fields whole, as it does arrays: otherwise no key of a map could be
 * removed.
 */
const MAPS_AND_REFERENCES = new Set([
  'extensions',
  'token_headers',
  'token_post_args',
  'name_mappings',
  'custom_fields_by_lua',
  'route',
  'service',
  'consumer',
  'client_certificate',
  'certificate',
])
/** A route's `headers` are a map; those of the plugins that write are a record. */
const MAPS_OF_ROUTES = new Set([...MAPS_AND_REFERENCES, 'headers'])
const FORBIDDEN = new Set(['__proto__', 'constructor', 'prototype'])
/**
 * The most levels of a request's entity. Kong's deepest field, in `schema_registry`, is at level 6.
 */
const MAX_DEPTH = 32

/**
 * Checks an entity and completes it as Kong does: defaults, `id`, `created_at`, `updated_at`.
 *
 * @param existing The entity that `raw` changes: absent fields stay, and nested records are merged, as
 *   in Kong's PATCH. Default: `raw` is the whole entity.
 * @throws SchemaViolation in Kong's words.
 */
export function readEntity<K extends EntityKind>(
  kind: K,
  raw: unknown,
  existing?: EntityKinds[K],
): EntityKinds[K] {
  if (!isJsonObject(raw)) throw new SchemaViolation({ '@entity': 'expected a record' })
  refuseForbidden(raw)
  const given = kind === 'services' ? withoutUrl(raw) : raw
  const whole = existing ? changed(kind, given, existing) : created(given)
  const result = v.safeParse(entitySchemas[kind], withProtocols(kind, whole))
  const fields = result.success ? {} : fieldErrors(result.issues)
  if (kind === 'plugins' && !('name' in fields)) {
    const config = configOf(whole, fields)
    return { ...(result.output as KongPlugin), config } as EntityKinds[EntityKind] as EntityKinds[K]
  }
  if (!result.success) throw new SchemaViolation(fields)
  // The names of a certificate are entities of their own.
  if (kind === 'certificates') delete (result.output as { snis?: unknown }).snis
  return result.output as EntityKinds[K]
}

/** Seconds since 1970. */
function secondsNow(): number {
  return Math.floor(Date.now() / 1_000)
}

function created(given: RawEntity): RawEntity {
  const now = secondsNow()
  return {
    ...given,
    id: given['id'] ?? crypto.randomUUID(),
    created_at: given['created_at'] ?? now,
    updated_at: given['updated_at'] ?? now,
  }
}

/** @throws SchemaViolation for another id. */
function changed(kind: EntityKind, given: RawEntity, existing: EntityKinds[EntityKind]): RawEntity {
  if ('id' in given && given['id'] !== existing.id) {
    throw new SchemaViolation({ id: 'immutable field cannot be updated' })
  }
  // The `ttl` of a key counts from `updated_at`: changes of other fields must not extend it.
  const keepsTtl = 'ttl' in existing && existing.ttl !== null && given['ttl'] === undefined
  return {
    ...merge({ ...existing }, given, kind === 'routes' ? MAPS_OF_ROUTES : MAPS_AND_REFERENCES),
    updated_at: keepsTtl ? existing.updated_at : secondsNow(),
  }
}

type RawEntity = Readonly<Record<string, unknown>>

/** A plugin with its default of `protocols`, which depends on its name; other kinds as they are. */
function withProtocols(kind: EntityKind, entity: RawEntity): RawEntity {
  if (kind !== 'plugins') return entity
  const { protocols, name } = entity
  return { ...entity, protocols: protocols ?? [...pluginProtocols(String(name))] }
}

/**
 * A plugin's configuration. Its errors are thrown together with those of the plugin's other fields.
 */
function configOf(plugin: RawEntity, fields: FieldErrors): KongPlugin['config'] {
  let errors = fields
  try {
    const named = { name: String(plugin['name']), id: String(plugin['id']) }
    const config = readConfig(named, plugin['config'] ?? {})
    if (Object.keys(errors).length === 0) return config
  } catch (error) {
    if (!(error instanceof SchemaViolation)) throw error
    errors = { ...fields, ...error.fields }
  }
  throw new SchemaViolation(errors)
}

/** Replaces Kong's shorthand `url` by its four fields. */
function withoutUrl({ url, ...rest }: RawEntity): RawEntity {
  if (url === undefined || url === null) return rest
  if (typeof url !== 'string') throw new SchemaViolation({ url: 'expected a string' })
  if (!URL.canParse(url)) throw new SchemaViolation({ url: 'missing host in url' })
  const { protocol, hostname, port, pathname } = new URL(url)
  const scheme = protocol.slice(0, -1)
  return {
    ...rest,
    protocol: scheme,
    host: hostname,
    port: Number(port) || (scheme === 'https' ? 443 : 80),
    path: pathname === '' || (pathname === '/' && !url.endsWith('/')) ? null : pathname,
  }
}

/** Merges a change into a record: nested records are merged, all else is replaced. */
function merge(old: RawEntity, change: RawEntity, replaced: ReadonlySet<string>): RawEntity {
  const merged: Record<string, unknown> = { ...old }
  for (const [key, value] of Object.entries(change)) {
    const before = merged[key]
    const isMerged = isJsonObject(before) && isJsonObject(value) && !replaced.has(key)
    merged[key] = isMerged ? merge(before, value, replaced) : value
  }
  return merged
}

/**
 * Refuses field names with a meaning in JavaScript: `__proto__` sets a prototype, and valibot silently
 * leaves out all three of them.
 *
 * @throws SchemaViolation that names the first such field.
 */
function refuseForbidden(value: unknown, path: readonly string[] = []): void {
  if (typeof value !== 'object' || value === null) return
  if (path.length > MAX_DEPTH) throw new SchemaViolation({ '@entity': 'nested too deeply' })
  const isArray = Array.isArray(value)
  for (const [key, inner] of Object.entries(value)) {
    const here = [...path, isArray ? String(Number(key) + 1) : key]
    if (!isArray && FORBIDDEN.has(key)) throw new SchemaViolation(errorAt(here, 'unknown field'))
    refuseForbidden(inner, here)
  }
}
