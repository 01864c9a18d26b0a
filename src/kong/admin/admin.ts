/**
 * Kong's Admin API as an app: it puts the routes of the other files in this folder together. A
 * gateway process serves it on a port of its own.
 */
import { Hono } from 'hono'
import { getPathNoStrict } from 'hono/utils/url'
import type { Store } from '../config/store.ts'
import { WORKSPACE } from '../model/workspace.ts'
import { errorAnswer, otherMethods } from './answers.ts'
import { configRoutes, type Documents } from './config.ts'
import { entityRoutes } from './entities.ts'
import { refuseWebPages, requireToken } from './guard.ts'
import { informationRoutes, type NodeFacts, serverHeader } from './information.ts'
import { schemaRoutes } from './schemas.ts'
import { type ShownSecrets, showFor } from './shown-secrets.ts'
import { unservedRoutes } from './unserved.ts'

export interface AdminOptions extends NodeFacts, Documents, ShownSecrets {
  readonly store: Store
  /**
   * Host names under which the Admin API may be called, besides addresses and localhost.
   * Default: none.
   */
  readonly names?: readonly string[]
}

/**
 * Kong's Admin API, as far as a gateway for Kafka needs it. Without a token everybody who reaches its
 * port may change everything.
 */
export function createAdmin(options: AdminOptions): Hono {
  const { store, names = [], token } = options
  const show = showFor(options)
  const app = new Hono({ getPath: pathInWorkspace })
  app.use(serverHeader(options.version))
  app.use(refuseWebPages(names))
  if (token !== undefined) app.use(requireToken(token))
  app.use(async (c, next) => {
    await next()
    c.header('Cache-Control', 'no-store')
  })
  app.route('/', informationRoutes(store, options))
  app.route('/schemas', schemaRoutes())
  app.route('/config', configRoutes(store, options, show))
  app.route('/', entityRoutes(store, show))
  app.route('/', unservedRoutes())
  app.get('/endpoints', (c) => c.json({ data: endpoints(app) }))
  app.all('/endpoints', otherMethods(['GET']))
  app.notFound((c) => c.json({ message: 'Not found' }, 404))
  app.onError(errorAnswer)
  return app
}

/**
 * A request's path without `/` at its end, and without the name of the workspace, which Kong puts
 * before each path. There is one, whose name is `default`.
 */
function pathInWorkspace(request: Request): string {
  const path = getPathNoStrict(request)
  const prefix = `/${WORKSPACE.name}`
  if (path !== prefix && !path.startsWith(`${prefix}/`)) return path
  return path.slice(prefix.length) || '/'
}

/** The paths of all routes, as Kong lists them. */
function endpoints(app: Hono): string[] {
  const paths = app.routes
    .map(({ path }) => path.replace(/(.)\/$/, '$1').replace(/:(\w+)/g, '{$1}'))
    .filter((path) => !path.includes('*'))
  return [...new Set(paths)].sort()
}
