import { type Context, Hono } from 'hono'
import type { EntityKinds, Kind } from '../kong/entities.ts'
import { referenced } from '../kong/integrity.ts'
import { maskEntity } from '../kong/secrets.ts'
import type { Store } from '../kong/store.ts'
import { notFound, otherMethods } from './answers.ts'
import { readBody } from './body.ts'
import { page } from './paging.ts'

/** Whose children a collection has: `/routes/{route}/plugins`. */
interface Parent {
  readonly kind: Kind
  /** What children call it. */
  readonly field: string
}

const COLLECTIONS: ReadonlyArray<{ readonly kind: Kind; readonly parent?: Parent }> = [
  { kind: 'services' },
  { kind: 'routes' },
  { kind: 'plugins' },
  { kind: 'consumers' },
  { kind: 'certificates' },
  { kind: 'routes', parent: { kind: 'services', field: 'service' } },
  { kind: 'plugins', parent: { kind: 'services', field: 'service' } },
  { kind: 'plugins', parent: { kind: 'routes', field: 'route' } },
  { kind: 'plugins', parent: { kind: 'consumers', field: 'consumer' } },
]

/** Entities and their collections: Kong's `/routes`, `/routes/{name or id}` and so on. */
export function entityRoutes(store: Store): Hono {
  const app = new Hono()
  for (const { kind, parent } of COLLECTIONS) {
    const path = parent ? `/${parent.kind}/:parent/${kind}` : `/${kind}`
    app.route(path, collection(store, kind, parent))
  }
  return app
}

function collection<K extends Kind>(store: Store, kind: K, parent: Parent | undefined): Hono {
  const app = new Hono({ strict: false })

  /** The parent's id where there is one, from a path that may name it. */
  const parentId = (c: Context): string | undefined => {
    if (!parent) return undefined
    const found = store.get(parent.kind, c.req.param('parent') ?? '')
    if (!found) throw notFound()
    return found.id
  }
  const isChild = (entity: EntityKinds[K], id: string | undefined) =>
    !parent || referenced(entity, parent.field) === id
  const key = (c: Context) => c.req.param('key') ?? ''
  /** What a request gives, in its place under the parent. */
  const body = async (c: Context, id: string | undefined) => {
    const given = await readBody(c, kind)
    return parent ? { ...given, [parent.field]: { id } } : given
  }
  const show = (entity: EntityKinds[K]) => maskEntity(kind, entity)
  /** The entity that a path names; under a parent, only a child of it. */
  const find = (c: Context): EntityKinds[K] => {
    const id = parentId(c)
    const entity = store.get(kind, key(c))
    if (!entity || !isChild(entity, id)) throw notFound()
    return entity
  }

  app.get('/', (c) => {
    const id = parentId(c)
    const path = parent ? `/${parent.kind}/${id}/${kind}` : `/${kind}`
    const children = store.list(kind).filter((entity) => isChild(entity, id))
    const found = page(children, new URL(c.req.url).searchParams, path)
    if (!('data' in found)) return c.json(found, 400)
    return c.json({ ...found, data: found.data.map(show) })
  })
  app.post('/', async (c) => {
    const id = parentId(c)
    return c.json(show(store.insert(kind, await body(c, id))), 201)
  })
  app.all('/', otherMethods(['GET', 'POST']))

  app.get('/:key', (c) => c.json(show(find(c))))
  app.put('/:key', async (c) => {
    const id = parentId(c)
    return c.json(show(store.replace(kind, key(c), await body(c, id))))
  })
  app.patch('/:key', async (c) => {
    const { id } = find(c)
    const changed = store.patch(kind, id, await readBody(c, kind))
    if (!changed) throw notFound()
    return c.json(show(changed))
  })
  app.delete('/:key', (c) => {
    const id = parentId(c)
    const entity = store.get(kind, key(c))
    if (parent && (!entity || !isChild(entity, id))) throw notFound()
    // As in Kong, what is not there is gone.
    if (entity) store.remove(kind, entity.id)
    return c.body(null, 204)
  })
  app.all('/:key', otherMethods(['DELETE', 'GET', 'PATCH', 'PUT']))
  return app
}
