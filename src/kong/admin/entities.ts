/**
 * `/services`, `/routes`, `/plugins` and the other collections of the Admin API: lists, creates,
 * changes and removes entities.
 */
import { type Context, Hono } from 'hono'
import { serverNames } from '../config/server-names.ts'
import type { Store, WriteOptions } from '../config/store.ts'
import type { EntityKind, EntityKinds } from '../model/entities.ts'
import { fieldOf, KEYS, referenced } from '../model/integrity.ts'
import { notFound, otherMethods } from './answers.ts'
import { page } from './paging.ts'
import { readBody } from './request-body.ts'
import type { ChooseShow } from './shown-secrets.ts'

/** The parent in a path such as `/routes/{route}/plugins`. */
interface Parent {
  readonly kind: EntityKind
  /** The field by which a child refers to its parent. */
  readonly field: string
}

const CONSUMER: Parent = { kind: 'consumers', field: 'consumer' }

interface CollectionPath {
  readonly kind: EntityKind
  /** Kong's name in paths. Default: the name of the kind. */
  readonly path?: string
  readonly parent?: Parent
}

const COLLECTIONS: readonly CollectionPath[] = [
  { kind: 'services' },
  { kind: 'routes' },
  { kind: 'plugins' },
  { kind: 'consumers' },
  { kind: 'certificates' },
  { kind: 'snis' },
  { kind: 'routes', parent: { kind: 'services', field: 'service' } },
  { kind: 'plugins', parent: { kind: 'services', field: 'service' } },
  { kind: 'plugins', parent: { kind: 'routes', field: 'route' } },
  { kind: 'plugins', parent: CONSUMER },
  { kind: 'snis', parent: { kind: 'certificates', field: 'certificate' } },
  { kind: 'keyauth_credentials', path: 'key-auths' },
  { kind: 'keyauth_credentials', path: 'key-auth', parent: CONSUMER },
  { kind: 'basicauth_credentials', path: 'basic-auths' },
  { kind: 'basicauth_credentials', path: 'basic-auth', parent: CONSUMER },
  { kind: 'jwt_secrets', path: 'jwts' },
  { kind: 'jwt_secrets', path: 'jwt', parent: CONSUMER },
]

/**
 * Entities and their collections: Kong's `/routes`, `/routes/{name or id}` and so on.
 *
 * @param showTo Shows an entity with or without its secrets, as the client may see it.
 */
export function entityRoutes(store: Store, showTo: ChooseShow): Hono {
  const app = new Hono()
  for (const { kind, path = kind, parent } of COLLECTIONS) {
    const prefix = parent ? `/${parent.kind}/:parent` : ''
    const collection = new EntityCollection(store, showTo, kind, path, parent)
    app.route(`${prefix}/${path}`, collection.routes())
  }
  return app
}

/** Kong's `skip_hash=true`: a password in the request is a hash already. */
function writeOptions(c: Context): WriteOptions {
  return { isHashed: c.req.query('skip_hash') === 'true' }
}

/** The entities of one kind, or of one kind that belong to the parent in the path. */
class EntityCollection<K extends EntityKind> {
  readonly #store: Store
  readonly #showTo: ChooseShow
  readonly #kind: K
  readonly #name: string
  readonly #parent: Parent | undefined

  /** @param name The collection's name in its path. */
  constructor(store: Store, showTo: ChooseShow, kind: K, name: string, parent: Parent | undefined) {
    this.#store = store
    this.#showTo = showTo
    this.#kind = kind
    this.#name = name
    this.#parent = parent
  }

  routes(): Hono {
    const app = new Hono({ strict: false })
    app.get('/', (c) => this.#list(c))
    app.post('/', (c) => this.#insert(c))
    app.all('/', otherMethods(['GET', 'POST']))
    app.get('/:key', (c) => c.json(this.#show(c, this.#find(c))))
    app.put('/:key', (c) => this.#replace(c))
    app.patch('/:key', (c) => this.#patch(c))
    app.delete('/:key', (c) => this.#remove(c))
    app.all('/:key', otherMethods(['DELETE', 'GET', 'PATCH', 'PUT']))
    return app
  }

  #list(c: Context): Response {
    const id = this.#parentId(c)
    const path = this.#parent ? `/${this.#parent.kind}/${id}/${this.#name}` : `/${this.#name}`
    const children = this.#store.list(this.#kind).filter((entity) => this.#isChild(entity, id))
    const found = page(children, new URL(c.req.url).searchParams, path)
    if (!('data' in found)) return c.json(found, 400)
    return c.json({ ...found, data: found.data.map((entity) => this.#show(c, entity)) })
  }

  async #insert(c: Context): Promise<Response> {
    const given = await this.#body(c, this.#parentId(c))
    const insert = () => this.#store.insert(this.#kind, given, writeOptions(c))
    return c.json(this.#showNew(c, await this.#store.change(insert), given), 201)
  }

  async #replace(c: Context): Promise<Response> {
    const given = await this.#body(c, this.#parentId(c))
    const replace = () => this.#store.replace(this.#kind, keyOf(c), given, writeOptions(c))
    return c.json(this.#showNew(c, await this.#store.change(replace), given, keyOf(c)))
  }

  async #patch(c: Context): Promise<Response> {
    const entity = this.#find(c)
    const plugin = this.#kind === 'plugins' ? (entity as EntityKinds['plugins']).name : undefined
    const given = await readBody(c, this.#kind, plugin)
    const patch = () => this.#store.patch(this.#kind, entity.id, given, writeOptions(c))
    const changed = await this.#store.change(patch)
    if (!changed) throw notFound()
    return c.json(this.#show(c, changed))
  }

  async #remove(c: Context): Promise<Response> {
    const id = this.#parentId(c)
    const entity = this.#store.get(this.#kind, keyOf(c))
    if (entity && !this.#isChild(entity, id)) throw notFound()
    // As in Kong, removing an entity that does not exist succeeds. So it does under a parent, because
    // a credential may have got another id meanwhile.
    if (entity) await this.#store.change(() => this.#store.remove(this.#kind, entity.id))
    return c.body(null, 204)
  }

  /** The id of the path's parent, which the path may name; undefined without a parent. */
  #parentId(c: Context): string | undefined {
    if (!this.#parent) return undefined
    const found = this.#store.get(this.#parent.kind, c.req.param('parent') ?? '')
    if (!found) throw notFound()
    return found.id
  }

  #isChild(entity: EntityKinds[K], id: string | undefined): boolean {
    return !this.#parent || referenced(entity, this.#parent.field) === id
  }

  /** The entity that a path names; under a parent, only a child of it. */
  #find(c: Context): EntityKinds[K] {
    const id = this.#parentId(c)
    const entity = this.#store.get(this.#kind, keyOf(c))
    if (!entity || !this.#isChild(entity, id)) throw notFound()
    return entity
  }

  /** The entity in a request's body, with the path's parent as its reference. */
  async #body(c: Context, id: string | undefined) {
    const given = await readBody(c, this.#kind)
    return this.#parent ? { ...given, [this.#parent.field]: { id } } : given
  }

  #show(c: Context, entity: EntityKinds[K]) {
    const shown = this.#showTo(c)(this.#kind, entity)
    if (this.#kind !== 'certificates') return shown
    return { ...shown, snis: serverNames(this.#store.snapshot(), entity.id) }
  }

  /**
   * A new entity, with the secrets that the gateway generated: only the answer that creates them
   * shows them.
   *
   * @param key The key in the path: a secret that equals it was given by the client.
   */
  #showNew(
    c: Context,
    entity: EntityKinds[K],
    given: Readonly<Record<string, unknown>>,
    key?: string,
  ) {
    const generated = (KEYS[this.#kind].secrets ?? []).filter(
      (field) => given[field] === undefined && fieldOf(entity, field) !== key,
    )
    const secrets = generated.map((field) => [field, fieldOf(entity, field)])
    return { ...this.#show(c, entity), ...Object.fromEntries(secrets) }
  }
}

/** The id or name of an entity in the path. */
function keyOf(c: Context): string {
  return c.req.param('key') ?? ''
}
