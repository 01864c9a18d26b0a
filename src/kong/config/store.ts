/**
 * The store of Kong's entities. Each change is checked against all entities, and takes effect before
 * it is answered.
 */
import { isJsonObject } from '../../core/json-object.ts'
import { doAtOnce, doInTurns, type SlicedWork } from '../../core/sliced-work.ts'
import { referencedBy, unresolvedReference } from '../model/constraint-violations.ts'
import type { EntityKind, EntityKinds, KongSnapshot } from '../model/entities.ts'
import { isUuid } from '../model/fields.ts'
import { checkIntegrity, fieldOf, KEYS, KINDS, referenced } from '../model/integrity.ts'
import { SchemaViolation } from '../model/schema-violation.ts'
import { hashPassword } from './hashed-passwords.ts'
import { refuseMasks, restoreSecrets } from './masked-secrets.ts'
import { MASK } from './plugin-config.ts'
import { readEntity } from './read-entity.ts'
import { givenNames, withServerNames } from './server-names.ts'

export const EMPTY = Object.fromEntries(KINDS.map((kind) => [kind, []])) as unknown as KongSnapshot

/** How an entity is written. */
export interface WriteOptions {
  /** Whether passwords of `basic-auth` are given as hashes in Kong's form. Default: false. */
  readonly isHashed?: boolean
}

/** Follows the entities at once, or returns the work of it, which may rest. */
type StoreListener = (snapshot: KongSnapshot) => SlicedWork<void> | void
type Entities<K extends EntityKind> = ReadonlyArray<EntityKinds[K]>

/**
 * The entities of a gateway. A change is atomic: it is checked, then passed to the listeners, and
 * undone if a listener throws.
 */
export class Store {
  #snapshot: KongSnapshot = EMPTY
  readonly #listeners = new Set<StoreListener>()
  /** Resolves when the change that is made in turns has ended. */
  #changing: Promise<void> | undefined
  /** The snapshot that a {@link change} leads to. */
  #staged: { next?: KongSnapshot } | undefined

  /** @throws Violation, SchemaViolation as `replaceAll` does. */
  constructor(initial: KongSnapshot = EMPTY) {
    doAtOnce(this.#replaceAll(initial))
  }

  /** All entities now. A snapshot never changes: each change makes another one. */
  snapshot(): KongSnapshot {
    return this.#snapshot
  }

  list<K extends EntityKind>(kind: K): Entities<K> {
    return this.#snapshot[kind]
  }

  /**
   * @param key An id, or the name (services, routes, SNIs), `instance_name` (plugins) or username; for
   *   certificates also the name of an SNI.
   */
  get<K extends EntityKind>(kind: K, key: string): EntityKinds[K] | undefined {
    const { endpoint } = KEYS[kind]
    if (isUuid(key)) return this.list(kind).find(({ id }) => id === key)
    if (kind === 'certificates') {
      const id = this.get('snis', key)?.certificate.id
      return this.list(kind).find((entity) => entity.id === id)
    }
    if (!endpoint) return undefined
    return this.list(kind).find((entity) => fieldOf(entity, endpoint) === key)
  }

  /** @throws SchemaViolation, Violation, or what a listener throws. */
  insert<K extends EntityKind>(kind: K, raw: unknown, options?: WriteOptions): EntityKinds[K] {
    return this.#put(kind, raw, readEntity(kind, this.#resolve(kind, raw)), undefined, options)
  }

  /**
   * Replaces an entity, or inserts it if it does not exist. A credential whose key its consumer has
   * already under another id gets the new id: a client that cannot read keys, such as decK, gives
   * each a new id, and removes the former one later.
   *
   * @throws SchemaViolation, Violation, or what a listener throws.
   */
  replace<K extends EntityKind>(
    kind: K,
    key: string,
    raw: unknown,
    options?: WriteOptions,
  ): EntityKinds[K] {
    if (!isJsonObject(raw)) return this.insert(kind, raw, options)
    const existing = this.get(kind, key) ?? this.#withSecret(kind, raw)
    const { endpoint } = KEYS[kind]
    const isId = isUuid(key) || !endpoint
    const name = isId ? undefined : { [endpoint]: key }
    const id = isUuid(key) ? key : (existing?.id ?? (isId ? key : raw['id']))
    if (raw['id'] !== undefined && raw['id'] !== id) {
      throw new SchemaViolation({ id: 'immutable field cannot be updated' })
    }
    const created = raw['created_at'] ?? existing?.created_at
    const whole = { ...raw, ...name, id, created_at: created, updated_at: undefined }
    return this.#put(kind, raw, readEntity(kind, this.#resolve(kind, whole)), existing, options)
  }

  /** The credential that has the secret of a request already, for an equal consumer. */
  #withSecret<K extends EntityKind>(
    kind: K,
    raw: Readonly<Record<string, unknown>>,
  ): EntityKinds[K] | undefined {
    const { secrets = [], unique } = KEYS[kind]
    const field = secrets.find((secret) => unique.includes(secret))
    if (field === undefined) return undefined
    const { consumer } = raw
    const owner = isJsonObject(consumer) ? consumer['id'] : undefined
    return this.list(kind).find(
      (entity) => fieldOf(entity, field) === raw[field] && referenced(entity, 'consumer') === owner,
    )
  }

  /**
   * Changes some fields of an entity. Returns undefined if it does not exist.
   *
   * @throws SchemaViolation, Violation, or what a listener throws.
   */
  patch<K extends EntityKind>(
    kind: K,
    key: string,
    raw: unknown,
    options?: WriteOptions,
  ): EntityKinds[K] | undefined {
    const existing = this.get(kind, key)
    if (!existing) return undefined
    const read = readEntity(kind, this.#resolve(kind, raw), existing)
    return this.#put(kind, raw, read, existing, options)
  }

  /**
   * Removes an entity, and the entities that belong to it, such as its plugins.
   *
   * @returns Whether it existed.
   * @throws Violation when entities that do not belong to it refer to it, or what a listener throws.
   */
  remove(kind: EntityKind, key: string): boolean {
    const entity = this.get(kind, key)
    if (!entity) return false
    let next: KongSnapshot = {
      ...this.#snapshot,
      [kind]: this.list(kind).filter((other) => other !== entity),
    }
    for (const child of KINDS) {
      for (const { field, parent, onDelete } of KEYS[child].foreign) {
        if (parent !== kind) continue
        const isChild = (other: EntityKinds[EntityKind]) => referenced(other, field) === entity.id
        const children = next[child] as Entities<EntityKind>
        if (onDelete === 'restrict' && children.some(isChild)) throw referencedBy(kind, child)
        next = { ...next, [child]: children.filter((other) => !isChild(other)) }
      }
    }
    this.#stage(next)
    return true
  }

  /**
   * Replaces all entities. A masked secret keeps the value of the present entity with that id. The
   * work is done in turns, so that other requests are served; until its end the entities before are
   * in effect.
   *
   * @throws SchemaViolation, Violation, or what a listener throws; then nothing changes.
   */
  replaceAll(snapshot: KongSnapshot): Promise<void> {
    return this.#exclusively(() => doInTurns(this.#replaceAll(snapshot)))
  }

  /**
   * Makes a change in turns, as {@link replaceAll} does, and after any other that is under way.
   *
   * @param change Calls one of `insert`, `replace`, `patch` and `remove`, which then wait for nothing.
   * @throws SchemaViolation, Violation, or what a listener throws; then nothing changes.
   */
  change<T>(change: () => T): Promise<T> {
    return this.#exclusively(async () => {
      const staged: { next?: KongSnapshot } = {}
      this.#staged = staged
      let result: T
      try {
        result = change()
      } finally {
        this.#staged = undefined
      }
      if (staged.next) await doInTurns(this.#take(staged.next))
      return result
    })
  }

  async #exclusively<T>(change: () => Promise<T>): Promise<T> {
    while (this.#changing) await this.#changing
    const ended = Promise.withResolvers<void>()
    this.#changing = ended.promise
    try {
      return await change()
    } finally {
      this.#changing = undefined
      ended.resolve()
    }
  }

  *#replaceAll(snapshot: KongSnapshot): SlicedWork<void> {
    const next = { ...EMPTY } as Record<EntityKind, Entities<EntityKind>>
    for (const kind of KINDS) {
      const present = new Map(this.list(kind).map((entity) => [entity.id, entity]))
      const entities: Array<EntityKinds[EntityKind]> = []
      for (const entity of snapshot[kind]) {
        entities.push(unmasked(kind, entity, present.get(entity.id)))
        yield
      }
      next[kind] = entities
    }
    yield* this.#take(next as KongSnapshot)
  }

  /**
   * Calls `listener` with each change before the change is answered. If it throws, the change fails
   * with that error, and listeners that were called already are called again with the snapshot before.
   *
   * @returns A function that ends the calls.
   */
  onChange(listener: StoreListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  #put<K extends EntityKind>(
    kind: K,
    raw: unknown,
    read: EntityKinds[K],
    existing: EntityKinds[K] | undefined,
    { isHashed = false }: WriteOptions = {},
  ): EntityKinds[K] {
    const isGiven = !isHashed && isJsonObject(raw) && 'password' in raw
    const entity = unmasked(kind, isGiven ? hashPassword(kind, read) : read, existing)
    if (kind === 'plugins') this.#checkProtocols(entity as EntityKinds['plugins'])
    const list = this.list(kind)
    const changed: KongSnapshot = {
      ...this.#snapshot,
      [kind]: existing
        ? list.map((other) => (other === existing ? entity : other))
        : [...list, entity],
    }
    const names = kind === 'certificates' ? givenNames(raw) : undefined
    const next = names ? withServerNames(changed, entity.id, names) : changed
    this.#stage(next)
    return entity
  }

  /** A plugin must have a protocol in common with its route, or with a route of its service. */
  #checkProtocols({ protocols, route, service }: EntityKinds['plugins']): void {
    const isCommon = (other: EntityKinds['routes']) =>
      other.protocols.some((protocol) => protocols.includes(protocol))
    if (route) {
      const own = this.get('routes', route.id)
      if (!own || isCommon(own)) return
      throw new SchemaViolation({ protocols: "must match the associated route's protocols" })
    }
    const routes = this.list('routes').filter((other) => other.service?.id === service?.id)
    if (!service || routes.length === 0 || routes.some(isCommon)) return
    throw new SchemaViolation({
      protocols: "must match the protocols of at least one route pointing to this Plugin's service",
    })
  }

  /** Converts references by name to references by id. */
  #resolve(kind: EntityKind, raw: unknown): unknown {
    if (!isJsonObject(raw)) return raw
    const resolved: Record<string, unknown> = { ...raw }
    for (const { field, parent } of KEYS[kind].foreign) {
      const value = raw[field]
      const { endpoint } = KEYS[parent]
      if (!isJsonObject(value) || !endpoint || 'id' in value) continue
      const name = value[endpoint]
      if (typeof name !== 'string') continue
      const found = this.list(parent).find((entity) => fieldOf(entity, endpoint) === name)
      if (!found) throw unresolvedReference(field, { [endpoint]: name }, parent)
      const { [endpoint]: _, ...rest } = value
      resolved[field] = { ...rest, id: found.id }
    }
    return resolved
  }

  /** Makes `next` the entities: at once, or within {@link change} in turns afterwards. */
  #stage(next: KongSnapshot): void {
    if (this.#staged) this.#staged.next = next
    else if (this.#changing) throw new Error('Cannot change entities: a change is under way')
    else doAtOnce(this.#take(next))
  }

  /** @throws Violation, or what a listener throws; then nothing changes. */
  *#take(next: KongSnapshot): SlicedWork<void> {
    yield* checkIntegrity(next)
    yield* this.#commit(next)
  }

  *#commit(next: KongSnapshot): SlicedWork<void> {
    const called: StoreListener[] = []
    try {
      for (const listener of this.#listeners) {
        called.push(listener)
        yield* listener(next) ?? []
      }
    } catch (error) {
      for (const listener of called) {
        try {
          yield* listener(this.#snapshot) ?? []
        } catch {
          // The snapshot before was accepted already. Only the first error is reported.
        }
      }
      throw error
    }
    this.#snapshot = next
  }
}

/** @throws SchemaViolation for a mask without a secret that it could stand for. */
function unmasked<K extends EntityKind>(
  kind: K,
  entity: EntityKinds[K],
  existing: EntityKinds[K] | undefined,
): EntityKinds[K] {
  // Most entities have no mask, and comparing all their fields takes longer than this.
  if (!JSON.stringify(entity).includes(MASK)) return entity
  const restored = existing ? restoreSecrets(kind, entity, existing) : entity
  refuseMasks(kind, restored)
  return restored
}
