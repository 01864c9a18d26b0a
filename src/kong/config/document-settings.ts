/**
 * The settings of a declarative document that concern all of its entities: `_format_version`,
 * `_transform`, `_info` and `_plugin_configs`.
 */
import { isJsonObject } from '../../core/json-object.ts'
import type { EntityKind } from '../model/entities.ts'
import { normalizePath } from '../model/normalize-path.ts'

type RawFields = Readonly<Record<string, unknown>>

/** Reports an error at a place of the document. */
export type Refuse = (place: string, error: string) => void

export interface DocumentSettings {
  /** Whether passwords of `basic-auth` are hashes in Kong's form. */
  readonly isHashed: boolean
  /** Whether paths are those of Kong before 3.0, in which expressions have no `~`. */
  readonly hasOldPaths: boolean
  /** Tags of all entities: decK's `_info.select_tags`. */
  readonly tags: readonly unknown[]
  /** Defaults by kind: decK's `_info.defaults`. */
  readonly defaults: Partial<Record<EntityKind, RawFields>>
  /** Configurations that plugins name by `_config`. */
  readonly pluginConfigs: RawFields
}

/** Fields for readers and tools, which have no effect on the gateway. */
const REMARKS = new Set(['_comment', '_ignore', 'ws_id'])
const OLD_FORMATS = ['1.1', '2.1']
const FORMATS = [...OLD_FORMATS, '3.0']
/** decK's names of the kinds that may have defaults. */
const DEFAULTS: Readonly<Record<string, EntityKind>> = { service: 'services', route: 'routes' }

/** The fields of a document that {@link readSettings} reads. */
export const SETTINGS: readonly string[] = [
  ...['_format_version', '_transform', '_info', '_plugin_configs'],
  ...['_comment', '_ignore', '_konnect'],
]

/** Whether a value holds nothing: null, or an empty array or record. */
export function isEmptyValue(value: unknown): boolean {
  if (value === null || value === undefined) return true
  return typeof value === 'object' && Object.keys(value).length === 0
}

/** Reads the settings of a document. */
export function readSettings(document: RawFields, refuse: Refuse): DocumentSettings {
  const { _format_version: version, _transform: transform, _plugin_configs: configs } = document
  if (version === undefined || version === null) {
    refuse('_format_version', 'required field missing')
  } else if (typeof version !== 'string') {
    refuse('_format_version', 'expected a string')
  } else if (!FORMATS.includes(version)) {
    refuse('_format_version', `expected one of: ${FORMATS.join(', ')}`)
  }
  if (transform !== undefined && typeof transform !== 'boolean') {
    refuse('_transform', 'expected a boolean')
  }
  const info = recordAt(document, '_info', refuse)
  return {
    isHashed: transform === false || info['skip_hash_for_basic_auth'] === true,
    hasOldPaths: OLD_FORMATS.includes(String(version)),
    tags: Array.isArray(info['select_tags']) ? info['select_tags'] : [],
    defaults: defaultsOf(info, refuse),
    pluginConfigs: isJsonObject(configs) ? configs : {},
  }
}

function recordAt(fields: RawFields, name: string, refuse: Refuse): RawFields {
  const value = fields[name]
  if (isJsonObject(value)) return value
  if (!isEmptyValue(value)) refuse(name, 'expected a record')
  return {}
}

function defaultsOf(info: RawFields, refuse: Refuse): DocumentSettings['defaults'] {
  const given = recordAt(info, 'defaults', refuse)
  return Object.fromEntries(
    Object.entries(DEFAULTS)
      .filter(([name]) => name in given)
      .map(([name, kind]) => [
        kind,
        recordAt(given, name, (_, error) => refuse(`_info.defaults.${name}`, error)),
      ]),
  )
}

/**
 * An entity with what the document's settings add to it, and without remarks.
 *
 * @param raw Its fields in the document.
 */
export function withSettings(
  kind: EntityKind,
  raw: RawFields,
  { hasOldPaths, tags, defaults, pluginConfigs }: DocumentSettings,
): RawFields {
  const { _config: source, ...own } = Object.fromEntries(
    Object.entries(raw).filter(([name]) => !REMARKS.has(name)),
  )
  const fields: Record<string, unknown> = { ...defaults[kind], ...own }
  if (source !== undefined && source !== null) {
    if (kind === 'plugins' && typeof source === 'string' && isJsonObject(pluginConfigs[source])) {
      fields['config'] = merged(pluginConfigs[source], fields['config'])
    } else fields['_config'] = source
  }
  if (tags.length > 0) {
    const present = Array.isArray(fields['tags']) ? fields['tags'] : []
    fields['tags'] = [...new Set([...present, ...tags])]
  }
  if (kind === 'routes' && hasOldPaths && Array.isArray(fields['paths'])) {
    fields['paths'] = fields['paths'].map(currentPath)
  }
  return fields
}

/** A shared configuration with the fields of a plugin's own, which take precedence. */
function merged(shared: unknown, own: unknown): unknown {
  if (own === undefined) return shared
  if (!isJsonObject(shared) || !isJsonObject(own)) return own
  const names = new Set([...Object.keys(shared), ...Object.keys(own)])
  return Object.fromEntries(
    [...names].map((name) => [
      name,
      Object.hasOwn(own, name) ? merged(shared[name], own[name]) : shared[name],
    ]),
  )
}

/** A path of Kong before 3.0 as it is now: an expression begins with `~`, a prefix is normalized. */
function currentPath(path: unknown): unknown {
  if (typeof path !== 'string') return path
  return /^[\w.\-~/%]*$/.test(path) ? normalizePath(path) : `~${path}`
}
