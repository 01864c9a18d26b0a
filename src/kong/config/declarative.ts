/** Kong's declarative configuration: one document that holds everything. */
import { isJsonObject } from '../../core/json-object.ts'
import { Violation } from '../model/constraint-violations.ts'
import type {
  Certificate,
  EntityKind,
  EntityKinds,
  KongPlugin,
  KongRoute,
  KongSnapshot,
} from '../model/entities.ts'
import { checkIntegrity, fieldOf, KEYS, KINDS } from '../model/integrity.ts'
import { parseText } from '../model/parse-document.ts'
import {
  DeckReferences,
  type Environment,
  isVaultReference,
  type MayShow,
  mapTexts,
  resolveVault,
} from '../model/references.ts'
import { type FieldErrors, SchemaViolation } from '../model/schema-violation.ts'
import { stableId } from '../model/stable-id.ts'
import { Router } from '../routing/router.ts'
import { readEntity } from './entity-schemas.ts'
import { partsOf, pluginOptions } from './plugin-options.ts'
import { PLUGIN_NAME, PLUGIN_NAMES } from './plugins.ts'

/** How a document is to be read. */
export interface DeclarativeOptions {
  /** Default: `yaml`, which includes most of JSON. */
  readonly format?: 'yaml' | 'json'
  /** Where vault references lead: they are checked, and stay references. */
  readonly environment: Environment
  /** Which variables may be read where they are shown. Default: all, as of a file of the operator's. */
  readonly mayShow?: MayShow
  /** Where decK's references lead, whose values become part of what is read. Default: the same. */
  readonly deckEnvironment?: Environment
  /** Skip plugins and entities that are not served, with a warning each, instead of refusing them. */
  readonly ignoreUnknown: boolean
}

/** What a document holds, and what of it was skipped. */
export type Declared = KongSnapshot & { readonly warnings: readonly string[] }

/** A document that is refused, with everything that is wrong with it by place. */
export class InvalidDeclarative extends Error {
  override readonly name = 'invalid declarative configuration'
  /** Kong's number for it. */
  readonly code = 14
  readonly status = 400
  readonly fields: FieldErrors

  constructor(fields: FieldErrors) {
    const errors = lines(fields)
    const count = errors.length === 1 ? '' : `${errors.length} problems: `
    super(`declarative config is invalid: ${count}${errors.join('; ')}`)
    this.fields = fields
  }
}

function lines(fields: FieldErrors, path = ''): string[] {
  return Object.entries(fields).flatMap(([field, error]) => {
    const place = field === '@entity' ? path : path === '' ? field : `${path}.${field}`
    return typeof error === 'string' ? [place ? `${place}: ${error}` : error] : lines(error, place)
  })
}

type RawDocument = Readonly<Record<string, unknown>>

/** An entity as it stands in the document, with those around it. */
interface Found {
  readonly kind: EntityKind
  readonly place: string
  readonly raw: RawDocument
  readonly parent: Found | undefined
  id: string
}

/** What may stand within an entity and is read as entities of their own. */
const CHILDREN: Readonly<Record<EntityKind, readonly EntityKind[]>> = {
  services: ['routes', 'plugins'],
  routes: ['plugins'],
  plugins: [],
  consumers: ['plugins', 'keyauth_credentials', 'basicauth_credentials', 'jwt_secrets'],
  keyauth_credentials: [],
  basicauth_credentials: [],
  jwt_secrets: [],
  certificates: [],
}
/** What an entity is called in a child of it. */
const FIELD = { services: 'service', routes: 'route', consumers: 'consumer' } as const
const NONE = /^(?!)/
/** What Kong and its plugins keep within these, and is not served. */
const NESTED_UNSERVED: Readonly<Record<EntityKind, RegExp>> = {
  services: /^(?:document_objects|graphql_\w+|degraphql_routes)$/,
  routes: /^(?:degraphql_routes|snis|sources|destinations)$/,
  plugins: /^(?:ordering|partials|condition|consumer_group|_config)$/,
  consumers: /^(?:\w+_credentials|\w+_secrets|acls|groups|consumer_group_consumers)$/,
  keyauth_credentials: /^ttl$/,
  basicauth_credentials: NONE,
  jwt_secrets: NONE,
  certificates: /^snis$/,
}
/** Kong's words to readers and tools, which change nothing that is served. */
const REMARKS = ['_comment', '_ignore', '_transform', '_format_version']
/** Those that name others come after them. */
const BUILD_ORDER: readonly EntityKind[] = [
  'services',
  'certificates',
  'consumers',
  'routes',
  'plugins',
  'keyauth_credentials',
  'basicauth_credentials',
  'jwt_secrets',
]
/** Errors of one document that are reported; further ones are only counted. */
const MAX_ERRORS = 1_000
/** Milliseconds after which other requests have their turn. */
const TURN_MS = 10
const CREDENTIALS: readonly EntityKind[] = BUILD_ORDER.slice(-3)
const UNSERVED = 'is not served by this gateway, remove it or pass --ignore-unknown'

/**
 * Reads a declarative configuration, as Kong's `declarative_config` and decK write it.
 *
 * Entities without an id get one that depends on their name, or on what they hold where they have
 * none, so that reading the same document again yields the same.
 *
 * @throws InvalidDeclarative with all that is wrong.
 */
export async function readDeclarative(
  text: string,
  {
    format = 'yaml',
    environment,
    mayShow = () => true,
    deckEnvironment = environment,
    ignoreUnknown,
  }: DeclarativeOptions,
): Promise<Declared> {
  const references = new DeckReferences(text, deckEnvironment)
  const document = new DeclarativeDocument(references, environment, mayShow, ignoreUnknown)
  let parsed: unknown
  try {
    parsed = await parseText(references.text, format)
    parsed = mapTexts(parsed, (each, path) =>
      references.resolve(each, (error) => document.refuse(placeOf(path), error)),
    )
  } catch (error) {
    const state = error instanceof RangeError ? 'nested too deeply' : (error as Error).message
    throw new InvalidDeclarative({ '@entity': `cannot be parsed: ${state}` })
  }
  return document.read(parsed)
}

/** A path whose elements are counted from one, as a place in the document, counted from nought. */
function placeOf(path: readonly string[]): string {
  return path
    .map((key, index) => (index > 0 && /^\d+$/.test(key) ? `[${Number(key) - 1}]` : `.${key}`))
    .join('')
    .slice(1)
}

/** One reading of one document. */
class DeclarativeDocument {
  readonly #references: DeckReferences
  readonly #environment: Environment
  readonly #mayShow: MayShow
  readonly #ignoreUnknown: boolean
  readonly #errors = new Map<string, FieldErrors>()
  /** Errors beyond those that are reported. */
  #unreported = 0
  readonly #warnings: string[] = []
  readonly #found: Found[] = []
  /** By kind and what it is called: an id, or a name. */
  readonly #called = new Map<string, Found>()

  constructor(
    references: DeckReferences,
    environment: Environment,
    mayShow: MayShow,
    ignoreUnknown: boolean,
  ) {
    this.#references = references
    this.#environment = environment
    this.#mayShow = mayShow
    this.#ignoreUnknown = ignoreUnknown
  }

  refuse(place: string, error: string | FieldErrors): void {
    if (this.#errors.size >= MAX_ERRORS && !this.#errors.has(place)) {
      this.#unreported++
      return
    }
    const fields = this.#concealed(typeof error === 'string' ? { '@entity': error } : error)
    this.#errors.set(place, { ...this.#errors.get(place), ...fields })
  }

  #concealed(fields: FieldErrors): FieldErrors {
    return Object.fromEntries(
      Object.entries(fields).map(([field, error]) => [
        field,
        typeof error === 'string' ? this.#references.conceal(error) : this.#concealed(error),
      ]),
    )
  }

  async read(document: unknown): Promise<Declared> {
    if (!isJsonObject(document)) throw new InvalidDeclarative({ '@entity': 'expected a record' })
    this.#readRemarks(document)
    for (const [key, value] of Object.entries(document)) {
      if ((KINDS as readonly string[]).includes(key))
        this.#collect(key as EntityKind, value, key, undefined)
      else if (!REMARKS.includes(key)) this.#readUnknown(key, value)
    }
    const snapshot = await this.#build()
    this.#throwErrors()
    try {
      checkIntegrity(snapshot)
    } catch (error) {
      if (!(error instanceof Violation)) throw error
      throw new InvalidDeclarative({ '@entity': error.message })
    }
    return { ...snapshot, warnings: this.#warnings }
  }

  #throwErrors(): void {
    if (this.#errors.size === 0) return
    const unreported = this.#unreported > 0 && { '@entity': `${this.#unreported} further problems` }
    throw new InvalidDeclarative({ ...Object.fromEntries(this.#errors), ...unreported })
  }

  #readRemarks({ _format_version: version, _transform: transform }: RawDocument): void {
    if (version === undefined || version === null) {
      this.refuse('_format_version', 'required field missing')
    } else if (version !== '3.0') {
      const error = typeof version === 'string' ? 'expected one of: 3.0' : 'expected a string'
      this.refuse('_format_version', error)
    }
    if (transform !== undefined && typeof transform !== 'boolean') {
      this.refuse('_transform', 'expected a boolean')
    }
  }

  #readUnknown(key: string, value: unknown): void {
    if (key === '_workspace' && value === 'default') return
    if (key === '_info' && isJsonObject(value) && !('defaults' in value)) return
    if (Array.isArray(value) && value.length === 0) return
    this.#unserved(key, `"${key}" ${UNSERVED}`)
  }

  /** @returns Whether it is skipped. */
  #unserved(place: string, error: string): void {
    if (this.#ignoreUnknown) {
      this.#warnings.push(`${place}: ${error.replace(UNSERVED, 'is not served, skipped')}`)
    } else this.refuse(place, error)
  }

  #collect(kind: EntityKind, list: unknown, place: string, parent: Found | undefined): void {
    if (list === null || list === undefined) return
    if (!Array.isArray(list)) {
      this.refuse(place, 'expected an array')
      return
    }
    for (const [index, each] of list.entries()) {
      const here = `${place}[${index}]`
      if (!isJsonObject(each)) {
        this.refuse(here, 'expected a record')
        continue
      }
      this.#collectEntity(kind, each, here, parent)
    }
  }

  #collectEntity(
    kind: EntityKind,
    entity: RawDocument,
    place: string,
    parent: Found | undefined,
  ): void {
    if (kind === 'plugins' && this.#isUnservedPlugin(entity, place)) return
    const found = { kind, place, raw: this.#ownFields(kind, entity, place), parent, id: '' }
    this.#found.push(found)
    const { endpoint } = KEYS[kind]
    for (const key of [found.raw['id'], endpoint && found.raw[endpoint]]) {
      if (typeof key === 'string') this.#name(key, found)
    }
    for (const child of CHILDREN[kind]) {
      this.#collect(child, entity[child], `${place}.${child}`, found)
    }
  }

  /** An entity's fields without its nested entities, and without fields that are not served. */
  #ownFields(kind: EntityKind, entity: RawDocument, place: string): RawDocument {
    const children: readonly string[] = CHILDREN[kind]
    const own = Object.entries(entity).filter(([key, value]) => {
      if (children.includes(key)) return false
      if (!NESTED_UNSERVED[kind].test(key) || value === null || value === undefined) return true
      this.#unserved(`${place}.${key}`, `"${key}" ${UNSERVED}`)
      return false
    })
    return Object.fromEntries(own)
  }

  #isUnservedPlugin({ name }: RawDocument, place: string): boolean {
    if (typeof name === 'string' && !PLUGIN_NAMES.includes(name)) {
      this.#unserved(place, `plugin "${name}" ${UNSERVED}`)
      return true
    }
    return false
  }

  async #build(): Promise<KongSnapshot> {
    const built = Object.fromEntries(KINDS.map((kind) => [kind, [] as unknown[]]))
    let turn = performance.now()
    for (const kind of BUILD_ORDER) {
      for (const found of this.#found) {
        if (found.kind !== kind) continue
        if (performance.now() - turn > TURN_MS) {
          await new Promise<void>((resolve) => setTimeout(resolve))
          turn = performance.now()
        }
        const entity = await this.#entity(found, built['certificates'] as Certificate[])
        if (entity) built[kind]?.push(entity)
      }
    }
    return built as unknown as KongSnapshot
  }

  async #entity(
    found: Found,
    certificates: readonly Certificate[],
  ): Promise<EntityKinds[EntityKind] | undefined> {
    const { kind, place } = found
    const raw = this.#withReferences(found)
    const { id } = raw
    found.id = typeof id === 'string' ? id : await stableId(nameOf(kind, raw, place))
    const first = this.#name(found.id, found)
    if (first !== found) {
      this.refuse(place, `is in the file already: ${first.place}`)
      return undefined
    }
    if (!this.#checkVaults(raw, place)) return undefined
    try {
      const entity = readEntity(kind, { ...raw, id: id ?? found.id })
      // What the gateway makes of it may be refused, too: here the place is known.
      if (kind === 'routes') new Router([entity as KongRoute])
      if (kind === 'plugins' && (entity as KongPlugin).name === PLUGIN_NAME) {
        pluginOptions(partsOf(entity as KongPlugin, certificates, this.#environment, this.#mayShow))
      }
      return entity
    } catch (error) {
      if (!(error instanceof SchemaViolation)) throw error
      this.refuse(place, error.fields)
      return undefined
    }
  }

  /** An entity's own fields, with what it belongs to by id. */
  #withReferences({ kind, raw, parent, place }: Found): RawDocument {
    const resolved: Record<string, unknown> = { ...raw }
    for (const { field, parent: parentKind } of KEYS[kind].foreign) {
      if (parent && FIELD[parent.kind as keyof typeof FIELD] === field) {
        resolved[field] = { id: parent.id }
        continue
      }
      const key = keyOf(raw[field], KEYS[parentKind].endpoint)
      if (key === undefined) continue
      const target = this.#called.get(JSON.stringify([parentKind, key]))
      resolved[field] = target ? { id: target.id } : null
      if (!target) {
        this.refuse(place, { [field]: `no entity of '${parentKind}' is called '${key}'` })
      }
    }
    return resolved
  }

  /** @returns The one that is called so, which is another one if it came first. */
  #name(key: string, found: Found): Found {
    const called = JSON.stringify([found.kind, key])
    const first = this.#called.get(called) ?? found
    this.#called.set(called, first)
    return first
  }

  /** References stay as they are: what they stand for is looked up when it is needed. */
  #checkVaults(raw: RawDocument, place: string): boolean {
    let isComplete = true
    mapTexts(raw, (text, path) => {
      if (!isVaultReference(text)) return text
      const { error } = resolveVault(text, this.#environment)
      if (error !== undefined) {
        isComplete = false
        this.refuse(place, { [path.join('.')]: error })
      }
      return text
    })
    return isComplete
  }
}

/** A reference may be a name, an id, or a record of either. */
function keyOf(value: unknown, endpoint: string | undefined): string | undefined {
  if (typeof value === 'string') return value
  if (!isJsonObject(value)) return undefined
  const key = value['id'] ?? (endpoint === undefined ? undefined : value[endpoint])
  return typeof key === 'string' ? key : undefined
}

/** What tells an entity from all others of its kind, as long as nothing else is known of it. */
function nameOf(kind: EntityKind, raw: RawDocument, filePlace: string): string {
  if (kind === 'plugins') {
    // Not what it is configured with: its consumer group is to last when that changes.
    const place = [raw['route'], raw['service'], raw['consumer']]
    return JSON.stringify([kind, raw['name'], place])
  }
  // Its place among those beside it: an id that came of a secret could be used to guess it.
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

/**
 * A snapshot as a declarative configuration: read again, it has the same effect.
 *
 * @returns What to write as YAML or JSON.
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
