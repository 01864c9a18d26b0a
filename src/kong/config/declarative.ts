/** Reads Kong's declarative configuration: one document that holds all entities. */
import { isJsonObject } from '../../core/json-object.ts'
import { doInTurns, type SlicedWork, Turns } from '../../core/sliced-work.ts'
import { Violation } from '../model/constraint-violations.ts'
import type {
  Certificate,
  EntityKind,
  EntityKinds,
  KongPlugin,
  KongRoute,
  KongSnapshot,
} from '../model/entities.ts'
import { checkIntegrity, KEYS, KINDS } from '../model/integrity.ts'
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
import {
  type DocumentSettings,
  isEmptyValue,
  readSettings,
  SETTINGS,
  withSettings,
} from './document-settings.ts'
import { BUILD_ORDER, CHILDREN, FIELD, NESTED_UNSERVED } from './document-structure.ts'
import { nameOf } from './entity-name.ts'
import { entitySchemas } from './entity-schemas.ts'
import { hashPassword } from './hashed-passwords.ts'
import { type DocumentEntity, InvalidDeclarative } from './invalid-declarative.ts'
import { kafkaPluginOf } from './kafka-plugins.ts'
import { partsOf, pluginOptions } from './plugin-options.ts'
import { PLUGIN_NAMES } from './plugins.ts'
import { readEntity } from './read-entity.ts'
import { isOfConfig, unknownFields, valueAt, withoutField } from './unknown-fields.ts'

/** How to read a document. */
export interface DeclarativeOptions {
  /** Default: `yaml`, which includes most of JSON. */
  readonly format?: 'yaml' | 'json'
  /** The variables that vault references read. References are checked here, and stay references. */
  readonly environment: Environment
  /**
   * Tells which variables may be read into fields that answers show. Default: all, as for the
   * operator's own file.
   */
  readonly mayShow?: MayShow
  /**
   * The variables that decK's references read; their values become part of the entities. Default:
   * `environment`.
   */
  readonly deckEnvironment?: Environment
  /** Skip plugins and entities that are not served, with a warning each, instead of refusing them. */
  readonly ignoreUnknown: boolean
}

/** The entities of a document, with a warning for each part that was skipped. */
export type Declared = KongSnapshot & { readonly warnings: readonly string[] }

type RawDocument = Readonly<Record<string, unknown>>

/** An entity of the document, with the entity that it is nested in. */
interface Found {
  readonly kind: EntityKind
  readonly place: string
  readonly raw: RawDocument
  readonly parent: Found | undefined
  id: string
}

/** Errors of one document that are reported; further ones are only counted. */
const MAX_ERRORS = 1_000
const UNSERVED = 'is not served by this gateway, remove it or pass --ignore-unknown'

/**
 * Reads a declarative configuration, as Kong's `declarative_config` and decK write it.
 *
 * Entities without an id get one that depends on their name, or without a name on their fields, so
 * that a document yields equal ids whenever it is read.
 *
 * @throws InvalidDeclarative with all errors.
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
    if (references.found) {
      parsed = mapTexts(parsed, (each, path) =>
        references.resolve(each, (error) => document.refuse(placeOf(path), error)),
      )
    }
  } catch (error) {
    const state = error instanceof RangeError ? 'nested too deeply' : (error as Error).message
    throw new InvalidDeclarative({ '@entity': `cannot be parsed: ${state}` })
  }
  return document.read(parsed)
}

/** Converts a path with elements counted from one to a place in the document, counted from zero. */
function placeOf(path: readonly string[]): string {
  return path
    .map((key, index) => (index > 0 && /^\d+$/.test(key) ? `[${Number(key) - 1}]` : `.${key}`))
    .join('')
    .slice(1)
}

/** A document while it is being read. */
class DeclarativeDocument {
  readonly #references: DeckReferences
  readonly #environment: Environment
  readonly #mayShow: MayShow
  readonly #ignoreUnknown: boolean
  readonly #errors = new Map<string, FieldErrors>()
  /** The number of errors beyond {@link MAX_ERRORS}. */
  #unreported = 0
  readonly #warnings: string[] = []
  readonly #found: Found[] = []
  /** All entities by place, for the errors. */
  readonly #entities = new Map<string, DocumentEntity>()
  #settings: DocumentSettings = readSettings({ _format_version: '3.0' }, () => undefined)
  /** Entities by kind and by each of their ids and names. */
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
    this.#settings = readSettings(document, (place, error) => this.refuse(place, error))
    for (const [key, value] of Object.entries(document)) {
      if ((KINDS as readonly string[]).includes(key))
        await doInTurns(this.#collect(key as EntityKind, value, key, undefined))
      else if (!SETTINGS.includes(key)) this.#readUnknown(key, value)
    }
    const snapshot = await this.#build()
    this.#throwErrors()
    try {
      await doInTurns(checkIntegrity(snapshot))
    } catch (error) {
      if (!(error instanceof Violation)) throw error
      throw new InvalidDeclarative({ '@entity': error.message })
    }
    return { ...snapshot, warnings: this.#warnings }
  }

  #throwErrors(): void {
    if (this.#errors.size === 0) return
    const unreported = this.#unreported > 0 && { '@entity': `${this.#unreported} further errors` }
    const errors = { ...Object.fromEntries(this.#errors), ...unreported }
    throw new InvalidDeclarative(errors, this.#entities)
  }

  #readUnknown(key: string, value: unknown): void {
    if (key === '_workspace' && value === 'default') return
    if (value !== null && isEmptyValue(value)) return
    this.#unserved(key, `"${key}" ${UNSERVED}`)
  }

  /** Reports an unsupported part: as a warning with `ignoreUnknown`, otherwise as an error. */
  #unserved(place: string, error: string): void {
    if (this.#ignoreUnknown) {
      this.#warnings.push(`${place}: ${error.replace(UNSERVED, 'is not served, skipped')}`)
    } else this.refuse(place, error)
  }

  *#collect(
    kind: EntityKind,
    list: unknown,
    place: string,
    parent: Found | undefined,
  ): SlicedWork<void> {
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
      yield* this.#collectEntity(kind, each, here, parent)
    }
  }

  *#collectEntity(
    kind: EntityKind,
    entity: RawDocument,
    place: string,
    parent: Found | undefined,
  ): SlicedWork<void> {
    this.#entities.set(place, { kind, fields: entity })
    if (kind === 'plugins' && this.#isUnservedPlugin(entity, place)) return
    const own = this.#ownFields(kind, entity, place)
    const found = { kind, place, raw: withSettings(kind, own, this.#settings), parent, id: '' }
    this.#found.push(found)
    const { endpoint } = KEYS[kind]
    for (const key of [found.raw['id'], endpoint && found.raw[endpoint]]) {
      if (typeof key === 'string') this.#name(key, found)
    }
    for (const child of CHILDREN[kind]) {
      yield* this.#collect(child, entity[child], `${place}.${child}`, found)
    }
    yield
  }

  /** An entity's fields without its nested entities, and without fields that are not served. */
  #ownFields(kind: EntityKind, entity: RawDocument, place: string): RawDocument {
    const children: readonly string[] = CHILDREN[kind]
    const own = Object.entries(entity).filter(([key, value]) => {
      if (children.includes(key)) return false
      if (!NESTED_UNSERVED[kind].test(key)) return true
      if (isEmptyValue(value)) return Object.hasOwn(entitySchemas[kind].entries, key)
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
    const turns = new Turns()
    for (const kind of BUILD_ORDER) {
      for (const found of this.#found) {
        if (found.kind !== kind) continue
        await turns.next()
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
      const entity = this.#read(kind, { ...raw, id: id ?? found.id }, place)
      // The router may refuse the route, too. Checking it here names its place in the document.
      if (kind === 'routes') new Router([entity as KongRoute])
      if (kind === 'plugins' && kafkaPluginOf((entity as KongPlugin).name)) {
        pluginOptions(partsOf(entity as KongPlugin, certificates, this.#environment, this.#mayShow))
      }
      return entity
    } catch (error) {
      if (!(error instanceof SchemaViolation)) throw error
      this.refuse(place, error.fields)
      return undefined
    }
  }

  /**
   * Reads an entity without unknown fields that are null, which change nothing, and with
   * `ignoreUnknown` without unknown fields of a plugin's configuration.
   *
   * @throws SchemaViolation
   */
  #read<K extends EntityKind>(kind: K, raw: RawDocument, place: string): EntityKinds[K] {
    try {
      const entity = readEntity(kind, raw)
      return this.#settings.isHashed ? entity : hashPassword(kind, entity)
    } catch (error) {
      if (!(error instanceof SchemaViolation)) throw error
      const skipped = unknownFields(error.fields).filter(
        (path) => valueAt(raw, path) === null || (this.#ignoreUnknown && isOfConfig(raw, path)),
      )
      if (skipped.length === 0) throw error
      for (const path of skipped) {
        if (valueAt(raw, path) === null) continue
        this.#warnings.push(`${place}: field "${path.join('.')}" is not served, skipped`)
      }
      const rest = skipped.reduce<unknown>((value, path) => withoutField(value, path), raw)
      return this.#read(kind, rest as RawDocument, place)
    }
  }

  /** An entity's own fields, with references to other entities resolved to ids. */
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

  /**
   * Registers a name of an entity. @returns The first entity of that name, which may be another one.
   */
  #name(key: string, found: Found): Found {
    const called = JSON.stringify([found.kind, key])
    const first = this.#called.get(called) ?? found
    this.#called.set(called, first)
    return first
  }

  /** Checks vault references, which stay in place: they are resolved when they are used. */
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

/** The key of a reference, which is a name, an id, or a record of either. */
function keyOf(value: unknown, endpoint: string | undefined): string | undefined {
  if (typeof value === 'string') return value
  if (!isJsonObject(value)) return undefined
  const key = value['id'] ?? (endpoint === undefined ? undefined : value[endpoint])
  return typeof key === 'string' ? key : undefined
}
