/**
 * Kong's Admin API as an app: it puts the routes of the other files in this folder together. A
 * gateway process serves it on a port of its own.
 */
import { Hono } from 'hono'
import { maskEntity, showEntity } from '../config/masked-secrets.ts'
import type { Store } from '../config/store.ts'
import { errorAnswer, notFound, otherMethods } from './answers.ts'
import { configRoutes, type Documents } from './config.ts'
import { entityRoutes } from './entities.ts'
import { guard, login } from './guard.ts'
import { informationRoutes, type NodeFacts, serverHeader, WORKSPACE } from './information.ts'
import { schemaRoutes } from './schemas.ts'
import { unservedRoutes } from './unserved.ts'

export interface AdminOptions extends NodeFacts, Documents {
  readonly store: Store
  /**
   * Host names under which the Admin API may be called, besides addresses and localhost.
   * Default: none.
   */
  readonly names?: readonly string[]
  /**
   * The token that each request must have in `Kong-Admin-Token`. Answers then show secrets, as Kong's
   * do. Default: no login, and `***` in place of secrets.
   */
  readonly token?: string | undefined
}

/**
 * Kong's Admin API, as far as a gateway for Kafka needs it. Without a token everybody who reaches its
 * port may change everything.
 */
export function createAdmin(options: AdminOptions): Hono {
  const { store, names = [], token } = options
  const mask = token === undefined ? maskEntity : showEntity
  const app = new Hono({ strict: false })
  app.use(serverHeader(options.version))
  app.use(guard(names))
  if (token !== undefined) app.use(login(token))
  app.use(async (c, next) => {
    await next()
    c.header('Cache-Control', 'no-store')
  })
  app.route('/', informationRoutes(store, options))
  app.route('/schemas', schemaRoutes())
  app.route('/config', configRoutes(store, options, mask))
  app.route('/', entityRoutes(store, mask))
  app.route('/', unservedRoutes())
  // Kong puts the name of a workspace before each path. There is one, whose name is `default`.
  app.all(`/${WORKSPACE.name}/*`, (c) => {
    const url = new URL(c.req.url)
    url.pathname = url.pathname.slice(WORKSPACE.name.length + 1)
    if (url.pathname.startsWith(`/${WORKSPACE.name}/`)) throw notFound()
    return app.fetch(new Request(url, c.req.raw), c.env)
  })
  app.get('/endpoints', (c) => c.json({ data: endpoints(app) }))
  app.all('/endpoints', otherMethods(['GET']))
  app.notFound((c) => c.json({ message: 'Not found' }, 404))
  app.onError(errorAnswer)
  return app
}

/** The paths of all routes, as Kong lists them. */
function endpoints(app: Hono): string[] {
  const paths = app.routes
    .map(({ path }) => path.replace(/(.)\/$/, '$1').replace(/:(\w+)/g, '{$1}'))
    .filter((path) => !path.includes('*'))
  return [...new Set(paths)].sort()
}
