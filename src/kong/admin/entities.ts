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

interface Collection {
  readonly kind: EntityKind
  /** Kong's name in paths. Default: the name of the kind. */
  readonly path?: string
  readonly parent?: Parent
}

const COLLECTIONS: readonly Collection[] = [
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
    app.route(`${prefix}/${path}`, collection(store, showTo, kind, path, parent))
  }
  return app
}

/** Kong's `skip_hash=true`: a password in the request is a hash already. */
function writeOptions(c: Context): WriteOptions {
  return { isHashed: c.req.query('skip_hash') === 'true' }
}

function collection<K extends EntityKind>(
  store: Store,
  showTo: ChooseShow,
  kind: K,
  name: string,
  parent: Parent | undefined,
): Hono {
  const app = new Hono({ strict: false })

  /** The id of the path's parent, which the path may name; undefined without a parent. */
  const parentId = (c: Context): string | undefined => {
    if (!parent) return undefined
    const found = store.get(parent.kind, c.req.param('parent') ?? '')
    if (!found) throw notFound()
    return found.id
  }
  const isChild = (entity: EntityKinds[K], id: string | undefined) =>
    !parent || referenced(entity, parent.field) === id
  const key = (c: Context) => c.req.param('key') ?? ''
  /** The entity in a request's body, with the path's parent as its reference. */
  const body = async (c: Context, id: string | undefined) => {
    const given = await readBody(c, kind)
    return parent ? { ...given, [parent.field]: { id } } : given
  }
  const show = (c: Context, entity: EntityKinds[K]) => {
    const shown = showTo(c)(kind, entity)
    if (kind !== 'certificates') return shown
    return { ...shown, snis: serverNames(store.snapshot(), entity.id) }
  }
  /**
   * A new entity, with the secrets that the gateway generated: only the answer that creates them
   * shows them.
   */
  const showNew = (
    c: Context,
    entity: EntityKinds[K],
    given: Readonly<Record<string, unknown>>,
    path?: string,
  ) => {
    const generated = (KEYS[kind].secrets ?? []).filter(
      (field) => given[field] === undefined && fieldOf(entity, field) !== path,
    )
    const secrets = generated.map((field) => [field, fieldOf(entity, field)])
    return { ...show(c, entity), ...Object.fromEntries(secrets) }
  }
  /** The entity that a path names; under a parent, only a child of it. */
  const find = (c: Context): EntityKinds[K] => {
    const id = parentId(c)
    const entity = store.get(kind, key(c))
    if (!entity || !isChild(entity, id)) throw notFound()
    return entity
  }

  app.get('/', (c) => {
    const id = parentId(c)
    const path = parent ? `/${parent.kind}/${id}/${name}` : `/${name}`
    const children = store.list(kind).filter((entity) => isChild(entity, id))
    const found = page(children, new URL(c.req.url).searchParams, path)
    if (!('data' in found)) return c.json(found, 400)
    return c.json({ ...found, data: found.data.map((entity) => show(c, entity)) })
  })
  app.post('/', async (c) => {
    const id = parentId(c)
    const given = await body(c, id)
    const inserted = await store.change(() => store.insert(kind, given, writeOptions(c)))
    return c.json(showNew(c, inserted, given), 201)
  })
  app.all('/', otherMethods(['GET', 'POST']))

  app.get('/:key', (c) => c.json(show(c, find(c))))
  app.put('/:key', async (c) => {
    const id = parentId(c)
    const given = await body(c, id)
    const replace = () => store.replace(kind, key(c), given, writeOptions(c))
    return c.json(showNew(c, await store.change(replace), given, key(c)))
  })
  app.patch('/:key', async (c) => {
    const entity = find(c)
    const plugin = kind === 'plugins' ? (entity as EntityKinds['plugins']).name : undefined
    const given = await readBody(c, kind, plugin)
    const patch = () => store.patch(kind, entity.id, given, writeOptions(c))
    const changed = await store.change(patch)
    if (!changed) throw notFound()
    return c.json(show(c, changed))
  })
  app.delete('/:key', async (c) => {
    const id = parentId(c)
    const entity = store.get(kind, key(c))
    if (entity && !isChild(entity, id)) throw notFound()
    // As in Kong, removing an entity that does not exist succeeds. So it does under a parent, because
    // a credential may have got another id meanwhile.
    if (entity) await store.change(() => store.remove(kind, entity.id))
    return c.body(null, 204)
  })
  app.all('/:key', otherMethods(['DELETE', 'GET', 'PATCH', 'PUT']))
  return app
}
